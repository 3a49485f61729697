/* SPDX-License-Identifier: Apache-2.0 */
/* One target from inside: its specification, and what runs of it. */
#ifndef CONTROL_TARGET_H
#define CONTROL_TARGET_H

#include <quoin/block.h>
#include <quoin/control.h>
#include <quoin/loop.h>
#include <quoin/vfio_user.h>

#include "format.h"

struct control_pools;

/*
 *   failed   transport == NULL, failure != NULL, no device open
 *   running  transport != NULL, failure == NULL, a device open for each namespace
 */
struct control_target {
	struct control_target_spec spec;
	char *socket_path;
	char *failure;
	unsigned worker; /* good while it runs */
	bool stopping;	 /* was asked to, and a volume did not answer */
	struct vfio_user_target *transport;
	struct loop *loop;	     /* of that worker */
	struct control_pools *pools; /* borrowed; NULL = none */
	int state_fd; /* the state directory, borrowed; -1 = block sizes are not remembered */
	struct block_device *devices[CONTROL_NAMESPACES_MAX]; /* by nsid - 1, and so are these */
	struct control_format formats[CONTROL_NAMESPACES_MAX];
};

/* Takes a copy of `spec`, which is checked and identified. Not running, failure "not started". */
struct control_target *control_target_new(const struct control_target_spec *spec,
					  const char *runtime_dir);

/*
 * Ends its service, but not its state: -ETIMEDOUT when a volume does not answer (then it stays,
 * unreachable, until this is tried again), else 0, also when it does not run.
 */
MUST_CHECK int control_target_stop(struct control_target *target, struct err *err);

/* Stops it first. NULL is allowed. */
void control_target_free(struct control_target *target);

/* Opens the volumes, listens, attaches. On failure nothing is left open, and `failure` says why. */
MUST_CHECK int control_target_run(struct control_target *target, struct loop *loop,
				  struct err *err);
void control_target_halt(struct control_target *target, const char *why);

/* `ns` is a namespace of a running target that is not open yet; may point into target->spec. */
MUST_CHECK int control_target_open_namespace(struct control_target *target,
					     const struct control_namespace_spec *ns,
					     struct err *err);
MUST_CHECK int control_target_close_namespace(struct control_target *target, unsigned nsid,
					      struct err *err);

/* What there is to know; pointers are into the target. */
void control_target_look(struct control_target *target, struct control_target_info *ret_info);

#endif

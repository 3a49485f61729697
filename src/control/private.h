/* SPDX-License-Identifier: Apache-2.0 */
/* The room from inside: the object behind the door, shared by control.c and verbs.c. */
#ifndef CONTROL_PRIVATE_H
#define CONTROL_PRIVATE_H

#include <quoin/control.h>

#include "state.h"
#include "target.h"
#include "workers.h"

struct control {
	char *runtime_dir;
	bool test_volumes;
	uint64_t memory_bytes;
	struct control_state state;
	struct control_workers workers;
	unsigned target_count;
	struct control_target *targets[CONTROL_TARGETS_MAX];
};

struct control_target *control_find(struct control *control, const char *name);

/* -ENOENT with a sentence. */
MUST_CHECK int control_get(struct control *control, const char *name, struct control_target **ret,
			   struct err *err);

void control_append(struct control *control, struct control_target *target);

/* Takes the target off the list; returns where it was, for control_put_back(). */
unsigned control_take(struct control *control, const struct control_target *target);
void control_put_back(struct control *control, struct control_target *target, unsigned index);

MUST_CHECK int control_save(struct control *control, struct err *err);

/* Chooses a worker and runs the target there; sets target->failure when it cannot. */
MUST_CHECK int control_run(struct control *control, struct control_target *target, struct err *err);
void control_halt(struct control *control, struct control_target *target, const char *why);

/* -EBUSY when a namespace of a target other than `but` has this volume. */
MUST_CHECK int control_volume_free(struct control *control, const char *volume,
				   const struct control_target *but, struct err *err);

/* What the target counts against --memory. */
uint64_t control_target_cost(const struct control_target_spec *spec);

#endif

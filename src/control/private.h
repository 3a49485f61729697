/* SPDX-License-Identifier: Apache-2.0 */
/* The room from inside: the object behind the door, shared by what implements its verbs. */
#ifndef CONTROL_PRIVATE_H
#define CONTROL_PRIVATE_H

#include <quoin/control.h>

#include "board.h"
#include "export.h"
#include "pool.h"
#include "sources.h"
#include "scheduler.h"
#include "state.h"
#include "target.h"
#include "workers.h"

/*
 * What a controller takes when its guest drives it hard: 4 MiB of bounce buffers, 3 MiB for 1024
 * commands in flight, and room. The rings are the guest's. Pages that are never used cost nothing.
 */
#define CONTROL_TARGET_COST_BYTES (8 * MiB)

/* Of one hook, and its thread's. */
struct control_hook_tell {
	struct health_events *events;
	bool failing;
};

struct control {
	char *runtime_dir;
	bool test_volumes;
	uint64_t memory_bytes;
	struct control_state state;
	struct health_events *events;
	struct health_drives *drives;
	struct control_board board;
	struct control_errand errand;
	struct control_sources sources;
	char *staging_dir;
	struct control_scheduler scheduler;
	struct health_hook *hooks[CONTROL_HOOKS]; /* a program's, an address's; NULL = none */
	struct control_hook_tell hook_tells[CONTROL_HOOKS];
	struct control_workers workers;
	struct control_pools pools;
	struct control_exports exports;
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

/* -EBUSY when a namespace of a target other than `but` has the volume of `ns`. */
MUST_CHECK int control_volume_free(struct control *control, const struct control_namespace_spec *ns,
				   const struct control_target *but, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools from inside: the list, and how verbs reach the engine. A pool lives on the loop of one
 * worker, its home; `pool` and `disks` are touched by fibers of it alone, everything else by the
 * thread of the verbs.
 */
#ifndef CONTROL_POOL_PRIVATE_H
#define CONTROL_POOL_PRIVATE_H

#include <quoin/control_health.h>
#include <quoin/control_pool.h>
#include <quoin/disk.h>
#include <quoin/image_deploy.h>
#include <quoin/pool.h>

#include "errand.h"
#include "forecast.h"
#include "host.h"
#include "object.h"
#include "watch.h"
#include "workers.h"

/* The home loop's; see pool_watch.h. */
struct control_pool_watch {
	struct loop_timer timer;
	bool looked;
	struct control_pool_info *before, *now; /* NULL = not watched; `before` is the last look */
	struct control_watch watch;
	struct forecast forecast;
	unsigned cursor; /* of a round over the volumes, in slices: see board.h */
};

/*
 *   failed     pool == NULL, `failure` says why, no disk open
 *   imported   pool != NULL
 */
struct control_pool {
	char name[CONTROL_NAME_MAX + 1];
	uint8_t guid[16];
	bool read_only;
	unsigned path_count;
	char *paths[CONTROL_DRIVES_MAX]; /* where its drives were seen last; owned */
	char *failure;
	unsigned worker; /* good while it is imported, as is all that follows */
	struct loop *loop;
	struct pool *pool;
	uint64_t memory_bytes;
	unsigned disk_count;
	struct disk *disks[CONTROL_DRIVES_MAX];
	char problem[256]; /* the engine's words that were logged last; the home loop's */
	struct control_pool_watch watch;
	struct health_events *events;			   /* borrowed */
	struct control_board *board;			   /* the same */
	struct image_deploy *deploys[CONTROL_DEPLOYS_MAX]; /* the home loop's; NULL = free */
	struct image_watcher watcher;			   /* of all of them */
	atomic_bool deploys_changed;
	struct control_errand *errand; /* borrowed */
};

struct control_pools {
	struct control_workers *workers; /* borrowed */
	struct health_events *events;	 /* the same */
	struct control_board *board;	 /* the same */
	struct control_errand *errand;	 /* the same */
	struct control_host host;
	struct image_opener opener;
	unsigned count;
	struct control_pool *pools[CONTROL_POOLS_MAX];
};

/* --- The list (pool.c) ----------------------------------------------------------------------- */

struct control_pool *control_pool_new(const char *name, const uint8_t guid[16]);

/* It is not imported. NULL is allowed. */
void control_pool_free(struct control_pool *pool);
/* Nothing when it is there already. */
void control_pool_add_path(struct control_pool *pool, const char *path);
void control_pool_clear_paths(struct control_pool *pool);
void control_pool_fail(struct control_pool *pool, const char *why);

void control_pools_append(struct control_pools *pools, struct control_pool *pool);
unsigned control_pools_take(struct control_pools *pools, const struct control_pool *pool);
void control_pools_put_back(struct control_pools *pools, struct control_pool *pool, unsigned index);

struct control_pool *control_pools_find(struct control_pools *pools, const char *name);
struct control_pool *control_pools_find_guid(struct control_pools *pools, const uint8_t guid[16]);

/* -ENOENT: there is none of the name; -ENODEV: it is not imported. */
MUST_CHECK int control_pools_get(struct control_pools *pools, const char *name,
				 struct control_pool **ret, struct err *err);

/* What pools have been given of the daemon's memory. */
uint64_t control_pools_memory(const struct control_pools *pools);

/*
 * What a pool that is opened now gets of `free_bytes`, when `waiting` others are still to come:
 * 5/8, but the others get their least; 0 when its own least is not there.
 */
uint64_t control_pool_share(uint64_t free_bytes, unsigned waiting);

/* In the home loop's thread: what there is to know, but for what `control` has of it. */
void control_pool_look(struct pool *engine, struct control_pool_info *info);

/* Behind the last drive nothing is read or written: there is room for many, and few pools have
 * them. */
void control_pool_info_clear(struct control_pool_info *info);
void control_pool_info_copy(struct control_pool_info *to, const struct control_pool_info *from);

/* --- Opening and closing (pool_open.c) -------------------------------------------------------- */

struct control_pool_opening {
	const char *const *paths; /* the drives that are there */
	unsigned path_count;
	const struct control_pool_create *format; /* NULL: it is there already */
	bool force, read_only;
	uint64_t rewind_to;
	uint64_t memory_bytes;
	const char *history; /* a line for it; NULL = none */
};

/* Opens the drives and the pool on them, on the worker with the fewest pools. */
MUST_CHECK int control_pool_start(struct control_pools *pools, struct control_pool *pool,
				  const struct control_pool_opening *how, struct err *err);

/* Its devices are closed. It is failed then, because of `why`. */
MUST_CHECK int control_pool_stop(struct control_pools *pools, struct control_pool *pool,
				 enum pool_closing how, const char *why, struct err *err);

/* The same, and its drives hold no pool any more. */
MUST_CHECK int control_pool_wipe(struct control_pools *pools, struct control_pool *pool,
				 struct err *err);

/* --- Verbs on an imported pool (pool_verb.c) ---------------------------------------------------
 */

/* One call of the engine: `verb` uses of the rest what it needs. */
struct pool_args {
	int (*verb)(struct pool_args *args);
	struct pool *pool;
	struct control_pool *owner;
	const char *name, *other; /* without the pool's name */
	const char *const *names;
	unsigned count;
	uint64_t value;
	bool flag;
	const void *in;
	void *out;
	struct control_page *page;
	const char *history; /* a line for the pool's history when it succeeds; NULL = none */
	enum health_event_type event; /* told with that line when it succeeds; 0 = none */
	const char *event_object;
	struct err *err;
};

MUST_CHECK int control_pool_call(struct control_pool *pool, struct pool_args *args);

/* "POOL/NAME" or "POOL/NAME@SNAP" taken apart, and the pool found. */
struct pool_object {
	struct control_pool *pool;
	struct control_object object;
	char name[CONTROL_SNAPSHOT_MAX + 1]; /* as the engine wants it: without the pool */
};

enum pool_object_kind { OBJECT_VOLUME, OBJECT_SNAPSHOT, OBJECT_ANY };

MUST_CHECK int control_pool_object(struct control_pools *pools, const char *name,
				   enum pool_object_kind kind, struct pool_object *ret_object,
				   struct err *err);

/* Calls args->verb on the object that args->name names in full; `other` is its pool's name. */
MUST_CHECK int control_pool_ask(struct control_pools *pools, enum pool_object_kind kind,
				struct pool_args *args);

/* A verb: the bytes of the volume or snapshot args->name into args->value. -ENOENT. */
MUST_CHECK int control_size_find(struct pool_args *args);

/*
 * [fiber of the home loop] Destroys the snapshots whose names after the '@' begin so, which `maker`
 * (such as "a copy") left when the daemon ended under it. What cannot be destroyed is told.
 */
void control_snapshots_sweep(struct pool *pool, const char *begin, const char *maker);

#endif

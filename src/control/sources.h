/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots that volumes of other pools are made from, while their content arrives. The devices are
 * opened by the thread of the verbs, which alone knows the pools, and lie on a shelf, where the
 * fibers that read them find them by name. A live volume is read from a snapshot of ours, which
 * goes when nobody needs it any more.
 *
 * Such a snapshot is called CONTROL_SOURCE_SNAPSHOT, the first 8 bytes of the guid of the pool that
 * reads it, '.', and a random number. So it can be told when it is over: that pool is imported, and
 * nothing that arrives in it names the snapshot.
 */
#ifndef CONTROL_SOURCES_H
#define CONTROL_SOURCES_H

#include <pthread.h>

#include <quoin/block.h>
#include <quoin/image_source.h>

#include "errand.h"
#include "pool.h"

#define CONTROL_SOURCES_MAX (CONTROL_POOLS_MAX * CONTROL_DEPLOYS_MAX)

struct control_source;

struct control_sources {
	pthread_mutex_t lock; /* of the shelf, and of its items' users */
	unsigned count;
	struct control_source *items[CONTROL_SOURCES_MAX];
	struct image_opener outside;   /* of what is in no pool */
	struct control_errand *errand; /* borrowed: asked when the last user of one goes */
};

/* *ret_opener opens from the shelf what is in a pool, and all else by `outside`, which is copied.
 */
void control_sources_init(struct control_sources *sources, struct control_errand *errand,
			  const struct image_opener *outside, struct image_opener *ret_opener);

/* Nobody uses any. */
void control_sources_fini(struct control_sources *sources);

/* Whether a source is named so: "POOL/NAME", "POOL/NAME@SNAP". */
bool control_source_is_object(const char *source);

/*
 * Makes ready what `from` names, for the pool `to`: *ret_name is "POOL/NAME@SNAP", free() it; the
 * snapshot is a new one when a volume is named. Call control_sources_tend() when it came to
 * nothing.
 */
MUST_CHECK int control_source_ready(struct control *control, const struct pool_object *from,
				    const struct control_pool *to, char **ret_name,
				    struct err *err);

/* Puts on the shelf what is needed and can be had, and takes off it what is not needed any more. */
void control_sources_tend(struct control *control);

/* The same, and what was made for the pool of this guid, which was destroyed, goes. */
void control_sources_forget(struct control *control, const uint8_t guid[16]);

/* -EBUSY when something of the pool is needed. */
MUST_CHECK int control_sources_unused(struct control *control, const char *pool, struct err *err);

/* Nothing arrives any more: closes the devices. */
void control_sources_close(struct control_sources *sources);

/* -EINVAL: the name is for the snapshots made here. */
MUST_CHECK int control_source_name_check(const char *snapshot, struct err *err);

#endif

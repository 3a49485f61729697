/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work on a pool and on its model at once. One fiber works; requests are under way beside it. Each
 * event is in the journal, so that the model of any moment of a trace can be made from it.
 */
#ifndef SIM_WORK_H
#define SIM_WORK_H

#include "model.h"
#include "world.h"

#define WORK_SLOTS 8
#define WORK_TRANSFER (1024U * 1024U / SECTOR)

struct work;

struct work_slot {
	struct block_request request;
	struct work *work;
	bool busy;
	unsigned volume;
	uint32_t write, first, count;
	uint64_t begin;
	struct iovec iov;
	struct block_extent source; /* of a copy */
	uint8_t *data;
	uint32_t room; /* of data, sectors */
};

struct work_handle {
	struct block_device *device;
	struct block_channel *channel;
};

/* Where a copy went that could not be: its guest writes there. */
struct work_owed {
	unsigned volume;
	uint32_t first, count; /* 0: nothing */
};

struct work {
	struct world *world;
	struct model *model;
	struct model_event *journal;
	size_t journal_count, journal_room;
	bool journaling;
	struct work_slot slots[WORK_SLOTS];
	unsigned busy, depth;
	struct work_owed owed[WORK_SLOTS];
	struct work_handle handles[MODEL_VOLUMES];
	struct fiber *fiber;
	unsigned names;	  /* made up so far */
	bool faulty;	  /* drives fail, but copies are left */
	bool beyond;	  /* drives fail and no copies are left */
	bool limits;	  /* quotas or reservations were set */
	bool dead;	  /* the pool takes no changes any more */
	bool refusing;	  /* the pool's memory may be refused */
	bool half;	  /* a rollback may have come half the way */
	uint64_t refused; /* writes that found no space */
};

enum work_op {
	WORK_WRITE,
	WORK_FUA,
	WORK_READ,
	WORK_TRIM,
	WORK_ZEROES,
	WORK_FLUSH,
	WORK_SYNC,
	WORK_SNAPSHOT,
	WORK_SNAPSHOT_DESTROY,
	WORK_SNAPSHOT_RENAME,
	WORK_ROLLBACK,
	WORK_CLONE,
	WORK_PROMOTE,
	WORK_CREATE,
	WORK_DESTROY,
	WORK_RENAME,
	WORK_RESIZE,
	WORK_HOLD,
	WORK_RELEASE,
	WORK_SET,
	WORK_REOPEN,
	WORK_HISTORY,
	WORK_SLEEP,
	/* These came later; last, so that what is drawn for the others stays. */
	WORK_COPY,	 /* of a volume or snapshot, by a verb */
	WORK_GUEST_COPY, /* within a volume, by a request */
	WORK_POOL_TRIM,
	WORK_OPS,
};

/* What a run does, and how large. */
struct work_mix {
	unsigned weight[WORK_OPS];
	uint32_t sectors_max; /* of a volume */
	uint32_t write_max;   /* sectors */
	unsigned volumes;     /* at most */
};

struct work *work_new(struct world *world, struct model *model);
void work_free(struct work *work);

uint32_t work_event(struct work *work, struct model_event *event);

/* [fiber] One request; waits for a free slot, not for its end. */
void work_submit(struct work *work, unsigned volume, enum work_op op, uint32_t first,
		 uint32_t count);

/* [fiber] The same: a copy of `count` sectors, all in whole blocks. */
void work_copy(struct work *work, unsigned volume, uint32_t from, uint32_t to, uint32_t count);

/* [fiber] Begins a trim of the pool, or gives up that which is under way. */
void work_pool_trim(struct work *work);

/* [fiber] Waits for all. */
void work_drain(struct work *work);

/* [fiber] */
void work_handle_open(struct work *work, unsigned volume);
void work_handle_close(struct work *work, unsigned volume);
void work_handles_close(struct work *work);

/* The pool or its drives are failing: errors are no bug now. */
bool work_failing(const struct work *work);

/* [fiber] One operation of the mix; what is not possible now is passed over. */
void work_step(struct work *work, const struct work_mix *mix);

/* [fiber] The verb on both; fails the seed when it ends otherwise than the model says. */
int work_verb(struct work *work, struct model_verb *verb);

/* [fiber] For the steps of the kind: chooses what to do it on. False: not possible now. */
bool work_verb_step(struct work *work, const struct work_mix *mix, enum work_op op);

/*
 * What came later, each in half of all seeds; which ones depends on nothing but the seed. Copies
 * have this weight.
 */
void work_mix_add(struct work_mix *mix, const struct sim_context *context, unsigned weight);

int work_volume_pick(struct work *work);
uint32_t work_sectors_pick(struct random *random, uint32_t max);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a pool must hold: for each sector of each volume and snapshot the writes that may be seen
 * there. Fed with events, each at its time; the same events make the same model, so a model of any
 * moment of a run can be made again from the record of its events.
 *
 * A write is known by its number; its data are made of that number and of the sector, and say so
 * wherever they are copied to: both together are the value of a sector. Write 0 are the zeroes of
 * the beginning. A copy of a guest's is one write for each write whose data it may have found. Of
 * two writes of one sector the second is certain to hide the first only when it began after the
 * first had ended. After a crash those may be seen that no durable write hides; by a read, those
 * that no write hides that had ended when the read began. What neither can see any more is dropped.
 */
#ifndef SIM_MODEL_H
#define SIM_MODEL_H

#include <quoin/base.h>

#include "value.h"

#define BLOCK_SECTORS 8U
#define MODEL_VOLUMES 6
#define MODEL_SNAPSHOTS 8
#define MODEL_NAME 32
#define MODEL_GROUP 3
#define MODEL_COPIES 8 /* under way at a time; no newer one goes over an older one's source */

struct model_write {
	uint64_t begin, end; /* ticks; end 0: under way */
	uint32_t first, count;
	uint32_t root;	/* the write that made the data; its own number, unless it is a copy */
	uint32_t shift; /* sectors from where that put them, modulo 2^32 */
	uint32_t copy;	/* the copy it is a part of; 0: none */
	bool zero, fua, failed, durable;
};

/* A copy under way. Its sectors may be what the source's are now, or will be. */
struct model_copy {
	uint32_t write; /* its number; no data are of it; 0: none */
	unsigned volume;
	uint32_t from, first, count;
};

/* Of one volume or snapshot: a write's number, or CELL_LIST and the index of a node. */
#define CELL_LIST 0x80000000U
struct cells {
	uint32_t count;
	uint32_t *cell;
};

struct model_node {
	uint32_t write, next; /* next 0: the last */
};

struct model_snapshot {
	char name[MODEL_NAME];
	uint64_t id;
	struct cells cells;
	unsigned holds;
};

struct model_volume {
	bool there;
	char name[MODEL_NAME];
	uint64_t origin; /* id of a snapshot; 0 = none */
	struct cells cells;
	struct model_snapshot snapshots[MODEL_SNAPSHOTS]; /* oldest first */
	unsigned snapshot_count;
};

enum model_verb_kind {
	VERB_NONE,
	VERB_CREATE,
	VERB_DESTROY,
	VERB_RENAME,
	VERB_RESIZE,
	VERB_SNAPSHOT,
	VERB_SNAPSHOT_DESTROY,
	VERB_SNAPSHOT_RENAME,
	VERB_ROLLBACK,
	VERB_CLONE,
	VERB_PROMOTE,
	VERB_HOLD,
	VERB_RELEASE,
	VERB_SYNC,
	VERB_COPY,
};

struct model_verb {
	enum model_verb_kind kind;
	unsigned count;		      /* volumes: of a group of snapshots; else 1 */
	unsigned volume[MODEL_GROUP]; /* indexes */
	unsigned snapshot;	      /* index in the (first) volume */
	unsigned target;	      /* where a new volume goes; the volume that is copied to */
	uint32_t sectors;
	uint32_t first;	       /* sector: of a copy, in both */
	bool of_snapshot;      /* copied from */
	char name[MODEL_NAME]; /* new name: of the volume, or behind the '@' */
	uint64_t begin;	       /* the model's: its tick */
	uint64_t id;	       /* and of what it makes */
};

enum model_event_kind {
	EVENT_WRITE,
	EVENT_WRITE_END,
	EVENT_FLUSH_END,
	EVENT_VERB,
	EVENT_VERB_END,
	EVENT_SNAPSHOT_SEEN, /* what a snapshot holds is known now */
};

struct model_event {
	enum model_event_kind kind;
	uint64_t clock; /* of the drives' traces */
	uint64_t tick;	/* of the model */
	unsigned volume;
	uint32_t write; /* number; of its end */
	uint32_t first, count;
	uint32_t from; /* sector: of a copy */
	bool zero, fua, copy;
	int result;
	uint64_t begin; /* tick, of a flush */
	struct model_verb verb;
	uint64_t *values; /* of a snapshot that was seen: the journal's */
};

struct model {
	uint64_t tick;
	uint64_t next_id;
	struct model_write *writes;
	uint32_t write_count, write_room;
	struct model_node *nodes; /* 0 is not used */
	uint32_t node_count, node_room, node_free;
	bool destroyed;	  /* something was: it may be on its way out still */
	bool copied;	  /* something was, to another place */
	unsigned readers; /* reads under way: candidates stay */
	uint32_t vague;	  /* sectors of which it does not show whose zeroes they hold */
	struct model_copy copies[MODEL_COPIES];
	struct model_volume volumes[MODEL_VOLUMES];
	struct model_verb verb;	       /* under way, or of an unknown end */
	struct cells cut[MODEL_GROUP]; /* what its snapshots may hold */
};

void model_init(struct model *model);
void model_fini(struct model *model);
void model_copy(struct model *to, const struct model *from);

/* Returns the write's number for EVENT_WRITE. */
uint32_t model_apply(struct model *model, const struct model_event *event);

/* After a crash: what was under way is over. */
void model_crashed(struct model *model);

/* As if the verb under way had ended well. */
void model_verb_finish(struct model *model);
void model_verb_forget(struct model *model);

/* The snapshots that are in a rollback's way are gone, the content is as it was. */
void model_rollback_half(struct model *model);

/* What is at a place of some volume. */
struct model_seen {
	uint32_t cell, sector;
	uint64_t value;
};

/* It may be read by who began at the tick. */
bool model_may_read(const struct model *model, const struct model_seen *seen, uint64_t begin);

/* Of a snapshot: it may be what was there when it was made. */
bool model_may_be(const struct model *model, const struct model_seen *seen);

/* It may be there after a crash. */
bool model_may_survive(const struct model *model, const struct model_seen *seen);

/* The same, in a block of which other parts are write `beside`'s, which covers it all. */
bool model_may_survive_beside(const struct model *model, const struct model_seen *seen,
			      uint32_t beside);

/* It was seen and nothing else is true any more. */
void model_settle(struct model *model, struct cells *cells, uint32_t sector, uint64_t value);

/* The candidates in words. */
void model_describe(const struct model *model, uint32_t cell, char *text, size_t size);

int model_volume_find(const struct model *model, const char *name);
int model_snapshot_find(const struct model_volume *volume, const char *name);
unsigned model_clones(const struct model *model, uint64_t snapshot_id);

/* Blocks that are certain to take space in the cells, and those that may. */
void model_blocks(const struct model *model, const struct cells *cells, uint64_t *ret_least,
		  uint64_t *ret_most);

#endif

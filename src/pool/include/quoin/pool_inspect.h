/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The offline checker: a second reader of pools, written from docs/FORMAT.md. It shares the
 * decoders of single structures with the engine and nothing else, so that it finds what the engine
 * gets wrong. It never writes.
 *
 * A check reads every superblock, table, map, deadlist and bitmap of one checkpoint from every
 * drive that has a copy, follows the log, and counts anew what the pool says of itself: each
 * slot must have one owner and a bit in its bitmap, each number in a record must be what the trees
 * add up to. What it finds goes to a callback, one sentence each; it goes on after damage.
 *
 * Memory: one bit for each slot that is used, twice where the log names it (32 MiB for 1 TiB of
 * data), 512 bytes for each volume, snapshot and segment, and 4 MiB.
 *
 * A pool that is written meanwhile looks damaged. Nothing here locks: who opens the drives does.
 */
#ifndef QUOIN_POOL_INSPECT_H
#define QUOIN_POOL_INSPECT_H

#include <quoin/base_err.h>
#include <quoin/loop.h>

#include <quoin/pool_types.h>

enum pool_inspect_severity {
	POOL_INSPECT_NOTE,   /* worth saying, no problem: after a power cut, say */
	POOL_INSPECT_COPY,   /* one copy is bad or missing, another is good: nothing is lost */
	POOL_INSPECT_DAMAGE, /* something is lost, or two things contradict each other */
};
#define POOL_INSPECT_SEVERITIES 3

#define POOL_INSPECT_NO_DRIVE UINT32_MAX

struct pool_inspect_finding {
	enum pool_inspect_severity severity;
	const char *structure; /* "label", "segments", "volumes", "map", "log" ... */
	const char *code;      /* what is wrong, one word for programs: "bitmap-leak" */
	unsigned drive;	       /* of the params, or POOL_INSPECT_NO_DRIVE */
	uint64_t offset;       /* on that drive */
	uint64_t vaddr;	       /* of the slot; 0 = none */
	const char *text;      /* the sentence */
};

struct pool_inspect_progress {
	uint64_t pages, blocks; /* read so far: of metadata, of data */
	uint64_t slots_total;	/* data slots that the pool says are used */
};

/* One volume's or snapshot's numbers, in slots: as stored, and as counted. */
struct pool_inspect_numbers {
	uint64_t referenced, referenced_meta, unique, used_data, used_meta;
};

struct pool_inspect_object {
	char name[2 * POOL_NAME_MAX + 2]; /* "NAME" or "NAME@SNAP"; "" = being destroyed */
	unsigned number;
	bool snapshot, destroying;
	bool counted; /* false: damage, or the middle of its destruction, keeps it from being so */
	uint64_t size_bytes;
	struct pool_inspect_numbers stored, found; /* used_* only of volumes */
};

struct pool_inspect_params {
	struct loop *loop;
	const struct pool_drive_param *drives; /* group is ignored */
	unsigned drive_count;
	uint64_t checkpoint; /* 0 = the newest */
	bool data;	     /* reads every block of data too */
	/* Each may be NULL. */
	void (*finding)(void *context, const struct pool_inspect_finding *finding);
	void (*object)(void *context, const struct pool_inspect_object *object);
	/* Often; false stops the check. */
	bool (*progress)(void *context, const struct pool_inspect_progress *progress);
	void *context;
};

struct pool_inspect_log {
	uint64_t head, blocks, groups; /* of the chain */
	uint64_t durable_upto;
	uint64_t records, writes, patches, ranges, snapshots; /* that an import would apply */
	uint64_t left_out; /* blocks behind the last group that counts */
};

/* Slots of 4 KiB; copies are counted once. */
struct pool_inspect_space {
	uint64_t data_total, data_used, data_logged; /* logged: named by the log alone */
	uint64_t meta_total, meta_used;
	uint64_t maps, deadlists, tables, bitmaps; /* meta_used is their sum */
	uint64_t log_total;
	uint64_t shared; /* owners of slots of data beyond the first: copies by reference */
	uint64_t leaked, unmarked; /* bits without an owner, owners without a bit */
	uint64_t stored_data_used, stored_meta_used;
	uint64_t chunks_total, chunks_used;
};

struct pool_inspect_result {
	char name[POOL_NAME_MAX + 1];
	char host_name[POOL_NAME_MAX + 1];
	uint8_t guid[16];
	bool active, destroyed; /* neither: exported */
	uint64_t checkpoint, time_s, memory_bytes;
	uint64_t findings[POOL_INSPECT_SEVERITIES];
	unsigned drives, drives_missing;
	uint64_t superblocks; /* valid copies, of all checkpoints */
	uint64_t segments, volumes, snapshots, destroying, history_lines;
	uint64_t map_pages, map_entries, deadlist_entries;
	uint64_t pages_read, blocks_read; /* copies counted apart */
	struct pool_inspect_log log;
	struct pool_inspect_space space;
};

static inline bool pool_inspect_clean(const struct pool_inspect_result *result)
{
	return result->findings[POOL_INSPECT_COPY] + result->findings[POOL_INSPECT_DAMAGE] == 0;
}

/*
 * [fiber] Checks one checkpoint. 0: it was checked to its end, whatever was found. -ENOENT: no
 * pool, or no such checkpoint; -EINVAL: drives of different pools; -EEXIST: two copies of one
 * drive; -ENOTSUP: a newer format; -ECANCELED: progress() said so; -ENOMEM. On failure *ret is what
 * was known until then.
 */
MUST_CHECK int pool_inspect_check(const struct pool_inspect_params *params,
				  struct pool_inspect_result *ret, struct err *err);

/* --- Dumps ---------------------------------------------------------------------------------- */

enum pool_inspect_shape {
	POOL_INSPECT_OBJECT,
	POOL_INSPECT_LIST, /* its members have no key */
	POOL_INSPECT_ROW,  /* an object that is one line for people */
};

/* Takes a dump piece by piece, in order. Keys are NULL in lists. */
struct pool_inspect_sink {
	void (*open)(void *context, const char *key, enum pool_inspect_shape shape);
	void (*close)(void *context);
	void (*number)(void *context, const char *key, uint64_t number);
	void (*text)(void *context, const char *key, const char *text);
	void (*truth)(void *context, const char *key, bool truth);
	void *context;
};

/*
 * [fiber] Gives out one structure: "label", "super", "drives", "segments", "volumes", "snapshots",
 * "history", "log"; with `name` "map" and "deadlist" (VOLUME, VOLUME@SNAP, or by number, #N and
 * @N), "bitmap" (SEGMENT), "block" (SEGMENT:SLOT). params->finding hears what could not be read on
 * the way; params->object and ->data are ignored. As pool_inspect_check(), and -EINVAL: there is no
 * such structure, or its name is none; -ENOENT: nothing has that name; -EUCLEAN: it is damaged.
 */
MUST_CHECK int pool_inspect_dump(const struct pool_inspect_params *params, const char *structure,
				 const char *name, const struct pool_inspect_sink *sink,
				 struct err *err);

/* The structures by name; NULL ends them. The first so many take no name, the rest want one. */
#define POOL_INSPECT_NAMELESS 8
extern const char *const pool_inspect_structures[];

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes on disk: the superblock. One checkpoint is one superblock; it names the roots of all trees
 * and the drives of the pool, so it is the whole truth as of its checkpoint, log excepted.
 *
 * A drive has a label area of 1 MiB at each end. In each is a ring of 64 superblock slots;
 * checkpoint N goes to slot N mod 64 of every ring. The copies differ in `drive guid` and
 * `location` only.
 */
#ifndef POOL_FORMAT_SUPER_H
#define POOL_FORMAT_SUPER_H

#include "format/node.h"

#define SUPER_MAGIC "QUOINSB1"
#define SUPER_VERSION 1
#define SUPER_RING_SLOTS 64

#define LABEL_BYTES (UINT64_C(1) << 20)	     /* at each end of a drive */
#define LABEL_HEARTBEAT (UINT64_C(64) << 10) /* offset within the front label: one page */
#define LABEL_RING (UINT64_C(256) << 10)     /* offset of the ring within a label */

#define SUPER_DRIVES_MAX 48
#define SUPER_LOG_SEGMENTS_MAX 16
#define POOL_NAME_BYTES 64 /* with the NUL */
#define CHUNK_SHIFT_MIN 20
#define CHUNK_SHIFT_MAX 30

/* Features this version knows. An unknown bit: compat is ignored, ro_compat allows reading only,
 * incompat is refused. */
#define FEATURES_COMPAT UINT64_C(0)
#define FEATURE_RO_SHARES UINT64_C(1) /* there is a reference table: who frees must ask it */
#define FEATURES_RO_COMPAT FEATURE_RO_SHARES
#define FEATURE_KINDS UINT64_C(2) /* there are volumes that are not plain */
#define FEATURES_INCOMPAT FEATURE_KINDS

enum super_state {
	SUPER_ACTIVE = 1, /* imported, or the host crashed */
	SUPER_EXPORTED,
	SUPER_DESTROYED,
};

enum drive_state {
	DRIVE_ONLINE = 1,
	DRIVE_MISSING, /* not there; its chunks are read from other copies */
	DRIVE_FAULTED, /* there, but given up after errors */
	DRIVE_STALE,   /* came back with an old state: not used until it is resilvered */
};

struct super_drive {
	uint8_t guid[16];
	uint64_t size_bytes;
	uint64_t left_ckpt; /* the last checkpoint it took part in, when not online */
	uint64_t read_errors, write_errors, check_errors;
	uint32_t chunk_count;
	uint16_t group; /* drives of one number mirror each other */
	uint8_t state;	/* enum drive_state */
};

/* A meta segment that pages of the segment tree lie in: without it they could not be found. */
#define SUPER_SEEDS_MAX 4
struct super_seed {
	uint32_t id; /* 0 = none */
	uint8_t column_count;
	struct {
		uint16_t drive;
		uint32_t chunk;
	} columns[4];
};

struct super {
	uint32_t version;
	uint64_t compat, ro_compat, incompat;
	uint8_t pool_guid[16];
	uint8_t drive_guid[16]; /* of the drive this copy is on */
	uint64_t ckpt;
	uint64_t time_s; /* wall clock when written */
	uint64_t created_s;
	uint32_t epoch; /* of records written next */
	uint8_t chunk_shift;
	uint8_t state;		 /* enum super_state */
	uint64_t seq_next;	 /* every seq in the trees is below */
	uint64_t log_head;	 /* number of the first log block to replay */
	uint64_t log_prev_check; /* check field of the block before it */
	uint64_t log_generation; /* of the block at log_head */
	uint8_t host_id[16];
	char host_name[POOL_NAME_BYTES];
	char pool_name[POOL_NAME_BYTES];
	struct node_ptr volumes, snapshots, segments, history;
	struct node_ptr shares; /* the reference table */
	uint64_t shared_extra;	/* sum of its bytes */
	struct super_seed seeds[SUPER_SEEDS_MAX];
	uint64_t history_next;		 /* index of the next history record */
	uint64_t data_slots, meta_slots; /* used, copies counted once; bitmaps of these add up to */
	uint32_t segment_limit;		 /* segment numbers are below */
	uint32_t volume_limit;		 /* volume numbers are below */
	uint32_t snapshot_limit;	 /* snapshot numbers are below */
	uint16_t reserve_permille;	 /* of the pool kept back from guests */
	uint8_t autotrim;
	uint8_t drive_count;
	uint8_t log_segment_count;
	uint32_t log_segments[SUPER_LOG_SEGMENTS_MAX]; /* in ring order */
	struct super_drive drives[SUPER_DRIVES_MAX];
};

/* Where slot `slot` of the front or back ring lies on a drive of this size. */
static inline uint64_t super_offset(uint64_t drive_bytes, bool back, unsigned slot)
{
	const uint64_t label = back ? (drive_bytes & ~(uint64_t)(PAGE_BYTES - 1)) - LABEL_BYTES : 0;

	return label + LABEL_RING + (uint64_t)slot * PAGE_BYTES;
}

/* `location` ties the copy to its place: a superblock that landed elsewhere is no superblock. */
void super_encode(const struct super *super, bool back, uint8_t to[PAGE_BYTES]);

/*
 * -ENOENT: no superblock (blank, foreign). -EUCLEAN: a damaged or misplaced one. -ENOTSUP: a newer
 * version or an unknown incompatible feature (version and feature words of `ret_super` are set
 * then). Everything that does not depend on the drives themselves is checked: counts, states, chunk
 * size, kinds of the roots, NUL-terminated names, this drive's guid being in the table.
 */
MUST_CHECK int super_decode(const uint8_t from[PAGE_BYTES], bool back, unsigned slot,
			    struct super *ret_super);

/* The heartbeat page: tells another host that a pool is alive. */
struct heartbeat {
	uint8_t pool_guid[16];
	uint8_t host_id[16];
	uint64_t beat; /* grows by one each time */
	uint64_t time_s;
};
void heartbeat_encode(const struct heartbeat *beat, uint8_t to[PAGE_BYTES]);
MUST_CHECK int heartbeat_decode(const uint8_t from[PAGE_BYTES], struct heartbeat *ret_beat);

#endif

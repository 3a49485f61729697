/* SPDX-License-Identifier: Apache-2.0 */
/* What the pool's door takes and gives: plain data. Sizes in bytes; copies are counted once. */
#ifndef QUOIN_POOL_TYPES_H
#define QUOIN_POOL_TYPES_H

#include <quoin/base.h>
#include <quoin/pool_io.h>

struct disk;
struct loop;
#define POOL_DRIVES_MAX 48
#define POOL_NAME_MAX 63
#define POOL_DRIVE_BYTES_MIN (32 * MiB)
#define POOL_MEMORY_MIN (24 * MiB)
#define POOL_VOLUME_BYTES_MAX (UINT64_C(1) << 52)
#define POOL_VOLUMES_MAX 4096
#define POOL_SNAPSHOTS_MAX 131072
#define POOL_HISTORY_MAX 4096
#define POOL_RESERVE_PERMILLE_DEFAULT 200
#define POOL_HOLDS_MAX 4
#define POOL_TAG_MAX 31

struct pool_drive_param {
	struct disk *disk;
	const char *path; /* for status; borrowed for the call */
	unsigned group; /* format: drives of one group mirror each other; groups are 0, 1, 2 ... */
};

struct pool_format_params {
	const char *name; /* [A-Za-z0-9][A-Za-z0-9._:-]*, at most 63 */
	const struct pool_drive_param *drives;
	unsigned drive_count;
	unsigned reserve_permille;
	bool autotrim;
	uint64_t time_s; /* wall clock */
	uint64_t seed;	 /* for identities; 0: from the kernel's generator */
	uint8_t host_id[16];
	const char *host_name;
};

/* Test-only: ordering that a simulation leaves out on purpose, to see that it is missed. */
enum pool_barrier {
	POOL_BARRIER_LOG_FLUSH = 1,	/* a log commit flushes the data it names */
	POOL_BARRIER_LOG_FUA = 2,	/* log blocks are durable before they are answered for */
	POOL_BARRIER_CKPT_DRAIN = 4,	/* metadata is written before the flush of a checkpoint */
	POOL_BARRIER_CKPT_FLUSH = 8,	/* all is durable before the superblock is written */
	POOL_BARRIER_KEEP = 32,		/* freed slots wait for later checkpoints */
	POOL_BARRIER_LOG_VERIFY = 64,	/* recovery checks the data of the last group */
	POOL_BARRIER_LOG_RELOG = 128,	/* patches live on in the next generation's log */
	POOL_BARRIER_LOG_WRAP = 256,	/* a log block is not overwritten before its checkpoint */
	POOL_BARRIER_SUPER_FUA = 512,	/* a superblock is durable before its checkpoint counts */
	POOL_BARRIER_LOG_GATHER = 1024, /* a commit's flush begins after earlier log blocks ended */
	POOL_BARRIER_SUPER_LEVEL = 2048, /* an import makes superblocks level before its own */
	POOL_BARRIER_PACE = 4096,      /* of time alone: writes go slower while a checkpoint runs */
	POOL_BARRIER_LOG_STALE = 8192, /* what a recovery gave up cannot become whole again */
};

struct pool_open_params {
	struct loop *loop;
	const struct pool_drive_param *drives; /* group is ignored */
	unsigned drive_count;
	uint64_t memory_bytes;
	uint8_t host_id[16];
	const char *host_name;
	bool force;	    /* take it from another host */
	bool read_only;	    /* writes nothing, not even the log's replay */
	uint64_t rewind_to; /* a checkpoint number; 0 = the newest. Later writes are given up. */
	uint64_t (*wall_clock_s)(void *data); /* NULL: the system's */
	void (*changed)(void *data);	      /* state, drives or fullness changed; may be NULL */
	void *data;
	unsigned barriers_off;	/* enum pool_barrier; tests only */
	uint64_t delta_records; /* 0 = from the memory; tests make it small */
	uint64_t seed;		/* 0: from the kernel's generator */
};

enum pool_closing { POOL_EXPORT, POOL_KEEP /* this host's, e.g. a restart */ };

struct pool_label {
	char name[POOL_NAME_MAX + 1];
	char host_name[POOL_NAME_MAX + 1];
	uint8_t guid[16], drive_guid[16], host_id[16];
	uint64_t checkpoint, time_s;
	bool exported, destroyed;
	unsigned drive_count; /* of the pool */
	uint8_t drive_guids[POOL_DRIVES_MAX][16];
	uint64_t size_bytes; /* of this drive, when it was last seen */
	uint64_t rewind[2];  /* older checkpoints it could go back to; 0 = none */
};

enum pool_health { POOL_ONLINE, POOL_DEGRADED, POOL_SUSPENDED };

struct pool_status {
	char name[POOL_NAME_MAX + 1];
	uint8_t guid[16];
	enum pool_health health;
	char problem[256]; /* what is wrong and what to do; "" = nothing */
	bool read_only;
	bool full;		  /* guests' allocating writes are refused or paused now */
	uint64_t size_bytes;	  /* of what volumes could hold, the reserve included */
	uint64_t allocated_bytes; /* by volumes, snapshots (data and map) and the tables */
	uint64_t data_bytes, metadata_bytes, log_bytes;
	uint64_t freeing_bytes, unready_bytes; /* let go; free of data, and not to be had yet */
	uint64_t discarding_bytes;	       /* free, but first the drives are told (autotrim) */
	uint64_t discarded_bytes;	       /* told to drives since the import */
	uint64_t shared_bytes;	  /* what copies by reference would take more if they were none */
	uint64_t reserved_bytes;  /* promised to volumes and not used yet */
	uint64_t reserve_bytes;	  /* kept back */
	uint64_t available_bytes; /* to guests */
	unsigned reserve_permille;
	bool autotrim;
	unsigned drive_count, volume_count, snapshot_count;
	uint64_t checkpoint, checkpoints_made, checkpoint_records, checkpoint_ns_last;
	uint64_t held_writes, held_ns; /* by pacing, since the import */
	uint64_t memory_bytes, created_s;
	uint64_t read_errors, write_errors, check_errors, healed;
	uint64_t bad_blocks;	   /* reads since the import that no copy could serve */
	uint64_t refused_writes;   /* of guests, for want of space, since the import */
	uint64_t lost_bytes;	   /* used by nobody, as metadata was damaged in all copies */
	uint64_t replayed_records; /* by this import */
	uint64_t checkpoint_s, pending_bytes, log_records; /* when; in the log alone */
	uint64_t device_reads, device_writes, device_flushes, device_bytes_read,
		device_bytes_written;
};

struct pool_drive_status {
	const char *path; /* valid until the pool is closed */
	uint8_t guid[16];
	const char *state; /* "online", "missing", "faulted", "stale" */
	unsigned group;
	bool mirrored;
	uint64_t size_bytes, read_errors, write_errors, check_errors;
	uint64_t left_checkpoint; /* not online: the last one it has */
	struct pool_drive_io io;
};

enum pool_property { POOL_RESERVE_PERMILLE, POOL_AUTOTRIM };

enum pool_volume_kind {
	POOL_VOLUME_PLAIN,
	POOL_VOLUME_ARRIVING, /* not all of it is there: not opened as a disk, no snapshots */
	POOL_VOLUME_HIDDEN,   /* a record of ours */
};

struct pool_volume_params {
	uint64_t size_bytes;
	enum pool_volume_kind kind;
	bool pause_when_full; /* else an error */
	bool read_only;
	uint64_t quota_bytes, refquota_bytes;		  /* 0 = none */
	uint64_t reservation_bytes, refreservation_bytes; /* 0 = none */
};

enum pool_volume_property {
	POOL_VOLUME_QUOTA,	    /* with snapshots; not below use */
	POOL_VOLUME_REFQUOTA,	    /* without */
	POOL_VOLUME_RESERVATION,    /* with snapshots */
	POOL_VOLUME_REFRESERVATION, /* without */
	POOL_VOLUME_PAUSE_WHEN_FULL,
	POOL_VOLUME_READ_ONLY,
	POOL_VOLUME_KIND,
};

struct pool_volume_info {
	unsigned number;
	char name[POOL_NAME_MAX + 1];
	char origin[2 * POOL_NAME_MAX + 2]; /* "NAME@SNAP" or "" */
	uint8_t guid[16];
	struct pool_volume_params params; /* size, policy, quotas as they are */
	uint64_t referenced_bytes;	  /* what its head maps */
	uint64_t unique_bytes;		  /* of that, what no snapshot has */
	uint64_t used_bytes;		  /* all that is charged to it: head, snapshots, map */
	uint64_t snapshots_bytes;	  /* data only its snapshots hold */
	uint64_t available_bytes;
	uint64_t created_s;
	unsigned snapshot_count;
	unsigned open_count;	 /* devices */
	bool paused;		 /* requests wait for space */
	uint64_t pending_blocks; /* written since the last checkpoint: not in the numbers yet */
	struct pool_io_sums io;
};

struct pool_snapshot_info {
	unsigned number, volume;	  /* numbers of itself and its volume */
	char name[2 * POOL_NAME_MAX + 2]; /* "NAME@SNAP" */
	uint8_t guid[16];
	uint64_t created_s, size_bytes;
	uint64_t referenced_bytes;
	uint64_t unique_bytes;	/* what destroying it alone would free */
	uint64_t written_bytes; /* since the snapshot before it */
	unsigned clone_count, hold_count;
	char holds[POOL_HOLDS_MAX][POOL_TAG_MAX + 1];
	bool counted; /* false: newer than the last checkpoint, numbers are not there yet */
};

struct pool_history_line {
	uint64_t time_s;
	char text[480];
};

#endif

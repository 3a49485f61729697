/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of quoin/control_pool.h take and give: plain data, sizes in bytes. */
#ifndef QUOIN_CONTROL_POOL_TYPES_H
#define QUOIN_CONTROL_POOL_TYPES_H

#include <quoin/control_damage.h>
#include <quoin/control_spec.h>

#define CONTROL_POOLS_MAX 32
#define CONTROL_DRIVES_MAX 48
#define CONTROL_PATH_MAX 1023
#define CONTROL_SNAPSHOT_MAX 127			/* "NAME@SNAP" */
#define CONTROL_OBJECT_MAX (CONTROL_NAME_MAX + 1 + 127) /* "POOL/NAME@SNAP" */
#define CONTROL_HOLDS_MAX 4
#define CONTROL_RESERVE_DEFAULT 200 /* permille */
#define CONTROL_TAG_MAX 31
#define CONTROL_DEPLOYS_MAX 8	/* images that arrive in one pool at a time */
#define CONTROL_SOURCE_MAX 3000 /* characters of where an image comes from */
#define CONTROL_SCAN_MAX 4096	/* files and devices looked at by one scan */

/* Of a listing: up to `max` from `cursor` on (0 at first), which moves; `end` when no more come. */
struct control_page {
	uint64_t cursor;
	unsigned max;
	unsigned count;
	bool end;
};

struct control_pool_create {
	const char *name;
	const char *const *drives; /* absolute paths */
	const unsigned *groups;	   /* drives of one group mirror each other: 0, 1, 2 ... */
	unsigned drive_count;
	unsigned reserve_permille; /* kept back from guests */
	bool autotrim;
	bool force;
};

struct control_pool_import {
	const char *name;	  /* or its GUID */
	const char *const *paths; /* drives and directories, as for control_pool_scan() */
	unsigned path_count;
	bool force; /* take it from a host that did not export it */
	bool read_only;
	uint64_t rewind_to; /* a checkpoint; 0 = the newest */
};

struct control_pool_set {
	bool has_reserve, has_autotrim;
	unsigned reserve_permille;
	bool autotrim;
};

#define CONTROL_IO_KINDS 3 /* reads, writes, others: flush, discard, zeroes */

/* Of what the pool asks of a drive, since the import; as struct control_io_sums. */
struct control_drive_io {
	uint64_t requests[CONTROL_IO_KINDS], bytes[CONTROL_IO_KINDS], ns[CONTROL_IO_KINDS], busy_ns;
	unsigned in_flight;
};

struct control_drive_info {
	char path[CONTROL_PATH_MAX + 1];
	uint8_t guid[16];
	const char *state; /* "online", "missing", "faulted", "stale" */
	unsigned group;
	bool mirrored;
	uint64_t size_bytes, read_errors, write_errors, check_errors;
	struct control_drive_io io;
};

/* Of all free space, once; see quoin/pool_trim.h. */
struct control_pool_trim {
	const char *state; /* "none" since the import, "running", "done", "stopped" */
	uint64_t total_bytes, passed_bytes, trimmed_bytes, failed_bytes, began_s, ended_s;
};

struct control_pool_info {
	char name[CONTROL_NAME_MAX + 1];
	uint8_t guid[16];
	const char *health;	    /* "online", "degraded", "suspended"; "failed" = not imported */
	char problem[ERR_TEXT_MAX]; /* what is wrong and what to do; "" = nothing */
	bool read_only, full, autotrim;
	unsigned worker;
	unsigned reserve_permille;
	uint64_t memory_bytes;
	uint64_t size_bytes, allocated_bytes, freeing_bytes, reserved_bytes, reserve_bytes,
		available_bytes, discarding_bytes, discarded_bytes;
	uint64_t data_bytes, metadata_bytes, log_bytes;
	uint64_t shared_bytes; /* what copies by reference would take more if they were none */
	unsigned volume_count, snapshot_count;
	uint64_t checkpoint, created_s, replayed_records;
	uint64_t held_writes, held_ns; /* back, while checkpoints ran, since the import */
	uint64_t read_errors, write_errors, check_errors, healed;
	uint64_t bad_blocks;	 /* reads since the import that no copy could serve */
	uint64_t refused_writes; /* of guests, for want of space, since the import */
	uint64_t lost_bytes;	 /* used by nobody, as metadata was damaged */
	struct control_pool_trim trim;
	struct control_damage damage;
	unsigned drive_count;
	struct control_drive_info drives[CONTROL_DRIVES_MAX]; /* of a failed one: paths only */
};

struct control_history_line {
	uint64_t time_s;
	char text[480];
};

enum control_volume_key {
	CONTROL_VOLUME_QUOTA = 1,
	CONTROL_VOLUME_REFQUOTA = 2,
	CONTROL_VOLUME_RESERVATION = 4,
	CONTROL_VOLUME_REFRESERVATION = 8,
	CONTROL_VOLUME_PAUSE_WHEN_FULL = 16,
	CONTROL_VOLUME_READ_ONLY = 32,
};

struct control_volume_set {
	unsigned given; /* enum control_volume_key, or-ed */
	uint64_t quota_bytes, refquota_bytes, reservation_bytes, refreservation_bytes; /* 0 = none
											*/
	bool pause_when_full, read_only;
};

/* By reference: no data is moved. Without `range`, `to` becomes a new volume. */
struct control_volume_copy {
	const char *from; /* POOL/NAME or POOL/NAME@SNAP */
	const char *to;	  /* POOL/NAME */
	bool range;	  /* the next four count, and `to` is there */
	bool has_length;  /* else to the end of `from` */
	uint64_t offset, length_bytes, to_offset;
};
/* With this begin the names of what a copy makes on its way. */
#define CONTROL_COPY_NAME "quoin-copy."
/* With this those of the snapshots that are made to be read by another pool. */
#define CONTROL_SOURCE_SNAPSHOT "quoin-deploy."
struct control_deploy_params {
	const char *name;	 /* "POOL/NAME", to be made */
	const char *source;	 /* an absolute path, http(s)://, nbd://, or "POOL/NAME[@SNAP]" */
	uint64_t size_bytes;	 /* 0 = the image's */
	bool first;		 /* not attached before all of it is here and right */
	const char *sha256;	 /* of the original, 64 hexadecimal digits; NULL */
	const char *digest_list; /* an absolute path; NULL */
	uint64_t rate_bytes;	 /* a second; 0 = as fast as it comes */
};

struct control_deploy_change {
	bool has_paused, paused;
	bool has_rate;
	uint64_t rate_bytes;
};

struct control_deploy_info {
	/* "opening", "refused", "arriving", "waiting", "paused", "verifying", "done", "failed";
	 * "none": all of it is here. */
	const char *state;
	bool first;
	char problem[ERR_TEXT_MAX]; /* why it was refused, waits or failed; "" */
	char source[CONTROL_SOURCE_MAX + 1];
	uint64_t image_bytes, here_bytes, fetched_bytes, verified_bytes, verify_bytes;
	uint64_t rate_limit, rate_now; /* bytes a second */
	/* "random", "sequential", "staged"; NULL = it is not known (yet). */
	const char *access;
	uint64_t original_bytes, passed_bytes; /* in order, or staged */
	bool again;			       /* in order, and not for the first time */
};

struct control_volume_info {
	char name[CONTROL_OBJECT_MAX + 1];   /* "POOL/NAME" */
	char origin[CONTROL_OBJECT_MAX + 1]; /* "POOL/NAME@SNAP" or "" */
	char target[CONTROL_NAME_MAX + 1];   /* that has it, or "" */
	uint8_t guid[16];
	uint64_t size_bytes;
	struct control_volume_set properties;
	uint64_t referenced_bytes, unique_bytes, used_bytes, snapshots_bytes, available_bytes;
	uint64_t created_s;
	unsigned snapshot_count;
	bool paused;
	uint64_t pending_bytes; /* written since the last checkpoint: not in the numbers yet */
	bool deploying;		/* an image arrives in it: control_deploy_info() */
};

struct control_snapshot_info {
	char name[CONTROL_OBJECT_MAX + 1];
	uint8_t guid[16];
	uint64_t created_s, size_bytes;
	uint64_t referenced_bytes, unique_bytes, written_bytes;
	unsigned clone_count, hold_count;
	char holds[CONTROL_HOLDS_MAX][CONTROL_TAG_MAX + 1];
	bool template; /* volumes are made of it; not destroyed while it is one */
	bool counted;  /* false: newer than the last checkpoint, numbers are not there yet */
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How pools are, from kept counters. These functions may be called from any thread, at any time,
 * also while a verb or a drive hangs: they copy what the last look at a pool saw, and say how old
 * that is.
 */
#ifndef QUOIN_CONTROL_HEALTH_H
#define QUOIN_CONTROL_HEALTH_H

#include <quoin/control_pool_types.h>
#include <quoin/health_event.h>

#define CONTROL_HEALTH_OLD_MS 10000 /* a look that is older does not tell how the pool is */

struct control;
struct health_hook_status;

#define CONTROL_IO_BUCKETS 24

/* Of guests' requests, since the import. */
struct control_io_sums {
	uint64_t requests[CONTROL_IO_KINDS], bytes[CONTROL_IO_KINDS];
	uint64_t ns[CONTROL_IO_KINDS]; /* from submission to completion, of all together */
	uint64_t errors;
	unsigned in_flight;
	uint64_t busy_ns;		      /* with any of them in flight */
	uint32_t latency[CONTROL_IO_BUCKETS]; /* as below, of all kinds; they wrap */
};

struct control_io {
	struct control_io_sums sums;
	/* Bucket i has those below 2^i microseconds, the last one all that are slower. */
	uint64_t latency[CONTROL_IO_KINDS][CONTROL_IO_BUCKETS];
	uint64_t worst_ns;     /* of the last hour; 0 = there was no request */
	unsigned worst_kind;   /* of it: 0 read, 1 write, 2 other */
	const char *worst_why; /* what most of it went by with: "drives", "checkpoint" ... */
	unsigned worst_ago_min;
	bool worst_checkpoint; /* one was under way */
	bool worst_failed;
};

/* An image that arrives; see struct control_deploy_info. */
struct control_deploy_health {
	char name[CONTROL_NAME_MAX + 1]; /* of the volume, without the pool's */
	const char *state;
	uint64_t image_bytes, here_bytes, fetched_bytes, verified_bytes, verify_bytes, rate;
};

struct control_pool_health {
	struct control_pool_info info; /* the first, and `io` the next: see board.c */
	struct control_io io;
	uint64_t age_ms;	/* of the look; UINT64_MAX: it is not imported */
	bool timed_out;		/* there should be a newer one */
	uint64_t checkpoint_s;	/* wall clock */
	uint64_t checkpoint_ns; /* what the last one took; 0 = there was none since the import */
	uint64_t pending_bytes, log_records; /* in the log alone: what a crash leaves to replay */
	uint64_t born_ns;	  /* monotonic, when it came here: `io` counts from then on */
	bool volumes_known;	  /* all of them have been looked at since */
	uint64_t volumes_version; /* another one when anything of any of them changed */
	bool near_full;
	uint64_t
		full_in_s; /* when guests have all, if they go on as in the last hours; 0 = never */
	unsigned deploy_count;
	struct control_deploy_health deploys[CONTROL_DEPLOYS_MAX];
};

struct control_volume_health {
	unsigned number;		 /* in the pool; of no other one while it is there */
	char name[CONTROL_NAME_MAX + 1]; /* without the pool's */
	uint8_t guid[16];
	bool paused;
	bool in_use; /* somebody has it open */
	uint8_t arrival_percent;
	unsigned snapshot_count;
	uint64_t size_bytes, used_bytes, referenced_bytes, created_s;
	const char *arrival; /* of its image, as control_deploy_info.state: "" = all is here */
	const struct control_io_sums *io; /* of many the same zeroes: never NULL */
};

/* What a drive is called in events and health, "POOL:PATH". `path` is "" of one never seen. */
void control_drive_object(const char *pool, const char *path,
			  char ret_object[HEALTH_OBJECT_MAX + 1]);

/* The index-th; false: there are fewer. */
bool control_health_pool(struct control *control, unsigned index,
			 struct control_pool_health *ret_health);

/*
 * All volumes of a pool, each as of the last look at it, by their numbers; *ret_volumes is the
 * caller's to free, with all that it points to. Returns how many.
 */
unsigned control_health_volumes(struct control *control, const char *pool,
				struct control_volume_health **ret_volumes);

/* It had a request since the import: `io` is not all zeroes. */
bool control_health_volume_used(const struct control_volume_health *volume);

/* Of events: 0 hands them to a program, 1 to an address. False: there is none. */
#define CONTROL_HOOKS 2
bool control_health_hook(struct control *control, unsigned index,
			 struct health_hook_status *ret_status);

#endif

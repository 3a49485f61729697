/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters of requests of guests and to drives, since the import. They are plain numbers of the
 * home loop: counting costs no call to the system, as the time is that of the loop's turn.
 */
#ifndef QUOIN_POOL_IO_H
#define QUOIN_POOL_IO_H

#include <quoin/base.h>

enum pool_io_kind { POOL_IO_READ, POOL_IO_WRITE, POOL_IO_OTHER /* flush, discard, zeroes */ };
#define POOL_IO_KINDS 3
#define POOL_IO_BUCKETS 24 /* of latency: bucket i has those below 2^i microseconds */
#define POOL_IO_MINUTES 60

struct pool_io_sums {
	uint64_t requests[POOL_IO_KINDS], bytes[POOL_IO_KINDS];
	uint64_t ns[POOL_IO_KINDS]; /* from submission to completion, of all together */
	uint64_t errors;
	unsigned in_flight;
	uint64_t busy_ns;		   /* with any request in flight */
	uint32_t latency[POOL_IO_BUCKETS]; /* of all kinds; they wrap */
};

/* Of what the pool asks of a drive, its metadata too. */
struct pool_drive_io {
	uint64_t requests[POOL_IO_KINDS], bytes[POOL_IO_KINDS];
	uint64_t ns[POOL_IO_KINDS]; /* of all together, with that of those in flight until now */
	uint64_t busy_ns;	    /* with any request in flight */
	unsigned in_flight[POOL_IO_KINDS];
};

/* What most of a request's time went by with. */
enum pool_io_why {
	POOL_WHY_DRIVES,
	POOL_WHY_CHECKPOINT, /* room for records or slots, which one under way makes */
	POOL_WHY_PACING,     /* held back so that room lasts until a checkpoint ends */
	POOL_WHY_SPACE,	     /* the pool or a quota was full */
	POOL_WHY_VERB,	     /* a snapshot, a resize ... of the volume */
	POOL_WHY_REPAIR,     /* a copy was bad, others were read */
	POOL_WHY_MEMORY,     /* buffers, with much under way */
};
#define POOL_WHYS 7

/* The slowest request that ended in a minute. */
struct pool_io_worst {
	uint64_t ns; /* 0 = there was none */
	enum pool_io_kind kind;
	enum pool_io_why why;
	bool checkpoint; /* one was under way when it ended */
	bool failed;
};

struct pool_io {
	struct pool_io_sums sums;
	uint64_t latency[POOL_IO_KINDS][POOL_IO_BUCKETS]; /* the last one has all that are slower */
	uint64_t minute; /* monotonic; worst[minute % POOL_IO_MINUTES] is that of now */
	struct pool_io_worst worst[POOL_IO_MINUTES];
};

#endif

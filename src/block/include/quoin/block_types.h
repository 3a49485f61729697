/* SPDX-License-Identifier: Apache-2.0 */
/* What a block request is, and what a device states about itself. The contract is in block.h. */
#ifndef QUOIN_BLOCK_TYPES_H
#define QUOIN_BLOCK_TYPES_H

#include <sys/uio.h>

#include <quoin/base.h>
#include <quoin/base_list.h>

struct block_channel;

enum block_op {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH,
	BLOCK_DISCARD,	    /* deallocate: reads as zero after if discard_zeroes, else undefined */
	BLOCK_WRITE_ZEROES, /* reads as zero after */
	BLOCK_COPY,	    /* by reference; only where limits.copy_block_bytes says so */
	BLOCK_OP_COUNT,
};

enum block_flags {
	BLOCK_FUA = 1,	 /* write, write zeroes: durable on completion */
	BLOCK_UNMAP = 2, /* write zeroes: may release space */
};

/* A range of a device. */
struct block_extent {
	uint64_t offset, length_bytes;
};

struct block_limits {
	uint64_t capacity_bytes;      /* read it with block_capacity() */
	uint32_t logical_block_bytes; /* 512 or 4096 */
	uint32_t optimal_block_bytes; /* writes of this size and alignment are cheap */
	uint32_t transfer_max_bytes;  /* per request with data; at least 512 KiB */
	uint32_t
		buffer_alignment_bytes; /* of iov_base and iov_len; front ends bounce what is not */
	uint32_t iov_max;
	uint32_t discard_granularity_bytes; /* 0 = no discard */
	uint32_t copy_block_bytes; /* of what a copy names, offsets and lengths; 0 = no copies */
	uint32_t copy_min_bytes;   /* reading and writing costs less below it */
	bool read_only;
	bool volatile_cache; /* flush and FUA matter */
	bool discard_zeroes; /* discarded blocks read as zero */
	bool write_zeroes;   /* without transferring data */
};

#define BLOCK_DRIVER_WORDS 52

struct block_request {
	/* Set by the submitter; untouched by drivers. */
	enum block_op op;
	unsigned flags;
	uint64_t offset;
	uint64_t length_bytes;
	const struct iovec *iov; /* borrowed until done() */
	unsigned iov_count;
	unsigned source_count;
	const struct block_extent *sources; /* copy: what comes to `offset`, one behind another;
					     * borrowed until done() */
	void (*done)(struct block_request *request);

	/* Set by the driver before done(): 0 or negative errno. */
	int result;

	/* The core's: NULL unless in flight, so zero a request before its first use. */
	struct block_channel *channel;

	/* The driver's, from submit to done. */
	struct list node;
	uint64_t driver[BLOCK_DRIVER_WORDS];
};

#endif

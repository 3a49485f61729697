/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes on disk: the log. A ring of 4 KiB blocks over the log segments; block number n lies at
 * n mod (blocks of the ring). Numbers grow for ever, so a block also says which lap it is of.
 * A block carries the check of the block before it: blocks of an earlier life of the log, with
 * numbers that come again after a crash, do not continue the chain.
 */
#ifndef POOL_FORMAT_LOGBLOCK_H
#define POOL_FORMAT_LOGBLOCK_H

#include "format/record.h"

#define LOG_MAGIC UINT32_C(0x31474c51) /* "QLG1" */
#define LOG_HEADER_BYTES 64
#define LOG_PAYLOAD_BYTES (PAGE_BYTES - LOG_HEADER_BYTES)
#define LOG_GROUP_END 1U /* flag: the last block of a group that was committed as one */

#define LOG_WRITE_BYTES 48
#define LOG_RANGE_BYTES 48
#define LOG_PATCH_HEADER_BYTES 32
#define LOG_SNAP_BYTES 128
#define LOG_PATCH_SECTORS_MAX 7
#define LOG_RECORD_BYTES_MAX (LOG_PATCH_HEADER_BYTES + LOG_PATCH_SECTORS_MAX * SECTOR_BYTES)

struct log_header {
	uint32_t life; /* random, of the import that wrote the block */
	uint16_t flags;
	uint16_t used_bytes; /* of the payload */
	uint16_t record_count;
	uint64_t pool_check; /* first 8 bytes of the pool guid */
	uint64_t generation;
	uint64_t number;
	uint64_t prev_check;   /* check of block number - 1 */
	uint64_t durable_upto; /* blocks up to this number were durable, and so was their data */
	uint64_t check;	       /* of the whole block with this field 0, seeded with the number */
};

enum log_type { LOG_WRITE = 1, LOG_PATCH, LOG_RANGE, LOG_SNAP };

/* A record, decoded. Which fields count depends on the type. */
struct log_record {
	enum log_type type;
	uint32_t volume;
	uint64_t block;		    /* WRITE, PATCH; RANGE: the first */
	uint64_t block_count;	    /* RANGE */
	uint64_t seq;		    /* PATCH, RANGE (WRITE has it in the entry) */
	uint32_t epoch;		    /* PATCH, RANGE, SNAP */
	uint8_t entry[ENTRY_BYTES]; /* WRITE; vaddr 0: the block was written with zeroes */
	uint8_t sector;		    /* PATCH: first sector within the block */
	uint8_t sector_count;	    /* PATCH: 1..7 */
	const uint8_t *data; /* PATCH: into the decoded block, or the caller's when encoding */
	uint32_t snapshot;   /* SNAP: its number */
	uint64_t time_s;     /* SNAP */
	uint64_t size_bytes; /* SNAP: of the volume */
	uint8_t guid[16];    /* SNAP */
	char name[VOLUME_NAME_BYTES]; /* SNAP */
};

/* Bytes the record takes in a block. */
size_t log_record_size(const struct log_record *record);

/* `to` has room for log_record_size(). */
void log_record_encode(const struct log_record *record, uint8_t *to);

/*
 * Reads the record at *offset of the payload (0 .. used_bytes) and moves *offset behind it.
 * -EUCLEAN: truncated, unknown type, lengths that do not fit, fields out of range. -ENODATA at the
 * end (offset == used_bytes). `payload` has LOG_PAYLOAD_BYTES.
 */
MUST_CHECK int log_record_decode(const uint8_t *payload, size_t used_bytes, size_t *offset,
				 struct log_record *ret_record);

/* Fills the header of a block whose payload is there, computes the check, returns it. */
uint64_t log_block_seal(uint8_t block[PAGE_BYTES], struct log_header *header);

/*
 * -ENOENT: not a block of this pool with this number. -EUCLEAN: its check or its header is wrong.
 */
MUST_CHECK int log_block_open(const uint8_t block[PAGE_BYTES], uint64_t pool_check, uint64_t number,
			      struct log_header *ret_header);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model of a disk, as oracle: which content each block has, as one 64-bit number per block that
 * spells out the whole block. Several queues of random commands run against namespace 1 of a
 * host; what comes back must be what the model says.
 *
 * A block touched by a command in flight is touched by no other. When the client or the server
 * dies, blocks of commands in flight may be old or new: the model keeps both and takes what it
 * finds at the next look. A server with a volatile write cache may lose more when it dies: see
 * model_lose_cache().
 */
#ifndef INTEROP_MODEL_H
#define INTEROP_MODEL_H

#include "image.h"
#include "interop.h"

#define MODEL_DEPTH 32 /* per queue */
#define MODEL_QUEUES_MAX 4
#define MODEL_BLOCKS_MAX 64 /* of one command, unless the options say otherwise */
#define MODEL_COMMAND_BYTES_MAX (256 * KiB)

struct model;

struct model_options {
	uint64_t block_count; /* model the first so many blocks */
	unsigned block_bytes; /* 512 or 4096 */
	unsigned queues;      /* 1..MODEL_QUEUES_MAX, ids from 1 */
	bool sgl;	      /* use SGLs now and then */
	bool deallocate;      /* DSM: blocks read as zero after it */
	bool rare;	      /* Compare, Copy, Write Zeroes, Verify as well */
	unsigned blocks_max;  /* of one command; 0 = MODEL_BLOCKS_MAX */
	bool cached;	      /* for model_lose_cache(): remember what is not durable yet */
};

struct model *model_new(const struct model_options *options, uint64_t seed);
void model_free(struct model *model);

/* A new host (or a new life of it): buffers are taken from its memory. Nothing is in flight. */
void model_attach(struct model *model, struct host *host);

/* Keeps the queues full until `count` more commands have completed. False: see stderr. */
bool model_run(struct model *model, uint64_t count);

/* Waits until nothing is in flight. */
bool model_drain(struct model *model);

/* What was in flight may have happened or not (the other side died, or a reset). */
void model_forget_in_flight(struct model *model);

/*
 * The server died, and its write cache with it: as model_forget_in_flight(), and a block may have
 * any content that it had since it was last durable, by a flush or as FUA. What the next look
 * finds is there to stay. Needs the option `cached`.
 */
void model_lose_cache(struct model *model);

/*
 * An image of the disk is being made by somebody else; go on with model_run(). model_cut_end()
 * tells what it may show. One at a time, and only after a look at all (model_verify()).
 */
void model_cut_begin(struct model *model);
MUST_CHECK struct image *model_cut_end(struct model *model);

/* Reads all of it and compares. */
bool model_verify(struct model *model);

/* Flushes. Waits for nothing else. */
bool model_flush(struct model *model);

uint64_t model_completed(const struct model *model);

#endif

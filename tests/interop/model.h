/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model of a disk, as oracle: which content each block has, as one 64-bit number per block that
 * spells out the whole block. Several queues of random commands run against namespace 1 of a
 * host; what comes back must be what the model says.
 *
 * A block touched by a command in flight is touched by no other. When the client or the server
 * dies, blocks of commands in flight may be old or new: the model keeps both and takes what it
 * finds at the next look.
 */
#ifndef INTEROP_MODEL_H
#define INTEROP_MODEL_H

#include "interop.h"

#define MODEL_DEPTH 32 /* per queue */
#define MODEL_QUEUES_MAX 4
#define MODEL_BLOCKS_MAX 64 /* of one command */

struct model;

struct model_options {
	uint64_t block_count; /* model the first so many blocks */
	unsigned block_bytes; /* 512 or 4096 */
	unsigned queues;      /* 1..MODEL_QUEUES_MAX, ids from 1 */
	bool sgl;	      /* use SGLs now and then */
	bool deallocate;      /* DSM: blocks read as zero after it */
	bool rare;	      /* Compare, Copy, Write Zeroes, Verify as well */
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

/* Reads all of it and compares. */
bool model_verify(struct model *model);

/* Flushes; what was complete before is `durable`, see model_verify_durable(). */
bool model_flush(struct model *model);

uint64_t model_completed(const struct model *model);

#endif

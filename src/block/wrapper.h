/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device around another one. Requests are handed down as they are: they stay counted at the
 * outermost channel, whose they are, and nobody needs a second request. Until the lower driver
 * gets it, the request's driver words are the wrapper's.
 */
#ifndef BLOCK_WRAPPER_H
#define BLOCK_WRAPPER_H

#include <quoin/block_fault.h>

#include "driver.h"

/* Wrappers embed these two as their first member. device.lock also guards their rules. */
struct wrapper_device {
	struct block_device device;
	struct block_device *lower; /* owned */
};

struct wrapper_channel {
	struct block_channel channel;
	struct block_channel *lower;
};

/* Takes `lower`. */
void block_wrapper_init(struct wrapper_device *wrapper, const struct block_ops *ops,
			struct block_device *lower, const char *text);

/* For the ops tables. block_wrapper_close() frees what embeds the wrapper. */
void block_wrapper_close(struct block_device *device);
void block_wrapper_kick(struct block_channel *channel);
void block_wrapper_hurry(struct block_channel *channel, bool on);
int block_wrapper_resize(struct block_device *device, uint64_t capacity_bytes, struct err *err);
int block_wrapper_refresh(struct block_device *device, struct err *err);
void block_wrapper_describe(const struct block_device *device,
			    struct block_description *description);

/* The outermost device of the stack that has these ops, or NULL. */
struct block_device *block_wrapper_find(struct block_device *device, const struct block_ops *ops);

static inline void block_wrapper_pass(struct wrapper_channel *channel,
				      struct block_request *request)
{
	channel->lower->submit(channel->lower, request);
}

bool block_wrapper_matches(const struct block_fault_match *match,
			   const struct block_request *request);

#endif

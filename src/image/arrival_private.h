/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the arrival: requests of guests on their way. */
#ifndef IMAGE_ARRIVAL_PRIVATE_H
#define IMAGE_ARRIVAL_PRIVATE_H

#include "arrival.h"

struct arrival_device {
	struct block_device block;
	struct arrival *arrival;
	unsigned hurried; /* the home loop's: its requests do not wait */
};

struct arrival_channel {
	struct block_channel channel;
	struct block_channel *lower;
};

/* In block_request.driver until the request is done. */
struct arrival_words {
	struct loop_message message;
	struct arrival_device *device;
	struct loop *origin;
	int result;
};

_Static_assert(sizeof(struct arrival_words) <= sizeof(uint64_t[BLOCK_DRIVER_WORDS]),
	       "a request's words fit");

/* What goes to the volume in place of a guest's request, which stays here. */
struct arrival_sub {
	struct list node;
	struct block_request block;
	struct block_request *outer;
	bool writes_absent;
};

static inline struct arrival_words *arrival_words(struct block_request *request)
{
	return (struct arrival_words *)(void *)request->driver;
}

/* In the home loop: a request begins, or is looked at again. */
void arrival_start(struct arrival *arrival, struct block_request *request);

/* In the home loop: it goes to the volume as it is. */
void arrival_pass(struct arrival *arrival, struct block_request *request, bool writes_absent);

/* In the home loop: its end. */
void arrival_end(struct block_request *request, int result);

/* The first piece that the range touches and the one behind the last; none: equal. */
void arrival_pieces(const struct arrival *arrival, const struct block_request *request,
		    uint64_t *ret_first, uint64_t *ret_end);
bool arrival_locked(const struct arrival *arrival, uint64_t piece);
void arrival_set_here(struct arrival *arrival, uint64_t piece);

/* arrival_punch.c: what may leave zeroes where pieces are not safe. */
void arrival_punch(struct arrival *arrival, struct block_request *request);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of guests on a volume that is still arriving. Each is looked at in the home loop:
 *
 *   read    goes down when all its pieces are here; else it waits, and they are demanded
 *   write of whole blocks of which none is all zeroes
 *           goes down unless a piece of it is being filled (A3)
 *   any other write, discard, zeroes
 *           goes down when its pieces are safe (A2); else arrival_punch.c
 *   flush   goes down
 *
 * What goes down is a request of ours in place of the guest's, so that its end is seen. They are
 * kept and used again; how many there are is how many requests guests have had in flight at a time.
 */
#include <errno.h>
#include <stdlib.h>

#include <quoin/base_bitmap.h>
#include <quoin/base_math.h>
#include <quoin/base_text.h>
#include <quoin/codec.h>

#include "arrival_private.h"

/* --- What a request touches ---------------------------------------------------------------------
 */

void arrival_pieces(const struct arrival *arrival, const struct block_request *request,
		    uint64_t *ret_first, uint64_t *ret_end)
{
	const uint64_t end = request->offset + request->length_bytes;

	*ret_first = MIN(request->offset / ARRIVAL_PIECE_BYTES, arrival->piece_count);
	*ret_end = MIN(div_round_up(end, ARRIVAL_PIECE_BYTES), arrival->piece_count);
	*ret_end = request->length_bytes == 0 ? *ret_first : MAX(*ret_end, *ret_first);
}

/* The first piece of it that is not here, or `end`. */
static uint64_t absent_first(const struct arrival *arrival, uint64_t first, uint64_t end)
{
	return MIN(arrival_next_absent(arrival, first), end);
}

/* A guest that changes a page while it is being written gets one or the other, or, where that was
 * all zeroes in between, what the image has: it wrote nothing that could be told. */
static bool has_zero_block(const struct block_request *request)
{
	size_t in_block = 0;
	bool zero = true;

	for (unsigned i = 0; i < request->iov_count; i++) {
		const uint8_t *at = request->iov[i].iov_base;
		size_t rest = request->iov[i].iov_len;

		while (rest > 0) {
			const size_t length = MIN(rest, ARRIVAL_BLOCK_BYTES - in_block);

			zero = zero && codec_is_zero(at, length);
			at += length;
			rest -= length;
			in_block += length;
			if (in_block < ARRIVAL_BLOCK_BYTES)
				continue;
			if (zero)
				return true;
			in_block = 0;
			zero = true;
		}
	}
	return false;
}

static bool blocks_whole(const struct block_request *request)
{
	return is_aligned(request->offset, ARRIVAL_BLOCK_BYTES) &&
	       is_aligned(request->length_bytes, ARRIVAL_BLOCK_BYTES);
}

static bool any_locked(const struct arrival *arrival, uint64_t first, uint64_t end)
{
	for (uint64_t piece = first; piece < end; piece++)
		if (arrival_locked(arrival, piece))
			return true;
	return false;
}

/* --- Down and back
 * -------------------------------------------------------------------------------- */

static void deliver_end(struct loop_message *message)
{
	struct arrival_words *words = container_of(message, struct arrival_words, message);

	block_complete(container_of((uint64_t *)(void *)words, struct block_request, driver[0]),
		       words->result);
}

void arrival_end(struct block_request *request, int result)
{
	struct arrival_words *words = arrival_words(request);
	struct arrival *arrival = words->device->arrival;

	arrival->in_flight--;
	words->result = result;
	if (words->origin == arrival->loop) {
		block_complete(request, result);
		return;
	}
	words->message.deliver = deliver_end;
	loop_message_send(words->origin, &words->message);
}

/* A filler may have waited for this one. */
static void fillers_wake(struct arrival *arrival)
{
	for (unsigned i = 0; i < ARRIVAL_LOCKS_MAX; i++)
		if (arrival->locks[i].taken && arrival->locks[i].waiter)
			fiber_wake(arrival->locks[i].waiter);
}

static void sub_done(struct block_request *request)
{
	struct arrival_sub *sub = container_of(request, struct arrival_sub, block);
	struct block_request *outer = sub->outer;
	struct arrival *arrival = arrival_words(outer)->device->arrival;
	const int result = request->result;

	if (sub->writes_absent) {
		list_remove(&sub->node);
		fillers_wake(arrival);
	}
	list_append(&arrival->spare, &sub->node);
	arrival_end(outer, result);
}

void arrival_pass(struct arrival *arrival, struct block_request *request, bool writes_absent)
{
	struct list *node = list_pop(&arrival->spare);
	struct arrival_sub *sub =
		node ? container_of(node, struct arrival_sub, node) : xcalloc(1, sizeof(*sub));

	list_init(&sub->node);
	sub->outer = request;
	sub->writes_absent = writes_absent;
	sub->block = (struct block_request){.op = request->op,
					    .flags = request->flags,
					    .offset = request->offset,
					    .length_bytes = request->length_bytes,
					    .iov = request->iov,
					    .iov_count = request->iov_count,
					    .done = sub_done};
	if (writes_absent)
		list_append(&arrival->running, &sub->node);
	block_submit(arrival->channel, &sub->block);
}

/* --- The judgement
 * -------------------------------------------------------------------------------- */

static void wait_for(struct arrival *arrival, struct block_request *request, uint64_t first,
		     uint64_t end)
{
	const uint64_t piece = absent_first(arrival, first, end);

	if (arrival->verdict < 0 || arrival_words(request)->device->hurried > 0) {
		arrival_end(request, arrival->verdict < 0 ? arrival->verdict : -EIO);
		return;
	}
	list_append(&arrival->waiting, &request->node);
	if (piece < end)
		arrival->demand(arrival->data, piece);
}

static bool all_safe(const struct arrival *arrival, uint64_t first, uint64_t end)
{
	return bitmap_next_clear(arrival->safe, arrival->piece_count, first) >= end;
}

/* It leaves no block of zeroes. */
static bool is_plain_write(const struct block_request *request)
{
	return request->op == BLOCK_WRITE && blocks_whole(request) && !has_zero_block(request);
}

static void change_start(struct arrival *arrival, struct block_request *request, uint64_t first,
			 uint64_t end)
{
	if (all_safe(arrival, first, end))
		arrival_pass(arrival, request, false);
	else if (!is_plain_write(request))
		arrival_punch(arrival, request);
	/* Being filled is over soon, also when nothing comes any more. */
	else if (any_locked(arrival, first, end))
		list_append(&arrival->waiting, &request->node);
	else
		arrival_pass(arrival, request, absent_first(arrival, first, end) < end);
}

void arrival_start(struct arrival *arrival, struct block_request *request)
{
	uint64_t first;
	uint64_t end;

	if (arrival->condemned) {
		arrival_end(request, -EIO);
		return;
	}
	arrival_pieces(arrival, request, &first, &end);
	switch (request->op) {
	case BLOCK_READ:
		if (absent_first(arrival, first, end) == end)
			arrival_pass(arrival, request, false);
		else
			wait_for(arrival, request, first, end);
		return;
	case BLOCK_FLUSH:
		arrival_pass(arrival, request, false);
		return;
	case BLOCK_WRITE:
	case BLOCK_DISCARD:
	case BLOCK_WRITE_ZEROES:
		change_start(arrival, request, first, end);
		return;
	case BLOCK_COPY: /* limits say that there is none */
	case BLOCK_OP_COUNT:
		break;
	}
	UNREACHABLE();
}

void arrival_retry(struct arrival *arrival)
{
	struct list again;
	struct list *node;

	list_init(&again);
	list_splice(&again, &arrival->waiting);
	while ((node = list_pop(&again)) != NULL)
		arrival_start(arrival, container_of(node, struct block_request, node));
	block_kick(arrival->channel);
	if (arrival->puncher)
		fiber_wake(arrival->puncher);
}

void arrival_judge(struct arrival *arrival, int verdict)
{
	arrival->verdict = verdict;
	arrival_retry(arrival);
}

void arrival_condemn(struct arrival *arrival)
{
	arrival->condemned = true;
	arrival_judge(arrival, -EIO);
}

void arrival_complete(struct arrival *arrival)
{
	ASSERT_U64(arrival->here_count, ==, arrival->piece_count);
	__atomic_store_n(&arrival->complete, true, __ATOMIC_RELEASE);
}

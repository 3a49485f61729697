/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces that arrive; see arrival.h. Requests of guests are in arrival_request.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_bitmap.h>
#include <quoin/base_math.h>
#include <quoin/codec.h>

#include "arrival_private.h"

#define LOCK_LOOK_NS NS_PER_MS

int arrival_init(struct arrival *arrival, struct loop *loop, struct block_device *lower,
		 uint64_t image_bytes)
{
	int r;

	memset(arrival, 0, sizeof(*arrival));
	arrival->loop = loop;
	arrival->lower = lower;
	arrival->image_bytes = image_bytes;
	arrival->piece_count = div_round_up(image_bytes, ARRIVAL_PIECE_BYTES);
	list_init(&arrival->running);
	list_init(&arrival->waiting);
	list_init(&arrival->punches);
	list_init(&arrival->spare);
	/* Whole pages: they are written and read as such. */
	arrival->here = calloc(MAX(arrival_pages(arrival), UINT64_C(1)), 4096);
	arrival->safe = calloc(MAX(arrival_pages(arrival), UINT64_C(1)), 4096);
	arrival->dirty = calloc(BITMAP_WORDS(arrival_pages(arrival)) + 1, sizeof(uint64_t));
	r = arrival->here && arrival->safe && arrival->dirty ? 0 : -ENOMEM;
	if (r == 0)
		r = block_channel_open(lower, loop, &arrival->channel);
	if (r == 0)
		return 0;
	free(arrival->here);
	free(arrival->safe);
	free(arrival->dirty);
	return r;
}

void arrival_fini(struct arrival *arrival)
{
	struct list *node;

	ASSERT_U64(arrival->devices, ==, 0);
	ASSERT_U64(arrival->in_flight, ==, 0);
	ASSERT(arrival->puncher == NULL);
	while ((node = list_pop(&arrival->spare)) != NULL)
		free(container_of(node, struct arrival_sub, node));
	block_channel_close(arrival->channel);
	free(arrival->here);
	free(arrival->safe);
	free(arrival->dirty);
}

bool arrival_is_here(const struct arrival *arrival, uint64_t piece)
{
	return bitmap_test(arrival->here, piece);
}

uint64_t arrival_next_absent(const struct arrival *arrival, uint64_t from)
{
	return bitmap_next_clear(arrival->here, arrival->piece_count, from);
}

size_t arrival_piece_bytes(const struct arrival *arrival, uint64_t piece)
{
	return (size_t)MIN(ARRIVAL_PIECE_BYTES, arrival->image_bytes - piece * ARRIVAL_PIECE_BYTES);
}

void arrival_set_here(struct arrival *arrival, uint64_t piece)
{
	if (bitmap_test(arrival->here, piece))
		return;
	bitmap_set(arrival->here, piece);
	bitmap_set(arrival->dirty, piece / ARRIVAL_PAGE_PIECES);
	arrival->here_count++;
}

/* --- I/O from fibers -------------------------------------------------------------------------- */

struct fiber_io {
	struct block_request request;
	struct fiber *fiber;
	bool done;
};

static void io_done(struct block_request *request)
{
	struct fiber_io *io = container_of(request, struct fiber_io, request);

	io->done = true;
	fiber_wake(io->fiber);
}

int arrival_io(struct block_channel *channel, const struct arrival_span *span)
{
	const struct iovec iov = {.iov_base = span->data, .iov_len = span->length};
	struct fiber_io io = {.fiber = fiber_self(),
			      .request = {.op = span->op,
					  .flags = span->flags,
					  .offset = span->offset,
					  .length_bytes = span->length,
					  .iov = &iov,
					  .iov_count = span->data ? 1 : 0,
					  .done = io_done}};

	block_submit(channel, &io.request);
	block_kick(channel);
	while (!io.done)
		fiber_park();
	return io.request.result;
}

static int run_io(struct arrival *arrival, enum block_op op, uint64_t offset, void *data,
		  size_t length)
{
	return arrival_io(
		arrival->channel,
		&(struct arrival_span){.op = op, .offset = offset, .data = data, .length = length});
}

int arrival_flush(struct arrival *arrival)
{
	return run_io(arrival, BLOCK_FLUSH, 0, NULL, 0);
}

/* --- Filling ---------------------------------------------------------------------------------- */

bool arrival_locked(const struct arrival *arrival, uint64_t piece)
{
	for (unsigned i = 0; i < ARRIVAL_LOCKS_MAX; i++)
		if (arrival->locks[i].taken && arrival->locks[i].piece == piece)
			return true;
	return false;
}

/* A request writes into the piece now. */
static bool written_now(const struct arrival *arrival, uint64_t piece)
{
	list_for_each (node, &arrival->running) {
		const struct arrival_sub *sub = container_of(node, struct arrival_sub, node);
		uint64_t first;
		uint64_t end;

		arrival_pieces(arrival, &sub->block, &first, &end);
		if (first <= piece && piece < end)
			return true;
	}
	return false;
}

static struct arrival_lock *lock_take(struct arrival *arrival, uint64_t piece)
{
	unsigned i = 0;

	while (i < ARRIVAL_LOCKS_MAX && arrival->locks[i].taken)
		i++;
	ASSERT_U64(i, <, ARRIVAL_LOCKS_MAX);
	arrival->locks[i] = (struct arrival_lock){.taken = true, .piece = piece};
	while (written_now(arrival, piece)) {
		arrival->locks[i].waiter = fiber_self();
		fiber_park();
	}
	arrival->locks[i].waiter = NULL;
	return &arrival->locks[i];
}

/* Whether the block is the image's to write: it has something there, and nobody else has. */
static bool wanted(const uint8_t *data, const uint8_t *there, size_t at)
{
	return !codec_is_zero(data + at, ARRIVAL_BLOCK_BYTES) &&
	       codec_is_zero(there + at, ARRIVAL_BLOCK_BYTES);
}

/* Blocks in a row are one write. */
static int runs_write(struct arrival *arrival, uint64_t offset, const uint8_t *data,
		      const uint8_t *there, size_t length)
{
	size_t at = 0;
	int r = 0;

	while (r == 0 && at < length) {
		size_t end = at;

		while (end < length && wanted(data, there, end))
			end += ARRIVAL_BLOCK_BYTES;
		/* The volume only reads from it. */
		if (end > at)
			r = run_io(arrival, BLOCK_WRITE, offset + at, (void *)(data + at),
				   end - at);
		at = end + ARRIVAL_BLOCK_BYTES;
	}
	return r;
}

int arrival_fill(struct arrival *arrival, uint64_t piece, const void *data, void *scratch)
{
	const uint64_t offset = piece * ARRIVAL_PIECE_BYTES;
	const size_t length = align_up(arrival_piece_bytes(arrival, piece), ARRIVAL_BLOCK_BYTES);
	struct arrival_lock *lock;
	int r = 0;

	while (arrival_locked(arrival, piece))
		fiber_sleep_ns(LOCK_LOOK_NS);
	lock = lock_take(arrival, piece);
	if (!arrival_is_here(arrival, piece)) {
		r = run_io(arrival, BLOCK_READ, offset, scratch, length);
		if (r == 0)
			r = runs_write(arrival, offset, data, scratch, length);
		if (r == 0)
			arrival_set_here(arrival, piece);
	}
	lock->taken = false;
	arrival_retry(arrival);
	return r;
}

void arrival_fill_zeroes(struct arrival *arrival, uint64_t piece)
{
	arrival_set_here(arrival, piece);
	arrival_retry(arrival);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that may leave blocks of zeroes where pieces are not safe (A2). Pieces that zeroes or a
 * discard cover whole need not come: the record says that they are here, and only then does the
 * request go down; a crash between the two leaves zeroes where the guest may expect them, for the
 * request had not ended. All other pieces are fetched first. One fiber does it, for many requests
 * with one write of the record.
 */
#include <errno.h>

#include <quoin/base_math.h>

#include "arrival_private.h"

/* Nothing of the image will be left in the piece. */
static bool covered(const struct arrival *arrival, const struct block_request *request,
		    uint64_t piece)
{
	const uint64_t start = piece * ARRIVAL_PIECE_BYTES;
	const uint64_t end =
		start + align_up(arrival_piece_bytes(arrival, piece), ARRIVAL_BLOCK_BYTES);

	return request->op != BLOCK_WRITE && request->offset <= start &&
	       end <= request->offset + request->length_bytes;
}

/* Nothing of it is to be waited for. Demands what is. */
static bool ready(const struct arrival *arrival, const struct block_request *request)
{
	uint64_t first;
	uint64_t end;

	arrival_pieces(arrival, request, &first, &end);
	for (uint64_t piece = arrival_next_absent(arrival, first); piece < end;
	     piece = arrival_next_absent(arrival, piece + 1)) {
		if (arrival_locked(arrival, piece))
			return false;
		if (covered(arrival, request, piece))
			continue;
		arrival->demand(arrival->data, piece);
		return false;
	}
	return true;
}

/* What `ready` left absent is covered. */
static void mark(struct arrival *arrival, const struct block_request *request)
{
	uint64_t first;
	uint64_t end;

	arrival_pieces(arrival, request, &first, &end);
	for (uint64_t piece = arrival_next_absent(arrival, first); piece < end;
	     piece = arrival_next_absent(arrival, piece + 1))
		arrival_set_here(arrival, piece);
}

/* Those that need not wait any longer go over to `ret_going`; who cannot go on ends. */
static void sort_out(struct arrival *arrival, struct list *ret_going)
{
	list_for_each_safe (node, next, &arrival->punches) {
		struct block_request *request = container_of(node, struct block_request, node);
		const bool hurried = arrival_words(request)->device->hurried > 0;

		if (!arrival->condemned && ready(arrival, request)) {
			list_remove(node);
			mark(arrival, request);
			list_append(ret_going, node);
		} else if (arrival->verdict < 0 || hurried) {
			list_remove(node);
			arrival_end(request, -EIO);
		}
	}
}

static void punches_run(void *arg)
{
	struct arrival *arrival = arg;
	struct list going;
	struct list *node;

	list_init(&going);
	while (!list_empty(&arrival->punches)) {
		int r;

		sort_out(arrival, &going);
		if (list_empty(&going)) {
			if (!list_empty(&arrival->punches))
				fiber_park();
			continue;
		}
		r = arrival->persist(arrival->data);
		while ((node = list_pop(&going)) != NULL) {
			struct block_request *request =
				container_of(node, struct block_request, node);

			if (r < 0)
				arrival_end(request, -EIO);
			else
				arrival_pass(arrival, request, false);
		}
		arrival_retry(arrival);
	}
	arrival->puncher = NULL;
}

void arrival_punch(struct arrival *arrival, struct block_request *request)
{
	list_append(&arrival->punches, &request->node);
	if (arrival->puncher) {
		fiber_wake(arrival->puncher);
		return;
	}
	if (fiber_start(arrival->loop, false, punches_run, arrival, &arrival->puncher) == 0)
		return;
	arrival->puncher = NULL;
	list_remove(&request->node);
	arrival_end(request, -ENOMEM);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last look at each pool, for who asks how it is. The home loops write here, any thread reads:
 * a question waits neither for a loop nor for a verb, and a loop never for who reads. What a look
 * does not bring any more is said to be old.
 *
 * Of a pool with very many volumes a look takes the next slice of them alone, in the order of their
 * numbers; what was known of these is replaced. There may be ten thousand, of which few are busy:
 * counters are kept of those alone that had a request.
 */
#ifndef CONTROL_BOARD_H
#define CONTROL_BOARD_H

#include <pthread.h>

#include <quoin/control_health.h>

#include "pool.h"

#define BOARD_VOLUMES_LOOK 256 /* volumes a look copies; the others come with the next ones */

struct board_entry {
	struct control_pool_health health;
	unsigned volume_count, volume_room;
	unsigned busy_count;		       /* of those with counters of their own */
	struct control_volume_health *volumes; /* by number */
	uint64_t looked_ns;		       /* monotonic; 0 = it is not watched: it failed */
};

struct control_board {
	pthread_mutex_t lock; /* of all; held for a copy at the longest */
	unsigned count;
	struct board_entry *entries[CONTROL_POOLS_MAX];
};

void control_board_init(struct control_board *board);
void control_board_fini(struct control_board *board);

/* [home loop] False: somebody reads at this moment; nothing was done. */
MUST_CHECK bool control_board_put(struct control_board *board, struct control_pool *pool,
				  const struct control_pool_info *info);

/* The pool could not be imported, because of `why`; it stays in the list. */
void control_board_failed(struct control_board *board, const struct control_pool *pool,
			  const char *why);

/* It is not here any more. Nothing when it is not listed. */
void control_board_remove(struct control_board *board, const char *pool);

#endif

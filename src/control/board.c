/* SPDX-License-Identifier: Apache-2.0 */
/* The board; see board.h. */
#include "board.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_clock.h>
#include <quoin/base_text.h>

#include "forecast.h"
#include "pool_deploy.h"
#include "private.h"

void control_board_init(struct control_board *board)
{
	memset(board, 0, sizeof(*board));
	pthread_mutex_init(&board->lock, NULL);
}

static void entry_free(struct board_entry *entry)
{
	free(entry->volumes);
	free(entry);
}

void control_board_fini(struct control_board *board)
{
	while (board->count > 0)
		entry_free(board->entries[--board->count]);
	pthread_mutex_destroy(&board->lock);
}

/* --- With the lock ------------------------------------------------------------------------------
 */

static unsigned find(const struct control_board *board, const char *pool)
{
	unsigned i = 0;

	while (i < board->count && strcmp(board->entries[i]->health.info.name, pool) != 0)
		i++;
	return i;
}

/* NULL: there are too many, which a pool that is imported never is. */
static struct board_entry *find_or_add(struct control_board *board, const char *pool)
{
	const unsigned i = find(board, pool);

	if (i == board->count) {
		if (board->count == CONTROL_POOLS_MAX)
			return NULL;
		board->entries[board->count] = xcalloc(1, sizeof(*board->entries[0]));
		board->entries[board->count]->health.born_ns = clock_now_ns(CLOCK_MONOTONIC);
		snprintf(board->entries[board->count++]->health.info.name, CONTROL_NAME_MAX + 1,
			 "%s", pool);
	}
	return board->entries[i];
}

_Static_assert(CONTROL_IO_KINDS == POOL_IO_KINDS, "kinds");
_Static_assert(CONTROL_IO_BUCKETS == POOL_IO_BUCKETS, "buckets");

static void sums_copy(const struct pool_io_sums *from, struct control_io_sums *to)
{
	memcpy(to->requests, from->requests, sizeof(to->requests));
	memcpy(to->bytes, from->bytes, sizeof(to->bytes));
	memcpy(to->ns, from->ns, sizeof(to->ns));
	to->errors = from->errors;
	to->in_flight = from->in_flight;
	to->busy_ns = from->busy_ns;
	memcpy(to->latency, from->latency, sizeof(to->latency));
}

static const char *why_word(enum pool_io_why why)
{
	static const char *const words[POOL_WHYS] = {"drives", "checkpoint", "pacing", "space",
						     "verb",   "repair",     "memory"};

	return words[why];
}

static void io_copy(const struct pool_io *from, struct control_io *to)
{
	memset(to, 0, sizeof(*to));
	sums_copy(&from->sums, &to->sums);
	memcpy(to->latency, from->latency, sizeof(to->latency));
	for (unsigned ago = 0; ago < POOL_IO_MINUTES && ago <= from->minute; ago++) {
		const struct pool_io_worst *worst =
			&from->worst[(from->minute - ago) % POOL_IO_MINUTES];

		if (worst->ns <= to->worst_ns)
			continue;
		to->worst_ns = worst->ns;
		to->worst_kind = worst->kind;
		to->worst_why = why_word(worst->why);
		to->worst_ago_min = ago;
		to->worst_checkpoint = worst->checkpoint;
		to->worst_failed = worst->failed;
	}
}

/* --- From the home loop -------------------------------------------------------------------------
 */

static void arrival_copy(const struct control_pool *pool, struct control_volume_health *to)
{
	struct control_deploy_info info;

	to->arrival = "";
	if (!control_deploys_active(pool, to->name))
		return;
	control_deploys_info(pool, to->name, &info);
	to->arrival = info.state;
	if (info.image_bytes > 0)
		to->arrival_percent =
			(unsigned)((double)info.here_bytes / (double)info.image_bytes * 100.0);
}

static void volume_copy(const struct control_pool *pool, const struct pool_volume_info *from,
			struct control_volume_health *to)
{
	*to = (struct control_volume_health){
		.size_bytes = from->params.size_bytes,
		.used_bytes = from->used_bytes,
		.referenced_bytes = from->referenced_bytes,
		.snapshot_count = from->snapshot_count,
		.paused = from->paused,
		.in_use = from->open_count > 0,
		.created_s = from->created_s,
	};
	memcpy(to->name, from->name, sizeof(to->name));
	memcpy(to->guid, from->guid, sizeof(to->guid));
	sums_copy(&from->io, &to->io);
	arrival_copy(pool, to);
}

/* A slice of the round; true when it is whole. */
static bool round_go(struct board_round *round, const struct control_pool *pool)
{
	struct pool_volume_info info;

	for (unsigned i = 0; i < BOARD_VOLUMES_LOOK; i++) {
		if (pool_volume_next(pool->pool, &round->cursor, &info) < 0)
			return true;
		if (round->count == round->room) {
			round->room += BOARD_VOLUMES_LOOK;
			round->volumes =
				realloc(round->volumes, round->room * sizeof(*round->volumes));
			ASSERT(round->volumes != NULL);
		}
		volume_copy(pool, &info, &round->volumes[round->count++]);
	}
	return false;
}

static void volumes_put(struct board_entry *entry, struct board_round *round)
{
	free(entry->volumes);
	entry->volumes = round->volumes;
	entry->volume_count = round->count;
	memset(round, 0, sizeof(*round));
}

void control_board_put(struct control_board *board, struct control_pool *pool,
		       const struct control_pool_info *info)
{
	struct control_pool_watch *w = &pool->watch;
	const bool whole = round_go(&w->round, pool);
	struct pool_status status;
	struct board_entry *entry;
	struct pool_io io;

	pool_status(pool->pool, &status);
	pool_io(pool->pool, &io);
	forecast_add(&w->forecast, clock_now_ns(CLOCK_MONOTONIC) / NS_PER_S,
		     info->size_bytes - MIN(info->size_bytes, info->available_bytes));
	pthread_mutex_lock(&board->lock);
	entry = find_or_add(board, pool->name);
	if (entry) {
		entry->health.info = *info;
		io_copy(&io, &entry->health.io);
		entry->health.checkpoint_s = status.checkpoint_s;
		entry->health.checkpoint_ns = status.checkpoint_ns_last;
		entry->health.pending_bytes = status.pending_bytes;
		entry->health.deploy_count = control_deploys_look(pool, entry->health.deploys);
		entry->health.log_records = status.log_records;
		entry->health.near_full = w->watch.near_full;
		entry->health.full_in_s = forecast_full_in(&w->forecast, info->available_bytes);
		entry->looked_ns = clock_now_ns(CLOCK_MONOTONIC);
		if (whole) {
			volumes_put(entry, &w->round);
			entry->health.volumes_known = true;
		}
	}
	pthread_mutex_unlock(&board->lock);
}

/* --- From the verbs ------------------------------------------------------------------------------
 */

void control_board_failed(struct control_board *board, const struct control_pool *pool,
			  const char *why)
{
	struct board_entry *entry;

	pthread_mutex_lock(&board->lock);
	entry = find_or_add(board, pool->name);
	if (entry) {
		memcpy(entry->health.info.guid, pool->guid, sizeof(pool->guid));
		entry->health.info.health = "failed";
		snprintf(entry->health.info.problem, sizeof(entry->health.info.problem), "%s", why);
		entry->looked_ns = 0;
	}
	pthread_mutex_unlock(&board->lock);
}

void control_board_remove(struct control_board *board, const char *pool)
{
	unsigned i;

	pthread_mutex_lock(&board->lock);
	i = find(board, pool);
	if (i < board->count) {
		entry_free(board->entries[i]);
		board->count--;
		memmove(&board->entries[i], &board->entries[i + 1],
			(board->count - i) * sizeof(*board->entries));
	}
	pthread_mutex_unlock(&board->lock);
}

/* --- For everybody -------------------------------------------------------------------------------
 */

bool control_health_pool(struct control *control, unsigned index,
			 struct control_pool_health *ret_health)
{
	struct control_board *board = &control->board;
	bool found;

	pthread_mutex_lock(&board->lock);
	found = index < board->count;
	if (found) {
		const struct board_entry *entry = board->entries[index];
		const uint64_t now = clock_now_ns(CLOCK_MONOTONIC);

		*ret_health = entry->health;
		ret_health->age_ms = entry->looked_ns == 0
					     ? UINT64_MAX
					     : (now - MIN(now, entry->looked_ns)) / NS_PER_MS;
		ret_health->timed_out =
			entry->looked_ns != 0 && ret_health->age_ms > CONTROL_HEALTH_OLD_MS;
	}
	pthread_mutex_unlock(&board->lock);
	return found;
}

unsigned control_health_volumes(struct control *control, const char *pool,
				struct control_volume_health **ret_volumes)
{
	struct control_board *board = &control->board;
	unsigned count = 0;
	unsigned i;

	*ret_volumes = NULL;
	pthread_mutex_lock(&board->lock);
	i = find(board, pool);
	if (i < board->count && board->entries[i]->volume_count > 0) {
		count = board->entries[i]->volume_count;
		*ret_volumes = xcalloc(count, sizeof(**ret_volumes));
		memcpy(*ret_volumes, board->entries[i]->volumes, count * sizeof(**ret_volumes));
	}
	pthread_mutex_unlock(&board->lock);
	return count;
}

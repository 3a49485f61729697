/* SPDX-License-Identifier: Apache-2.0 */
/* The board; see board.h. */
#include "board.h"

#include <limits.h>
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

/* Of all volumes that never had a request. */
static const struct control_io_sums nothing;

bool control_health_volume_used(const struct control_volume_health *volume)
{
	return volume->io != &nothing;
}

static void own_free(struct board_entry *entry, const struct control_volume_health *volume)
{
	if (!control_health_volume_used(volume))
		return;
	free((void *)(uintptr_t)volume->io);
	entry->busy_count--;
}

static void entry_free(struct board_entry *entry)
{
	for (unsigned i = 0; i < entry->volume_count; i++)
		own_free(entry, &entry->volumes[i]);
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
		to->arrival_percent = (uint8_t)MIN(
			(double)info.here_bytes / (double)info.image_bytes * 100.0, 100.0);
}

/* The next volumes, in the order of their numbers, which begin at `from` and end before `to`. */
struct slice {
	unsigned from, to;
	bool whole; /* it is the last one of a round */
	unsigned count;
	struct control_volume_health volumes[BOARD_VOLUMES_LOOK];
	struct control_io_sums io[BOARD_VOLUMES_LOOK];
};

/* Also what is between members is set: it is compared as bytes. */
static void slice_add(struct slice *slice, const struct control_pool *pool,
		      const struct pool_volume_info *from)
{
	struct control_volume_health *to = &slice->volumes[slice->count];
	struct control_io_sums *io = &slice->io[slice->count++];

	memset(to, 0, sizeof(*to));
	memset(io, 0, sizeof(*io));
	to->number = from->number;
	to->size_bytes = from->params.size_bytes;
	to->used_bytes = from->used_bytes;
	to->referenced_bytes = from->referenced_bytes;
	to->snapshot_count = from->snapshot_count;
	to->paused = from->paused;
	to->in_use = from->open_count > 0;
	to->created_s = from->created_s;
	memcpy(to->name, from->name, sizeof(to->name));
	memcpy(to->guid, from->guid, sizeof(to->guid));
	sums_copy(&from->io, io);
	arrival_copy(pool, to);
}

static void slice_take(struct slice *slice, struct control_pool *pool)
{
	struct pool_volume_info info;

	slice->from = slice->to = pool->watch.cursor;
	slice->count = 0;
	slice->whole = false;
	while (slice->count < BOARD_VOLUMES_LOOK && !slice->whole) {
		slice->whole = pool_volume_next(pool->pool, &slice->to, &info) < 0;
		if (!slice->whole && info.params.kind != POOL_VOLUME_HIDDEN)
			slice_add(slice, pool, &info);
	}
	if (slice->whole)
		slice->to = UINT_MAX;
	pool->watch.cursor = slice->whole ? 0 : slice->to;
}

/* Where the first one is whose number is not smaller. */
static unsigned place_of(const struct board_entry *entry, unsigned number)
{
	unsigned low = 0;
	unsigned high = entry->volume_count;

	while (low < high) {
		const unsigned middle = (low + high) / 2;

		if (entry->volumes[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_nothing(const struct control_io_sums *io)
{
	return memcmp(io, &nothing, sizeof(*io)) == 0;
}

/* What was kept of the counters of `old` is used again, or freed. True: they changed. */
static bool own_take(struct board_entry *entry, const struct control_volume_health *old,
		     struct control_volume_health *now, const struct control_io_sums *io)
{
	struct control_io_sums *own =
		old && control_health_volume_used(old) ? (void *)(uintptr_t)old->io : NULL;
	const bool changed = memcmp(own ? own : &nothing, io, sizeof(*io)) != 0;

	if (own && is_nothing(io)) {
		own_free(entry, old);
		own = NULL;
	} else if (!own && !is_nothing(io)) {
		own = xmalloc(sizeof(*own));
		entry->busy_count++;
	}
	if (own && changed)
		memcpy(own, io, sizeof(*own));
	now->io = own ? own : &nothing;
	return changed;
}

/* Each of the slice finds what was known of it, from *at on, where the others are let go. */
static bool volume_merge(struct board_entry *entry, struct control_volume_health *now,
			 const struct control_io_sums *io, unsigned *at)
{
	const struct control_volume_health *old = NULL;
	bool changed = false;

	while (*at < entry->volume_count && entry->volumes[*at].number < now->number) {
		own_free(entry, &entry->volumes[(*at)++]);
		changed = true;
	}
	if (*at < entry->volume_count && entry->volumes[*at].number == now->number)
		old = &entry->volumes[(*at)++];
	changed = own_take(entry, old, now, io) || changed;
	return changed || !old || memcmp(old, now, sizeof(*now)) != 0;
}

/* `count` volumes at `from` become those of the slice. */
static void slice_put(struct board_entry *entry, const struct slice *slice, unsigned from,
		      unsigned count)
{
	const unsigned behind = entry->volume_count - from - count;
	const unsigned now = entry->volume_count - count + slice->count;

	if (now > entry->volume_room) {
		entry->volume_room = now + BOARD_VOLUMES_LOOK;
		entry->volumes =
			realloc(entry->volumes, entry->volume_room * sizeof(*entry->volumes));
		ASSERT(entry->volumes != NULL);
	}
	if (behind > 0)
		memmove(&entry->volumes[from + slice->count], &entry->volumes[from + count],
			behind * sizeof(*entry->volumes));
	if (slice->count > 0)
		memcpy(&entry->volumes[from], slice->volumes,
		       slice->count * sizeof(*entry->volumes));
	entry->volume_count = now;
}

static void volumes_put(struct board_entry *entry, struct control_pool *pool)
{
	CLEANUP_FREE struct slice *slice = xmalloc(sizeof(*slice));
	bool changed = false;
	unsigned end;
	unsigned from;
	unsigned at;

	slice_take(slice, pool);
	at = from = place_of(entry, slice->from);
	end = place_of(entry, slice->to);
	for (unsigned i = 0; i < slice->count; i++)
		changed = volume_merge(entry, &slice->volumes[i], &slice->io[i], &at) || changed;
	for (; at < end; at++) {
		own_free(entry, &entry->volumes[at]);
		changed = true;
	}
	slice_put(entry, slice, from, end - from);
	entry->health.volumes_version += changed;
	entry->health.volumes_known = entry->health.volumes_known || slice->whole;
}

static void entry_put(struct board_entry *entry, struct control_pool *pool,
		      const struct control_pool_info *info)
{
	struct control_pool_watch *w = &pool->watch;
	struct control_pool_health *health = &entry->health;
	struct pool_status status;
	struct pool_io io;

	pool_status(pool->pool, &status);
	pool_io(pool->pool, &io);
	control_pool_info_copy(&health->info, info);
	io_copy(&io, &health->io);
	health->checkpoint_s = status.checkpoint_s;
	health->checkpoint_ns = status.checkpoint_ns_last;
	health->pending_bytes = status.pending_bytes;
	health->deploy_count = control_deploys_look(pool, health->deploys);
	health->log_records = status.log_records;
	health->near_full = w->watch.near_full;
	health->full_in_s = forecast_full_in(&w->forecast, info->available_bytes);
	entry->looked_ns = clock_now_ns(CLOCK_MONOTONIC);
	volumes_put(entry, pool);
}

bool control_board_put(struct control_board *board, struct control_pool *pool,
		       const struct control_pool_info *info)
{
	struct control_pool_watch *w = &pool->watch;
	struct board_entry *entry;

	/* Who reads may be stopped meanwhile, and guests wait for this loop. */
	if (pthread_mutex_trylock(&board->lock) != 0)
		return false;
	forecast_add(&w->forecast, clock_now_ns(CLOCK_MONOTONIC) / NS_PER_S,
		     info->size_bytes - MIN(info->size_bytes, info->available_bytes));
	entry = find_or_add(board, pool->name);
	if (entry)
		entry_put(entry, pool, info);
	pthread_mutex_unlock(&board->lock);
	return true;
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

static void health_copy(const struct control_pool_health *from, struct control_pool_health *to)
{
	const size_t head = offsetof(struct control_pool_health, io);

	control_pool_info_copy(&to->info, &from->info);
	memcpy((char *)to + head, (const char *)from + head, sizeof(*to) - head);
}

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

		health_copy(&entry->health, ret_health);
		ret_health->age_ms = entry->looked_ns == 0
					     ? UINT64_MAX
					     : (now - MIN(now, entry->looked_ns)) / NS_PER_MS;
		ret_health->timed_out =
			entry->looked_ns != 0 && ret_health->age_ms > CONTROL_HEALTH_OLD_MS;
	}
	pthread_mutex_unlock(&board->lock);
	return found;
}

/* A block of all volumes, and behind them what they point to. */
static void volumes_copy(const struct board_entry *entry, struct control_volume_health *to)
{
	struct control_io_sums *io = (void *)(to + entry->volume_count);

	if (entry->volume_count > 0)
		memcpy(to, entry->volumes, entry->volume_count * sizeof(*to));
	for (unsigned i = 0; i < entry->volume_count; i++) {
		if (!control_health_volume_used(&to[i]))
			continue;
		*io = *to[i].io;
		to[i].io = io++;
	}
}

static size_t volumes_size(const struct board_entry *entry)
{
	return entry->volume_count * sizeof(*entry->volumes) +
	       entry->busy_count * sizeof(*entry->volumes->io);
}

unsigned control_health_volumes(struct control *control, const char *pool,
				struct control_volume_health **ret_volumes)
{
	struct control_board *board = &control->board;
	struct control_volume_health *volumes = NULL;
	unsigned count = 0;
	size_t size = 0;
	bool fits;

	/* Memory is got without the lock; there may be more of them then. */
	do {
		const struct board_entry *entry;
		size_t wanted = 0;
		unsigned i;

		pthread_mutex_lock(&board->lock);
		i = find(board, pool);
		entry = i < board->count ? board->entries[i] : NULL;
		wanted = entry ? volumes_size(entry) : 0;
		fits = wanted <= size;
		count = entry ? entry->volume_count : 0;
		if (fits && count > 0)
			volumes_copy(entry, volumes);
		pthread_mutex_unlock(&board->lock);
		if (!fits) {
			size = wanted;
			free(volumes);
			volumes = xcalloc(1, size);
		}
	} while (!fits);
	*ret_volumes = volumes;
	return count;
}

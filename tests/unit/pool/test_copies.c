/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies of guests by reference: what they share, what they cost, what changes under way find; and
 * against a plain model, sector by sector, with changes beside them and power cuts. The checker
 * reads each pool in the end.
 *
 * QUOIN_COPIES_SEED runs one seed of the model, QUOIN_COPIES_SEEDS so many (default 12).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <quoin/base_assert.h>

#include "engine/engine.h"
#include "inspect_rig.h"

#define BLOCKS 1024
#define BYTES ((uint64_t)BLOCKS * RIG_BLOCK)
#define SECTOR 512
#define SYNCS 6 /* until what was let go can be used again */
#define SEEDS_DEFAULT 12
#define PAGE_SPAN (UINT64_C(128) * RIG_BLOCK) /* of a volume, in a page of its map */
#define PAGES_TRIMMED UINT64_C(8300)

struct trial {
	struct engine_rig rig;
	struct rig_volume volume;
	uint8_t *data; /* of 64 blocks */
};

/* A request under way. */
struct flight {
	struct block_request request;
	struct block_extent sources[4];
	struct iovec iov;
	struct fiber *fiber;
	bool ended;
};

static void flight_ended(struct block_request *request)
{
	struct flight *flight = container_of(request, struct flight, request);

	flight->ended = true;
	fiber_wake(flight->fiber);
}

static void flight_send(struct rig_volume *volume, struct flight *flight)
{
	flight->fiber = fiber_self();
	flight->request.done = flight_ended;
	block_submit(volume->channel, &flight->request);
	block_kick(volume->channel);
}

static int flight_land(struct flight *flight)
{
	while (!flight->ended)
		fiber_park();
	return flight->request.result;
}

/* One source; blocks. */
static void copy_send(struct rig_volume *volume, struct flight *flight, uint64_t from, uint64_t to,
		      uint64_t count)
{
	*flight = (struct flight){.sources = {{from * RIG_BLOCK, count * RIG_BLOCK}}};
	flight->request = (struct block_request){.op = BLOCK_COPY,
						 .offset = to * RIG_BLOCK,
						 .length_bytes = count * RIG_BLOCK,
						 .sources = flight->sources,
						 .source_count = 1};
	flight_send(volume, flight);
}

static int copy(struct trial *t, uint64_t from, uint64_t to, uint64_t count)
{
	struct flight flight;

	copy_send(&t->volume, &flight, from, to, count);
	return flight_land(&flight);
}

static void change_send(struct rig_volume *volume, struct flight *flight, enum block_op op,
			uint64_t sector, uint64_t count)
{
	flight->request = (struct block_request){.op = op,
						 .offset = sector * SECTOR,
						 .length_bytes = count * SECTOR,
						 .iov = &flight->iov,
						 .iov_count = op <= BLOCK_WRITE ? 1 : 0};
	flight->iov.iov_len = count * SECTOR;
	flight->ended = false;
	flight_send(volume, flight);
}

static void fill(uint8_t *data, size_t bytes, uint32_t stamp)
{
	for (size_t i = 0; i < bytes; i += sizeof(stamp))
		memcpy(data + i, &stamp, sizeof(stamp));
}

/* Sectors [first, first + count) hold the stamp. */
static void put(struct trial *t, uint64_t first, uint64_t count, uint32_t stamp)
{
	for (uint64_t done = 0; done < count;) {
		const uint64_t n = MIN(count - done, (uint64_t)512);

		fill(t->data, n * SECTOR, stamp);
		assert_int_equal(rig_io(&t->volume, BLOCK_WRITE, (first + done) * SECTOR, t->data,
					n * SECTOR),
				 0);
		done += n;
	}
}

/* Each block its own: stamp, stamp + 1, ... */
static void put_blocks(struct trial *t, uint64_t first, uint64_t count, uint32_t stamp)
{
	for (uint64_t i = 0; i < count; i++)
		put(t, (first + i) * 8, 8, stamp + (uint32_t)i);
}

static void holds(struct trial *t, uint64_t first, uint64_t count, uint32_t stamp)
{
	for (uint64_t i = 0; i < count; i++) {
		uint8_t want[SECTOR];

		fill(want, SECTOR, stamp);
		assert_int_equal(
			rig_io(&t->volume, BLOCK_READ, (first + i) * SECTOR, t->data, SECTOR), 0);
		assert_memory_equal(t->data, want, SECTOR);
	}
}

static void holds_blocks(struct trial *t, uint64_t first, uint64_t count, uint32_t stamp)
{
	for (uint64_t i = 0; i < count; i++)
		holds(t, (first + i) * 8, 8, stamp + (uint32_t)i);
}

static struct pool_status status_now(struct trial *t)
{
	struct pool_status status;

	for (unsigned i = 0; i < SYNCS; i++)
		assert_int_equal(pool_sync(t->rig.pool), 0);
	pool_status(t->rig.pool, &status);
	return status;
}

static void trial_open(struct trial *t)
{
	assert_int_equal(rig_open(&t->rig), 0);
	assert_int_equal(rig_volume_open(&t->rig, "a", &t->volume), 0);
}

static void trial_close(struct trial *t)
{
	rig_volume_close(&t->volume);
	assert_int_equal(rig_close(&t->rig), 0);
}

static void crash(struct trial *t)
{
	rig_power_cut(&t->rig);
	rig_volume_close(&t->volume);
	(void)!rig_close(&t->rig);
	rig_power_on(&t->rig);
	trial_open(t);
}

/* --- One at a time ---------------------------------------------------------------------------- */

static void shares(struct trial *t)
{
	struct flight many = {.sources = {{10 * RIG_BLOCK, 20 * RIG_BLOCK},
					  {400 * RIG_BLOCK, 3 * RIG_BLOCK},
					  {99 * RIG_BLOCK, 40 * RIG_BLOCK}}};

	put_blocks(t, 0, 300, 1000);
	assert_int_equal(copy(t, 0, 512, 300), 0);
	holds_blocks(t, 512, 300, 1000);
	assert_int_equal(status_now(t).data_bytes, 300 * RIG_BLOCK);
	assert_int_equal(status_now(t).shared_bytes, 300 * RIG_BLOCK);
	/* Several sources, a hole among them. */
	many.request = (struct block_request){.op = BLOCK_COPY,
					      .offset = 900 * RIG_BLOCK,
					      .length_bytes = 63 * RIG_BLOCK,
					      .sources = many.sources,
					      .source_count = 3};
	flight_send(&t->volume, &many);
	assert_int_equal(flight_land(&many), 0);
	holds_blocks(t, 900, 20, 1010);
	holds(t, 920 * 8, 24, 0);
	holds_blocks(t, 923, 40, 1099);
	/* Each goes its own way, and it is there after a crash: nothing was flushed. */
	put_blocks(t, 0, 100, 5000);
	crash(t);
	holds_blocks(t, 512, 300, 1000);
	holds_blocks(t, 923, 40, 1099);
}

static void many_for_one_checkpoint(struct trial *t)
{
	struct flight flights[16];
	struct pool_status before;
	struct pool_status after;

	put_blocks(t, 0, 256, 1);
	assert_int_equal(pool_sync(t->rig.pool), 0);
	pool_status(t->rig.pool, &before);
	for (unsigned i = 0; i < 16; i++)
		copy_send(&t->volume, &flights[i], i * 16, 300 + i * 16, 16);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(flight_land(&flights[i]), 0);
	pool_status(t->rig.pool, &after);
	assert_int_equal(after.checkpoints_made, before.checkpoints_made + 1);
	holds_blocks(t, 300, 256, 1);
}

/* 1 MiB of an idle pool: what its checkpoint writes is a small part of what the data would be. */
static void costs_little(struct trial *t)
{
	struct pool_status before;
	struct pool_status after;

	put_blocks(t, 0, 256, 1);
	(void)status_now(t);
	pool_status(t->rig.pool, &before);
	assert_int_equal(copy(t, 0, 512, 256), 0);
	pool_status(t->rig.pool, &after);
	assert_in_range(after.device_bytes_written - before.device_bytes_written, 1,
			256 * RIG_BLOCK / 4);
	assert_in_range(after.device_flushes - before.device_flushes, 1, 4);
	assert_in_range(after.device_bytes_read - before.device_bytes_read, 0, 256 * RIG_BLOCK / 4);
}

/* As if it were not by reference: sectors that were written before it, beside it, and after. */
static void parts_of_blocks(struct trial *t)
{
	struct flight flight;
	struct flight part = {.iov = {.iov_base = t->data}};

	put_blocks(t, 0, 64, 1000);
	put_blocks(t, 100, 64, 3000);
	assert_int_equal(pool_sync(t->rig.pool), 0);
	put(t, 8 + 3, 2, 11);	    /* of the source */
	put(t, 101 * 8 + 6, 2, 12); /* of the target: it goes */
	copy_send(&t->volume, &flight, 0, 100, 64);
	fill(t->data, SECTOR, 13);
	change_send(&t->volume, &part, BLOCK_WRITE, 102 * 8 + 1, 1);
	assert_int_equal(flight_land(&flight), 0);
	assert_int_equal(flight_land(&part), 0);
	holds(t, 100 * 8, 8, 1000);
	holds(t, 101 * 8, 3, 1001);
	holds(t, 101 * 8 + 3, 2, 11);
	holds(t, 101 * 8 + 5, 3, 1001);
	holds(t, 102 * 8, 1, 1002);
	holds(t, 102 * 8 + 1, 1, 13);
	holds(t, 102 * 8 + 2, 6, 1002);
	put(t, 103 * 8, 1, 14);
	assert_int_equal(rig_io(&t->volume, BLOCK_FLUSH, 0, NULL, 0), 0);
	crash(t);
	holds(t, 101 * 8, 3, 1001);
	holds(t, 101 * 8 + 3, 2, 11);
	holds(t, 102 * 8 + 1, 1, 13);
	holds(t, 102 * 8 + 2, 6, 1002);
	holds(t, 103 * 8, 1, 14);
	holds(t, 103 * 8 + 1, 7, 1003);
}

/* Large trims live on in the deltas, and cut by age. */
static void trims(struct trial *t)
{
	put_blocks(t, 0, 200, 1000);
	put_blocks(t, 512, 200, 3000);
	assert_int_equal(rig_io(&t->volume, BLOCK_DISCARD, 512 * RIG_BLOCK, NULL, 200 * RIG_BLOCK),
			 0);
	assert_int_equal(rig_io(&t->volume, BLOCK_DISCARD, 0, NULL, 50 * RIG_BLOCK), 0);
	assert_int_equal(copy(t, 0, 512, 200), 0);
	holds(t, 512 * 8, 50 * 8, 0);
	holds_blocks(t, 562, 150, 1050);
	assert_int_equal(rig_io(&t->volume, BLOCK_DISCARD, 600 * RIG_BLOCK, NULL, 100 * RIG_BLOCK),
			 0);
	assert_int_equal(rig_io(&t->volume, BLOCK_FLUSH, 0, NULL, 0), 0);
	crash(t);
	holds(t, 512 * 8, 50 * 8, 0);
	holds_blocks(t, 562, 38, 1050);
	holds(t, 600 * 8, 100 * 8, 0);
	holds_blocks(t, 50, 150, 1050);
}

/* A trim of more pages of the map than one checkpoint reads goes on behind it, by its seq: what was
 * copied is older, and came later. */
static void trims_that_go_on(struct trial *t)
{
	const struct pool_volume_params params = {.size_bytes = 2 * PAGES_TRIMMED * PAGE_SPAN};
	const struct rig_volume small = t->volume;

	assert_int_equal(pool_volume_create(t->rig.pool, "big", &params, NULL), 0);
	assert_int_equal(rig_volume_open(&t->rig, "big", &t->volume), 0);
	for (uint64_t i = 0; i < PAGES_TRIMMED; i++)
		put(t, i * PAGE_SPAN / SECTOR, 8, 7);
	put_blocks(t, PAGES_TRIMMED * PAGE_SPAN / RIG_BLOCK, 64, 1000);
	assert_int_equal(pool_sync(t->rig.pool), 0);
	assert_int_equal(rig_io(&t->volume, BLOCK_DISCARD, 0, NULL, PAGES_TRIMMED * PAGE_SPAN), 0);
	assert_int_equal(copy(t, PAGES_TRIMMED * PAGE_SPAN / RIG_BLOCK,
			      (PAGES_TRIMMED - 1) * PAGE_SPAN / RIG_BLOCK, 64),
			 0);
	holds_blocks(t, (PAGES_TRIMMED - 1) * PAGE_SPAN / RIG_BLOCK, 64, 1000);
	for (unsigned i = 0; i < SYNCS; i++)
		assert_int_equal(pool_sync(t->rig.pool), 0);
	holds_blocks(t, (PAGES_TRIMMED - 1) * PAGE_SPAN / RIG_BLOCK, 64, 1000);
	rig_volume_close(&t->volume);
	t->volume = small;
}

/* A snapshot in the midst has the one or the other; verbs wait for it. */
static void snapshots_and_verbs(struct trial *t)
{
	const char *const name = "a@s";
	struct flight flight;
	struct rig_volume snapshot;

	put_blocks(t, 0, 100, 1000);
	copy_send(&t->volume, &flight, 0, 512, 100);
	assert_int_equal(pool_snapshot_create(t->rig.pool, &name, 1, NULL), 0);
	assert_int_equal(flight_land(&flight), 0);
	assert_int_equal(pool_sync(t->rig.pool), 0);
	assert_int_equal(rig_volume_open(&t->rig, "a@s", &snapshot), 0);
	assert_int_equal(rig_io(&snapshot, BLOCK_READ, 50 * RIG_BLOCK, t->data, RIG_BLOCK), 0);
	assert_int_equal(t->data[0], (uint8_t)1050);
	rig_volume_close(&snapshot);
	copy_send(&t->volume, &flight, 0, 700, 100);
	assert_int_equal(pool_volume_resize(t->rig.pool, "a", 720 * RIG_BLOCK, NULL), 0);
	assert_true(flight.ended);
	assert_int_equal(block_refresh(t->volume.device, NULL), 0);
	holds_blocks(t, 700, 20, 1000);
	holds_blocks(t, 512, 100, 1000);
	assert_int_equal(pool_snapshot_destroy(t->rig.pool, "a@s", NULL), 0);
	assert_int_equal(status_now(t).data_bytes, 100 * RIG_BLOCK);
	assert_int_equal(status_now(t).shared_bytes, 120 * RIG_BLOCK);
}

/* Whoever asked copies by data then. */
static void refused(struct trial *t)
{
	struct flight flight;

	/* A checkpoint would cost more. */
	put_blocks(t, 0, 100, 1000);
	assert_int_equal(copy(t, 0, 512, 4), -EOPNOTSUPP);
	assert_int_equal(copy(t, 0, 512, 100), 0);
	/* Too many references; the first ones may be made. */
	for (unsigned i = 1; i < 255; i++)
		assert_int_equal(copy(t, 0, i, 1), 0);
	assert_int_equal(copy(t, 0, 900, 1), -EOPNOTSUPP);
	/* Beyond the end. */
	assert_int_equal(copy(t, BLOCKS - 1, 0, 2), -ENXIO);
	assert_int_equal(copy(t, 0, BLOCKS - 1, 2), -ENXIO);
	/* Near a limit the numbers would not hold. */
	assert_int_equal(pool_volume_set(t->rig.pool, "a", POOL_VOLUME_REFQUOTA, BYTES, NULL), 0);
	assert_int_equal(copy(t, 520, 700, 50), -EOPNOTSUPP);
	assert_int_equal(pool_volume_set(t->rig.pool, "a", POOL_VOLUME_REFQUOTA, 0, NULL), 0);
	assert_int_equal(copy(t, 520, 700, 50), 0);
	/* Somebody waits for its requests to end. */
	put(t, 3, 1, 7);
	block_hurry(t->volume.channel, true);
	copy_send(&t->volume, &flight, 520, 800, 50);
	assert_int_equal(flight_land(&flight), -EOPNOTSUPP);
	block_hurry(t->volume.channel, false);
}

/* The power goes in the midst: a copy that did not end is there, or not, block by block. */
static void cut_in_the_midst(struct trial *t)
{
	struct flight flight;

	put_blocks(t, 0, 200, 1000);
	put_blocks(t, 512, 200, 3000);
	assert_int_equal(pool_sync(t->rig.pool), 0);
	copy_send(&t->volume, &flight, 0, 512, 200);
	fiber_sleep_ns(NS_PER_MS / 10);
	rig_power_cut(&t->rig);
	if (!flight.ended)
		assert_int_equal(flight_land(&flight), -EIO);
	crash(t);
	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(
			rig_io(&t->volume, BLOCK_READ, (512 + i) * RIG_BLOCK, t->data, SECTOR), 0);
		assert_true(le32_get(t->data) == 1000 + i || le32_get(t->data) == 3000 + i);
	}
	holds_blocks(t, 0, 200, 1000);
}

/* --- The model -------------------------------------------------------------------------------- */

#define CELLS 2048 /* sectors of the volume */
#define SINCE 12

struct cell {
	uint32_t now, durable;
	uint32_t since[SINCE]; /* values it had since it was durable, `now` among them */
	unsigned count;
};

struct life {
	struct trial t;
	uint32_t stamp;
	bool cut;
	struct cell cells[CELLS];
};

static void cell_set(struct cell *cell, uint32_t value)
{
	cell->now = value;
	if (cell->count < SINCE)
		cell->since[cell->count] = value;
	cell->count++;
}

static void cells_flushed(struct life *life)
{
	for (unsigned i = 0; i < CELLS; i++) {
		life->cells[i].durable = life->cells[i].now;
		life->cells[i].count = 0;
	}
}

static bool cell_may_be(const struct cell *cell, uint32_t value)
{
	if (value == cell->durable || cell->count > SINCE)
		return true;
	for (unsigned i = 0; i < cell->count; i++) {
		if (cell->since[i] == value)
			return true;
	}
	return false;
}

static uint32_t sector_read(struct life *life, unsigned sector)
{
	const int r = rig_io(&life->t.volume, BLOCK_READ, (uint64_t)sector * SECTOR, life->t.data,
			     SECTOR);

	/* The power may go at any time. */
	if (r < 0 && life->cut)
		return 0;
	assert_int_equal(r, 0);
	for (unsigned i = 0; i < SECTOR; i += 4)
		assert_int_equal(le32_get(life->t.data + i), le32_get(life->t.data));
	return le32_get(life->t.data);
}

struct place {
	unsigned first, count; /* sectors */
};

static struct place place_pick(struct life *life)
{
	struct random *r = &life->t.rig.random;
	struct place p = {.count = 1 + (unsigned)random_below(r, 64)};

	if (random_chance(r, 1, 2))
		p.count = (p.count + 7) / 8 * 8;
	p.first = (unsigned)random_below(r, CELLS - p.count + 1);
	if (random_chance(r, 1, 2))
		p.first = p.first / 8 * 8;
	return p;
}

static enum block_op change_pick(struct life *life)
{
	const uint64_t dice = random_below(&life->t.rig.random, 8);

	return dice == 0 ? BLOCK_DISCARD : dice == 1 ? BLOCK_WRITE_ZEROES : BLOCK_WRITE;
}

static void change_begin(struct life *life, struct flight *flight, enum block_op op,
			 struct place place)
{
	flight->iov.iov_base = aligned_alloc(RIG_BLOCK, (size_t)64 * SECTOR);
	fill(flight->iov.iov_base, (size_t)place.count * SECTOR, ++life->stamp);
	for (unsigned i = 0; i < place.count; i++)
		cell_set(&life->cells[place.first + i], op == BLOCK_WRITE ? life->stamp : 0);
	change_send(&life->t.volume, flight, op, place.first, place.count);
}

static void change_end(struct life *life, struct flight *flight)
{
	const int r = flight_land(flight);

	free(flight->iov.iov_base);
	if (r < 0 && !life->cut)
		fail_msg("seed %llu: a change failed: %d", (unsigned long long)life->t.rig.seed, r);
}

static bool overlap(struct place a, struct place b)
{
	return a.first < b.first + b.count && b.first < a.first + a.count;
}

/* What was copied comes to light when a crash loses what was written over it. */
static void beneath(struct cell *cell, uint32_t a, uint32_t b)
{
	const uint32_t now = cell->now;

	cell_set(cell, a);
	cell_set(cell, b);
	cell_set(cell, now);
}

struct copied {
	struct place from, to, beside; /* count 0: none */
	const struct cell *before;
};

/* What the target holds in the end: the source as it was at some time of it, or a change beside. */
static void copied_check(struct life *life, const struct copied *copied, int result)
{
	const struct place to = copied->to;
	const struct place from = copied->from;
	const struct place beside = copied->beside;
	const struct cell *before = copied->before;

	for (unsigned i = 0; i < to.count; i++) {
		struct cell *cell = &life->cells[to.first + i];
		const struct cell *source = &life->cells[from.first + i];
		const uint32_t old = before[to.first + i].now;
		const uint32_t got = sector_read(life, to.first + i);
		const bool changed =
			to.first + i >= beside.first && to.first + i < beside.first + beside.count;
		const bool from_source = got == source->now || got == before[from.first + i].now;

		if (life->cut)
			return;
		if (changed ? got != cell->now : !(from_source || (result < 0 && got == old)))
			fail_msg("seed %llu: sector %u is %u (was %u, wants %u or %u, %schanged "
				 "beside) after copy of %u to %u, %u sectors: %d",
				 (unsigned long long)life->t.rig.seed, to.first + i, got, old,
				 before[from.first + i].now, changed ? cell->now : source->now,
				 changed ? "" : "not ", from.first, to.first, to.count, result);
		if (changed) {
			beneath(cell, source->now, before[from.first + i].now);
			continue;
		}
		cell_set(cell, got);
		if (result == 0) {
			cell->durable = got;
			cell->count = 0;
		}
	}
}

/* A copy with a change beside it, often about the same place. */
static void copy_step(struct life *life)
{
	struct random *r = &life->t.rig.random;
	struct cell *before = malloc(sizeof(life->cells));
	struct place from = {.count = 8 * (1 + (unsigned)random_below(r, 100))};
	struct place to = {.count = from.count};
	struct place place = place_pick(life);
	const bool beside = random_chance(r, 2, 3);
	struct flight copy = {.ended = false};
	struct flight change = {.ended = false};
	struct copied copied;
	int result;

	do {
		from.first = 8 * (unsigned)random_below(r, (CELLS - from.count) / 8 + 1);
		to.first = 8 * (unsigned)random_below(r, (CELLS - to.count) / 8 + 1);
	} while (overlap(from, to));
	if (random_chance(r, 1, 2)) {
		place.first = random_chance(r, 1, 2) ? to.first : from.first;
		place.first += (unsigned)random_below(r, to.count);
		place.first = MIN(place.first, CELLS - place.count);
	}
	memcpy(before, life->cells, sizeof(life->cells));
	copy_send(&life->t.volume, &copy, from.first / 8, to.first / 8, to.count / 8);
	if (beside) {
		if (random_chance(r, 1, 2))
			fiber_sleep_ns(random_below(r, NS_PER_MS));
		change_begin(life, &change, change_pick(life), place);
	}
	result = flight_land(&copy);
	if (beside)
		change_end(life, &change);
	if (!life->cut && result < 0 && result != -EOPNOTSUPP)
		fail_msg("seed %llu: a copy failed: %d", (unsigned long long)life->t.rig.seed,
			 result);
	copied = (struct copied){from, to, beside ? place : (struct place){0, 0}, before};
	if (!life->cut)
		copied_check(life, &copied, result);
	/* Now, or while it was looked at. */
	for (unsigned i = 0; life->cut && i < to.count; i++) {
		cell_set(&life->cells[to.first + i], before[from.first + i].now);
		cell_set(&life->cells[to.first + i], life->cells[from.first + i].now);
	}
	free(before);
}

static void life_step(struct life *life)
{
	struct random *r = &life->t.rig.random;
	const uint64_t dice = random_below(r, 100);
	struct flight flight = {.ended = false};
	const char *const name = "a@s";

	if (dice < 60) {
		change_begin(life, &flight, change_pick(life), place_pick(life));
		change_end(life, &flight);
	} else if (dice < 90) {
		copy_step(life);
	} else if (dice < 95) {
		if (rig_io(&life->t.volume, BLOCK_FLUSH, 0, NULL, 0) == 0)
			cells_flushed(life);
	} else if (dice < 97) {
		if (pool_snapshot_create(life->t.rig.pool, &name, 1, NULL) == 0)
			cells_flushed(life);
		else
			(void)!pool_snapshot_destroy(life->t.rig.pool, name, NULL);
	} else if (pool_sync(life->t.rig.pool) == 0) {
		cells_flushed(life);
	}
}

struct cutter {
	struct loop_timer timer;
	struct life *life;
};

static void cut_now(struct loop_timer *timer)
{
	struct cutter *cutter = container_of(timer, struct cutter, timer);

	cutter->life->cut = true;
	rig_power_cut(&cutter->life->t.rig);
}

static void life_check(struct life *life, bool crashed)
{
	for (unsigned i = 0; i < CELLS; i++) {
		const uint32_t got = sector_read(life, i);

		if (crashed ? !cell_may_be(&life->cells[i], got) : got != life->cells[i].now)
			fail_msg("seed %llu: sector %u is %u, not %u (durable %u)",
				 (unsigned long long)life->t.rig.seed, i, got, life->cells[i].now,
				 life->cells[i].durable);
	}
}

static void life_run(void *arg)
{
	struct life *life = arg;
	struct random *r = &life->t.rig.random;
	struct cutter cutter = {.life = life};
	const bool cuts = life->t.rig.seed % 2 == 0;

	loop_timer_init(&cutter.timer, cut_now);
	if (cuts)
		loop_timer_arm(life->t.rig.loop, &cutter.timer,
			       loop_now_ns(life->t.rig.loop) + random_below(r, 40 * NS_PER_MS));
	for (unsigned i = 0; i < 120 && !life->cut; i++)
		life_step(life);
	loop_timer_disarm(life->t.rig.loop, &cutter.timer);
	if (cuts)
		crash(&life->t);
	life_check(life, cuts);
}

/* --- Running them ----------------------------------------------------------------------------- */

struct run {
	struct trial *trial;
	uint64_t bytes;
	void (*test)(struct trial *t);
	void (*model)(void *arg);
};

static void run_begin(void *arg)
{
	struct run *run = arg;
	const struct pool_volume_params params = {.size_bytes = run->bytes};

	rig_format(&run->trial->rig);
	assert_int_equal(rig_open(&run->trial->rig), 0);
	assert_int_equal(pool_volume_create(run->trial->rig.pool, "a", &params, NULL), 0);
	assert_int_equal(rig_volume_open(&run->trial->rig, "a", &run->trial->volume), 0);
	if (run->test)
		run->test(run->trial);
	else
		run->model(run->trial);
	trial_close(run->trial);
}

static void run(struct run *run, uint64_t seed)
{
	struct inspect_rig inspect = {.data = true};

	rig_init(&run->trial->rig, seed, 1 + seed % 2,
		 run->test == trims_that_go_on ? 256 * MiB : 64 * MiB);
	run->trial->rig.mirror = seed % 4 == 1;
	run->trial->rig.autotrim = seed % 3 == 0;
	run->trial->rig.delta_records = 1024;
	run->trial->data = aligned_alloc(RIG_BLOCK, 64 * RIG_BLOCK);
	rig_run(&run->trial->rig, run_begin, run);
	inspect_rig_run(&run->trial->rig, &inspect);
	if (!inspect_rig_sound(&inspect))
		fail_msg("seed %llu: %s", (unsigned long long)seed, inspect.first);
	inspect_rig_fini(&inspect);
	rig_fini(&run->trial->rig);
	free(run->trial->data);
}

static void each(void **state)
{
	void (*const tests[])(struct trial *) = {
		shares,
		costs_little,
		many_for_one_checkpoint,
		parts_of_blocks,
		trims,
		trims_that_go_on,
		snapshots_and_verbs,
		refused,
		cut_in_the_midst,
	};
	struct trial *trial = calloc(1, sizeof(*trial));

	for (unsigned i = 0; i < ARRAY_SIZE(tests); i++) {
		struct run r = {.trial = trial, .bytes = BYTES, .test = tests[i]};

		memset(trial, 0, sizeof(*trial));
		run(&r, 40 + i);
	}
	free(trial);
}

static void against_a_model(void **state)
{
	const char *one = getenv("QUOIN_COPIES_SEED");
	const char *many = getenv("QUOIN_COPIES_SEEDS");
	const uint64_t first = one ? strtoull(one, NULL, 0) : 1;
	const uint64_t count = one ? 1 : many ? strtoull(many, NULL, 0) : SEEDS_DEFAULT;
	struct life *life = malloc(sizeof(*life));

	for (uint64_t seed = first; seed < first + count; seed++) {
		struct run r = {
			.trial = &life->t, .bytes = (uint64_t)CELLS * SECTOR, .model = life_run};

		memset(life, 0, sizeof(*life));
		run(&r, seed);
	}
	free(life);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each),
		cmocka_unit_test(against_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

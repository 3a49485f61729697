/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guests at work while their image arrives from a source that fails, stalls and dies, and power
 * that goes at any moment. The model of a block is the image's content and then each of the guest's
 * since; a read must give the newest, and after a cut one that is not older than the newest that
 * was flushed. At the end the volume is the image overlaid with what guests wrote.
 *
 * QUOIN_IMAGE_SEEDS: how many worlds (default 30); QUOIN_IMAGE_SEED: one alone.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <quoin/base_text.h>
#include <quoin/codec.h>

#include "image_rig.h"

#define GUESTS 4
#define REGION (RIG_BLOCKS / GUESTS)
#define HISTORY 40
#define RUN_MAX 300 /* blocks of a request */
#define CUTS 3

struct history {
	unsigned count, done;
	uint64_t checks[HISTORY]; /* oldest allowed first */
};

struct guest {
	struct world *world;
	struct loop *loop;
	uint64_t first; /* block */
	struct block_device *device;
	struct block_channel *channel;
	struct random random;
	bool ended;
	uint8_t *buffer;
};

struct world {
	struct image_rig rig;
	struct history blocks[RIG_BLOCKS];
	struct guest guests[GUESTS];
	bool stop, cut;
};

static uint64_t check_of(const void *block)
{
	return codec_check64(block, RIG_BLOCK, 0);
}

static void broken(const struct world *w, uint64_t block, const char *what)
{
	fail_msg("seed %llu: block %llu: %s", (unsigned long long)w->rig.seed,
		 (unsigned long long)block, what);
}

/* --- The model ------------------------------------------------------------------------------- */

static void model_begin(struct world *w)
{
	for (uint64_t b = 0; b < RIG_BLOCKS; b++) {
		w->blocks[b].count = 1;
		w->blocks[b].done = 0;
		w->blocks[b].checks[0] = check_of(w->rig.image + b * RIG_BLOCK);
	}
}

static void model_try(struct world *w, uint64_t block, const void *data)
{
	struct history *h = &w->blocks[block];

	assert_true(h->count < HISTORY);
	h->checks[h->count++] = check_of(data);
}

/* What came before the newest that is done cannot come back. */
static void model_durable(struct world *w, uint64_t block)
{
	struct history *h = &w->blocks[block];

	memmove(h->checks, h->checks + h->done, (h->count - h->done) * sizeof(*h->checks));
	h->count -= h->done;
	h->done = 0;
}

static bool model_allows(const struct history *h, uint64_t check)
{
	for (unsigned i = 0; i < h->count; i++)
		if (h->checks[i] == check)
			return true;
	return false;
}

/* --- Guests ---------------------------------------------------------------------------------- */

static int guest_io(struct guest *g, enum block_op op, uint64_t block, size_t blocks, bool fua)
{
	const bool data = op == BLOCK_READ || op == BLOCK_WRITE;

	return arrival_io(g->channel, &(struct arrival_span){.op = op,
							     .flags = fua ? BLOCK_FUA : 0,
							     .offset = block * RIG_BLOCK,
							     .data = data ? g->buffer : NULL,
							     .length = blocks * RIG_BLOCK});
}

static void guest_read(struct guest *g, uint64_t block, size_t blocks)
{
	struct world *w = g->world;

	if (guest_io(g, BLOCK_READ, block, blocks, false) < 0) {
		if (!w->cut)
			broken(w, block, "a read fails");
		return;
	}
	for (size_t i = 0; i < blocks; i++) {
		const struct history *h = &w->blocks[block + i];

		if (check_of(g->buffer + i * RIG_BLOCK) != h->checks[h->done])
			broken(w, block + i, "a read gives something else");
	}
}

static void guest_flush(struct guest *g)
{
	struct world *w = g->world;

	if (guest_io(g, BLOCK_FLUSH, 0, 0, false) < 0) {
		if (!w->cut)
			broken(w, g->first, "a flush fails");
		return;
	}
	for (uint64_t b = g->first; b < g->first + REGION; b++)
		model_durable(w, b);
}

static void guest_change(struct guest *g, enum block_op op, uint64_t block, size_t blocks)
{
	struct world *w = g->world;
	const bool fua = random_chance(&g->random, 1, 8);

	memset(g->buffer, 0, blocks * RIG_BLOCK);
	for (size_t i = 0; i < blocks; i++) {
		if (op == BLOCK_WRITE && !random_chance(&g->random, 1, 20))
			random_fill(&g->random, g->buffer + i * RIG_BLOCK, RIG_BLOCK);
		model_try(w, block + i, g->buffer + i * RIG_BLOCK);
	}
	if (guest_io(g, op, block, blocks, fua && op != BLOCK_DISCARD) < 0) {
		if (!w->cut)
			broken(w, block, "a change fails");
		return;
	}
	for (size_t i = 0; i < blocks; i++) {
		w->blocks[block + i].done = w->blocks[block + i].count - 1;
		if (fua && op != BLOCK_DISCARD)
			model_durable(w, block + i);
	}
}

static bool full(const struct guest *g)
{
	for (uint64_t b = g->first; b < g->first + REGION; b++)
		if (g->world->blocks[b].count + 1 >= HISTORY)
			return true;
	return false;
}

static void guest_step(struct guest *g)
{
	const unsigned what = (unsigned)random_below(&g->random, 100);
	const size_t longest = what < 10 ? RUN_MAX : 8;
	const size_t blocks = 1 + random_below(&g->random, longest);
	const uint64_t block = g->first + random_below(&g->random, REGION - blocks + 1);

	if (what < 5)
		guest_change(g, BLOCK_WRITE_ZEROES, block, blocks);
	else if (what < 10)
		guest_change(g, BLOCK_DISCARD, block, blocks);
	else if (what < 55)
		guest_change(g, BLOCK_WRITE, block, blocks);
	else if (what < 90)
		guest_read(g, block, blocks);
	else
		guest_flush(g);
}

static void guest_main(void *arg)
{
	struct guest *g = arg;

	assert_int_equal(block_channel_open(g->device, g->loop, &g->channel), 0);
	while (!g->world->stop && !g->world->cut) {
		guest_step(g);
		if (full(g))
			guest_flush(g);
		fiber_sleep_ns(random_below(&g->random, 2 * NS_PER_MS));
	}
	block_channel_close(g->channel);
	g->channel = NULL;
	g->ended = true;
}

static void guests_start(struct world *w)
{
	w->stop = w->cut = false;
	for (unsigned i = 0; i < GUESTS; i++) {
		struct guest *g = &w->guests[i];

		*g = (struct guest){.world = w,
				    .loop = i % 2 ? w->rig.other : w->rig.loop,
				    .first = i * REGION,
				    .buffer = g->buffer};
		random_init(&g->random, random_u64(&w->rig.random));
		g->device = arrival_device_new(job_arrival(w->rig.job), false, "vol");
		assert_int_equal(fiber_start(g->loop, false, guest_main, g, NULL), 0);
	}
}

static void guests_end(void *arg)
{
	struct world *w = arg;

	for (unsigned i = 0; i < GUESTS; i++) {
		while (!w->guests[i].ended) {
			if (w->cut && w->guests[i].channel)
				block_hurry(w->guests[i].channel, true);
			fiber_sleep_ns(NS_PER_MS);
		}
		block_close(w->guests[i].device);
	}
}

/* --- A world ---------------------------------------------------------------------------------- */

/* What the crash left of a block is what the model goes on from. */
static void settle_on(struct world *w, uint64_t block, const void *data)
{
	struct history *h = &w->blocks[block];

	if (!model_allows(h, check_of(data)))
		broken(w, block, "holds what nobody wrote, or lost what was flushed");
	h->checks[0] = check_of(data);
	h->count = 1;
	h->done = 0;
}

/* Everything, as a guest sees it: all of the image is fetched for it. */
static void look(struct world *w)
{
	struct guest *g = &w->guests[0];

	g->device = arrival_device_new(job_arrival(w->rig.job), true, "vol");
	assert_int_equal(block_channel_open(g->device, w->rig.loop, &g->channel), 0);
	for (uint64_t b = 0; b < RIG_BLOCKS; b++) {
		assert_int_equal(guest_io(g, BLOCK_READ, b, 1, false), 0);
		settle_on(w, b, g->buffer);
	}
	block_channel_close(g->channel);
	block_close(g->device);
}

/* Everything, as a guest would see it: by the rules, from what is on the drives. */
static void peek(struct world *w)
{
	static const uint8_t zero[RIG_BLOCK];
	const struct arrival *arrival = job_arrival(w->rig.job);
	uint8_t block[RIG_BLOCK];

	for (uint64_t b = 0; b < RIG_BLOCKS; b++) {
		const uint64_t piece = b * RIG_BLOCK / ARRIVAL_PIECE_BYTES;

		disk_sim_peek(w->rig.drives[0], b * RIG_BLOCK, block, RIG_BLOCK);
		if (piece < arrival->piece_count && !arrival_is_here(arrival, piece) &&
		    memcmp(block, zero, RIG_BLOCK) == 0)
			memcpy(block, w->rig.image + b * RIG_BLOCK, RIG_BLOCK);
		settle_on(w, b, block);
	}
}

static void end_check(struct world *w)
{
	struct block_channel *channel;

	assert_int_equal(block_channel_open(w->rig.devices[0], w->rig.loop, &channel), 0);
	for (uint64_t b = 0; b < RIG_BLOCKS; b++) {
		const struct history *h = &w->blocks[b];

		assert_int_equal(
			arrival_io(channel, &(struct arrival_span){.op = BLOCK_READ,
								   .offset = b * RIG_BLOCK,
								   .data = w->guests[0].buffer,
								   .length = RIG_BLOCK}),
			0);
		if (check_of(w->guests[0].buffer) != h->checks[h->done])
			broken(w, b, "is not the image overlaid with what guests wrote");
	}
	block_channel_close(channel);
}

static void life(void *arg)
{
	struct world *w = arg;
	struct image_rig *rig = &w->rig;
	struct record record = rig_record(rig);
	const unsigned kind = (unsigned)(rig->seed % 3);

	record.flags = kind == 1 ? RECORD_SHA256 : kind == 2 ? RECORD_DIGESTS : 0;
	rig_image_sha256(rig, record.sha256);
	rig_create(rig, &record);
	for (unsigned cut = 0; cut < CUTS; cut++) {
		assert_int_equal(rig_start(rig), 0);
		if (random_chance(&rig->random, 1, 4))
			look(w);
		else
			peek(w);
		guests_start(w);
		fiber_sleep_ns(random_below(&rig->random, 150 * NS_PER_MS));
		w->cut = true;
		rig_power_cut(rig, guests_end, w);
		rig->settled = false;
	}
	assert_int_equal(rig_start(rig), 0);
	peek(w);
	guests_start(w);
	rig_wait_done(rig);
	w->stop = true;
	guests_end(w);
	end_check(w);
	rig_stop(rig);
}

static void world_run(uint64_t seed)
{
	struct world *w = xcalloc(1, sizeof(*w));
	uint8_t *buffers = aligned_alloc(RIG_BLOCK, (size_t)GUESTS * RUN_MAX * RIG_BLOCK);

	rig_init(&w->rig, seed);
	for (unsigned i = 0; i < GUESTS; i++)
		w->guests[i].buffer = buffers + (size_t)i * RUN_MAX * RIG_BLOCK;
	model_begin(w);
	if (seed % 4 != 0)
		w->rig.plan =
			(struct fake_plan){.fail = 20, .die = 5, .stall = 2, .open_fails = 200};
	w->rig.plan.in_order = seed % 4 == 3;
	rig_run(&w->rig, life, w);
	rig_fini(&w->rig);
	free(buffers);
	free(w);
}

static void guests_and_power_cuts(void **state)
{
	const char *seeds = getenv("QUOIN_IMAGE_SEEDS");
	const char *seed = getenv("QUOIN_IMAGE_SEED");
	const uint64_t count = seeds ? strtoull(seeds, NULL, 10) : 30;

	if (seed) {
		world_run(strtoull(seed, NULL, 10));
		return;
	}
	for (uint64_t i = 1; i <= count; i++)
		world_run(i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guests_and_power_cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

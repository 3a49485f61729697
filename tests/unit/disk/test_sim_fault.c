/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated drive that breaks its word: each kind of fault, chosen and by chance. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "rig.h"

#define BLOCK 4096

/* Nothing that is unflushed survives. */
static const struct disk_sim_params strict = {
	.seed = 5,
	.size_bytes = MiB,
	.logical_block_bytes = BLOCK,
	.discard = true,
	.discard_zeroes = true,
	.plan = {.latency_min_ns = 1000,
		 .latency_max_ns = 9000,
		 .stall_min_ns = NS_PER_MS,
		 .stall_max_ns = 60 * NS_PER_S},
};

struct world {
	struct rig rig;
	struct disk_sim *sim;
	uint8_t data[2 * BLOCK];
};

static void reopen(struct world *w)
{
	struct disk *disk;

	rig_close(&w->rig);
	assert_int_equal(disk_sim_open(w->sim, &disk), 0);
	rig_use(&w->rig, disk);
}

static void world_init(struct world *w, const struct disk_sim_params *params)
{
	struct disk *disk;

	w->sim = disk_sim_new(params);
	rig_init_sim(&w->rig, params->seed);
	assert_int_equal(disk_sim_open(w->sim, &disk), 0);
	rig_use(&w->rig, disk);
}

static void world_fini(struct world *w)
{
	rig_fini(&w->rig);
	disk_sim_free(w->sim);
}

static void power_cycle(struct world *w)
{
	disk_sim_power_cut(w->sim);
	reopen(w);
}

static int put(struct world *w, unsigned flags, uint64_t offset, uint8_t value)
{
	memset(w->data, value, BLOCK);
	return rig_do(&w->rig, DISK_WRITE | flags, offset, w->data, BLOCK);
}

static int get(struct world *w, uint64_t offset)
{
	memset(w->data, 0xEE, BLOCK);
	return rig_do(&w->rig, DISK_READ, offset, w->data, BLOCK);
}

static int flush(struct world *w)
{
	return rig_do(&w->rig, DISK_FLUSH, 0, NULL, 0);
}

/* The first byte there. */
static uint8_t at(const struct world *w, uint64_t offset)
{
	uint8_t byte;

	disk_sim_peek(w->sim, offset, &byte, 1);
	return byte;
}

static void chosen(struct world *w, enum disk_sim_fault_kind kind, unsigned ops, uint64_t argument)
{
	const struct disk_sim_fault fault = {
		.kind = kind, .ops = ops, .count = 1, .argument = argument};

	assert_int_equal(disk_sim_fault_add(w->sim, &fault), 0);
}

static void always(struct world *w, enum disk_sim_fault_kind kind)
{
	struct disk_sim_plan plan = strict.plan;

	plan.fault_ppm[kind] = DISK_SIM_ALWAYS;
	disk_sim_plan_set(w->sim, &plan);
}

static uint64_t struck(const struct world *w, enum disk_sim_fault_kind kind)
{
	struct disk_sim_stats stats;

	disk_sim_stats_get(w->sim, &stats);
	return stats.faults[kind];
}

static unsigned wrong_bits(const struct world *w, uint8_t value)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < BLOCK; i++)
		bits += (unsigned)__builtin_popcount(w->data[i] ^ value);
	return bits;
}

/* How many of `blocks` blocks that went from 1 to 2 are neither, after a cut. */
static unsigned torn_blocks(uint32_t tear_bytes, unsigned tear_percent, unsigned blocks)
{
	struct disk_sim_params params = strict;
	struct world w;
	unsigned torn = 0;

	params.tear_bytes = tear_bytes;
	params.plan.survive_percent = 50;
	params.plan.tear_percent = tear_percent;
	world_init(&w, &params);
	for (unsigned i = 0; i < blocks; i++)
		assert_int_equal(put(&w, 0, i * BLOCK, 1), 0);
	assert_int_equal(flush(&w), 0);
	for (unsigned i = 0; i < blocks; i++)
		assert_int_equal(put(&w, 0, i * BLOCK, 2), 0);
	power_cycle(&w);
	for (unsigned i = 0; i < blocks; i++) {
		unsigned twos = 0;

		assert_int_equal(get(&w, i * BLOCK), 0);
		for (unsigned j = 0; j < BLOCK; j += 512) {
			assert_in_range(w.data[j], 1, 2);
			assert_memory_equal(w.data + j, w.data + j + 1, 511);
			twos += w.data[j] == 2;
		}
		torn += twos != 0 && twos != BLOCK / 512;
	}
	world_fini(&w);
	return torn;
}

static void torn_writes(void **state)
{
	assert_int_equal(torn_blocks(0, 50, 64), 0);
	assert_int_equal(torn_blocks(BLOCK, 50, 64), 0);
	assert_int_equal(torn_blocks(512, 0, 64), 0);
	assert_in_range(torn_blocks(512, 50, 64), 16, 48);
	assert_in_range(torn_blocks(512, 100, 64), 56, 64);
}

static void done(struct disk_request *request)
{
}

/* A write in flight is torn as well, and a block can be torn by a failed write. */
static void torn_in_flight(void **state)
{
	const struct disk_sim_fault fault = {.ops = 1 << DISK_WRITE, .count = 1, .result = -EIO};
	struct disk_sim_params params = strict;
	struct world w;
	struct iovec iov = {.iov_base = w.data, .iov_len = BLOCK};
	struct disk_request request = {
		.op = DISK_WRITE, .length_bytes = BLOCK, .iov = &iov, .iov_count = 1, .done = done};
	unsigned twos = 0;

	params.tear_bytes = 512;
	params.plan.survive_percent = 80; /* the dice fall twice: in flight, then unflushed */
	params.plan.tear_percent = 100;
	world_init(&w, &params);
	memset(w.data, 2, BLOCK);
	disk_submit(w.rig.channel, &request);
	disk_sim_power_cut(w.sim);
	assert_int_equal(flush(&w), -EIO);
	assert_int_equal(request.result, -EIO);
	reopen(&w);
	for (unsigned j = 0; j < BLOCK; j += 512)
		twos += at(&w, j) == 2;
	assert_in_range(twos, 1, 7);
	assert_int_equal(disk_sim_fault_add(w.sim, &fault), 0);
	assert_int_equal(put(&w, 0, BLOCK, 3), -EIO);
	twos = 0;
	for (unsigned j = 0; j < BLOCK; j += 512)
		twos += at(&w, BLOCK + j) == 3;
	assert_in_range(twos, 1, 7);
	world_fini(&w);
}

static void flush_that_lies(void **state)
{
	struct world w;

	world_init(&w, &strict);
	assert_int_equal(put(&w, 0, 0, 1), 0);
	chosen(&w, DISK_SIM_FLUSH_LIE, DISK_SIM_OPS_ALL, 0);
	assert_int_equal(flush(&w), 0);
	power_cycle(&w);
	assert_int_equal(at(&w, 0), 0);
	/* That was the only one. */
	assert_int_equal(put(&w, 0, 0, 1), 0);
	assert_int_equal(flush(&w), 0);
	power_cycle(&w);
	assert_int_equal(at(&w, 0), 1);
	always(&w, DISK_SIM_FLUSH_LIE);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(put(&w, 0, 0, 2), 0);
		assert_int_equal(flush(&w), 0);
		power_cycle(&w);
		assert_int_equal(at(&w, 0), 1);
	}
	assert_int_equal(struck(&w, DISK_SIM_FLUSH_LIE), 11);
	world_fini(&w);
}

static void fua_ignored(void **state)
{
	struct world w;

	world_init(&w, &strict);
	assert_int_equal(put(&w, RIG_FUA, 0, 1), 0);
	always(&w, DISK_SIM_FUA_IGNORE);
	assert_int_equal(put(&w, RIG_FUA, 0, 2), 0);
	assert_int_equal(rig_do(&w.rig, DISK_WRITE_ZEROES | RIG_FUA, BLOCK, NULL, BLOCK), 0);
	assert_int_equal(at(&w, 0), 2);
	power_cycle(&w);
	assert_int_equal(at(&w, 0), 1);
	/* A flush is still a flush. */
	assert_int_equal(put(&w, RIG_FUA, 0, 2), 0);
	assert_int_equal(flush(&w), 0);
	power_cycle(&w);
	assert_int_equal(at(&w, 0), 2);
	assert_int_equal(struck(&w, DISK_SIM_FUA_IGNORE), 3);
	world_fini(&w);
}

static void rot(void **state)
{
	struct world w;

	world_init(&w, &strict);
	for (uint64_t seed = 0; seed < 200; seed++) {
		assert_int_equal(put(&w, RIG_FUA, BLOCK, 7), 0);
		disk_sim_rot(w.sim, BLOCK, BLOCK, seed);
		assert_int_equal(get(&w, BLOCK), 0);
		assert_in_range(wrong_bits(&w, 7), 1, 7);
		power_cycle(&w);
		assert_int_equal(get(&w, BLOCK), 0);
		assert_in_range(wrong_bits(&w, 7), 1, 7);
		assert_int_equal(at(&w, 0) | at(&w, 2 * BLOCK), 0);
	}
	/* In one byte, of which the cache and the medium hold different versions. */
	assert_int_equal(put(&w, RIG_FUA, 0, 7), 0);
	assert_int_equal(put(&w, 0, 0, 8), 0);
	disk_sim_rot(w.sim, 5, 1, 1);
	assert_int_equal(get(&w, 0), 0);
	assert_int_not_equal(w.data[5], 8);
	w.data[5] = 8;
	assert_int_equal(wrong_bits(&w, 8), 0);
	power_cycle(&w);
	assert_int_not_equal(at(&w, 5), 7);
	world_fini(&w);
}

static void corrupted_once(void **state)
{
	struct iovec iov[2];
	struct disk_request request = {
		.op = DISK_READ, .length_bytes = BLOCK, .iov = iov, .iov_count = 2};
	struct world w;

	world_init(&w, &strict);
	assert_int_equal(put(&w, 0, 0, 7), 0);
	chosen(&w, DISK_SIM_CORRUPT, DISK_SIM_OPS_ALL, 0);
	assert_int_equal(put(&w, 0, 0, 7), 0);
	assert_int_equal(get(&w, 0), 0);
	assert_int_equal(wrong_bits(&w, 7), 1);
	assert_int_equal(get(&w, 0), 0);
	assert_int_equal(wrong_bits(&w, 7), 0);
	/* Over pieces. */
	iov[0] = (struct iovec){.iov_base = w.data, .iov_len = 512};
	iov[1] = (struct iovec){.iov_base = w.data + 512, .iov_len = BLOCK - 512};
	always(&w, DISK_SIM_CORRUPT);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(rig_run(&w.rig, &request), 0);
		assert_int_equal(wrong_bits(&w, 7), 1);
	}
	world_fini(&w);
}

static void latent_sectors(void **state)
{
	struct disk_sim_fault fault = {.kind = DISK_SIM_LATENT,
				       .ops = 1 << DISK_READ,
				       .offset = 8 * BLOCK,
				       .length_bytes = BLOCK,
				       .count = 1};
	struct world w;

	world_init(&w, &strict);
	disk_sim_latent_add(w.sim, BLOCK, 2 * BLOCK);
	assert_int_equal(get(&w, 0), 0);
	assert_int_equal(get(&w, BLOCK), -EIO);
	assert_int_equal(get(&w, BLOCK), -EIO);
	assert_int_equal(get(&w, 3 * BLOCK), 0);
	assert_int_equal(rig_do(&w.rig, DISK_READ, 2 * BLOCK, w.data, 2 * BLOCK), -EIO);
	assert_int_equal(put(&w, 0, BLOCK, 1), 0);
	assert_int_equal(get(&w, BLOCK), 0);
	power_cycle(&w);
	assert_int_equal(get(&w, 2 * BLOCK), -EIO);
	assert_int_equal(rig_do(&w.rig, DISK_WRITE_ZEROES, 2 * BLOCK, NULL, BLOCK), 0);
	assert_int_equal(get(&w, 2 * BLOCK), 0);
	/* Found by the first read that touches it. */
	assert_int_equal(disk_sim_fault_add(w.sim, &fault), 0);
	assert_int_equal(rig_do(&w.rig, DISK_READ, 7 * BLOCK, w.data, 2 * BLOCK), -EIO);
	assert_int_equal(get(&w, 7 * BLOCK), 0);
	assert_int_equal(get(&w, 8 * BLOCK), -EIO);
	always(&w, DISK_SIM_LATENT);
	assert_int_equal(get(&w, 9 * BLOCK), -EIO);
	assert_int_equal(put(&w, 0, 9 * BLOCK, 1), 0);
	disk_sim_plan_set(w.sim, &strict.plan);
	assert_int_equal(get(&w, 9 * BLOCK), 0);
	world_fini(&w);
}

static void misdirected(void **state)
{
	struct world w;
	unsigned found = 0;

	world_init(&w, &strict);
	assert_int_equal(put(&w, 0, 0, 1), 0);
	chosen(&w, DISK_SIM_MISDIRECT_WRITE, DISK_SIM_OPS_ALL, 5 * BLOCK);
	assert_int_equal(put(&w, RIG_FUA, 0, 2), 0);
	assert_int_equal(at(&w, 0), 1);
	assert_int_equal(at(&w, 5 * BLOCK), 2);
	chosen(&w, DISK_SIM_MISDIRECT_READ, DISK_SIM_OPS_ALL, 5 * BLOCK);
	assert_int_equal(get(&w, 0), 0);
	assert_int_equal(wrong_bits(&w, 2), 0);
	assert_int_equal(get(&w, 0), 0);
	assert_int_equal(wrong_bits(&w, 1), 0);
	always(&w, DISK_SIM_MISDIRECT_WRITE);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(put(&w, 0, 9 * BLOCK, 3), 0);
	assert_int_equal(at(&w, 9 * BLOCK), 0);
	for (uint64_t o = 0; o < MiB; o += BLOCK)
		found += at(&w, o) == 3;
	assert_in_range(found, 20, 50);
	/* The whole drive has no other place. */
	disk_sim_size_set(w.sim, BLOCK);
	assert_int_equal(put(&w, 0, 0, 4), 0);
	assert_int_equal(at(&w, 0), 4);
	world_fini(&w);
}

static void phantom_writes(void **state)
{
	struct world w;

	world_init(&w, &strict);
	assert_int_equal(put(&w, RIG_FUA, 0, 1), 0);
	disk_sim_latent_add(w.sim, BLOCK, BLOCK);
	always(&w, DISK_SIM_PHANTOM);
	assert_int_equal(put(&w, RIG_FUA, 0, 2), 0);
	assert_int_equal(rig_do(&w.rig, DISK_WRITE_ZEROES, 0, NULL, BLOCK), 0);
	assert_int_equal(rig_do(&w.rig, DISK_DISCARD, 0, NULL, BLOCK), 0);
	assert_int_equal(put(&w, 0, BLOCK, 2), 0);
	assert_int_equal(at(&w, 0), 1);
	assert_int_equal(get(&w, BLOCK), -EIO);
	assert_int_equal(struck(&w, DISK_SIM_PHANTOM), 4);
	world_fini(&w);
}

static void stalls(void **state)
{
	struct world w;
	uint64_t start;

	world_init(&w, &strict);
	chosen(&w, DISK_SIM_STALL, 1 << DISK_READ, 20 * NS_PER_S);
	start = loop_clock_ns(w.rig.loop);
	assert_int_equal(put(&w, 0, 0, 1), 0);
	assert_int_equal(flush(&w), 0);
	assert_in_range(loop_clock_ns(w.rig.loop) - start, 2000, NS_PER_MS);
	start = loop_clock_ns(w.rig.loop);
	assert_int_equal(get(&w, 0), 0);
	assert_in_range(loop_clock_ns(w.rig.loop) - start, 20 * NS_PER_S, 21 * NS_PER_S);
	always(&w, DISK_SIM_STALL);
	start = loop_clock_ns(w.rig.loop);
	assert_int_equal(flush(&w), 0);
	assert_in_range(loop_clock_ns(w.rig.loop) - start, NS_PER_MS, 61 * NS_PER_S);
	world_fini(&w);
}

static void lost_and_found(void **state)
{
	const struct disk_sim_fault fault = {
		.kind = DISK_SIM_GONE, .ops = DISK_SIM_OPS_ALL, .after = 1, .result = -ENODEV};
	struct iovec iov;
	struct disk_request request = {
		.op = DISK_READ, .length_bytes = BLOCK, .iov = &iov, .iov_count = 1, .done = done};
	struct disk *disk;
	struct world w;

	world_init(&w, &strict);
	iov = (struct iovec){.iov_base = w.data + BLOCK, .iov_len = BLOCK};
	assert_int_equal(put(&w, 0, 0, 1), 0);
	assert_int_equal(disk_sim_fault_add(w.sim, &fault), 0);
	/* One in flight goes with the one that is struck. */
	disk_submit(w.rig.channel, &request);
	assert_int_equal(get(&w, 0), -ENODEV);
	assert_int_equal(request.result, -ENODEV);
	assert_int_equal(put(&w, 0, 0, 2), -ENODEV);
	assert_int_equal(at(&w, 0), 1);
	rig_close(&w.rig);
	assert_int_equal(disk_sim_open(w.sim, &disk), -ENODEV);
	disk_sim_faults_clear(w.sim);
	disk_sim_gone_set(w.sim, 0);
	assert_int_equal(disk_sim_open(w.sim, &disk), 0);
	rig_use(&w.rig, disk);
	assert_int_equal(get(&w, 0), 0);
	assert_int_equal(wrong_bits(&w, 1), 0);
	always(&w, DISK_SIM_GONE);
	assert_int_equal(flush(&w), -ENXIO);
	assert_int_equal(get(&w, 0), -ENXIO);
	world_fini(&w);
}

static void stale_and_swapped(void **state)
{
	struct disk_sim_image *old, *other_image;
	struct disk_sim *other = disk_sim_new(&strict);
	struct world w;
	uint8_t byte;

	world_init(&w, &strict);
	assert_int_equal(put(&w, RIG_FUA, 0, 1), 0);
	assert_int_equal(put(&w, 0, BLOCK, 1), 0);
	disk_sim_latent_add(w.sim, 2 * BLOCK, BLOCK);
	old = disk_sim_image_save(w.sim);
	assert_int_equal(put(&w, RIG_FUA, 0, 2), 0);
	assert_int_equal(put(&w, RIG_FUA, 9 * BLOCK, 2), 0);
	disk_sim_image_restore(w.sim, old);
	assert_int_equal(at(&w, 0), 1);
	assert_int_equal(at(&w, BLOCK), 0); /* it was not flushed */
	assert_int_equal(at(&w, 9 * BLOCK), 0);
	assert_int_equal(get(&w, 2 * BLOCK), 0);
	/* What is written now does not change the image; a restored drive can be saved. */
	assert_int_equal(put(&w, RIG_FUA, 0, 3), 0);
	other_image = disk_sim_image_save(w.sim);
	disk_sim_image_restore(w.sim, old);
	disk_sim_image_restore(other, other_image);
	disk_sim_image_free(old);
	disk_sim_image_free(other_image);
	assert_int_equal(at(&w, 0), 1);
	disk_sim_peek(other, 0, &byte, 1);
	assert_int_equal(byte, 3);
	world_fini(&w);
	disk_sim_free(other);
}

static void shrunk(void **state)
{
	struct world w;

	world_init(&w, &strict);
	assert_int_equal(put(&w, RIG_FUA, MiB - BLOCK, 1), 0);
	disk_sim_size_set(w.sim, MiB / 2);
	/* The user does not know yet. */
	assert_int_equal(disk_info(w.rig.disk)->size_bytes, MiB);
	assert_int_equal(get(&w, MiB / 2 - BLOCK), 0);
	assert_int_equal(get(&w, MiB / 2), -ENXIO);
	assert_int_equal(put(&w, 0, MiB - BLOCK, 2), -ENXIO);
	assert_int_equal(disk_refresh(w.rig.disk), 0);
	assert_int_equal(disk_info(w.rig.disk)->size_bytes, MiB / 2);
	disk_sim_size_set(w.sim, MiB);
	assert_int_equal(get(&w, MiB - BLOCK), 0);
	assert_int_equal(wrong_bits(&w, 1), 0);
	world_fini(&w);
}

/* Writes, zeroes, reads back, flushes: five requests. How many of them ended well. */
static unsigned workload(struct world *w)
{
	return (unsigned)(put(w, 0, 0, 1) == 0) +
	       (rig_do(&w->rig, DISK_WRITE_ZEROES, BLOCK, NULL, BLOCK) == 0) + (get(w, 0) == 0) +
	       (rig_do(&w->rig, DISK_DISCARD, BLOCK, NULL, BLOCK) == 0) + (flush(w) == 0);
}

static void nth_request(void **state)
{
	struct disk_sim_stats stats;
	struct world w;

	world_init(&w, &strict);
	assert_int_equal(workload(&w), 5);
	assert_int_equal(get(&w, MiB), -ENXIO); /* not accepted */
	disk_sim_stats_get(w.sim, &stats);
	assert_int_equal(stats.accepted, 5);
	for (unsigned n = 1; n <= 6; n++) {
		const struct disk_sim_fault fault = {
			.ops = DISK_SIM_OPS_ALL, .after = n - 1, .count = 1, .result = -EREMOTEIO};

		reopen(&w);
		disk_sim_faults_clear(w.sim);
		assert_int_equal(disk_sim_fault_add(w.sim, &fault), 0);
		assert_int_equal(workload(&w), n <= 5 ? 4 : 5);
		disk_sim_stats_get(w.sim, &stats);
		assert_int_equal(stats.accepted, 5);
		assert_int_equal(stats.faults[DISK_SIM_FAIL], MIN(n, 5));
	}
	world_fini(&w);
}

/* A run of mixed requests with these chances: its digest. */
static uint64_t run(unsigned kind, unsigned ppm, unsigned *ret_struck)
{
	struct disk_sim_params params = strict;
	struct disk_sim_stats stats;
	struct world w;

	params.plan.fault_ppm[kind] = ppm;
	params.plan.write_back_percent = 20;
	params.plan.survive_percent = 50;
	world_init(&w, &params);
	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(put(&w, i % 3 ? 0 : RIG_FUA, i % 7 * BLOCK, (uint8_t)i), 0);
		assert_int_equal(get(&w, i % 5 * BLOCK), 0);
		if (i % 10 == 0)
			assert_int_equal(flush(&w), 0);
		if (i % 50 == 0)
			power_cycle(&w);
	}
	disk_sim_stats_get(w.sim, &stats);
	*ret_struck = (unsigned)stats.faults[kind];
	world_fini(&w);
	return stats.digest;
}

/* The same seed makes the same run; a chance of faults moves nothing else. */
static void one_seed(void **state)
{
	static const enum disk_sim_fault_kind kinds[] = {DISK_SIM_CORRUPT, DISK_SIM_MISDIRECT_READ,
							 DISK_SIM_FLUSH_LIE, DISK_SIM_PHANTOM,
							 DISK_SIM_FUA_IGNORE};
	unsigned first, second;
	const uint64_t plain = run(DISK_SIM_STALL, 0, &first);

	assert_int_equal(first, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		assert_true(run(kinds[i], 300000, &first) == plain);
		assert_true(run(kinds[i], 300000, &second) == plain);
		assert_true(first > 0);
		assert_int_equal(first, second);
	}
	assert_true(run(DISK_SIM_STALL, 300000, &first) != plain);
	assert_in_range(first, 80, 170); /* of about 420 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(torn_writes),
		cmocka_unit_test(torn_in_flight),
		cmocka_unit_test(flush_that_lies),
		cmocka_unit_test(fua_ignored),
		cmocka_unit_test(rot),
		cmocka_unit_test(corrupted_once),
		cmocka_unit_test(latent_sectors),
		cmocka_unit_test(misdirected),
		cmocka_unit_test(phantom_writes),
		cmocka_unit_test(stalls),
		cmocka_unit_test(lost_and_found),
		cmocka_unit_test(stale_and_swapped),
		cmocka_unit_test(shrunk),
		cmocka_unit_test(nth_request),
		cmocka_unit_test(one_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

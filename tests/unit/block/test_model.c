/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contents against a model: random operations of random sizes, in batches whose ranges do not
 * overlap, some of them neighbours so that they merge; after each batch the model is advanced,
 * and every read is compared. The device's file is what survives a reopen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <quoin/base_text.h>

#include "rig.h"

#define DEVICE_BYTES (2 * MiB)
#define BATCH_MAX 24
#define RUN_MAX (64 * KiB)

struct slot {
	struct rig_request request;
	unsigned char *data;
};

struct model {
	struct rig rig;
	unsigned char *bytes; /* what the device must hold */
	bool *undefined;      /* by block: discarded on a device that promises nothing */
	struct slot slots[BATCH_MAX];
	unsigned used;
};

static void model_init(struct model *m)
{
	m->bytes = xcalloc(1, DEVICE_BYTES);
	m->undefined = xcalloc(DEVICE_BYTES / 512, sizeof(bool));
	for (unsigned i = 0; i < BATCH_MAX; i++)
		m->slots[i].data = rig_buffer(RUN_MAX);
}

static void model_fini(struct model *m)
{
	for (unsigned i = 0; i < BATCH_MAX; i++)
		free(m->slots[i].data);
	free(m->bytes);
	free(m->undefined);
}

static enum block_op random_op(struct random *r)
{
	static const enum block_op ops[] = {BLOCK_READ,	 BLOCK_READ,	BLOCK_READ,
					    BLOCK_WRITE, BLOCK_WRITE,	BLOCK_WRITE,
					    BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_WRITE_ZEROES};

	return ops[random_below(r, ARRAY_SIZE(ops))];
}

static unsigned random_flags(struct random *r, enum block_op op)
{
	unsigned flags = 0;

	if ((op == BLOCK_WRITE || op == BLOCK_WRITE_ZEROES) && random_chance(r, 1, 8))
		flags |= BLOCK_FUA;
	if (op == BLOCK_WRITE_ZEROES && random_chance(r, 1, 2))
		flags |= BLOCK_UNMAP;
	return flags;
}

/* Submits a run of neighbours in [start, end). */
static void run_submit(struct model *m, uint64_t start, uint64_t end)
{
	struct random *r = &m->rig.random;
	const uint64_t block = m->rig.device->limits.logical_block_bytes;
	const enum block_op op = random_op(r);
	const unsigned flags = random_flags(r, op);

	while (start < end && m->used < BATCH_MAX) {
		struct slot *slot = &m->slots[m->used++];
		struct block_request *b = &slot->request.block;
		const uint64_t length = block * (1 + random_below(r, 8));

		memset(&slot->request, 0, sizeof(slot->request));
		b->op = op;
		b->flags = flags;
		b->offset = start;
		b->length_bytes = MIN(end - start, length);
		start += b->length_bytes;
		random_fill(r, slot->data, b->length_bytes);
		rig_submit(&m->rig, &slot->request, op <= BLOCK_WRITE ? slot->data : NULL);
	}
}

static void compare(struct model *m, const struct slot *slot)
{
	const struct block_request *b = &slot->request.block;

	for (uint64_t i = 0; i < b->length_bytes; i += 512) {
		if (m->undefined[(b->offset + i) / 512] ||
		    memcmp(slot->data + i, m->bytes + b->offset + i, 512) == 0)
			continue;
		fail_msg("wrong contents at %llu, seed %llu", (unsigned long long)(b->offset + i),
			 (unsigned long long)m->rig.seed);
	}
}

static void advance(struct model *m, const struct slot *slot)
{
	const struct block_request *b = &slot->request.block;
	const bool undefined = b->op == BLOCK_DISCARD && !m->rig.device->limits.discard_zeroes;

	assert_true(slot->request.done);
	assert_int_equal(b->result, 0);
	if (b->op == BLOCK_READ)
		compare(m, slot);
	if (b->op == BLOCK_READ || b->op == BLOCK_FLUSH)
		return;
	for (uint64_t i = 0; i < b->length_bytes; i += 512)
		m->undefined[(b->offset + i) / 512] = undefined;
	if (b->op == BLOCK_WRITE)
		memcpy(m->bytes + b->offset, slot->data, b->length_bytes);
	else
		memset(m->bytes + b->offset, 0, b->length_bytes);
}

static void batch(struct model *m)
{
	struct random *r = &m->rig.random;
	const uint64_t block = m->rig.device->limits.logical_block_bytes;
	uint64_t at = block * random_below(r, DEVICE_BYTES / block / 2);

	m->used = 0;
	while (m->used < BATCH_MAX && at < DEVICE_BYTES) {
		const uint64_t length = block * (1 + random_below(r, RUN_MAX / block));
		const uint64_t end = MIN(DEVICE_BYTES, at + length);

		run_submit(m, at, end);
		at = end + block * random_below(r, 16);
		if (random_chance(r, 1, 4))
			block_kick(m->rig.channel);
		if (random_chance(r, 1, 6))
			break;
	}
	block_kick(m->rig.channel);
	rig_wait(&m->rig);
	for (unsigned i = 0; i < m->used; i++)
		advance(m, &m->slots[i]);
}

static void compare_all(struct model *m)
{
	struct slot *slot = &m->slots[0];

	for (uint64_t at = 0; at < DEVICE_BYTES; at += RUN_MAX) {
		assert_int_equal(rig_do(&m->rig, BLOCK_READ, at, slot->data, RUN_MAX), 0);
		slot->request.block.offset = at;
		slot->request.block.length_bytes = RUN_MAX;
		compare(m, slot);
	}
}

static void file_case(const char *options, uint64_t seed, unsigned batches)
{
	CLEANUP_FREE char *path = rig_file(DEVICE_BYTES);
	CLEANUP_FREE char *spec = xasprintf("file:%s%s", path, options);
	struct model m;

	memset(&m, 0, sizeof(m));
	rig_init_real(&m.rig, seed);
	rig_open(&m.rig, spec);
	model_init(&m);
	for (unsigned i = 0; i < batches; i++)
		batch(&m);
	rig_close(&m.rig);
	rig_open(&m.rig, spec);
	compare_all(&m);
	model_fini(&m);
	rig_fini(&m.rig);
	unlink(path);
}

static void file_512(void **state)
{
	for (uint64_t seed = 1; seed <= 4; seed++)
		file_case(",block=512", seed, 150);
}

static void file_4096(void **state)
{
	for (uint64_t seed = 11; seed <= 14; seed++)
		file_case(",block=4096", seed, 150);
}

static void file_page_cache(void **state)
{
	for (uint64_t seed = 21; seed <= 22; seed++)
		file_case(",cache=writeback", seed, 150);
}

/* The same driver over a simulated drive; returns the digest of the run. */
static uint64_t sim_case(uint64_t seed, uint32_t block, bool discard_zeroes)
{
	const struct disk_sim_params params = {
		.seed = seed,
		.size_bytes = DEVICE_BYTES,
		.logical_block_bytes = block,
		.discard = true,
		.discard_zeroes = discard_zeroes,
		.plan = disk_sim_plan_default(),
	};
	struct disk_sim_stats stats;
	struct disk_sim *sim;
	struct model m;

	memset(&m, 0, sizeof(m));
	rig_init_sim(&m.rig, seed);
	sim = rig_open_sim(&m.rig, &params);
	model_init(&m);
	for (unsigned i = 0; i < 100; i++)
		batch(&m);
	compare_all(&m);
	disk_sim_stats_get(sim, &stats);
	model_fini(&m);
	rig_fini(&m.rig);
	disk_sim_free(sim);
	return stats.digest;
}

static void simulated(void **state)
{
	for (uint64_t seed = 1; seed <= 40; seed++)
		sim_case(seed, seed % 2 ? 512 : 4096, seed % 3);
}

static void same_seed_same_run(void **state)
{
	const uint64_t first = sim_case(7, 512, false);

	assert_int_equal(sim_case(7, 512, false), first);
	assert_int_not_equal(sim_case(8, 512, false), first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_512),	      cmocka_unit_test(file_4096),
		cmocka_unit_test(file_page_cache),    cmocka_unit_test(simulated),
		cmocka_unit_test(same_seed_same_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

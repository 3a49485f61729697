/* SPDX-License-Identifier: Apache-2.0 */
/* Merging of neighbours: how many operations a batch becomes, and who gets an error. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <quoin/base_text.h>

#include "rig.h"

#define MANY 64

static const struct disk_sim_params drive = {
	.seed = 3,
	.size_bytes = 4 * MiB,
	.logical_block_bytes = 512,
	.discard = true,
	.plan = {.latency_min_ns = 1000, .latency_max_ns = 2000, .survive_percent = 50},
};

struct batch {
	struct rig rig;
	struct rig_request requests[MANY + 1];
	unsigned char *data;
	unsigned used;
};

static void batch_init(struct batch *b)
{
	memset(b, 0, sizeof(*b));
	rig_init_sim(&b->rig, 3);
	b->data = rig_buffer(MANY * 4096);
}

static void add(struct batch *b, unsigned op, uint64_t offset, uint64_t length)
{
	struct rig_request *r = &b->requests[b->used];

	memset(r, 0, sizeof(*r));
	r->block.op = (enum block_op)(op & 0xFF);
	r->block.flags = op >> 8;
	r->block.offset = offset;
	r->block.length_bytes = length;
	rig_submit(&b->rig, r,
		   r->block.op <= BLOCK_WRITE ? b->data + (size_t)b->used * 4096 : NULL);
	b->used++;
}

/* Ends the batch; returns how many operations reached the drive. */
static uint64_t finish(struct batch *b, const struct disk_sim *sim)
{
	struct disk_sim_stats before, after;
	uint64_t count = 0;

	disk_sim_stats_get(sim, &before);
	block_kick(b->rig.channel);
	rig_wait(&b->rig);
	disk_sim_stats_get(sim, &after);
	b->used = 0;
	for (unsigned op = 0; op < DISK_SIM_OPS; op++)
		count += after.done[op] + after.errors[op] - before.done[op] - before.errors[op];
	return count;
}

static void counts(void **state)
{
	struct disk_sim *sim;
	struct batch b;

	batch_init(&b);
	sim = rig_open_sim(&b.rig, &drive);
	/* Neighbours in ascending order: one. */
	for (unsigned i = 0; i < 32; i++)
		add(&b, BLOCK_WRITE, i * 512, 512);
	assert_int_equal(finish(&b, sim), 1);
	/* With a gap: two. A kick between: two. Different flags, different operation: one each. */
	add(&b, BLOCK_READ, 0, 4096);
	add(&b, BLOCK_READ, 8192, 4096);
	assert_int_equal(finish(&b, sim), 2);
	add(&b, BLOCK_READ, 0, 4096);
	block_kick(b.rig.channel);
	add(&b, BLOCK_READ, 4096, 4096);
	assert_int_equal(finish(&b, sim), 2);
	add(&b, BLOCK_WRITE, 0, 4096);
	add(&b, BLOCK_WRITE | RIG_FUA, 4096, 4096);
	add(&b, BLOCK_READ, 8192, 4096);
	assert_int_equal(finish(&b, sim), 3);
	/* Flushes join, discards join, and zeroes with equal flags. */
	for (unsigned i = 0; i < 5; i++)
		add(&b, BLOCK_FLUSH, 0, 0);
	for (unsigned i = 0; i < 5; i++)
		add(&b, BLOCK_DISCARD, i * 4096, 4096);
	add(&b, BLOCK_WRITE_ZEROES | RIG_UNMAP, 65536, 4096);
	add(&b, BLOCK_WRITE_ZEROES | RIG_UNMAP, 69632, 4096);
	add(&b, BLOCK_WRITE_ZEROES, 73728, 4096);
	assert_int_equal(finish(&b, sim), 4);
	/* Descending neighbours stay apart. */
	add(&b, BLOCK_READ, 8192, 4096);
	add(&b, BLOCK_READ, 4096, 4096);
	assert_int_equal(finish(&b, sim), 2);
	free(b.data);
	rig_fini(&b.rig);
	disk_sim_free(sim);
}

static void is_bounded(void **state)
{
	struct disk_sim *sim;
	struct batch b;
	uint64_t count;

	batch_init(&b);
	sim = rig_open_sim(&b.rig, &drive);
	/* 256 KiB at most: 4 KiB each, all neighbours. */
	for (unsigned i = 0; i < MANY; i++)
		add(&b, BLOCK_WRITE, i * 4096, 4096);
	add(&b, BLOCK_FLUSH, 0, 0);

	count = finish(&b, sim);
	assert_in_range(count, 2, 8);
	/* More runs than the pool holds merges: the rest goes alone, nothing is lost. */
	for (unsigned i = 0; i < MANY; i++)
		add(&b, BLOCK_READ, (i / 2 * 4 + i % 2) * 512, 512);
	assert_in_range(finish(&b, sim), 32, 64);
	free(b.data);
	rig_fini(&b.rig);
	disk_sim_free(sim);
}

/* One bad block under a merged write: its request fails, the others do not. */
static void error_hits_its_own(void **state)
{
	const struct disk_sim_fault bad = {
		.ops = 1 << DISK_WRITE | 1 << DISK_READ,
		.offset = 5 * 4096 + 512,
		.length_bytes = 512,
		.result = -EIO,
	};
	unsigned char data[4096];
	struct disk_sim *sim;
	struct batch b;

	batch_init(&b);
	sim = rig_open_sim(&b.rig, &drive);
	assert_int_equal(disk_sim_fault_add(sim, &bad), 0);
	for (unsigned i = 0; i < 16; i++) {
		memset(b.data + i * 4096, (int)i + 1, 4096);
		add(&b, BLOCK_WRITE, i * 4096, 4096);
	}
	finish(&b, sim);
	for (unsigned i = 0; i < 16; i++) {
		assert_int_equal(b.requests[i].block.result, i == 5 ? -EIO : 0);
		disk_sim_peek(sim, i * 4096, data, sizeof(data));
		assert_true(i == 5 || (data[0] == i + 1 && data[4095] == i + 1));
	}
	for (unsigned i = 0; i < 16; i++)
		add(&b, BLOCK_READ, i * 4096, 4096);
	finish(&b, sim);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(b.requests[i].block.result, i == 5 ? -EIO : 0);
	free(b.data);
	rig_fini(&b.rig);
	disk_sim_free(sim);
}

/* Flushes that joined share their failure: none of them may succeed by a second try. */
static void flushes_share_failure(void **state)
{
	const struct disk_sim_fault once = {.ops = 1 << DISK_FLUSH, .count = 1, .result = -EIO};
	struct disk_sim *sim;
	struct batch b;

	batch_init(&b);
	sim = rig_open_sim(&b.rig, &drive);
	assert_int_equal(disk_sim_fault_add(sim, &once), 0);
	for (unsigned i = 0; i < 4; i++)
		add(&b, BLOCK_FLUSH, 0, 0);
	assert_int_equal(finish(&b, sim), 1);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(b.requests[i].block.result, -EIO);
	/* And it stays so, for FUA as well; other writes go on. */
	assert_int_equal(rig_do(&b.rig, BLOCK_FLUSH, 0, NULL, 0), -EIO);
	assert_int_equal(rig_do(&b.rig, BLOCK_WRITE | RIG_FUA, 0, b.data, 512), -EIO);
	assert_int_equal(rig_do(&b.rig, BLOCK_WRITE, 0, b.data, 512), 0);
	free(b.data);
	rig_fini(&b.rig);
	disk_sim_free(sim);
}

/* The same on a real file: 32 neighbours reach the kernel as one. */
static void merges_for_real(void **state)
{
	CLEANUP_FREE char *path = rig_file(MiB);
	CLEANUP_FREE char *spec = xasprintf("file:%s", path);
	struct loop_stats before;
	struct batch b;

	memset(&b, 0, sizeof(b));
	rig_init_real(&b.rig, 3);
	b.data = rig_buffer(MANY * 4096);
	rig_open(&b.rig, spec);
	loop_turn(b.rig.loop, 0);
	before = loop_stats_get(b.rig.loop);
	for (unsigned i = 0; i < 16; i++)
		add(&b, BLOCK_WRITE, i * 4096, 4096);
	block_kick(b.rig.channel);
	rig_wait(&b.rig);
	assert_int_equal(loop_stats_get(b.rig.loop).io_submitted - before.io_submitted, 1);
	free(b.data);
	rig_fini(&b.rig);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts),
		cmocka_unit_test(is_bounded),
		cmocka_unit_test(error_hits_its_own),
		cmocka_unit_test(flushes_share_failure),
		cmocka_unit_test(merges_for_real),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

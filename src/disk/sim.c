/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a simulated drive: medium, open, close, power. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_bitmap.h>
#include <quoin/base_math.h>
#include <quoin/base_text.h>

#include "sim.h"

/* Any two that differ: they make three sequences of one seed. */
#define LOSS_SEED UINT64_C(0x9e3779b97f4a7c15)
#define FAULT_SEED UINT64_C(0xd1b54a32d192ed03)

#define SIM_IOV_MAX 1024
#define SIM_TRANSFER_MAX (1024 * 1024)
#define GONE_SURVIVE_PERCENT 50
#define ROT_PAIRS_MAX 3
#define DIGEST_START UINT64_C(0xcbf29ce484222325) /* FNV-1a's offset basis */

static struct sim_disk *sim_of(struct disk *disk)
{
	return container_of(disk, struct sim_disk, disk);
}

static uint64_t capacity(const struct disk_sim *sim)
{
	return sim->cache.unit_count * sim->cache.unit_bytes;
}

struct disk_sim *sim_new(const struct disk_sim_params *params, struct disk_sim_image *image)
{
	struct disk_sim *sim = xcalloc(1, sizeof(*sim));
	const uint64_t size_max = MAX(params->size_bytes, params->size_max_bytes);
	const uint64_t block = params->logical_block_bytes;

	ASSERT(block == 512 || block == 4096);
	ASSERT(params->tear_bytes == 0 || params->tear_bytes == 512 || params->tear_bytes == block);
	ASSERT(params->size_bytes > 0);
	ASSERT(is_aligned(params->size_bytes | size_max, block));
	sim->params = *params;
	disk_sim_plan_set(sim, &params->plan);
	sim->size_bytes = params->size_bytes;
	sim->stats.digest = DIGEST_START;
	random_init(&sim->random, params->seed);
	random_init(&sim->loss_random, params->seed ^ LOSS_SEED);
	random_init(&sim->fault_random, params->seed ^ FAULT_SEED);
	sim_cache_init(&sim->cache, size_max, params->tear_bytes ? params->tear_bytes : block,
		       image);
	return sim;
}

struct disk_sim *disk_sim_new(const struct disk_sim_params *params)
{
	return sim_new(params, NULL);
}

void disk_sim_free(struct disk_sim *sim)
{
	if (!sim)
		return;
	ASSERT(!sim->open);
	sim_trace_detach(sim);
	sim_cache_fini(&sim->cache);
	free(sim->bad);
	free(sim);
}

static void sim_close(struct disk *base)
{
	struct sim_disk *disk = sim_of(base);

	ASSERT(list_empty(&disk->in_flight));
	disk->sim->open = NULL;
	free(disk->disk.name);
	free(disk);
}

static int sim_refresh(struct disk *disk)
{
	disk->info.size_bytes = sim_of(disk)->sim->size_bytes;
	return 0;
}

static int sim_resize(struct disk *disk, uint64_t size_bytes)
{
	struct disk_sim *sim = sim_of(disk)->sim;

	if (size_bytes == 0 || !is_aligned(size_bytes, sim->params.logical_block_bytes))
		return -EINVAL;
	if (size_bytes > capacity(sim))
		return -EFBIG;
	/* What is cut off is gone for good: a later growth shows zeroes. */
	if (size_bytes < sim->size_bytes)
		sim_cache_erase(&sim->cache, size_bytes, sim->size_bytes - size_bytes);
	sim->size_bytes = size_bytes;
	return sim_refresh(disk);
}

static int sim_attach(struct disk *disk, struct loop *loop, struct disk_channel **ret_channel)
{
	*ret_channel = xcalloc(1, sizeof(**ret_channel));
	return 0;
}

static void sim_detach(struct disk_channel *channel)
{
	free(channel);
}

static const struct disk_ops sim_ops = {
	.close = sim_close,
	.refresh = sim_refresh,
	.resize = sim_resize,
	.attach = sim_attach,
	.detach = sim_detach,
	.submit = sim_submit,
};

int disk_sim_open(struct disk_sim *sim, struct disk **ret_disk)
{
	struct sim_disk *disk;

	if (sim->open)
		return -EBUSY;
	if (sim->gone)
		return sim->gone;
	disk = xcalloc(1, sizeof(*disk));
	disk->sim = sim;
	list_init(&disk->in_flight);
	disk->disk.ops = &sim_ops;
	disk->disk.name = xstrdup("simulated");
	disk->disk.info = (struct disk_info){
		.kind = DISK_SIMULATED,
		.size_bytes = sim->size_bytes,
		.logical_block_bytes = sim->params.logical_block_bytes,
		.physical_block_bytes = 4096,
		.dma_alignment_bytes = 1,
		.discard_granularity_bytes =
			sim->params.discard ? sim->params.logical_block_bytes : 0,
		.iov_max = SIM_IOV_MAX,
		.transfer_max_bytes = SIM_TRANSFER_MAX,
		.volatile_cache = !sim->params.write_through,
		.fua = !sim->params.no_fua,
		.direct = true,
		.discard_zeroes = sim->params.discard_zeroes,
		.write_zeroes = true,
	};
	sim->open = disk;
	sim->powered = true;
	sim->flush_error = 0;
	sim->stats.accepted = 0;
	*ret_disk = &disk->disk;
	return 0;
}

void disk_sim_power_cut(struct disk_sim *sim)
{
	const unsigned percent = sim->params.plan.survive_percent;
	struct sim_dice dice = sim_dice_of(sim, percent);

	/* A crash is made from a trace, not part of it. */
	sim_trace_detach(sim);
	/* Requests in flight first: theirs are unflushed units like the others. */
	if (sim->open)
		sim_requests_cut(sim->open, -EIO, percent);
	sim_cache_write_back_some(&sim->cache, &dice);
	sim_cache_lose(&sim->cache);
	sim->powered = false;
	sim->stats.power_cuts++;
}

void disk_sim_gone_set(struct disk_sim *sim, int error)
{
	ASSERT(error <= 0);
	if (error < 0 && sim->open)
		sim_requests_cut(sim->open, error, GONE_SURVIVE_PERCENT);
	sim->gone = error;
}

void disk_sim_size_set(struct disk_sim *sim, uint64_t size_bytes)
{
	ASSERT(size_bytes > 0 && is_aligned(size_bytes, sim->params.logical_block_bytes));
	ASSERT_U64(size_bytes, <=, capacity(sim));
	sim->size_bytes = size_bytes;
}

void disk_sim_rot(struct disk_sim *sim, uint64_t offset, uint64_t length_bytes, uint64_t seed)
{
	struct random random;
	unsigned flips;

	ASSERT(length_bytes > 0 && range_within(offset, length_bytes, capacity(sim)));
	random_init(&random, seed);
	/* An odd number of flips cannot undo itself. */
	flips = 1 + 2 * (unsigned)random_below(&random, ROT_PAIRS_MAX + 1);
	for (unsigned i = 0; i < flips; i++) {
		const uint64_t at = offset + random_below(&random, length_bytes);

		sim_cache_flip(&sim->cache, at, (uint8_t)(1U << random_below(&random, 8)));
	}
}

void disk_sim_stats_get(const struct disk_sim *sim, struct disk_sim_stats *ret_stats)
{
	*ret_stats = sim->stats;
	ret_stats->unflushed_blocks = bitmap_count(sim->cache.dirty, sim->cache.unit_count);
}

void disk_sim_peek(const struct disk_sim *sim, uint64_t offset, void *data, size_t length)
{
	ASSERT(range_within(offset, length, sim->size_bytes));
	sim_content_get(&sim->cache.now, offset, data, length);
}

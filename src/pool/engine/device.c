/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block device in front of a volume or snapshot. Requests of the home loop go straight in;
 * those of other loops travel there and back by message, in their own driver words.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_math.h>
#include <quoin/base_text.h>

#include "engine/io.h"
#include "engine/meter.h"

#define TRANSFER_MAX (1024 * 1024)
#define COPY_MIN (1024 * 1024) /* what a checkpoint is worth */
#define GATE_LOOK_NS (50 * NS_PER_US)

_Static_assert(sizeof(struct volume_request) <= sizeof(uint64_t[BLOCK_DRIVER_WORDS]),
	       "a request's words fit");

static struct device *device_of(const struct block_device *block)
{
	return container_of(block, struct device, block);
}

/*
 * The volume's writes that have not begun, before those of others: somebody waits for their end.
 * Requests under way have no order among each other.
 */
static void writes_first(const struct volume *volume)
{
	struct pool *pool = volume->pool;
	struct list first;

	list_init(&first);
	list_for_each_safe (node, next, &pool->incoming) {
		struct block_request *request = container_of(node, struct block_request, node);

		if (request_words(request)->device->volume == volume) {
			list_remove(node);
			list_append(&first, node);
		}
	}
	list_splice(&first, &pool->incoming);
	list_splice(&pool->incoming, &first);
	pool_work(pool);
}

/* --- The end of a request -------------------------------------------------------------------- */

static void deliver_end(struct loop_message *message)
{
	struct volume_request *words = container_of(message, struct volume_request, message);
	struct block_request *request =
		container_of((uint64_t *)(void *)words, struct block_request, driver[0]);

	block_complete(request, words->result);
}

/* What was damaged and is read or written as a whole is so no more. */
static void damage_look(const struct block_request *request, const struct device *device)
{
	const uint64_t block = div_round_up(request->offset, PAGE_BYTES);
	const uint64_t end = (request->offset + request->length_bytes) / PAGE_BYTES;

	if (request->op != BLOCK_FLUSH && end > block)
		damage_mend(device->pool, device, block, end - block);
}

static void request_end(struct block_request *request)
{
	struct volume_request *words = request_words(request);

	meter_end(words->device->pool, words->device->volume, request);
	if (words->device->pool->damage.count > 0 && words->result == 0)
		damage_look(request, words->device);
	if (words->device->volume)
		words->device->volume->requests--;
	if (words->loop == words->device->pool->loop) {
		block_complete(request, words->result);
		return;
	}
	words->message.deliver = deliver_end;
	loop_message_send(words->loop, &words->message);
}

static void committed(struct log_waiter *waiter)
{
	struct volume_request *words = container_of(waiter, struct volume_request, waiter);

	/* Where nothing was left to do, too: who has no pool any more shall not think that all is
	 * well.
	 */
	words->result = waiter->result < 0 || words->device->pool->error < 0 ? -EIO : 0;
	request_end(container_of((uint64_t *)(void *)words, struct block_request, driver[0]));
}

void request_part_end(struct block_request *request, int result)
{
	struct volume_request *words = request_words(request);
	const bool writes = request->op == BLOCK_WRITE || request->op == BLOCK_WRITE_ZEROES;

	if (result < 0 && words->result == 0)
		words->result = result;
	ASSERT_U64(words->parts, >, 0);
	if (--words->parts > 0)
		return;
	if (words->result < 0 || !writes || !(request->flags & BLOCK_FUA)) {
		request_end(request);
		return;
	}
	words->waiter.done = committed;
	log_commit(&words->device->pool->log, &words->waiter);
}

/* --- The beginning --------------------------------------------------------------------------- */

static void flush_start(struct pool *pool, struct block_request *request)
{
	struct volume_request *words = request_words(request);

	if (pool->read_only || words->device->read_only) {
		request_end(request);
		return;
	}
	words->waiter.done = committed;
	log_commit(&pool->log, &words->waiter);
}

void request_start(struct pool *pool, struct block_request *request)
{
	struct volume_request *words = request_words(request);
	struct volume *volume = words->device->volume;

	if (volume && volume->gated) {
		words->why = POOL_WHY_VERB;
		list_append(&volume->waiting, &request->node);
		return;
	}
	if (volume)
		volume->requests++;
	words->admitted_ns = loop_now_ns(pool->loop);
	/* The volume may have shrunk while the request waited or travelled. */
	if (volume && request->op != BLOCK_FLUSH &&
	    !block_request_within(request, volume->rec.size_bytes)) {
		words->result = -ENXIO;
		request_end(request);
		return;
	}
	switch (request->op) {
	case BLOCK_READ:
		read_start(pool, request);
		return;
	case BLOCK_FLUSH:
		flush_start(pool, request);
		return;
	case BLOCK_WRITE:
	case BLOCK_DISCARD:
	case BLOCK_WRITE_ZEROES:
	case BLOCK_COPY:
		words->parts = 1;
		list_append(&pool->incoming, &request->node);
		pool_work(pool);
		return;
	case BLOCK_OP_COUNT:
		break;
	}
	UNREACHABLE();
}

static void request_begin(struct pool *pool, struct block_request *request)
{
	meter_begin(pool, request_words(request)->device->volume);
	request_start(pool, request);
}

static void deliver_start(struct loop_message *message)
{
	struct volume_request *words = container_of(message, struct volume_request, message);

	request_begin(words->device->pool,
		      container_of((uint64_t *)(void *)words, struct block_request, driver[0]));
}

static void device_submit(struct block_channel *channel, struct block_request *request)
{
	struct volume_request *words = request_words(request);
	struct device *device = device_of(channel->device);

	memset(words, 0, sizeof(*words));
	words->device = device;
	words->loop = channel->loop;
	words->begun_ns = loop_now_ns(channel->loop);
	if (channel->loop == device->pool->loop) {
		request_begin(device->pool, request);
		return;
	}
	words->message.deliver = deliver_start;
	loop_message_send(device->pool->loop, &words->message);
}

static void device_kick(struct block_channel *channel)
{
	struct device *device = device_of(channel->device);

	if (channel->loop == device->pool->loop)
		writes_process(device->pool);
}

/* --- Life --------------------------------------------------------------------------------------
 */

static void device_free(void *arg)
{
	struct device *device = arg;

	if (device->volume)
		device->volume->open_count--;
	else
		device->snapshot->open_count--;
	block_device_fini(&device->block);
	free(device);
}

static void device_close(struct block_device *block)
{
	struct device *device = device_of(block);

	loop_post(device->pool->loop, device_free, device);
}

static int device_channel_open(struct block_device *block, struct loop *loop,
			       struct block_channel **ret_channel)
{
	struct block_channel *channel = calloc(1, sizeof(*channel));

	if (!channel)
		return -ENOMEM;
	*ret_channel = channel;
	return 0;
}

static void device_channel_close(struct block_channel *channel)
{
	free(channel);
}

static void hurry_begin(void *arg)
{
	struct device *device = arg;

	device->hurried = true;
	if (!device->volume)
		return;
	starved_retry(device->pool);
	writes_first(device->volume);
}

static void hurry_end(void *arg)
{
	struct device *device = arg;

	device->hurried = false;
}

/* Comes before the device is closed, which is posted later. */
static void device_hurry(struct block_channel *channel, bool on)
{
	struct device *device = device_of(channel->device);

	loop_post(device->pool->loop, on ? hurry_begin : hurry_end, device);
}

static int device_resize(struct block_device *block, uint64_t capacity_bytes, struct err *err)
{
	return err_set(err, -ENOTSUP,
		       "a pool's volume is resized with quoin volume resize POOL/NAME SIZE");
}

static int device_refresh(struct block_device *block, struct err *err)
{
	struct device *device = device_of(block);

	if (device->volume)
		block_capacity_set(
			block, __atomic_load_n(&device->volume->rec.size_bytes, __ATOMIC_RELAXED));
	return 0;
}

static void device_describe(const struct block_device *block, struct block_description *description)
{
	description->kind = "pool volume";
	description->path = block->spec;
	description->cache = "none";
}

static const struct block_ops device_ops = {
	.name = "pool",
	.close = device_close,
	.channel_open = device_channel_open,
	.channel_close = device_channel_close,
	.submit = device_submit,
	.kick = device_kick,
	.hurry = device_hurry,
	.resize = device_resize,
	.refresh = device_refresh,
	.describe = device_describe,
};

static struct device *device_make(struct pool *pool, uint64_t size_bytes, bool read_only)
{
	struct device *device = xcalloc(1, sizeof(*device));

	device->pool = pool;
	device->read_only = read_only;
	device->block.limits = (struct block_limits){
		.capacity_bytes = size_bytes,
		.logical_block_bytes = SECTOR_BYTES,
		.optimal_block_bytes = PAGE_BYTES,
		.transfer_max_bytes = TRANSFER_MAX,
		.buffer_alignment_bytes = SECTOR_BYTES,
		.iov_max = 1024,
		.discard_granularity_bytes = PAGE_BYTES,
		.read_only = read_only,
		.volatile_cache = true,
		.discard_zeroes = true,
		.write_zeroes = true,
	};
	return device;
}

static int open_snapshot(struct pool *pool, const char *name, struct device **ret, struct err *err)
{
	struct snapshot *snapshot;
	int r = snapshot_parse(pool, name, &snapshot, err);

	if (r == 0 && snapshot->pending) {
		r = checkpoint_wait(pool);
		if (r == -EROFS)
			return err_set(err, r,
				       "%s is newer than the last checkpoint: import the pool for "
				       "writing to see it",
				       name);
		if (r < 0)
			return err_set(err, r, "cannot open %s: the pool is suspended", name);
		r = snapshot_parse(pool, name, &snapshot, err);
	}
	if (r < 0)
		return r;
	*ret = device_make(pool, snapshot->rec.size_bytes, true);
	(*ret)->snapshot = snapshot;
	snapshot->open_count++;
	return 0;
}

static int open_volume(struct pool *pool, const char *name, bool read_only, struct device **ret,
		       struct err *err)
{
	struct volume *volume;
	const int r = volume_get(pool, name, &volume, err);

	if (r < 0)
		return r;
	*ret = device_make(pool, volume->rec.size_bytes,
			   read_only || volume->rec.read_only || pool->read_only);
	(*ret)->volume = volume;
	if (volume->rec.kind == VOLUME_PLAIN && !(*ret)->read_only) {
		(*ret)->block.limits.copy_block_bytes = PAGE_BYTES;
		(*ret)->block.limits.copy_min_bytes = COPY_MIN;
	}
	volume->open_count++;
	return 0;
}

/* Of a name with '@', the snapshot: none is made of what is not plain. */
static int plain_check(const struct pool *pool, const char *name, struct err *err)
{
	const struct volume *volume = volume_find(pool, name);

	return volume ? volume_plain_check(volume, err) : 0;
}

int pool_device_open(struct pool *pool, const char *name, bool read_only,
		     struct block_device **ret_device, struct err *err)
{
	int r;

	/* Nobody makes a volume anything but plain once it is there. */
	admin_lock(pool);
	r = plain_check(pool, name, err);
	admin_unlock(pool);
	return r < 0 ? r : pool_device_open_raw(pool, name, read_only, ret_device, err);
}

int pool_device_open_raw(struct pool *pool, const char *name, bool read_only,
			 struct block_device **ret_device, struct err *err)
{
	struct device *device = NULL;
	int r;

	admin_lock(pool);
	r = strchr(name, '@') ? open_snapshot(pool, name, &device, err)
			      : open_volume(pool, name, read_only, &device, err);
	if (r == 0) {
		block_device_init(&device->block, &device_ops, xstrdup(name));
		*ret_device = &device->block;
	}
	admin_unlock(pool);
	return r;
}

/* --- Gates ---------------------------------------------------------------------------------------
 */

/*
 * A block in part whose rest was on its way when all of it was written: both requests have ended,
 * what is under way has not, and it knows its volume, which may be about to go.
 */
static bool merges_forgotten(const struct pool *pool)
{
	for (unsigned i = 0; i < PATCHES_MAX; i++)
		if (pool->patches[i].merging && !pool->patches[i].volume)
			return true;
	return false;
}

void volume_gate_close(struct volume *volume)
{
	volume->gated = true;
	writes_first(volume);
	while (volume->requests > 0 || merges_forgotten(volume->pool))
		fiber_sleep_ns(GATE_LOOK_NS);
}

void volume_gate_open(struct volume *volume)
{
	struct list again;
	struct list *node;

	volume->gated = false;
	list_init(&again);
	list_splice(&again, &volume->waiting);
	while ((node = list_pop(&again)) != NULL)
		request_start(volume->pool, container_of(node, struct block_request, node));
	starved_retry(volume->pool);
	pool_work(volume->pool);
}

/* Or will never be. */
static bool patches_whole(const struct volume *volume)
{
	struct pool *pool = volume->pool;

	for (unsigned i = 0; volume->patch_count > 0 && i < PATCHES_MAX; i++) {
		const struct patch *patch = &pool->patches[i];

		if (patch->volume == volume && !patch_in_vain(pool, patch))
			return false;
	}
	return true;
}

void volume_patches_close(struct volume *volume)
{
	volume->patches_closed = true;
	while (!patches_whole(volume) && volume->pool->error == 0)
		fiber_sleep_ns(GATE_LOOK_NS);
}

void volume_patches_open(struct volume *volume)
{
	volume->patches_closed = false;
	pool_work(volume->pool);
}

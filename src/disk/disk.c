/* SPDX-License-Identifier: Apache-2.0 */
/* What is the same for all kinds of drives: dispatch, bookkeeping, the end of a request. */
#include <stdatomic.h>
#include <stdlib.h>

#include <quoin/base_assert.h>

#include "driver.h"

void disk_close(struct disk *disk)
{
	if (!disk)
		return;
	ASSERT_U64(atomic_load(&disk->channels), ==, 0);
	disk->ops->close(disk);
}

const struct disk_info *disk_info(const struct disk *disk)
{
	return &disk->info;
}

const char *disk_name(const struct disk *disk)
{
	return disk->name;
}

int disk_refresh(struct disk *disk)
{
	return disk->ops->refresh(disk);
}

int disk_resize(struct disk *disk, uint64_t size_bytes)
{
	return disk->ops->resize(disk, size_bytes);
}

int disk_attach(struct disk *disk, struct loop *loop, struct disk_channel **ret_channel)
{
	struct disk_channel *channel;
	const int r = disk->ops->attach(disk, loop, &channel);

	if (r < 0)
		return r;
	channel->disk = disk;
	channel->loop = loop;
	channel->in_flight = 0;
	atomic_fetch_add(&disk->channels, 1);
	*ret_channel = channel;
	return 0;
}

void disk_detach(struct disk_channel *channel)
{
	struct disk *disk;

	if (!channel)
		return;
	disk = channel->disk;
	ASSERT_U64(channel->in_flight, ==, 0);
	disk->ops->detach(channel);
	atomic_fetch_sub(&disk->channels, 1);
}

int disk_buffers_register(struct loop *loop, void *base, size_t length)
{
	return loop_buffers_register(loop, base, length);
}

void disk_buffers_unregister(struct loop *loop, void *base, size_t length)
{
	loop_buffers_unregister(loop, base, length);
}

void disk_submit(struct disk_channel *channel, struct disk_request *request)
{
	request->channel = channel;
	channel->in_flight++;
	channel->disk->ops->submit(channel, request);
}

void disk_request_end(struct disk_request *request, int result)
{
	ASSERT(request->channel->in_flight > 0);
	request->channel->in_flight--;
	request->result = result;
	request->done(request);
}

static void ended(struct loop_timer *timer)
{
	struct disk_request *r = container_of(timer, struct disk_request, timer);

	disk_request_end(r, r->result);
}

void disk_request_end_later(struct disk_request *request, int result)
{
	struct loop *loop = request->channel->loop;

	request->result = result;
	loop_timer_init(&request->timer, ended);
	loop_timer_arm(loop, &request->timer, loop_now_ns(loop));
}

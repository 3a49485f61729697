/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot of a pool as a source; see quoin/image_snapshot.h. Its blocks travel by the requests
 * of a channel, as a guest's do. Where it has data is known to its pool alone, so that is asked in
 * a fiber of the pool's loop, which a message starts and which sends one back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_text.h>
#include <quoin/image_snapshot.h>
#include <quoin/loop_fiber.h>
#include <quoin/pool.h>

#include "arrival.h"

struct snapshot_source {
	struct image_source source;
	struct image_snapshot from;
	char *name;
	struct loop *loop;
	struct block_channel *channel;
	bool stopped;
};

static struct snapshot_source *snapshot_of(struct image_source *source)
{
	return container_of(source, struct snapshot_source, source);
}

static int failed(struct snapshot_source *s, int code)
{
	snprintf(s->source.problem, sizeof(s->source.problem), "%s cannot be read: %s", s->name,
		 code == -ECANCELED ? "it was given up" : strerror(-code));
	return code;
}

static int snapshot_read(struct image_source *source, uint64_t offset, void *data, size_t length)
{
	struct snapshot_source *s = snapshot_of(source);
	int r = -ECANCELED;

	if (!s->stopped)
		r = arrival_io(s->channel, &(struct arrival_span){.op = BLOCK_READ,
								  .offset = offset,
								  .data = data,
								  .length = length});
	return r < 0 ? failed(s, r) : 0;
}

/* --- Where it has data ----------------------------------------------------------------------- */

/* On the stack of the fiber that waits for it. */
struct look {
	struct loop_message message;
	struct snapshot_source *source;
	struct fiber *fiber;
	uint64_t offset;
	int result;
	bool done;
};

static void look_back(struct loop_message *message)
{
	struct look *look = container_of(message, struct look, message);

	look->done = true;
	fiber_wake(look->fiber);
}

static void look_end(struct look *look, int result)
{
	look->result = result;
	look->message.deliver = look_back;
	loop_message_send(look->source->loop, &look->message);
}

static int look_now(struct look *look)
{
	return pool_device_data(look->source->from.device, look->offset, &look->offset);
}

static void look_main(void *arg)
{
	struct look *look = arg;

	look_end(look, look_now(look));
}

static void look_there(struct loop_message *message)
{
	struct look *look = container_of(message, struct look, message);
	const int r = fiber_start(look->source->from.home, false, look_main, look, NULL);

	if (r < 0)
		look_end(look, r);
}

static int look_run(struct look *look)
{
	if (look->source->from.home == look->source->loop)
		return look_now(look);
	look->fiber = fiber_self();
	look->message.deliver = look_there;
	loop_message_send(look->source->from.home, &look->message);
	while (!look->done)
		fiber_park();
	return look->result;
}

static int snapshot_extent(struct image_source *source, uint64_t offset, uint64_t *length,
			   bool *ret_zero)
{
	struct snapshot_source *s = snapshot_of(source);
	struct look look = {.source = s, .offset = offset};
	const int r = s->stopped ? -ECANCELED : look_run(&look);

	if (r < 0 && r != -ENOENT)
		return failed(s, r);
	*ret_zero = r == -ENOENT || look.offset > offset;
	if (!*ret_zero)
		*length = MIN(*length, (uint64_t)ARRIVAL_PIECE_BYTES);
	else if (r == 0)
		*length = MIN(*length, look.offset - offset);
	return 0;
}

/* --- Life ------------------------------------------------------------------------------------ */

static void snapshot_stop(struct image_source *source)
{
	snapshot_of(source)->stopped = true;
}

static void snapshot_close(struct image_source *source)
{
	struct snapshot_source *s = snapshot_of(source);

	block_channel_close(s->channel);
	s->from.closed(s->from.data);
	free(s->name);
	free(s);
}

static const struct image_source_ops snapshot_ops = {
	.read = snapshot_read,
	.extent = snapshot_extent,
	.stop = snapshot_stop,
	.close = snapshot_close,
};

int image_snapshot_open(const struct image_snapshot *snapshot, struct loop *loop,
			struct image_source **ret_source, struct err *err)
{
	struct snapshot_source *s = xcalloc(1, sizeof(*s));
	int r = block_channel_open(snapshot->device, loop, &s->channel);

	if (r < 0) {
		free(s);
		return err_set(err, r, "%s cannot be read: %s", snapshot->name, strerror(-r));
	}
	s->from = *snapshot;
	s->name = xstrdup(snapshot->name);
	s->loop = loop;
	s->source.ops = &snapshot_ops;
	s->source.size_bytes = s->source.original_bytes = block_capacity(snapshot->device);
	s->source.data_bytes = snapshot->data_bytes;
	s->source.original = true;
	snprintf(s->source.format, sizeof(s->source.format), "raw");
	snprintf(s->source.identity, sizeof(s->source.identity), "%s", snapshot->identity);
	*ret_source = &s->source;
	return 0;
}

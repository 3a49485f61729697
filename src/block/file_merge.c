/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The path of a request through the file driver.
 *
 * Between two kicks the driver holds back one run: a request and those that followed it with the
 * same operation and flags, each starting where the one before it ended. A request that does not
 * continue the run sends it off and starts the next. Nothing waits for a timer: a lone request
 * leaves at the kick that ends its batch. Flushes of one batch join as well: one is enough.
 *
 * A merged I/O that fails is taken apart and its members are tried one by one, so that an error
 * hits only who earned it. Not so flushes: the second try could succeed by having forgotten
 * (disk.h), so all get the error.
 *
 * Requests live in their own driver words, merges in the channel's pool. When the pool is empty
 * nothing is merged and nothing waits.
 */
#include <errno.h>
#include <string.h>

#include "file.h"

_Static_assert(sizeof(struct file_request) <= sizeof(uint64_t[BLOCK_DRIVER_WORDS]),
	       "a file request fits into the driver's words");
_Static_assert((int)BLOCK_READ == DISK_READ && (int)BLOCK_WRITE == DISK_WRITE &&
		       (int)BLOCK_FLUSH == DISK_FLUSH && (int)BLOCK_DISCARD == DISK_DISCARD &&
		       (int)BLOCK_WRITE_ZEROES == DISK_WRITE_ZEROES,
	       "both rooms number the operations alike");
_Static_assert((int)BLOCK_FUA == DISK_FUA && (int)BLOCK_UNMAP == DISK_UNMAP,
	       "both rooms number the flags alike");

static struct file_request *words_of(struct block_request *request)
{
	return (struct file_request *)(void *)request->driver;
}

static void single_done(struct disk_request *disk)
{
	struct file_request *words = container_of(disk, struct file_request, disk);
	struct block_request *request =
		container_of((uint64_t *)(void *)words, struct block_request, driver[0]);

	block_complete(request, disk->result);
}

static void single_send(struct file_channel *channel, struct block_request *request)
{
	struct disk_request *disk = &words_of(request)->disk;

	disk->op = (enum disk_op)request->op;
	disk->flags = request->flags;
	disk->offset = request->op == BLOCK_FLUSH ? 0 : request->offset;
	disk->length_bytes = request->op == BLOCK_FLUSH ? 0 : request->length_bytes;
	disk->iov = request->iov;
	disk->iov_count = request->iov_count;
	disk->done = single_done;
	disk_submit(channel->disk, disk);
}

static void merge_done(struct disk_request *disk)
{
	struct file_merge *merge = container_of(disk, struct file_merge, disk);
	struct file_channel *channel = merge->channel;
	const bool apart = disk->result < 0 && disk->op != DISK_FLUSH;
	const int result = disk->result;
	struct list requests;
	struct list *node;

	list_init(&requests);
	list_splice(&requests, &merge->requests);
	list_append(&channel->merges_free, &merge->node);
	while ((node = list_pop(&requests)) != NULL) {
		struct block_request *request = container_of(node, struct block_request, node);

		if (apart)
			single_send(channel, request);
		else
			block_complete(request, result);
	}
}

static void merge_send(struct file_channel *channel, const struct file_run *run)
{
	struct file_merge *merge = run->merge;

	merge->disk.op = (enum disk_op)run->first->op;
	merge->disk.flags = run->first->flags;
	merge->disk.offset = run->first->op == BLOCK_FLUSH ? 0 : run->first->offset;
	merge->disk.length_bytes = run->length_bytes;
	merge->disk.iov = merge->iov;
	merge->disk.iov_count = merge->iov_count;
	merge->disk.done = merge_done;
	disk_submit(channel->disk, &merge->disk);
}

static void run_send(struct file_channel *channel)
{
	const struct file_run run = channel->run;

	channel->run.first = NULL;
	channel->run.merge = NULL;
	if (run.merge)
		merge_send(channel, &run);
	else if (run.first)
		single_send(channel, run.first);
}

/* --- Joining ------------------------------------------------------------------------------- */

static bool has_data(const struct block_request *request)
{
	return request->op == BLOCK_READ || request->op == BLOCK_WRITE;
}

static bool continues(const struct file_run *run, const struct block_request *request)
{
	if (!run->first || run->first->op != request->op || run->first->flags != request->flags)
		return false;
	return request->op == BLOCK_FLUSH || request->offset == run->end;
}

static bool fits(const struct file_run *run, const struct block_request *request)
{
	const unsigned there = run->merge ? run->merge->iov_count : run->first->iov_count;

	return !has_data(request) ||
	       (there + request->iov_count <= FILE_MERGE_IOV_MAX &&
		run->length_bytes + request->length_bytes <= FILE_MERGE_BYTES_MAX);
}

static void merge_append(struct file_merge *merge, struct block_request *request)
{
	list_append(&merge->requests, &request->node);
	if (!has_data(request))
		return;
	memcpy(&merge->iov[merge->iov_count], request->iov,
	       request->iov_count * sizeof(request->iov[0]));
	merge->iov_count += request->iov_count;
}

/* Gives the run a merge to grow in, when it has none. False: the pool is empty. */
static bool run_widen(struct file_channel *channel)
{
	struct list *node;

	if (channel->run.merge)
		return true;
	node = list_pop(&channel->merges_free);
	if (!node)
		return false;
	channel->run.merge = container_of(node, struct file_merge, node);
	channel->run.merge->iov_count = 0;
	merge_append(channel->run.merge, channel->run.first);
	return true;
}

void block_file_submit(struct block_channel *base, struct block_request *request)
{
	struct file_channel *channel = container_of(base, struct file_channel, channel);
	struct file_run *run = &channel->run;
	const uint64_t length = request->op == BLOCK_FLUSH ? 0 : request->length_bytes;

	if (continues(run, request) && fits(run, request) && run_widen(channel)) {
		merge_append(run->merge, request);
		run->end += length;
		run->length_bytes += length;
		return;
	}
	run_send(channel);
	run->first = request;
	run->end = request->offset + length;
	run->length_bytes = length;
}

void block_file_kick(struct block_channel *base)
{
	run_send(container_of(base, struct file_channel, channel));
}

void block_file_channel_init(struct file_channel *channel)
{
	list_init(&channel->merges_free);
	for (unsigned i = 0; i < FILE_MERGES_MAX; i++) {
		struct file_merge *merge = &channel->merges[i];

		merge->channel = channel;
		list_init(&merge->requests);
		list_append(&channel->merges_free, &merge->node);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Loops, devices and requests for the tests of this room. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <quoin/base_assert.h>
#include <quoin/base_text.h>

#include "rig.h"

#define HANG_NS (30 * NS_PER_S)
#define TURNS_MAX 100000000

void rig_init_real(struct rig *rig, uint64_t seed)
{
	const struct loop_params params = {.name = "test", .cpu = -1};

	memset(rig, 0, sizeof(*rig));
	ASSERT(loop_new(&params, &rig->loop) == 0);
	rig->seed = seed;
	random_init(&rig->random, seed);
}

void rig_init_sim(struct rig *rig, uint64_t seed)
{
	memset(rig, 0, sizeof(*rig));
	rig->sim = loop_sim_new(seed);
	rig->loop = loop_sim_add(rig->sim);
	rig->seed = seed;
	random_init(&rig->random, seed);
}

void rig_close(struct rig *rig)
{
	block_channel_close(rig->channel);
	block_close(rig->device);
	disk_close(rig->disk);
	rig->disk = NULL;
	rig->channel = NULL;
	rig->device = NULL;
}

void rig_fini(struct rig *rig)
{
	rig_close(rig);
	if (rig->sim)
		loop_sim_free(rig->sim);
	else
		loop_free(rig->loop);
}

void rig_use(struct rig *rig, struct block_device *device)
{
	rig->device = device;
	ASSERT(block_channel_open(device, rig->loop, &rig->channel) == 0);
}

void rig_open(struct rig *rig, const char *spec)
{
	struct block_device *device;
	struct err err;

	if (block_open(spec, &device, &err) < 0) {
		fprintf(stderr, "%s: %s\n", spec, err.text);
		abort();
	}
	rig_use(rig, device);
}

struct disk_sim *rig_open_sim(struct rig *rig, const struct disk_sim_params *params)
{
	struct disk_sim *sim = disk_sim_new(params);
	struct block_device *device;

	ASSERT(disk_sim_open(sim, &rig->disk) == 0);
	ASSERT(block_open_disk(rig->disk, 0, &device, NULL) == 0);
	rig_use(rig, device);
	return sim;
}

static void done(struct block_request *block)
{
	struct rig_request *request = container_of(block, struct rig_request, block);

	ASSERT(!request->done);
	request->done = true;
	request->rig->pending--;
}

/* Cuts [data, data + length) into up to 8 pieces that suit the device. */
static void cut(struct rig *rig, struct rig_request *request, char *data, uint64_t length)
{
	const struct block_limits *limits = &rig->device->limits;
	const uint64_t unit = MAX(limits->buffer_alignment_bytes, limits->logical_block_bytes);
	unsigned count = 0;

	while (length > 0) {
		const bool last = count + 1 == ARRAY_SIZE(request->iov);
		const uint64_t piece =
			last ? length : unit * (1 + random_below(&rig->random, length / unit));

		request->iov[count++] = (struct iovec){.iov_base = data, .iov_len = piece};
		data += piece;
		length -= piece;
	}
	request->block.iov = request->iov;
	request->block.iov_count = count;
}

void rig_submit(struct rig *rig, struct rig_request *request, void *data)
{
	if (data)
		cut(rig, request, data, request->block.length_bytes);
	request->rig = rig;
	request->done = false;
	request->block.done = done;
	rig->pending++;
	block_submit(rig->channel, &request->block);
}

static void turns(struct rig *rig, uint64_t duration_ns)
{
	const uint64_t end = loop_clock_ns(rig->loop) + duration_ns;

	while (rig->pending > 0 && loop_clock_ns(rig->loop) < end)
		loop_turn(rig->loop, 10 * NS_PER_MS);
}

void rig_wait(struct rig *rig)
{
	if (rig->sim && rig->pending > 0)
		ASSERT(loop_sim_run(rig->sim, NULL, UINT64_MAX, TURNS_MAX));
	else
		turns(rig, HANG_NS);
	if (rig->pending > 0)
		fprintf(stderr, "%u requests hang, seed %llu\n", rig->pending,
			(unsigned long long)rig->seed);
	ASSERT_U64(rig->pending, ==, 0);
}

void rig_pause(struct rig *rig, uint64_t duration_ns)
{
	if (rig->sim)
		(void)!loop_sim_run(rig->sim, NULL, loop_sim_now_ns(rig->sim) + duration_ns,
				    TURNS_MAX);
	else
		turns(rig, duration_ns);
}

int rig_do(struct rig *rig, unsigned op, uint64_t offset, void *data, uint64_t length)
{
	struct rig_request request;

	memset(&request, 0, sizeof(request));
	request.block.op = (enum block_op)(op & 0xFF);
	request.block.flags = op >> 8;
	request.block.offset = offset;
	request.block.length_bytes = length;
	rig_submit(rig, &request, data);
	block_kick(rig->channel);
	rig_wait(rig);
	return request.block.result;
}

void *rig_buffer(size_t size)
{
	void *buffer = NULL;

	ASSERT(posix_memalign(&buffer, 4096, size) == 0);
	memset(buffer, 0xEE, size);
	return buffer;
}

char *rig_file(uint64_t size)
{
	const char *dir = getenv("RIG_DIR");
	char *path = xasprintf("%s/quoin-test-XXXXXX", dir ? dir : "/var/tmp");
	const int fd = mkstemp(path);

	ASSERT(fd >= 0);
	ASSERT(ftruncate(fd, (off_t)size) == 0);
	close(fd);
	return path;
}

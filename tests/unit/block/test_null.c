/* SPDX-License-Identifier: Apache-2.0 */
/* The null device, and what the core does for every driver: range, counters, capacity. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "rig.h"

static void opens(void **state)
{
	struct block_description d;
	struct rig rig;

	rig_init_sim(&rig, 1);
	rig_open(&rig, "null:1M,block=4096");
	block_describe(rig.device, &d);
	assert_string_equal(d.kind, "null");
	assert_string_equal(d.path, "");
	assert_string_equal(d.spec, "null:1M,block=4096");
	assert_int_equal(d.wrappers, 0);
	assert_int_equal(d.limits.capacity_bytes, MiB);
	assert_int_equal(d.limits.logical_block_bytes, 4096);
	assert_false(d.limits.volatile_cache);
	rig_fini(&rig);
}

static void refuses_sizes(void **state)
{
	static const char *const specs[] = {"null:0", "null:511", "null:4095,block=4096",
					    "null:8E"};
	struct block_device *device = NULL;
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
		assert_int_equal(block_open(specs[i], &device, &err), -EINVAL);
		assert_null(device);
		assert_non_null(strstr(err.text, specs[i]));
	}
}

static void all_operations(void **state)
{
	struct block_counters counters;
	struct block_channel *channel;
	char data[4096];
	struct rig rig;

	rig_init_sim(&rig, 2);
	rig_open(&rig, "null:1M");
	memset(data, 0x5A, sizeof(data));
	for (unsigned op = 0; op < BLOCK_COPY; op++)
		assert_int_equal(rig_do(&rig, op, 0, op <= BLOCK_WRITE ? data : NULL, 4096), 0);
	/* A read leaves the buffer alone. */
	assert_int_equal(data[0], 0x5A);
	assert_int_equal(data[4095], 0x5A);
	/* Nothing to do is done. */
	assert_int_equal(rig_do(&rig, BLOCK_DISCARD, 512, NULL, 0), 0);
	assert_int_equal(rig_do(&rig, BLOCK_READ, MiB, data, 512), -ENXIO);
	assert_int_equal(rig_do(&rig, BLOCK_WRITE_ZEROES, UINT64_MAX - 511, NULL, 512), -ENXIO);
	/* Counters of closed channels count on. */
	assert_int_equal(block_channel_open(rig.device, rig.loop, &channel), 0);
	block_channel_close(rig.channel);
	rig.channel = channel;
	assert_int_equal(rig_do(&rig, BLOCK_READ, MiB - 512, data, 512), 0);
	block_counters_get(rig.device, &counters);
	assert_int_equal(counters.done[BLOCK_READ], 2);
	assert_int_equal(counters.bytes[BLOCK_READ], 4608);
	assert_int_equal(counters.errors[BLOCK_READ], 1);
	assert_int_equal(counters.done[BLOCK_DISCARD], 2);
	assert_int_equal(counters.errors[BLOCK_WRITE_ZEROES], 1);
	assert_int_equal(counters.done[BLOCK_FLUSH], 1);
	rig_fini(&rig);
}

static void resizes(void **state)
{
	struct err err;
	struct rig rig;

	rig_init_sim(&rig, 3);
	rig_open(&rig, "null:1M,block=4096");
	assert_int_equal(rig_do(&rig, BLOCK_DISCARD, MiB, NULL, 4096), -ENXIO);
	assert_int_equal(block_resize(rig.device, 2 * MiB, &err), 0);
	assert_int_equal(block_capacity(rig.device), 2 * MiB);
	assert_int_equal(rig_do(&rig, BLOCK_DISCARD, MiB, NULL, 4096), 0);
	assert_int_equal(block_resize(rig.device, 4096, &err), 0);
	assert_int_equal(rig_do(&rig, BLOCK_DISCARD, 4096, NULL, 4096), -ENXIO);
	assert_int_equal(block_resize(rig.device, 0, &err), -EINVAL);
	assert_int_equal(block_resize(rig.device, 512, &err), -EINVAL);
	assert_int_equal(block_resize(rig.device, UINT64_MAX - 4095, &err), -EFBIG);
	assert_int_equal(block_capacity(rig.device), 4096);
	assert_int_equal(block_refresh(rig.device, &err), 0);
	rig_fini(&rig);
}

static void count(struct block_request *request)
{
	request->driver[0]++;
}

/* The path costs a few ns; the limit leaves room for slow machines and sanitizers. */
static void is_cheap(void **state)
{
	const unsigned rounds = 1000000;
	struct block_request request;
	struct timespec a, b;
	char data[4096];
	struct iovec iov = {data, sizeof(data)};
	struct rig rig;
	double ns;

	rig_init_sim(&rig, 4);
	rig_open(&rig, "null:1G");
	memset(&request, 0, sizeof(request));
	request.op = BLOCK_READ;
	request.length_bytes = sizeof(data);
	request.iov = &iov;
	request.iov_count = 1;
	request.done = count;
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (unsigned i = 0; i < rounds; i++)
		block_submit(rig.channel, &request);
	clock_gettime(CLOCK_MONOTONIC, &b);
	ns = ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / rounds;
	print_message("null device: %.1f ns per request\n", ns);
	assert_int_equal(request.driver[0], rounds);
	assert_true(ns < 500);
	rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens),	  cmocka_unit_test(refuses_sizes),
		cmocka_unit_test(all_operations), cmocka_unit_test(resizes),
		cmocka_unit_test(is_cheap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

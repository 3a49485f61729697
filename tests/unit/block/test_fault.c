/* SPDX-License-Identifier: Apache-2.0 */
/* The error and delay wrappers, alone and stacked, in both twins. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <quoin/block_fault.h>

#include "rig.h"

#define FEW 8

static void init(struct rig *rig, bool simulated, const char *spec)
{
	if (simulated)
		rig_init_sim(rig, 5);
	else
		rig_init_real(rig, 5);
	rig_open(rig, spec);
}

/* The results of `count` flushes, as a string of '.' and 'E'. */
static const char *pattern(struct rig *rig, unsigned count)
{
	static char text[64];

	for (unsigned i = 0; i < count; i++)
		text[i] = rig_do(rig, BLOCK_FLUSH, 0, NULL, 0) < 0 ? 'E' : '.';
	text[count] = '\0';
	return text;
}

static void error_counts(void **state)
{
	struct rig rig;

	init(&rig, true, "error:every=3,after=2,count=2:null:1M");
	assert_string_equal(pattern(&rig, 12), "....E..E....");
	assert_int_equal(block_error_hits(rig.device), 2);
	rig_fini(&rig);
	init(&rig, true, "error:after=1,count=1:null:1M");
	assert_string_equal(pattern(&rig, 4), ".E..");
	rig_fini(&rig);
}

static void error_chooses(void **state)
{
	struct block_counters counters;
	char data[8192];
	struct rig rig;

	init(&rig, true, "error:op=write,errno=ENOSPC,offset=64K,length=4K:null:1M");
	assert_int_equal(rig_do(&rig, BLOCK_WRITE, 65536, data, 512), -ENOSPC);
	assert_int_equal(rig_do(&rig, BLOCK_WRITE, 69120, data, 512), -ENOSPC);
	assert_int_equal(rig_do(&rig, BLOCK_WRITE, 61952, data, 8192), -ENOSPC);
	assert_int_equal(rig_do(&rig, BLOCK_WRITE, 65024, data, 512), 0);
	assert_int_equal(rig_do(&rig, BLOCK_WRITE, 69632, data, 512), 0);
	assert_int_equal(rig_do(&rig, BLOCK_READ, 65536, data, 512), 0);
	assert_int_equal(rig_do(&rig, BLOCK_FLUSH, 0, NULL, 0), 0);
	block_counters_get(rig.device, &counters);
	assert_int_equal(counters.errors[BLOCK_WRITE], 3);
	assert_int_equal(counters.done[BLOCK_WRITE], 2);
	rig_fini(&rig);
}

static void error_switches(void **state)
{
	const struct block_error_rule fail_all = {
		.match.ops = BLOCK_FAULT_OPS_ALL,
		.result = -EIO,
		.every = 1,
	};
	struct block_error_rule rule = fail_all;
	struct rig rig;

	init(&rig, true, "delay:us=1:error:off:null:1M");
	assert_string_equal(pattern(&rig, 3), "...");
	assert_int_equal(block_error_set(rig.device, &rule), 0);
	assert_string_equal(pattern(&rig, 3), "EEE");
	rule.match.ops = 0;
	assert_int_equal(block_error_set(rig.device, &rule), 0);
	assert_string_equal(pattern(&rig, 3), "...");
	rig_fini(&rig);
	init(&rig, true, "null:1M");
	assert_int_equal(block_error_set(rig.device, &fail_all), -ENOENT);
	assert_int_equal(block_delay_release(rig.device), -ENOENT);
	assert_int_equal(block_error_hits(rig.device), 0);
	rig_fini(&rig);
}

static void delay_takes_time(bool simulated)
{
	struct rig rig;
	uint64_t start;

	init(&rig, simulated, "delay:op=flush,ms=20,jitter_us=1000:null:1M");
	start = loop_clock_ns(rig.loop);
	assert_int_equal(rig_do(&rig, BLOCK_FLUSH, 0, NULL, 0), 0);
	assert_true(loop_clock_ns(rig.loop) - start >= 19 * NS_PER_MS);
	start = loop_clock_ns(rig.loop);
	assert_int_equal(rig_do(&rig, BLOCK_DISCARD, 0, NULL, 512), 0);
	assert_true(loop_clock_ns(rig.loop) - start < 19 * NS_PER_MS);
	rig_fini(&rig);
}

static void delay_holds(bool simulated)
{
	struct rig_request requests[FEW];
	struct block_delay_rule none = {0};
	struct rig rig;

	init(&rig, simulated, "delay:hold:null:1M");
	memset(requests, 0, sizeof(requests));
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < FEW; i++) {
			requests[i].block.op = BLOCK_FLUSH;
			rig_submit(&rig, &requests[i], NULL);
		}
		block_kick(rig.channel);
		rig_pause(&rig, 5 * NS_PER_MS);
		assert_int_equal(rig.pending, FEW);
		assert_int_equal(block_delay_held(rig.device), FEW);
		if (round == 0)
			assert_int_equal(block_delay_release(rig.device), 0);
		else
			assert_int_equal(block_delay_set(rig.device, &none), 0);
		/* A second release while the first is under way is harmless. */
		assert_int_equal(block_delay_release(rig.device), 0);
		rig_wait(&rig);
		assert_int_equal(block_delay_held(rig.device), 0);
	}
	assert_int_equal(rig_do(&rig, BLOCK_FLUSH, 0, NULL, 0), 0);
	rig_fini(&rig);
}

/* A channel that is closed before its release arrives. */
static void delay_closes(bool simulated)
{
	struct rig rig;

	init(&rig, simulated, "delay:hold:null:1M");
	assert_int_equal(block_delay_release(rig.device), 0);
	rig_close(&rig);
	rig_pause(&rig, NS_PER_MS);
	rig.pending = 1;
	rig_pause(&rig, NS_PER_MS);
	rig.pending = 0;
	rig_fini(&rig);
}

static void delays_real(void **state)
{
	delay_takes_time(false);
	delay_holds(false);
	delay_closes(false);
}

static void delays_simulated(void **state)
{
	delay_takes_time(true);
	delay_holds(true);
	delay_closes(true);
}

static void stack_describes_and_resizes(void **state)
{
	struct block_description d;
	struct err err;
	struct rig rig;

	init(&rig, true, "error:off:delay:us=5:null:1M");
	block_describe(rig.device, &d);
	assert_string_equal(d.kind, "null");
	assert_int_equal(d.wrappers, 2);
	assert_int_equal(d.limits.capacity_bytes, MiB);
	assert_int_equal(block_resize(rig.device, 2 * MiB, &err), 0);
	assert_int_equal(block_capacity(rig.device), 2 * MiB);
	assert_int_equal(rig_do(&rig, BLOCK_DISCARD, 2 * MiB - 512, NULL, 512), 0);
	assert_int_equal(block_resize(rig.device, UINT64_C(1) << 63, &err), -EFBIG);
	assert_int_equal(block_capacity(rig.device), 2 * MiB);
	assert_int_equal(block_refresh(rig.device, &err), 0);
	rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(error_counts),	    cmocka_unit_test(error_chooses),
		cmocka_unit_test(error_switches),   cmocka_unit_test(delays_real),
		cmocka_unit_test(delays_simulated), cmocka_unit_test(stack_describes_and_resizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

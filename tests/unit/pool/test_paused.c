/* SPDX-License-Identifier: Apache-2.0 */
/* A volume that pauses when its pool is full: who goes away need not wait for space. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <quoin/base_assert.h>

#include "engine_rig.h"

#define VOLUME_BYTES (256 * MiB)
#define WRITE_BYTES (1 * MiB)
#define WAIT_NS (10 * NS_PER_S)

struct writer {
	struct engine_rig rig;
	struct rig_volume volume;
	struct block_request request;
	struct iovec iov;
	bool ended;
	uint8_t *data;
};

static void request_ended(struct block_request *request)
{
	container_of(request, struct writer, request)->ended = true;
}

static void submit(struct writer *w, uint64_t offset)
{
	w->iov = (struct iovec){w->data, WRITE_BYTES};
	w->request = (struct block_request){
		.op = BLOCK_WRITE,
		.offset = offset,
		.length_bytes = WRITE_BYTES,
		.iov = &w->iov,
		.iov_count = 1,
		.done = request_ended,
	};
	w->ended = false;
	block_submit(w->volume.channel, &w->request);
	block_kick(w->volume.channel);
}

static bool paused(struct writer *w)
{
	struct pool_volume_info info;

	assert_int_equal(pool_volume_find(w->rig.pool, "vol", &info), 0);
	return info.paused;
}

/* Writes on until a write does not end any more. */
static uint64_t fill(struct writer *w)
{
	uint64_t at = 0;

	do {
		assert_true(at < VOLUME_BYTES);
		submit(w, at);
		for (unsigned ms = 0; !w->ended && ms < 60000; ms += 100)
			fiber_sleep_ns(100 * NS_PER_MS);
		at += WRITE_BYTES;
	} while (w->ended);
	assert_true(paused(w));
	return at;
}

static void gives_up(void *arg)
{
	struct writer *w = arg;
	const struct pool_volume_params params = {
		.size_bytes = VOLUME_BYTES,
		.pause_when_full = true,
	};
	struct err err = {.code = 0};
	uint64_t at;

	rig_format(&w->rig);
	assert_int_equal(rig_open(&w->rig), 0);
	assert_int_equal(pool_volume_create(w->rig.pool, "vol", &params, &err), 0);
	assert_int_equal(rig_volume_open(&w->rig, "vol", &w->volume), 0);
	at = fill(w);
	block_hurry(w->volume.channel, true);
	while (!w->ended)
		fiber_sleep_ns(NS_PER_MS);
	assert_int_equal(w->request.result, -ENOSPC);
	assert_false(paused(w));
	/* The next one does not begin to wait. */
	submit(w, at);
	while (!w->ended)
		fiber_sleep_ns(NS_PER_MS);
	assert_int_equal(w->request.result, -ENOSPC);
	/* A front end that stays is patient again. */
	block_hurry(w->volume.channel, false);
	submit(w, at);
	fiber_sleep_ns(WAIT_NS);
	assert_false(w->ended);
	block_hurry(w->volume.channel, true);
	while (!w->ended)
		fiber_sleep_ns(NS_PER_MS);
	rig_volume_close(&w->volume);
	assert_int_equal(rig_close(&w->rig), 0);
}

static void who_goes_does_not_wait_for_space(void **state)
{
	struct writer *w = calloc(1, sizeof(*w));

	w->data = aligned_alloc(RIG_BLOCK, WRITE_BYTES);
	memset(w->data, 1, WRITE_BYTES);
	rig_init(&w->rig, 1, 1, 64 * MiB);
	rig_run(&w->rig, gives_up, w);
	rig_fini(&w->rig);
	free(w->data);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_goes_does_not_wait_for_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

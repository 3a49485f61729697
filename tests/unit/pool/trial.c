/* SPDX-License-Identifier: Apache-2.0 */
/* A pool with one volume and a model of it: see trial.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <quoin/base_assert.h>

#include "trial.h"

void trial_begin(void *arg)
{
	struct trial *t = arg;
	struct err err = {.code = 0};

	if (t->params.size_bytes == 0)
		t->params.size_bytes = t->blocks * RIG_BLOCK;
	rig_format(&t->rig);
	assert_int_equal(rig_open(&t->rig), 0);
	if (pool_volume_create(t->rig.pool, "vol", &t->params, &err) < 0)
		fail_msg("create: %s", err.text);
	assert_int_equal(rig_volume_open(&t->rig, "vol", &t->volume), 0);
}

struct trial *trial_new(uint64_t seed, unsigned drives, uint64_t drive_bytes, uint64_t blocks)
{
	struct trial *t = calloc(1, sizeof(*t));

	ASSERT(t != NULL);
	rig_init(&t->rig, seed, drives, drive_bytes);
	t->blocks = blocks;
	t->stamps = calloc(blocks, sizeof(*t->stamps));
	t->data = aligned_alloc(RIG_BLOCK, TRIAL_RUN * RIG_BLOCK);
	ASSERT(t->stamps != NULL && t->data != NULL);
	return t;
}

void trial_close(void *arg)
{
	struct trial *t = arg;

	rig_volume_close(&t->volume);
	rig_close(&t->rig);
}

void trial_open(void *arg)
{
	struct trial *t = arg;

	assert_int_equal(rig_open(&t->rig), 0);
	assert_int_equal(rig_volume_open(&t->rig, "vol", &t->volume), 0);
}

void trial_free(struct trial *t)
{
	rig_fini(&t->rig);
	free(t->stamps);
	free(t->data);
	free(t);
}

void trial_fill(uint8_t *data, uint32_t stamp)
{
	for (size_t i = 0; i < RIG_BLOCK; i += sizeof(stamp))
		memcpy(data + i, &stamp, sizeof(stamp));
}

int trial_write(struct trial *t, uint64_t first, uint64_t count)
{
	int r;

	for (uint64_t i = 0; i < count; i++)
		trial_fill(t->data + i * RIG_BLOCK, t->stamp + 1 + (uint32_t)i);
	r = rig_io(&t->volume, BLOCK_WRITE, first * RIG_BLOCK, t->data, count * RIG_BLOCK);
	for (uint64_t i = 0; r == 0 && i < count; i++)
		t->stamps[first + i] = t->stamp + 1 + (uint32_t)i;
	t->stamp += (uint32_t)count;
	return r;
}

void trial_check(void *arg)
{
	struct trial *t = arg;
	uint8_t want[RIG_BLOCK];

	for (uint64_t b = 0; b < t->blocks; b++) {
		trial_fill(want, t->stamps[b]);
		assert_int_equal(rig_io(&t->volume, BLOCK_READ, b * RIG_BLOCK, t->data, RIG_BLOCK),
				 0);
		if (memcmp(t->data, want, RIG_BLOCK) != 0)
			fail_msg("seed %llu: block %llu is not %u", (unsigned long long)t->rig.seed,
				 (unsigned long long)b, t->stamps[b]);
	}
}

void trial_end(struct trial *t)
{
	rig_run(&t->rig, trial_check, t);
	rig_run(&t->rig, trial_close, t);
	rig_run(&t->rig, trial_open, t);
	rig_run(&t->rig, trial_check, t);
	rig_run(&t->rig, trial_close, t);
	trial_free(t);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a pool takes, counted: every allocation and anonymous mapping of the program goes through
 * functions of this file, put before the C library's by the linker. The drives are sparse files.
 *
 * Of a fiber's stack counts what it is planned with; pages below are never touched.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <quoin/base_assert.h>
#include <quoin/base_size.h>

#include "engine/engine.h"
#include "engine_rig.h"
#include "space/private.h"

#define MAPPINGS_MAX 256
#define STACK_BYTES (64 * KiB)

/* --- Counting -------------------------------------------------------------------------------- */

struct mapping {
	void *start;
	size_t bytes;
};

static struct {
	size_t live, most;
	struct mapping mappings[MAPPINGS_MAX];
} counted;

static void count_up(size_t bytes)
{
	const size_t live = __atomic_add_fetch(&counted.live, bytes, __ATOMIC_RELAXED);

	if (live > counted.most)
		counted.most = live;
}

/* The compiler knows that malloc() changes no variable of ours. */
static size_t live(void)
{
	return __atomic_load_n(&counted.live, __ATOMIC_SEQ_CST);
}

static void count_down_by(size_t bytes)
{
	__atomic_sub_fetch(&counted.live, bytes, __ATOMIC_RELAXED);
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
void __real_free(void *memory);
void *__real_mmap64(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t bytes);

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
void __wrap_free(void *memory);
void *__wrap_mmap64(void *at, size_t bytes, int prot, ...);
int __wrap_munmap(void *at, size_t bytes);

static void *taken(void *memory)
{
	if (memory)
		count_up(malloc_usable_size(memory));
	return memory;
}

void *__wrap_malloc(size_t bytes)
{
	return taken(__real_malloc(bytes));
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return taken(__real_calloc(count, bytes));
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
	return taken(__real_aligned_alloc(alignment, bytes));
}

void *__wrap_realloc(void *old, size_t bytes)
{
	const size_t had = old ? malloc_usable_size(old) : 0;
	void *memory = taken(__real_realloc(old, bytes));

	/* While it moves, both are there. */
	if (memory)
		count_down_by(had);
	return memory;
}

void __wrap_free(void *memory)
{
	if (memory)
		count_down_by(malloc_usable_size(memory));
	__real_free(memory);
}

/* What it is called with are registers, of which mmap() has more than our functions may. */
void *__wrap_mmap64(void *at, size_t bytes, int prot, ...)
{
	struct mapping *m = counted.mappings;
	void *start;
	va_list rest;
	int flags, fd;

	va_start(rest, prot);
	flags = va_arg(rest, int);
	fd = va_arg(rest, int);
	start = __real_mmap64(at, bytes, prot, flags, fd, va_arg(rest, off_t));
	va_end(rest);
	if (start == MAP_FAILED || !(flags & MAP_ANONYMOUS))
		return start;
	while (m->start)
		ASSERT_U64(++m - counted.mappings, <, MAPPINGS_MAX);
	*m = (struct mapping){start, flags & MAP_STACK ? STACK_BYTES : bytes};
	count_up(m->bytes);
	return start;
}

int __wrap_munmap(void *at, size_t bytes)
{
	for (unsigned i = 0; i < MAPPINGS_MAX; i++) {
		struct mapping *m = &counted.mappings[i];

		if (m->start != at)
			continue;
		count_down_by(m->bytes);
		m->start = NULL;
		break;
	}
	return __real_munmap(at, bytes);
}

/* --- Parts ------------------------------------------------------------------------------------ */

/* The plan is kept, and is not much too large. */
static void planned(uint64_t plan, size_t before)
{
	const uint64_t took = live() - before;

	assert_in_range(took, plan / 100 * 95, plan);
}

static void parts_of_space(void **state)
{
	const struct space_drive drives[4] = {
		{.chunk_count = 100, .group = 0, .usable = true},
		{.chunk_count = 100, .group = 0, .usable = true},
		{.chunk_count = 77, .group = 1, .usable = true},
		{.chunk_count = 77, .group = 1, .usable = true},
	};
	const struct space_params params = {
		.chunk_shift = 28, .drive_count = 4, .drives = drives, .freed_max = 500000};
	const size_t before = live();
	struct segment *segment;
	struct space *space;
	unsigned count = 0;

	assert_int_equal(space_new(&params, &space), 0);
	for (unsigned group = 0; group < 2; group++) {
		while (space_segment_add(space, SEGMENT_DATA, group, 1, &segment) == 0)
			count++;
	}
	assert_int_equal(count, space_segments_most(&params));
	planned(space_memory(&params), before);
	space_free(space);
	assert_int_equal(live(), before);
}

static void parts_of_delta_and_cache(void **state)
{
	const struct pages_params params = {.cache_pages = 5000, .write_pages = 16 * PAGES_RUN};
	struct delta *delta = malloc(sizeof(*delta));
	struct pages *pages;
	size_t before = live();

	assert_int_equal(delta_init(delta, 100000), 0);
	planned(delta_memory(100000) + 2 * RIG_BLOCK, before);
	delta_fini(delta);
	free(delta);
	before = live();
	assert_int_equal(pages_new(&params, &pages), 0);
	planned(pages_memory(&params) + 8 * RIG_BLOCK, before);
	pages_free(pages);
	assert_int_equal(live(), before);
}

/* --- Whole pools -------------------------------------------------------------------------------
 */

#define WRITES 6000
#define SNAPSHOTS 300

struct trial {
	struct loop *loop;
	struct disk *disk;
	struct pool_drive_param drive;
	struct pool *pool;
	uint64_t memory_bytes;
	bool touch; /* it is written to, with snapshots */
	size_t before;
	uint64_t lent;
	struct engine_memory plan;
	struct err err;
	char path[64];
};

static void rewrite(struct trial *t, struct rig_volume *volume, uint64_t bytes)
{
	uint8_t *data = aligned_alloc(RIG_BLOCK, RIG_BLOCK);

	memset(data, 3, RIG_BLOCK);
	for (unsigned i = 0; i < WRITES; i++) {
		const uint64_t block = random_below(loop_random(t->loop), bytes / RIG_BLOCK);

		assert_int_equal(rig_io(volume, BLOCK_WRITE, block * RIG_BLOCK, data, RIG_BLOCK),
				 0);
	}
	free(data);
}

static void use(struct trial *t)
{
	const struct pool_volume_params params = {.size_bytes = 64 * GiB};
	struct rig_volume volume;

	assert_int_equal(pool_volume_create(t->pool, "vol", &params, NULL), 0);
	assert_int_equal(rig_volume_open(&(struct engine_rig){.pool = t->pool, .loop = t->loop},
					 "vol", &volume),
			 0);
	for (unsigned i = 0; i < SNAPSHOTS; i++) {
		char name[32];
		const char *names = name;

		snprintf(name, sizeof(name), "vol@s%u", i);
		assert_int_equal(pool_snapshot_create(t->pool, &names, 1, NULL), 0);
	}
	rewrite(t, &volume, params.size_bytes);
	assert_int_equal(pool_sync(t->pool), 0);
	rewrite(t, &volume, 64 * MiB);
	t->lent = t->pool->memory.lent_bytes;
	rig_volume_close(&volume);
	assert_int_equal(pool_volume_destroy(t->pool, "vol", true, NULL), 0);
	assert_int_equal(pool_sync(t->pool), 0);
}

static int pool_take(struct trial *t)
{
	const struct pool_open_params params = {
		.loop = t->loop,
		.drives = &t->drive,
		.drive_count = 1,
		.memory_bytes = t->memory_bytes,
	};

	return pool_open(&params, &t->pool, &t->err);
}

static void trial_main(void *arg)
{
	struct trial *t = arg;

	t->err = (struct err){.code = 0};
	t->lent = 0;
	if (pool_take(t) == 0) {
		t->plan = t->pool->memory;
		if (t->touch)
			use(t);
		assert_int_equal(pool_close(t->pool, POOL_KEEP, NULL), 0);
	}
	loop_stop(t->loop);
}

static void format_main(void *arg)
{
	struct trial *t = arg;
	const struct pool_format_params params = {
		.name = "tank", .drives = &t->drive, .drive_count = 1};

	assert_int_equal(pool_format(t->loop, &params, NULL), 0);
	loop_stop(t->loop);
}

static void trial_run(struct trial *t, void (*main)(void *arg))
{
	assert_int_equal(fiber_start(t->loop, false, main, t, NULL), 0);
	loop_run(t->loop);
}

/* False: the file system has no such files. */
static bool trial_init(struct trial *t, uint64_t drive_bytes)
{
	const struct loop_params params = {.name = "test", .cpu = -1};
	const struct disk_open_params open = {.no_direct = true};
	const char *dir = getenv("TMPDIR");
	int fd;

	memset(t, 0, sizeof(*t));
	snprintf(t->path, sizeof(t->path), "%s/quoin-memory-XXXXXX", dir ? dir : "/tmp");
	fd = mkstemp(t->path);
	assert_true(fd >= 0);
	if (ftruncate(fd, (off_t)drive_bytes) < 0) {
		print_message("no sparse file of %llu bytes: %s\n", (unsigned long long)drive_bytes,
			      strerror(errno));
		unlink(t->path);
		close(fd);
		return false;
	}
	close(fd);
	assert_int_equal(loop_new(&params, &t->loop), 0);
	assert_int_equal(disk_open(t->path, &open, &t->disk, &t->err), 0);
	unlink(t->path);
	t->drive = (struct pool_drive_param){.disk = t->disk, .path = t->path};
	trial_run(t, format_main);
	return true;
}

static void trial_fini(struct trial *t)
{
	disk_close(t->disk);
	loop_free(t->loop);
}

static void keeps_to_the_plan(struct trial *t, uint64_t memory_bytes)
{
	uint64_t took;

	t->memory_bytes = memory_bytes;
	t->before = counted.most = live();
	trial_run(t, trial_main);
	if (t->err.code != 0)
		fail_msg("%s", t->err.text);
	took = counted.most - t->before;
	print_message(
		"planned %llu KiB, took %llu KiB, lent %llu KiB; %u records, %zu pages cached\n",
		(unsigned long long)memory_bytes / KiB, (unsigned long long)took / KiB,
		(unsigned long long)t->lent / KiB, t->plan.delta_records, t->plan.cache_pages);
	/* What the cache of pages lent the kernel has taken back from it. */
	assert_true(took <= memory_bytes + t->lent);
	assert_true(live() <= t->before);
}

/* Sizes of drives, and what a pool on one gets of the default and of the least setting. */
static void pools_keep_to_the_plan(void **state)
{
	static const struct {
		uint64_t drive_bytes, memory_bytes;
	} cases[] = {
		{1 * GiB, POOL_MEMORY_MIN}, {1 * GiB, 155 * MiB},    {100 * GiB, 55 * MiB},
		{256 * GiB, 155 * MiB},	    {1024 * GiB, 155 * MiB},
	};
	struct trial *t = malloc(sizeof(*t));

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (!trial_init(t, cases[i].drive_bytes))
			continue;
		t->touch = true;
		keeps_to_the_plan(t, cases[i].memory_bytes);
		trial_fini(t);
	}
	free(t);
}

static void snapshots_until_refused(void *arg)
{
	struct trial *t = arg;
	const struct pool_volume_params params = {.size_bytes = 64 * GiB};
	unsigned count = 0;

	assert_int_equal(pool_take(t), 0);
	assert_int_equal(pool_volume_create(t->pool, "vol", &params, NULL), 0);
	for (;; count++) {
		char name[32];
		const char *names = name;

		snprintf(name, sizeof(name), "vol@s%u", count);
		if (pool_snapshot_create(t->pool, &names, 1, &t->err) < 0)
			break;
	}
	print_message("%u snapshots: %s\n", count, t->err.text);
	assert_int_equal(t->err.code, -ENOMEM);
	assert_true(count > 500);
	assert_int_equal(pool_close(t->pool, POOL_KEEP, NULL), 0);
	/* What was made with this memory can be had with it, and a little more. */
	t->err = (struct err){.code = 0};
	if (pool_take(t) < 0)
		fail_msg("%s", t->err.text);
	assert_int_equal(pool_snapshot_create(t->pool, &(const char *){"vol@more"}, 1, NULL), 0);
	assert_int_equal(pool_close(t->pool, POOL_KEEP, NULL), 0);
	loop_stop(t->loop);
}

static void objects_are_bounded(void **state)
{
	struct trial *t = malloc(sizeof(*t));

	assert_true(trial_init(t, 100 * GiB));
	t->memory_bytes = 40 * MiB;
	trial_run(t, snapshots_until_refused);
	trial_fini(t);
	free(t);
}

/* What does not fit is refused, and the sentence says what would do. */
static void too_little_is_refused(void **state)
{
	static const uint64_t sizes[] = {200 * GiB, 1024 * GiB, 4096 * GiB, 15 * 1024 * GiB};
	struct trial *t = malloc(sizeof(*t));

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		char text[32];
		uint64_t need = 0;

		if (!trial_init(t, sizes[i]))
			continue;
		t->memory_bytes = POOL_MEMORY_MIN;
		trial_run(t, trial_main);
		print_message("%s\n", t->err.text);
		assert_int_equal(t->err.code, -ENOMEM);
		assert_int_equal(sscanf(t->err.text, "pool 'tank' needs %31s of memory", text), 1);
		assert_int_equal(size_parse(text, &need), 0);
		keeps_to_the_plan(t, need);
		trial_fini(t);
	}
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_of_space),
		cmocka_unit_test(parts_of_delta_and_cache),
		cmocka_unit_test(pools_keep_to_the_plan),
		cmocka_unit_test(objects_are_bounded),
		cmocka_unit_test(too_little_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

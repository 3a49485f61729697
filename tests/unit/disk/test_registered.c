/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives whose files and memory the loop knows beforehand: contents are the same, the loop's
 * counters tell that it was used, and a refusal changes nothing.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "rig.h"

#define REGION_BYTES (64 * KiB)
#define BLOCK 4096

struct fixture {
	char path[2][64];
	struct rig rig;
	unsigned char *region; /* REGION_BYTES, and as much again behind it */
};

static int file_make(char *path, size_t size)
{
	int fd;

	snprintf(path, size, "%s", "/var/tmp/quoin-disk-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || ftruncate(fd, 4 * MiB) < 0)
		return -1;
	return close(fd);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	rig_init_real(&f->rig);
	f->region = mmap(NULL, 2 * REGION_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return f->region == MAP_FAILED || file_make(f->path[0], sizeof(f->path[0])) < 0 ||
			       file_make(f->path[1], sizeof(f->path[1])) < 0
		       ? -1
		       : 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	rig_fini(&f->rig);
	munmap(f->region, 2 * REGION_BYTES);
	unlink(f->path[0]);
	unlink(f->path[1]);
	free(f);
	return 0;
}

static void use(struct rig *rig, const char *path, bool no_direct)
{
	const struct disk_open_params params = {.no_direct = no_direct};
	struct disk *disk;
	struct err err;

	if (disk_open(path, &params, &disk, &err) < 0)
		fail_msg("%s", err.text);
	rig_use(rig, disk);
}

static void registers(const struct fixture *f)
{
	const int r = disk_buffers_register(f->rig.loop, f->region, REGION_BYTES);

	if (r == -EINVAL || r == -ENOMEM) {
		print_message("memory cannot be registered here (%d): not tried\n", r);
		skip();
	}
	assert_int_equal(r, 0);
}

static uint64_t fixed_buffers(const struct fixture *f)
{
	return loop_stats_get(f->rig.loop).io_fixed_buffers;
}

/* Writes a block of `value` from one place and reads it back to another. */
static void round_trip(struct rig *rig, unsigned flags, unsigned char *from, unsigned char *to,
		       int value)
{
	memset(from, value, BLOCK);
	memset(to, ~value, BLOCK);
	assert_int_equal(rig_do(rig, DISK_WRITE | flags, MiB, from, BLOCK), 0);
	assert_int_equal(rig_do(rig, DISK_READ, MiB, to, BLOCK), 0);
	assert_memory_equal(to, from, BLOCK);
}

static void contents_go_round(void **state)
{
	struct fixture *f = *state;

	registers(f);
	use(&f->rig, f->path[0], false);
	round_trip(&f->rig, 0, f->region, f->region + BLOCK, 1);
	round_trip(&f->rig, RIG_FUA, f->region, f->region + BLOCK, 2);
	assert_int_equal(fixed_buffers(f), 4);
	assert_int_equal(rig_do(&f->rig, DISK_FLUSH, 0, NULL, 0), 0);
	/* Zeroes come from the driver's own memory. */
	assert_int_equal(rig_do(&f->rig, DISK_WRITE_ZEROES | RIG_FUA, MiB, NULL, BLOCK), 0);
	assert_int_equal(rig_do(&f->rig, DISK_READ, MiB, f->region, BLOCK), 0);
	assert_int_equal(f->region[0], 0);
	assert_true(loop_stats_get(f->rig.loop).io_fixed_files >= 7);
}

static void memory_outside_goes_round(void **state)
{
	struct fixture *f = *state;
	unsigned char *half = f->region + REGION_BYTES - 512;

	registers(f);
	use(&f->rig, f->path[0], true);
	round_trip(&f->rig, 0, half, f->region + REGION_BYTES + BLOCK, 3);
	assert_int_equal(fixed_buffers(f), 0);
	round_trip(&f->rig, RIG_FUA, f->region, f->region + REGION_BYTES, 4);
	assert_int_equal(fixed_buffers(f), 1);
}

static void refused_memory_goes_round(void **state)
{
	struct fixture *f = *state;

	use(&f->rig, f->path[0], false);
	memset(f->region, 5, BLOCK);
	/* The kernel would have to write there. */
	assert_int_equal(mprotect(f->region, REGION_BYTES, PROT_READ), 0);
	assert_true(disk_buffers_register(f->rig.loop, f->region, REGION_BYTES) < 0);
	assert_int_equal(rig_do(&f->rig, DISK_WRITE, 0, f->region, BLOCK), 0);
	assert_int_equal(rig_do(&f->rig, DISK_READ, 0, f->region + REGION_BYTES, BLOCK), 0);
	assert_memory_equal(f->region, f->region + REGION_BYTES, BLOCK);
	disk_buffers_unregister(f->rig.loop, f->region, REGION_BYTES);
	assert_int_equal(fixed_buffers(f), 0);
}

static void memory_serves_all_drives(void **state)
{
	struct fixture *f = *state;
	struct rig second = {.loop = f->rig.loop};

	use(&f->rig, f->path[0], false);
	registers(f);
	use(&second, f->path[1], false);
	round_trip(&f->rig, 0, f->region, f->region + BLOCK, 6);
	round_trip(&second, 0, f->region, f->region + BLOCK, 7);
	/* Each has its own file. */
	assert_int_equal(rig_do(&f->rig, DISK_READ, MiB, f->region, BLOCK), 0);
	assert_int_equal(f->region[0], 6);
	assert_int_equal(fixed_buffers(f), 5);
	rig_close(&f->rig);
	round_trip(&second, 0, f->region, f->region + BLOCK, 8);
	use(&f->rig, f->path[0], false);
	assert_int_equal(rig_do(&f->rig, DISK_READ, MiB, f->region, BLOCK), 0);
	assert_int_equal(f->region[0], 6);
	assert_int_equal(fixed_buffers(f), 8);
	rig_close(&second);
}

static void memory_can_be_registered_anew(void **state)
{
	struct fixture *f = *state;

	use(&f->rig, f->path[0], false);
	for (unsigned i = 0; i < 3; i++) {
		registers(f);
		round_trip(&f->rig, 0, f->region, f->region + BLOCK, 10 + (int)i);
		disk_buffers_unregister(f->rig.loop, f->region, REGION_BYTES);
		assert_int_equal(fixed_buffers(f), 2 * (i + 1));
		round_trip(&f->rig, 0, f->region, f->region + BLOCK, 20 + (int)i);
		assert_int_equal(fixed_buffers(f), 2 * (i + 1));
		/* The pages may change now. */
		assert_ptr_equal(mmap(f->region, REGION_BYTES, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
				 f->region);
	}
}

/* The rest of a write that was cut is inside the region, too. */
static void short_write_goes_on(void **state)
{
	struct fixture *f = *state;
	struct rlimit old;
	struct rlimit limit;
	int r;

	registers(f);
	use(&f->rig, f->path[0], true);
	assert_int_equal(disk_resize(f->rig.disk, 2 * MiB), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = (struct rlimit){MiB + 12288, old.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	memset(f->region, 0x77, REGION_BYTES);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	r = rig_do(&f->rig, DISK_WRITE, MiB, f->region, REGION_BYTES);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(r, -EFBIG);
	assert_int_equal(fixed_buffers(f), 2);
	assert_int_equal(rig_do(&f->rig, DISK_READ, MiB, f->region, REGION_BYTES), 0);
	assert_int_equal(f->region[12287], 0x77);
	assert_int_equal(f->region[12288], 0);
}

static void simulated_drives_do_without(void **state)
{
	struct rig rig;
	char memory[64];

	rig_init_sim(&rig, 1);
	assert_int_equal(disk_buffers_register(rig.loop, memory, sizeof(memory)), -ENOTSUP);
	disk_buffers_unregister(rig.loop, memory, sizeof(memory));
	rig_fini(&rig);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(contents_go_round),
		CASE(memory_outside_goes_round),
		CASE(refused_memory_goes_round),
		CASE(memory_serves_all_drives),
		CASE(memory_can_be_registered_anew),
		CASE(short_write_goes_on),
		cmocka_unit_test(simulated_drives_do_without),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

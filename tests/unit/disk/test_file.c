/* SPDX-License-Identifier: Apache-2.0 */
/* Regular files at the drive's own door: limits, pieces, transfers that end short. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "rig.h"

struct fixture {
	char path[64];
	struct rig rig;
	unsigned char *data; /* 1 MiB */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fd;

	*state = f;
	f->data = aligned_alloc(4096, MiB);
	snprintf(f->path, sizeof(f->path), "%s", "/var/tmp/quoin-disk-XXXXXX");
	fd = mkstemp(f->path);
	if (fd < 0 || ftruncate(fd, 4 * MiB) < 0)
		return -1;
	close(fd);
	rig_init_real(&f->rig);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	rig_fini(&f->rig);
	unlink(f->path);
	free(f->data);
	free(f);
	return 0;
}

static void use(struct fixture *f, const struct disk_open_params *params)
{
	struct disk *disk;
	struct err err;

	if (disk_open(f->path, params, &disk, &err) < 0)
		fail_msg("%s", err.text);
	rig_use(&f->rig, disk);
}

static const struct disk_open_params direct = {0};
static const struct disk_open_params cached = {.no_direct = true};

static void identifies(void **state)
{
	struct fixture *f = *state;
	const struct disk_info *info;

	use(f, &direct);
	info = disk_info(f->rig.disk);
	assert_int_equal(info->kind, DISK_FILE);
	assert_int_equal(info->size_bytes, 4 * MiB);
	assert_true(info->logical_block_bytes == 512 || info->logical_block_bytes == 4096);
	assert_true(info->physical_block_bytes >= info->logical_block_bytes);
	assert_true(info->volatile_cache);
	assert_string_equal(disk_name(f->rig.disk), f->path);
	rig_close(&f->rig);
	use(f, &cached);
	info = disk_info(f->rig.disk);
	assert_false(info->direct);
	assert_int_equal(info->logical_block_bytes, 512);
	assert_int_equal(info->dma_alignment_bytes, 1);
}

static void shared_looks_on(void **state)
{
	const struct disk_open_params look = {.read_only = true, .shared = true};
	struct fixture *f = *state;
	struct disk *other = NULL;
	struct err err;

	use(f, &direct);
	assert_int_equal(disk_open(f->path, &direct, &other, &err), -EBUSY);
	assert_int_equal(disk_open(f->path, &look, &other, &err), 0);
	disk_close(other);
}

/* Many pieces, as small as direct I/O takes them. */
static void many_pieces(void **state)
{
	struct fixture *f = *state;
	struct iovec iov[256];
	struct disk_request request = {
		.op = DISK_WRITE, .offset = 8192, .iov = iov, .iov_count = 256};
	unsigned char *back = aligned_alloc(4096, MiB);
	uint64_t block;

	use(f, &direct);
	block = disk_info(f->rig.disk)->logical_block_bytes;
	request.length_bytes = 256 * block;
	for (unsigned i = 0; i < MiB; i++)
		f->data[i] = (unsigned char)(i * 7 + i / 512);
	/* From the last block to the first. */
	for (unsigned i = 0; i < 256; i++)
		iov[i] = (struct iovec){f->data + (255 - i) * block, block};
	assert_int_equal(rig_run(&f->rig, &request), 0);
	assert_int_equal(rig_do(&f->rig, DISK_READ, 8192, back, 256 * block), 0);
	for (unsigned i = 0; i < 256; i++)
		assert_memory_equal(back + i * block, f->data + (255 - i) * block, block);
	free(back);
}

static void refuses_misaligned(void **state)
{
	struct fixture *f = *state;

	use(f, &direct);
	if (!disk_info(f->rig.disk)->direct)
		skip();
	assert_int_equal(rig_do(&f->rig, DISK_READ, 100, f->data, 512), -EINVAL);
	assert_int_equal(rig_do(&f->rig, DISK_WRITE, 0, f->data, 100), -EINVAL);
}

/*
 * A limit on file sizes cuts a write in the middle: the kernel takes the first part and the
 * driver goes on with the rest, which then shows the error.
 */
static void short_write_goes_on(void **state)
{
	struct fixture *f = *state;
	struct rlimit old;
	struct rlimit limit;
	int r;

	use(f, &cached);
	assert_int_equal(disk_resize(f->rig.disk, 2 * MiB), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = (struct rlimit){MiB + 12288, old.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	memset(f->data, 0x77, MiB);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	r = rig_do(&f->rig, DISK_WRITE, MiB, f->data, 65536);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(r, -EFBIG);
	/* A plain error of a plain write: flushes still work. */
	assert_int_equal(rig_do(&f->rig, DISK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(rig_do(&f->rig, DISK_READ, MiB, f->data, 65536), 0);
	assert_int_equal(f->data[12287], 0x77);
	assert_int_equal(f->data[12288], 0);
}

static void resizes(void **state)
{
	struct fixture *f = *state;

	use(f, &direct);
	assert_int_equal(disk_resize(f->rig.disk, 100), -EINVAL);
	assert_int_equal(disk_resize(f->rig.disk, 0), -EINVAL);
	assert_int_equal(disk_resize(f->rig.disk, UINT64_C(1) << 63), -EFBIG);
	assert_int_equal(disk_info(f->rig.disk)->size_bytes, 4 * MiB);
	assert_int_equal(rig_do(&f->rig, DISK_READ, 4 * MiB - 4096, f->data, 4096), 0);
	assert_int_equal(disk_resize(f->rig.disk, 8 * MiB), 0);
	assert_int_equal(rig_do(&f->rig, DISK_WRITE, 8 * MiB - 4096, f->data, 4096), 0);
	assert_int_equal(rig_do(&f->rig, DISK_READ, 8 * MiB, f->data, 4096), -ENXIO);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(identifies),	  CASE(shared_looks_on),     CASE(many_pieces),
		CASE(refuses_misaligned), CASE(short_write_goes_on), CASE(resizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

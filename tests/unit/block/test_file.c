/* SPDX-License-Identifier: Apache-2.0 */
/* The file driver on real files: opening, locks, ends of files, errors and space. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include <quoin/base_text.h>

#include "rig.h"

/* Opening `spec` must fail with `code` and words that name `object`. */
static void expect_refusal(const char *spec, int code, const char *object)
{
	struct block_device *device = NULL;
	struct err err = {0};
	const int r = block_open(spec, &device, &err);

	if (r != code)
		fail_msg("%s: %d instead of %d: %s", spec, r, code, err.text);
	assert_null(device);
	assert_int_equal(err.code, code);
	assert_non_null(strstr(err.text, object));
	/* What, and what next. */
	assert_non_null(strstr(err.text, "; "));
}

static void refuses(void **state)
{
	CLEANUP_FREE char *path = rig_file(0);
	CLEANUP_FREE char *spec = xasprintf("file:%s", path);
	CLEANUP_FREE char *small = xasprintf("file:%s,block=4096", path);
	CLEANUP_FREE char *absent = xasprintf("file:%s.not", path);

	expect_refusal(absent, -ENOENT, path);
	expect_refusal("file:/usr", -EISDIR, "/usr");
	expect_refusal("file:/dev/null", -ENOTBLK, "/dev/null");
	expect_refusal(spec, -ENODATA, path);
	assert_int_equal(truncate(path, 2048), 0);
	expect_refusal(small, -ENODATA, path);
	unlink(path);
}

/* Root may do anything, so this drops privileges in a child. */
static void refuses_without_permission(void **state)
{
	CLEANUP_FREE char *path = rig_file(MiB);
	CLEANUP_FREE char *spec = xasprintf("file:%s", path);

	assert_int_equal(chmod(path, 0400), 0);
	if (geteuid() == 0) {
		assert_int_equal(seteuid(65534), 0);
		expect_refusal(spec, -EACCES, path);
		assert_int_equal(seteuid(0), 0);
	} else {
		expect_refusal(spec, -EACCES, path);
	}
	unlink(path);
}

static void locks(void **state)
{
	CLEANUP_FREE char *path = rig_file(MiB);
	CLEANUP_FREE char *spec = xasprintf("file:%s", path);
	CLEANUP_FREE char *read_only = xasprintf("file:%s,ro", path);
	CLEANUP_FREE char *odd =
		xasprintf("error:off:file:%s/../%s,cache=writeback", "/var/tmp", path + 5);
	struct block_device *a = NULL;
	struct block_device *b = NULL;
	struct err err;

	assert_int_equal(block_open(spec, &a, &err), 0);
	expect_refusal(spec, -EBUSY, path);
	expect_refusal(read_only, -EBUSY, path);
	/* Another name of the same file is the same file. */
	if (strncmp(path, "/var/", 5) == 0)
		expect_refusal(odd, -EBUSY, path + 5);
	block_close(a);
	/* Readers may be many. */
	assert_int_equal(block_open(read_only, &a, &err), 0);
	assert_int_equal(block_open(read_only, &b, &err), 0);
	expect_refusal(spec, -EBUSY, path);
	block_close(a);
	block_close(b);
	assert_int_equal(block_open(spec, &a, &err), 0);
	block_close(a);
	unlink(path);
}

static void describes(void **state)
{
	CLEANUP_FREE char *path = rig_file(MiB + 700);
	CLEANUP_FREE char *spec = xasprintf("file:%s,block=4096,cache=writeback", path);
	struct block_description d;
	struct rig rig;

	rig_init_real(&rig, 1);
	rig_open(&rig, spec);
	block_describe(rig.device, &d);
	assert_string_equal(d.kind, "file");
	assert_string_equal(d.path, path);
	assert_string_equal(d.cache, "writeback");
	/* The tail that is no block is not there. */
	assert_int_equal(d.limits.capacity_bytes, MiB);
	assert_int_equal(d.limits.logical_block_bytes, 4096);
	assert_int_equal(d.limits.buffer_alignment_bytes, 1);
	assert_true(d.limits.transfer_max_bytes >= 512 * KiB);
	assert_true(d.limits.volatile_cache);
	rig_fini(&rig);
	unlink(path);
}

static void read_only(void **state)
{
	CLEANUP_FREE char *path = rig_file(MiB);
	CLEANUP_FREE char *spec = xasprintf("file:%s,ro", path);
	CLEANUP_FREE void *data = rig_buffer(4096);
	struct err err;
	struct rig rig;

	rig_init_real(&rig, 1);
	rig_open(&rig, spec);
	assert_int_equal(rig_do(&rig, BLOCK_READ, 0, data, 4096), 0);
	assert_int_equal(rig_do(&rig, BLOCK_WRITE, 0, data, 4096), -EROFS);
	assert_int_equal(rig_do(&rig, BLOCK_DISCARD, 0, NULL, 4096), -EROFS);
	assert_int_equal(rig_do(&rig, BLOCK_WRITE_ZEROES, 0, NULL, 4096), -EROFS);
	assert_int_equal(rig_do(&rig, BLOCK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(block_resize(rig.device, 2 * MiB, &err), -EROFS);
	rig_fini(&rig);
	unlink(path);
}

static bool all(const unsigned char *data, size_t length, unsigned char value)
{
	for (size_t i = 0; i < length; i++) {
		if (data[i] != value)
			return false;
	}
	return true;
}

/* Zeroes and discards of one 512-byte block change it and nothing else, on disk too. */
static void neighbours(void **state)
{
	static const unsigned ops[] = {BLOCK_DISCARD, BLOCK_WRITE_ZEROES,
				       BLOCK_WRITE_ZEROES | RIG_UNMAP, BLOCK_WRITE_ZEROES | RIG_FUA,
				       BLOCK_WRITE_ZEROES | RIG_UNMAP | RIG_FUA};
	CLEANUP_FREE char *path = rig_file(MiB);
	CLEANUP_FREE char *spec = xasprintf("file:%s,block=512,cache=writeback", path);
	CLEANUP_FREE unsigned char *data = rig_buffer(65536);
	struct rig rig;

	rig_init_real(&rig, 1);
	rig_open(&rig, spec);
	assert_true(rig.device->limits.discard_zeroes);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		memset(data, 0xA5, 65536);
		assert_int_equal(rig_do(&rig, BLOCK_WRITE, 0, data, 65536), 0);
		assert_int_equal(rig_do(&rig, ops[i], 512 * 7, NULL, 512), 0);
		assert_int_equal(rig_do(&rig, ops[i], 512 * 40, NULL, 512 * 20), 0);
		memset(data, 0, 65536);
		assert_int_equal(rig_do(&rig, BLOCK_READ, 0, data, 65536), 0);
		assert_true(all(data, 512 * 7, 0xA5));
		assert_true(all(data + 512 * 7, 512, 0));
		assert_true(all(data + 512 * 8, 512 * 32, 0xA5));
		assert_true(all(data + 512 * 40, 512 * 20, 0));
		assert_true(all(data + 512 * 60, 65536 - 512 * 60, 0xA5));
	}
	rig_fini(&rig);
	unlink(path);
}

static void discard_releases_space(void **state)
{
	CLEANUP_FREE char *path = rig_file(4 * MiB);
	CLEANUP_FREE char *spec = xasprintf("file:%s", path);
	CLEANUP_FREE void *data = rig_buffer(MiB);
	struct stat before, after;
	struct rig rig;

	rig_init_real(&rig, 1);
	rig_open(&rig, spec);
	for (uint64_t at = 0; at < 4 * MiB; at += MiB)
		assert_int_equal(rig_do(&rig, BLOCK_WRITE | RIG_FUA, at, data, MiB), 0);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(rig_do(&rig, BLOCK_DISCARD, MiB, NULL, 2 * MiB), 0);
	assert_int_equal(rig_do(&rig, BLOCK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(stat(path, &after), 0);
	assert_true(after.st_blocks <= before.st_blocks - (blkcnt_t)(2 * MiB / 512));
	assert_int_equal(after.st_size, before.st_size);
	rig_fini(&rig);
	unlink(path);
}

/* Somebody truncates the file under us: what is gone fails, what is left works. */
static void shrinks(const char *options)
{
	CLEANUP_FREE char *path = rig_file(4 * MiB);
	CLEANUP_FREE char *spec = xasprintf("file:%s%s", path, options);
	CLEANUP_FREE void *data = rig_buffer(64 * KiB);
	struct stat st;
	struct err err;
	struct rig rig;

	rig_init_real(&rig, 1);
	rig_open(&rig, spec);
	assert_int_equal(rig_do(&rig, BLOCK_WRITE, 3 * MiB, data, 4096), 0);
	assert_int_equal(truncate(path, MiB + 100), 0);
	/* Across the end and behind it. */
	assert_int_equal(rig_do(&rig, BLOCK_READ, MiB - 4096, data, 64 * KiB), -ENXIO);
	assert_int_equal(rig_do(&rig, BLOCK_READ, 2 * MiB, data, 4096), -ENXIO);
	assert_int_equal(rig_do(&rig, BLOCK_WRITE, 2 * MiB, data, 4096), -ENXIO);
	assert_int_equal(rig_do(&rig, BLOCK_WRITE_ZEROES, 2 * MiB, NULL, 4096), -ENXIO);
	assert_int_equal(rig_do(&rig, BLOCK_READ, MiB - 4096, data, 4096), 0);
	assert_int_equal(rig_do(&rig, BLOCK_WRITE, 0, data, 4096), 0);
	assert_int_equal(rig_do(&rig, BLOCK_FLUSH, 0, NULL, 0), 0);
	/* Nothing grew again by our doing. */
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, MiB + 100);
	assert_int_equal(block_refresh(rig.device, &err), 0);
	assert_int_equal(block_capacity(rig.device), MiB);
	/* Put right, it is taken back after a refresh. */
	assert_int_equal(truncate(path, 4 * MiB), 0);
	assert_int_equal(block_refresh(rig.device, &err), 0);
	assert_int_equal(rig_do(&rig, BLOCK_WRITE, 2 * MiB, data, 4096), 0);
	rig_fini(&rig);
	unlink(path);
}

static void shrinks_direct(void **state)
{
	shrinks("");
}

static void shrinks_page_cache(void **state)
{
	shrinks(",cache=writeback");
}

/* The first that meets the new end is a write, after the time a size is believed. */
static void shrinks_before_write(void **state)
{
	CLEANUP_FREE char *path = rig_file(4 * MiB);
	CLEANUP_FREE char *spec = xasprintf("file:%s", path);
	CLEANUP_FREE void *data = rig_buffer(4096);
	struct stat st;
	struct rig rig;

	rig_init_real(&rig, 1);
	rig_open(&rig, spec);
	assert_int_equal(rig_do(&rig, BLOCK_WRITE, 3 * MiB, data, 4096), 0);
	assert_int_equal(truncate(path, MiB), 0);
	usleep(150000);
	loop_turn(rig.loop, 0);
	assert_int_equal(rig_do(&rig, BLOCK_WRITE, 3 * MiB, data, 4096), -ENXIO);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, MiB);
	rig_fini(&rig);
	unlink(path);
}

static void resizes(void **state)
{
	CLEANUP_FREE char *path = rig_file(MiB);
	CLEANUP_FREE char *spec = xasprintf("file:%s", path);
	CLEANUP_FREE void *data = rig_buffer(4096);
	struct stat st;
	struct err err;
	struct rig rig;

	rig_init_real(&rig, 1);
	rig_open(&rig, spec);
	assert_int_equal(rig_do(&rig, BLOCK_WRITE, MiB, data, 4096), -ENXIO);
	assert_int_equal(block_resize(rig.device, 2 * MiB, &err), 0);
	assert_int_equal(rig_do(&rig, BLOCK_WRITE, MiB, data, 4096), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 2 * MiB);
	assert_int_equal(block_resize(rig.device, MiB, &err), 0);
	assert_int_equal(rig_do(&rig, BLOCK_READ, MiB, data, 4096), -ENXIO);
	/* Grown from outside: seen when looked for. */
	assert_int_equal(truncate(path, 3 * MiB), 0);
	assert_int_equal(block_capacity(rig.device), MiB);
	assert_int_equal(block_refresh(rig.device, &err), 0);
	assert_int_equal(block_capacity(rig.device), 3 * MiB);
	assert_int_equal(rig_do(&rig, BLOCK_READ, 3 * MiB - 4096, data, 4096), 0);
	rig_fini(&rig);
	unlink(path);
}

/* A file system of 1 MiB under a sparse file of 4 MiB. */
static void no_space(void **state)
{
	char dir[] = "/tmp/quoin-space-XXXXXX";
	CLEANUP_FREE void *data = rig_buffer(256 * KiB);
	CLEANUP_FREE char *spec = NULL;
	CLEANUP_FREE char *path = NULL;
	unsigned failed = 0;
	struct rig rig;
	int fd;

	assert_non_null(mkdtemp(dir));
	if (mount("none", dir, "tmpfs", 0, "size=1M") < 0) {
		rmdir(dir);
		print_message("cannot mount a tmpfs: %s\n", strerror(errno));
		skip();
	}
	path = xasprintf("%s/disk", dir);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && ftruncate(fd, 4 * MiB) == 0);
	close(fd);
	spec = xasprintf("file:%s", path);
	rig_init_real(&rig, 1);
	rig_open(&rig, spec);
	for (uint64_t at = 0; at < 4 * MiB; at += 256 * KiB) {
		const int r = rig_do(&rig, BLOCK_WRITE, at, data, 256 * KiB);

		assert_true(r == 0 || r == -ENOSPC);
		failed += r < 0;
	}
	assert_in_range(failed, 12, 15);
	/* The device lives, and space that is given back can be used. */
	assert_int_equal(rig_do(&rig, BLOCK_READ, 0, data, 256 * KiB), 0);
	assert_int_equal(rig_do(&rig, BLOCK_DISCARD, 0, NULL, 512 * KiB), 0);
	assert_int_equal(rig_do(&rig, BLOCK_WRITE, 3 * MiB, data, 64 * KiB), 0);
	/* tmpfs knows no ZERO_RANGE: zeroes are written. */
	assert_int_equal(rig_do(&rig, BLOCK_WRITE_ZEROES, 3 * MiB, NULL, 64 * KiB), 0);
	assert_int_equal(rig_do(&rig, BLOCK_READ, 3 * MiB, data, 64 * KiB), 0);
	assert_true(all(data, 64 * KiB, 0));
	rig_fini(&rig);
	unlink(path);
	umount(dir);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses),
		cmocka_unit_test(refuses_without_permission),
		cmocka_unit_test(locks),
		cmocka_unit_test(describes),
		cmocka_unit_test(read_only),
		cmocka_unit_test(neighbours),
		cmocka_unit_test(discard_releases_space),
		cmocka_unit_test(shrinks_direct),
		cmocka_unit_test(shrinks_page_cache),
		cmocka_unit_test(shrinks_before_write),
		cmocka_unit_test(resizes),
		cmocka_unit_test(no_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block devices, by way of the kernel's loop device over a sparse file in a small tmpfs: limits,
 * exclusion, discard and zeroes, and a flush that fails because the file below finds no space.
 * Needs root and a free loop device; skips otherwise.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "rig.h"

#define DEVICE_BYTES (8 * MiB)
#define SPACE "size=2M" /* of the tmpfs: less than the device states */

struct fixture {
	char dir[64];
	char path[128]; /* of the file below */
	char device[64];
	int loop_fd; /* -1: no device */
	struct rig rig;
	unsigned char *data; /* 1 MiB */
};

static bool loop_attach(struct fixture *f)
{
	const int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	const int file = open(f->path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	const int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	bool ok = false;

	if (file >= 0 && ftruncate(file, DEVICE_BYTES) == 0 && number >= 0) {
		snprintf(f->device, sizeof(f->device), "/dev/loop%d", number);
		f->loop_fd = open(f->device, O_RDWR | O_CLOEXEC);
		ok = f->loop_fd >= 0 && ioctl(f->loop_fd, LOOP_SET_FD, file) == 0;
	}
	if (file >= 0)
		close(file);
	if (control >= 0)
		close(control);
	return ok;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	f->loop_fd = -1;
	f->data = aligned_alloc(4096, MiB);
	snprintf(f->dir, sizeof(f->dir), "%s", "/tmp/quoin-device-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/file", f->dir);
	if (mount("none", f->dir, "tmpfs", 0, SPACE) < 0 || !loop_attach(f))
		f->device[0] = '\0';
	rig_init_real(&f->rig);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	rig_fini(&f->rig);
	if (f->loop_fd >= 0) {
		ioctl(f->loop_fd, LOOP_CLR_FD);
		close(f->loop_fd);
	}
	umount2(f->dir, MNT_DETACH);
	rmdir(f->dir);
	free(f->data);
	free(f);
	return 0;
}

static void need_device(const struct fixture *f)
{
	if (f->device[0] != '\0')
		return;
	print_message("no loop device: not root, or none free\n");
	skip();
}

static void use(struct fixture *f, bool no_direct)
{
	const struct disk_open_params params = {.no_direct = no_direct};
	struct disk *disk;
	struct err err;

	if (disk_open(f->device, &params, &disk, &err) < 0)
		fail_msg("%s", err.text);
	rig_use(&f->rig, disk);
}

static void identifies(void **state)
{
	struct fixture *f = *state;
	const struct disk_info *info;

	need_device(f);
	use(f, false);
	info = disk_info(f->rig.disk);
	assert_int_equal(info->kind, DISK_BLOCK_DEVICE);
	assert_int_equal(info->size_bytes, DEVICE_BYTES);
	assert_int_equal(info->logical_block_bytes, 512);
	assert_true(info->physical_block_bytes >= 512);
	assert_true(info->direct);
	assert_true(info->discard_granularity_bytes >= 512);
	assert_false(info->discard_zeroes);
	assert_true(info->volatile_cache);
	assert_int_equal(disk_resize(f->rig.disk, DEVICE_BYTES / 2), -ENOTSUP);
	assert_int_equal(disk_refresh(f->rig.disk), 0);
	assert_int_equal(info->size_bytes, DEVICE_BYTES);
}

static void is_exclusive(void **state)
{
	const struct disk_open_params params = {0};
	const struct disk_open_params shared = {.shared = true, .read_only = true};
	struct fixture *f = *state;
	struct disk *other = NULL;
	struct err err;

	need_device(f);
	use(f, false);
	assert_int_equal(disk_open(f->device, &params, &other, &err), -EBUSY);
	assert_null(other);
	assert_non_null(strstr(err.text, f->device));
	assert_int_equal(disk_open(f->device, &shared, &other, &err), 0);
	disk_close(other);
	/* And free again once closed, although the loop has known its file. */
	rig_close(&f->rig);
	use(f, false);
}

static bool all(const unsigned char *data, size_t length, unsigned char value)
{
	for (size_t i = 0; i < length; i++) {
		if (data[i] != value)
			return false;
	}
	return true;
}

static void zeroes_and_discards(void **state)
{
	struct fixture *f = *state;
	struct stat before, after;

	need_device(f);
	use(f, false);
	memset(f->data, 0xA5, MiB);
	assert_int_equal(rig_do(&f->rig, DISK_WRITE | RIG_FUA, 0, f->data, MiB), 0);
	assert_int_equal(rig_do(&f->rig, DISK_WRITE_ZEROES, 512, NULL, 512 * 3), 0);
	assert_int_equal(
		rig_do(&f->rig, DISK_WRITE_ZEROES | RIG_UNMAP | RIG_FUA, 65536, NULL, 65536), 0);
	assert_int_equal(rig_do(&f->rig, DISK_READ, 0, f->data, MiB), 0);
	assert_true(all(f->data, 512, 0xA5));
	assert_true(all(f->data + 512, 512 * 3, 0));
	assert_true(all(f->data + 2048, 65536 - 2048, 0xA5));
	assert_true(all(f->data + 65536, 65536, 0));
	assert_true(all(f->data + 131072, MiB - 131072, 0xA5));
	assert_int_equal(stat(f->path, &before), 0);
	assert_int_equal(rig_do(&f->rig, DISK_DISCARD, 512 * KiB, NULL, 256 * KiB), 0);
	assert_int_equal(rig_do(&f->rig, DISK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(stat(f->path, &after), 0);
	assert_true(after.st_blocks < before.st_blocks);
	assert_int_equal(rig_do(&f->rig, DISK_READ, 0, f->data, 512 * KiB), 0);
	assert_true(all(f->data + 131072, 512 * KiB - 131072, 0xA5));
	assert_int_equal(rig_do(&f->rig, DISK_READ, DEVICE_BYTES - 512, f->data, 1024), -ENXIO);
}

/*
 * The page cache takes more than there is space for; the flush finds out. The kernel says so
 * once: without our memory of it the second flush would succeed.
 */
static void failed_flush_stays(void **state)
{
	struct fixture *f = *state;
	int first;

	need_device(f);
	use(f, true);
	memset(f->data, 0x11, MiB);
	for (uint64_t at = 0; at < DEVICE_BYTES; at += MiB)
		assert_int_equal(rig_do(&f->rig, DISK_WRITE, at, f->data, MiB), 0);
	first = rig_do(&f->rig, DISK_FLUSH, 0, NULL, 0);
	assert_true(first == -EIO || first == -ENOSPC);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(rig_do(&f->rig, DISK_FLUSH, 0, NULL, 0), first);
	assert_int_equal(rig_do(&f->rig, DISK_WRITE | RIG_FUA, 0, f->data, 4096), first);
	assert_int_equal(rig_do(&f->rig, DISK_WRITE, 0, f->data, 4096), 0);
	/* A new open starts afresh. */
	rig_close(&f->rig);
	use(f, false);
	assert_int_equal(rig_do(&f->rig, DISK_WRITE, 0, f->data, 4096), 0);
	assert_int_equal(rig_do(&f->rig, DISK_FLUSH, 0, NULL, 0), 0);
}

/* FUA through the page cache waits for the medium, and an error it was told is not told again. */
static void failed_fua_stays(void **state)
{
	struct fixture *f = *state;
	int first = 0;

	need_device(f);
	use(f, true);
	memset(f->data, 0x33, MiB);
	for (uint64_t at = 0; at < DEVICE_BYTES && first == 0; at += MiB)
		first = rig_do(&f->rig, DISK_WRITE | RIG_FUA, at, f->data, MiB);
	assert_true(first == -EIO || first == -ENOSPC);
	assert_int_equal(rig_do(&f->rig, DISK_FLUSH, 0, NULL, 0), first);
	assert_int_equal(rig_do(&f->rig, DISK_WRITE | RIG_FUA, 0, f->data, 4096), first);
}

/* Zeroes with FUA end with a sync: it finds what the page cache could not get rid of. */
static void fua_of_zeroes_waits(void **state)
{
	struct fixture *f = *state;
	const unsigned zeroes = DISK_WRITE_ZEROES | RIG_UNMAP;

	need_device(f);
	use(f, true);
	memset(f->data, 0x44, MiB);
	for (uint64_t at = 0; at < DEVICE_BYTES; at += MiB)
		assert_int_equal(rig_do(&f->rig, DISK_WRITE, at, f->data, MiB), 0);
	assert_int_equal(rig_do(&f->rig, zeroes, 0, NULL, 4096), 0);
	assert_in_range(-rig_do(&f->rig, zeroes | RIG_FUA, 0, NULL, 4096), 1, 4095);
	assert_in_range(-rig_do(&f->rig, DISK_FLUSH, 0, NULL, 0), 1, 4095);
}

/* With direct I/O the lack of space below is the write's own error, and no flush is lost. */
static void full_below(void **state)
{
	struct fixture *f = *state;
	unsigned failed = 0;

	need_device(f);
	use(f, false);
	memset(f->data, 0x22, MiB);
	for (uint64_t at = 0; at < DEVICE_BYTES; at += MiB)
		failed += rig_do(&f->rig, DISK_WRITE, at, f->data, MiB) < 0;
	assert_in_range(failed, 6, 7);
	assert_int_equal(rig_do(&f->rig, DISK_FLUSH, 0, NULL, 0), 0);
}

/* The device below is made smaller and larger, as a logical volume may be. */
static void changes_size(void **state)
{
	struct fixture *f = *state;

	need_device(f);
	use(f, false);
	assert_int_equal(truncate(f->path, DEVICE_BYTES / 2), 0);
	assert_int_equal(ioctl(f->loop_fd, LOOP_SET_CAPACITY), 0);
	assert_int_equal(rig_do(&f->rig, DISK_READ, DEVICE_BYTES / 2, f->data, 4096), -ENXIO);
	assert_int_equal(rig_do(&f->rig, DISK_WRITE, DEVICE_BYTES / 2, f->data, 4096), -ENXIO);
	assert_int_equal(rig_do(&f->rig, DISK_READ, 0, f->data, 4096), 0);
	assert_int_equal(truncate(f->path, DEVICE_BYTES * 2), 0);
	assert_int_equal(ioctl(f->loop_fd, LOOP_SET_CAPACITY), 0);
	assert_int_equal(disk_refresh(f->rig.disk), 0);
	assert_int_equal(disk_info(f->rig.disk)->size_bytes, DEVICE_BYTES * 2);
	assert_int_equal(rig_do(&f->rig, DISK_READ, DEVICE_BYTES, f->data, 4096), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(identifies),	  CASE(is_exclusive),	  CASE(zeroes_and_discards),
		CASE(failed_flush_stays), CASE(failed_fua_stays), CASE(fua_of_zeroes_waits),
		CASE(full_below),	  CASE(changes_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

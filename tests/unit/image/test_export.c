/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image files as they are made: holes, names, what is left when something goes wrong. That qcow2
 * files say what they should is held against qemu-img in tests/api/test_export.py.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <quoin/base_text.h>
#include <quoin/image_export.h>

#define DISK_BYTES (8 * MiB)

struct place {
	char directory[64];
	char path[96];
};

static int place_make(void **state)
{
	struct place *place = xcalloc(1, sizeof(*place));

	snprintf(place->directory, sizeof(place->directory), "/tmp/quoin-image-XXXXXX");
	if (!mkdtemp(place->directory))
		return -1;
	snprintf(place->path, sizeof(place->path), "%s/disk.img", place->directory);
	*state = place;
	return 0;
}

static int place_remove(void **state)
{
	struct place *place = *state;

	unlink(place->path);
	rmdir(place->directory);
	free(place);
	return 0;
}

static unsigned file_count(const struct place *place)
{
	DIR *directory = opendir(place->directory);
	unsigned count = 0;

	assert_non_null(directory);
	for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
		count += entry->d_type == DT_REG;
	closedir(directory);
	return count;
}

static int begin(const struct place *place, enum image_format format, bool replace,
		 struct image_export **ret, struct err *err)
{
	const struct image_export_params params = {
		.path = place->path,
		.format = format,
		.size_bytes = DISK_BYTES,
		.replace = replace,
	};

	return image_export_begin(&params, ret, err);
}

/* A window with data in its first and last block and nothing between. */
static uint8_t *window_make(size_t bytes)
{
	uint8_t *window = xcalloc(1, bytes);

	memset(window, 1, 4096);
	memset(window + bytes - 4096, 2, 4096);
	return window;
}

static void test_raw_is_sparse(void **state)
{
	const struct place *place = *state;
	CLEANUP_FREE uint8_t *window = window_make(MiB);
	CLEANUP_FREE uint8_t *found = xcalloc(1, MiB);
	struct image_export *out = NULL;
	struct stat st;
	struct err err;
	CLEANUP_FD int fd = -1;

	assert_int_equal(begin(place, IMAGE_RAW, false, &out, &err), 0);
	assert_int_equal(image_export_write(out, 2 * MiB, window, MiB, &err), 0);
	assert_int_equal(access(place->path, F_OK), -1);
	assert_int_equal(image_export_commit(out, &err), 0);
	image_export_free(out);
	assert_int_equal(stat(place->path, &st), 0);
	assert_int_equal(st.st_size, DISK_BYTES);
	assert_true((uint64_t)st.st_blocks * 512 <= 64 * KiB);
	fd = open(place->path, O_RDONLY);
	assert_int_equal(pread(fd, found, MiB, 2 * MiB), MiB);
	assert_memory_equal(found, window, MiB);
	assert_int_equal(file_count(place), 1);
}

static void test_not_committed_is_gone(void **state)
{
	const struct place *place = *state;
	CLEANUP_FREE uint8_t *window = window_make(MiB);
	struct err err;

	for (unsigned i = 0; i < 2; i++) {
		struct image_export *out = NULL;

		assert_int_equal(begin(place, i ? IMAGE_QCOW2 : IMAGE_RAW, false, &out, &err), 0);
		assert_int_equal(image_export_write(out, 0, window, MiB, &err), 0);
		image_export_free(out);
		assert_int_equal(file_count(place), 0);
	}
}

/* What takes the name while the export runs keeps it. */
static void test_name_taken_meanwhile(void **state)
{
	const struct place *place = *state;
	struct image_export *out = NULL;
	struct stat st;
	struct err err;

	assert_int_equal(begin(place, IMAGE_RAW, false, &out, &err), 0);
	close(open(place->path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(image_export_commit(out, &err), -EEXIST);
	image_export_free(out);
	assert_int_equal(stat(place->path, &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(file_count(place), 1);
}

static void test_replace(void **state)
{
	const struct place *place = *state;
	struct image_export *out = NULL;
	struct stat st;
	struct err err;

	close(open(place->path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(begin(place, IMAGE_RAW, false, &out, &err), -EEXIST);
	assert_int_equal(begin(place, IMAGE_RAW, true, &out, &err), 0);
	assert_int_equal(stat(place->path, &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(image_export_commit(out, &err), 0);
	image_export_free(out);
	assert_int_equal(stat(place->path, &st), 0);
	assert_int_equal(st.st_size, DISK_BYTES);
	assert_int_equal(file_count(place), 1);
}

static void test_links_and_directories_are_left_alone(void **state)
{
	const struct place *place = *state;
	struct image_export *out = NULL;
	struct err err;

	assert_int_equal(symlink("/nowhere", place->path), 0);
	assert_int_equal(begin(place, IMAGE_RAW, true, &out, &err), -EINVAL);
	unlink(place->path);
	assert_int_equal(mkdir(place->path, 0700), 0);
	assert_int_equal(begin(place, IMAGE_RAW, true, &out, &err), -EISDIR);
	rmdir(place->path);
	assert_null(out);
}

static void test_room(void **state)
{
	const struct place *place = *state;
	struct image_export *out = NULL;
	struct err err;

	assert_int_equal(begin(place, IMAGE_RAW, false, &out, &err), 0);
	assert_int_equal(image_export_room(out, 0, &err), 0);
	assert_int_equal(image_export_room(out, UINT64_C(1) << 62, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "there is no room for"));
	image_export_free(out);
}

/* A limit on files is the full disk that every user can have. */
static void test_full(void **state)
{
	const struct place *place = *state;
	CLEANUP_FREE uint8_t *window = xcalloc(1, 4 * MiB);
	struct image_export *out = NULL;
	struct rlimit before;
	struct rlimit limit;
	struct err err;

	memset(window, 7, 4 * MiB);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = (struct rlimit){.rlim_cur = 2 * MiB, .rlim_max = before.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(begin(place, IMAGE_QCOW2, false, &out, &err), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(image_export_write(out, 0, window, 4 * MiB, &err), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	image_export_free(out);
	assert_int_equal(file_count(place), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_raw_is_sparse, place_make, place_remove),
		cmocka_unit_test_setup_teardown(test_not_committed_is_gone, place_make,
						place_remove),
		cmocka_unit_test_setup_teardown(test_name_taken_meanwhile, place_make,
						place_remove),
		cmocka_unit_test_setup_teardown(test_replace, place_make, place_remove),
		cmocka_unit_test_setup_teardown(test_links_and_directories_are_left_alone,
						place_make, place_remove),
		cmocka_unit_test_setup_teardown(test_room, place_make, place_remove),
		cmocka_unit_test_setup_teardown(test_full, place_make, place_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

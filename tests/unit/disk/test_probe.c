/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a drive holds: images made by the tools that make them in earnest, where these are there,
 * and by hand where the tools need a device; blank, tiny and random files; hostile labels.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include <quoin/base_endian.h>
#include <quoin/base_random.h>
#include <quoin/disk_probe.h>

#define IMAGE_BYTES (8 * MiB)
#define PATH_DIRS "PATH=/usr/sbin:/sbin:/usr/bin:/bin; "

struct fixture {
	char path[64];
	int fd;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	snprintf(f->path, sizeof(f->path), "%s", "/var/tmp/quoin-probe-XXXXXX");
	f->fd = mkstemp(f->path);
	return f->fd < 0 || ftruncate(f->fd, IMAGE_BYTES) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close(f->fd);
	unlink(f->path);
	free(f);
	return 0;
}

static void put(const struct fixture *f, uint64_t offset, const void *bytes, size_t length)
{
	assert_int_equal(pwrite(f->fd, bytes, length, (off_t)offset), length);
}

static struct disk_probe_result look(const struct fixture *f)
{
	struct disk_probe_result result;
	struct err err;

	memset(&result, 0xEE, sizeof(result));
	if (disk_probe(f->path, &result, &err) < 0)
		fail_msg("%s", err.text);
	return result;
}

static void describes(const struct fixture *f, const char *text)
{
	const struct disk_probe_result result = look(f);
	char words[DISK_PROBE_TEXT_MAX];

	disk_probe_describe(&result, words, sizeof(words));
	assert_string_equal(words, text);
}

/* Runs a command on the image; skips the case when its tool is not there. */
static void make(const struct fixture *f, const char *tool, const char *line)
{
	char command[512];

	snprintf(command, sizeof(command), PATH_DIRS "command -v %s >/dev/null", tool);
	if (system(command) != 0) {
		print_message("%s is not there: not tried\n", tool);
		skip();
	}
	snprintf(command, sizeof(command), PATH_DIRS "%s %s >/dev/null 2>&1", line, f->path);
	assert_int_equal(system(command), 0);
}

/* --- Nothing ------------------------------------------------------------------------------- */

static void blank_files_hold_nothing(void **state)
{
	static const off_t sizes[] = {0, 1, 511, 512, 1024, 4096, 65535, 65536, MiB, IMAGE_BYTES};
	const struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct disk_probe_result result;

		assert_int_equal(ftruncate(f->fd, 0), 0);
		assert_int_equal(ftruncate(f->fd, sizes[i]), 0);
		result = look(f);
		assert_int_equal(result.kind, DISK_PROBE_NOTHING);
		assert_int_equal(result.count, 0);
		assert_string_equal(result.type, "");
		describes(f, "nothing known");
	}
}

static void random_files_hold_nothing(void **state)
{
	static const size_t sizes[] = {4096, 65536, 4 * MiB};
	const struct fixture *f = *state;
	unsigned char *bytes = malloc(4 * MiB);
	struct random random;

	random_init(&random, 1);
	random_fill(&random, bytes, 4 * MiB);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_int_equal(ftruncate(f->fd, 0), 0);
		put(f, 0, bytes, sizes[i]);
		assert_int_equal(look(f).kind, DISK_PROBE_NOTHING);
	}
	free(bytes);
}

static void refuses_what_is_no_drive(void **state)
{
	struct disk_probe_result result = {.count = 77};
	struct err err;

	assert_int_equal(disk_probe("/var/tmp", &result, &err), -EISDIR);
	assert_int_equal(disk_probe("/dev/null", &result, &err), -ENOTBLK);
	assert_int_equal(disk_probe("/var/tmp/quoin-not-there", &result, &err), -ENOENT);
	assert_true(strstr(err.text, "/var/tmp/quoin-not-there") != NULL);
	assert_int_equal(result.count, 77);
}

/* --- Made by tools ------------------------------------------------------------------------- */

static void finds_file_systems(void **state)
{
	const struct fixture *f = *state;
	struct disk_probe_result result;

	make(f, "mkfs.ext4", "mkfs.ext4 -q -F -L root -U 11111111-2222-3333-4444-555555555555");
	result = look(f);
	assert_int_equal(result.kind, DISK_PROBE_FILESYSTEM);
	assert_string_equal(result.type, "ext4");
	assert_string_equal(result.label, "root");
	assert_string_equal(result.uuid, "11111111-2222-3333-4444-555555555555");
	assert_int_equal(result.count, 1);
	describes(f, "an ext4 file system \"root\" (UUID 11111111-2222-3333-4444-555555555555)");
}

static void finds_a_tiny_file_system(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(ftruncate(f->fd, 60 * KiB), 0);
	make(f, "mkfs.ext4", "mkfs.ext4 -q -F -N 16 -O ^has_journal,^resize_inode -L tiny");
	assert_int_equal(look(f).kind, DISK_PROBE_FILESYSTEM);
	assert_string_equal(look(f).label, "tiny");
}

static void finds_swap(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(fchmod(f->fd, 0600), 0);
	make(f, "mkswap", "mkswap -L paging -U 11111111-2222-3333-4444-555555555555");
	assert_int_equal(look(f).kind, DISK_PROBE_OTHER);
	assert_string_equal(look(f).type, "swap");
	describes(f, "a swap area \"paging\" (UUID 11111111-2222-3333-4444-555555555555)");
}

static void finds_partition_tables(void **state)
{
	const struct fixture *f = *state;

	make(f, "sfdisk", "echo label: gpt | sfdisk -q");
	assert_int_equal(look(f).kind, DISK_PROBE_PARTITIONS);
	assert_string_equal(look(f).type, "gpt");
	assert_int_equal(look(f).count, 1);
	describes(f, "a GPT partition table");
	/* The second copy of the GPT at the end would be found as well. */
	assert_int_equal(ftruncate(f->fd, 0), 0);
	assert_int_equal(ftruncate(f->fd, IMAGE_BYTES), 0);
	make(f, "sfdisk", "echo label: dos | sfdisk -q");
	assert_string_equal(look(f).type, "dos");
	describes(f, "an MBR partition table");
}

static void does_not_write(void **state)
{
	const struct fixture *f = *state;
	struct stat before;
	struct stat after;

	make(f, "mkfs.ext4", "mkfs.ext4 -q -F");
	assert_int_equal(chmod(f->path, 0400), 0);
	assert_int_equal(stat(f->path, &before), 0);
	look(f);
	assert_int_equal(stat(f->path, &after), 0);
	assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof(before.st_mtim));
}

/* --- Made by hand -------------------------------------------------------------------------- */

/* LVM2: a label in one of the first four sectors. Its checksum is wrong, which must not hide it. */
static void put_lvm2(const struct fixture *f)
{
	unsigned char label[64] = "LABELONE";

	le64_put(label + 8, 1);	  /* the sector it is in */
	le32_put(label + 20, 32); /* where the header of the volume begins */
	memcpy(label + 24, "LVM2 001", 8);
	memcpy(label + 32, "aaaaaabbbbccccddddeeeeffffgggggg", 32);
	put(f, 512, label, sizeof(label));
}

static void finds_lvm(void **state)
{
	const struct fixture *f = *state;

	put_lvm2(f);
	assert_int_equal(look(f).kind, DISK_PROBE_RAID);
	assert_string_equal(look(f).type, "LVM2_member");
	describes(f, "an LVM physical volume (UUID aaaaaa-bbbb-cccc-dddd-eeee-ffff-gggggg)");
}

/* MD superblock version 1.2: 4 KiB from the start. */
static void put_md(const struct fixture *f, const char *name)
{
	unsigned char super[512] = {0};

	le32_put(super, 0xa92b4efc);
	le32_put(super + 4, 1);
	memset(super + 16, 0x11, 16); /* set_uuid */
	strncpy((char *)super + 32, name, 32);
	le64_put(super + 144, 8); /* super_offset, in sectors */
	put(f, 4096, super, sizeof(super));
}

static void finds_md(void **state)
{
	const struct fixture *f = *state;

	put_md(f, "host:0");
	assert_int_equal(look(f).kind, DISK_PROBE_RAID);
	assert_string_equal(look(f).type, "linux_raid_member");
	describes(f, "a member of a Linux RAID array \"host:0\" "
		     "(UUID 11111111-1111-1111-1111-111111111111)");
}

static unsigned char *be32_add(unsigned char *at, uint32_t value)
{
	const uint32_t big = htobe32(value);

	memcpy(at, &big, sizeof(big));
	return at + sizeof(big);
}

/* A pair of an nvlist as XDR has it: its size here and in memory, its name, and one number. */
static unsigned char *nvpair_add(unsigned char *at, const char *name, uint32_t value)
{
	const uint32_t length = (uint32_t)strlen(name);
	const uint32_t padded = (length + 3) / 4 * 4;

	at = be32_add(at, 28 + padded);
	at = be32_add(at, 32);
	at = be32_add(at, length);
	memcpy(at, name, length);
	at = be32_add(at + padded, 8); /* DATA_TYPE_UINT64 */
	at = be32_add(at, 1);
	at = be32_add(at, 0);
	return be32_add(at, value);
}

/*
 * ZFS: a label has an nvlist at 16 KiB, by which libblkid of util-linux 2.41 knows it, and
 * uberblocks in its second half, by which older ones do. Both want a drive of 64 MiB at least.
 */
static void finds_zfs(void **state)
{
	const struct fixture *f = *state;
	unsigned char uberblock[1024] = {0};
	unsigned char nvlist[256] = {1, 1}; /* XDR, from a little-endian host */
	unsigned char *at = nvlist + 12;

	assert_int_equal(ftruncate(f->fd, 64 * MiB), 0);
	at = nvpair_add(at, "state", 0);
	at = nvpair_add(at, "txg", 5);
	nvpair_add(at, "guid", 7);
	put(f, 16 * KiB, nvlist, sizeof(nvlist));
	le64_put(uberblock, 0x00bab10c);
	le64_put(uberblock + 8, 5000); /* version */
	for (unsigned i = 0; i < 16; i++)
		put(f, 128 * KiB + i * sizeof(uberblock), uberblock, sizeof(uberblock));
	assert_int_equal(look(f).kind, DISK_PROBE_RAID);
	assert_string_equal(look(f).type, "zfs_member");
	describes(f, "a member of a ZFS pool");
}

static void counts_all(void **state)
{
	const struct fixture *f = *state;

	make(f, "sfdisk", "echo label: gpt | sfdisk -q");
	put_md(f, "old");
	assert_int_equal(look(f).count, 2);
	assert_string_equal(look(f).type, "linux_raid_member");
	describes(f, "a member of a Linux RAID array \"old\" "
		     "(UUID 11111111-1111-1111-1111-111111111111) and 1 more signature");
}

static void hostile_labels_are_made_printable(void **state)
{
	const struct fixture *f = *state;

	put_md(f, "\033[2Jgone\n\xff");
	assert_string_equal(look(f).label, "?[2Jgone??");
}

static void words_fit(void **state)
{
	struct disk_probe_result result = {
		.kind = DISK_PROBE_CRYPTO, .type = "crypto_LUKS", .count = 3};
	char text[DISK_PROBE_TEXT_MAX];

	disk_probe_describe(&result, text, sizeof(text));
	assert_string_equal(text, "a LUKS encrypted container and 2 more signatures");
	disk_probe_describe(&result, text, 7);
	assert_string_equal(text, "a LUKS");
	result = (struct disk_probe_result){
		.kind = DISK_PROBE_RAID, .type = "isw_raid_member", .count = 1};
	disk_probe_describe(&result, text, sizeof(text));
	assert_string_equal(text, "an isw_raid member");
	result = (struct disk_probe_result){
		.kind = DISK_PROBE_FILESYSTEM, .type = "xfs", .count = 1};
	disk_probe_describe(&result, text, sizeof(text));
	assert_string_equal(text, "an xfs file system");
	memset(result.type, 'x', sizeof(result.type) - 1);
	memset(result.label, 'x', sizeof(result.label) - 1);
	memset(result.uuid, 'x', sizeof(result.uuid) - 1);
	result.count = UINT32_MAX;
	disk_probe_describe(&result, text, sizeof(text));
	assert_true(strstr(text, "and 4294967294 more signatures") != NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(blank_files_hold_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(random_files_hold_nothing, setup, teardown),
		cmocka_unit_test(refuses_what_is_no_drive),
		cmocka_unit_test_setup_teardown(finds_file_systems, setup, teardown),
		cmocka_unit_test_setup_teardown(finds_a_tiny_file_system, setup, teardown),
		cmocka_unit_test_setup_teardown(finds_swap, setup, teardown),
		cmocka_unit_test_setup_teardown(finds_partition_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(does_not_write, setup, teardown),
		cmocka_unit_test_setup_teardown(finds_lvm, setup, teardown),
		cmocka_unit_test_setup_teardown(finds_md, setup, teardown),
		cmocka_unit_test_setup_teardown(finds_zfs, setup, teardown),
		cmocka_unit_test_setup_teardown(counts_all, setup, teardown),
		cmocka_unit_test_setup_teardown(hostile_labels_are_made_printable, setup, teardown),
		cmocka_unit_test(words_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

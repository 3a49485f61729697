/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks libblkid what a drive holds, and puts the answer into words.
 *
 * All signatures are counted, not the one libblkid would trust: when several are there, some of
 * them old, the answer to "may this be overwritten" must not depend on a guess which one is in use.
 * The library decodes the drive's bytes and is made for hostile ones; the texts it returns are
 * still the drive's, and are made printable here, as they end in messages on terminals.
 */
#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <quoin/base_math.h>
#include <quoin/disk_probe.h>

#include "file.h"

/* libblkid knows fewer than 100 kinds and reports each at most once. */
#define SIGNATURES_MAX 256

static void probe_free(blkid_probe *probe)
{
	if (*probe)
		blkid_free_probe(*probe);
}

/* Copies a value of the probe, printable and terminated. False: it has none of that name. */
static bool value_copy(blkid_probe probe, const char *name, char *text, size_t size)
{
	const char *data = NULL;
	size_t length = 0;

	if (blkid_probe_lookup_value(probe, name, &data, &length) < 0 || !data)
		return false;
	length = strnlen(data, MIN(length, size - 1));
	for (size_t i = 0; i < length; i++)
		text[i] = data[i] >= ' ' && data[i] <= '~' ? data[i] : '?';
	text[length] = '\0';
	return length > 0;
}

/* libblkid counts ZFS among the file systems; what the drive is, is a member all the same. */
static bool is_member(const char *type)
{
	static const char suffix[] = "_member";
	const size_t length = strlen(type);

	return length >= sizeof(suffix) &&
	       strcmp(type + length - (sizeof(suffix) - 1), suffix) == 0;
}

static enum disk_probe_kind kind_of(const char *usage, const char *type)
{
	if (is_member(type) || strcmp(usage, "raid") == 0)
		return DISK_PROBE_RAID;
	if (strcmp(usage, "filesystem") == 0)
		return DISK_PROBE_FILESYSTEM;
	if (strcmp(usage, "crypto") == 0)
		return DISK_PROBE_CRYPTO;
	return DISK_PROBE_OTHER;
}

/* Takes down the signature the probe stands at. False: it has no name. */
static bool signature_take(blkid_probe probe, struct disk_probe_result *found)
{
	char usage[32] = "";

	*found = (struct disk_probe_result){.count = 1};
	if (value_copy(probe, "TYPE", found->type, sizeof(found->type))) {
		value_copy(probe, "USAGE", usage, sizeof(usage));
		found->kind = kind_of(usage, found->type);
		value_copy(probe, "LABEL", found->label, sizeof(found->label));
		value_copy(probe, "UUID", found->uuid, sizeof(found->uuid));
		return true;
	}
	if (!value_copy(probe, "PTTYPE", found->type, sizeof(found->type)))
		return false;
	found->kind = DISK_PROBE_PARTITIONS;
	value_copy(probe, "PTUUID", found->uuid, sizeof(found->uuid));
	return true;
}

/* The MBR that protects a GPT is a part of it. */
static bool is_part_of(const struct disk_probe_result *found, bool gpt_seen)
{
	return gpt_seen && strcmp(found->type, "PMBR") == 0;
}

/* Walks over all signatures. Negative errno. */
static int signatures_find(blkid_probe probe, struct disk_probe_result *result)
{
	bool gpt_seen = false;

	for (unsigned i = 0; i < SIGNATURES_MAX; i++) {
		struct disk_probe_result found;
		int r;

		errno = 0;
		r = blkid_do_probe(probe);
		if (r < 0)
			return errno > 0 ? -errno : -EIO;
		if (r > 0)
			return 0;
		if (!signature_take(probe, &found) || is_part_of(&found, gpt_seen))
			continue;
		gpt_seen = gpt_seen || strcmp(found.type, "gpt") == 0;
		if (result->count == 0)
			*result = found;
		else
			result->count++;
	}
	return 0;
}

static int probe_start(blkid_probe probe, int fd)
{
	const int superblocks = BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID | BLKID_SUBLKS_TYPE |
				BLKID_SUBLKS_USAGE | BLKID_SUBLKS_BADCSUM;

	errno = 0;
	if (blkid_probe_set_device(probe, fd, 0, 0) < 0 ||
	    blkid_probe_enable_superblocks(probe, 1) < 0 ||
	    blkid_probe_set_superblocks_flags(probe, superblocks) < 0 ||
	    blkid_probe_enable_partitions(probe, 1) < 0 ||
	    blkid_probe_set_partitions_flags(probe, BLKID_PARTS_FORCE_GPT) < 0)
		return errno > 0 ? -errno : -EIO;
	return 0;
}

static int probe_run(int fd, struct disk_probe_result *result)
{
	__attribute__((cleanup(probe_free))) blkid_probe probe = blkid_new_probe();
	int r;

	if (!probe)
		return -ENOMEM;
	r = probe_start(probe, fd);
	return r < 0 ? r : signatures_find(probe, result);
}

int disk_probe(const char *path, struct disk_probe_result *ret, struct err *err)
{
	struct disk_probe_result result = {.kind = DISK_PROBE_NOTHING};
	CLEANUP_FD int fd = -1;
	struct stat st;
	int r;

	if (stat(path, &st) < 0)
		return disk_file_open_failed(path, errno, true, err);
	r = disk_file_kind_check(path, st.st_mode, err);
	if (r < 0)
		return r;
	/* What came into its place since must not make open() wait. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return disk_file_open_failed(path, errno, true, err);
	r = disk_file_kind_check(path, st.st_mode, err);
	if (r < 0)
		return r;
	r = probe_run(fd, &result);
	if (r < 0)
		return err_set(err, r, "cannot tell what %s holds: %s; check that it can be read",
			       path, strerror(-r));
	*ret = result;
	return 0;
}

/* --- Words --------------------------------------------------------------------------------- */

struct name {
	const char *type;
	const char *words;
};

static const struct name names[] = {
	{"LVM1_member", "an LVM physical volume"},
	{"LVM2_member", "an LVM physical volume"},
	{"linux_raid_member", "a member of a Linux RAID array"},
	{"zfs_member", "a member of a ZFS pool"},
	{"bcache", "a bcache device"},
	{"crypto_LUKS", "a LUKS encrypted container"},
	{"swap", "a swap area"},
	{"swsuspend", "a swap area with a hibernated system"},
	{"gpt", "a GPT partition table"},
	{"dos", "an MBR partition table"},
	{"PMBR", "a protective MBR without its GPT"},
};

static const char *name_of(const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(names[i].type, type) == 0)
			return names[i].words;
	return NULL;
}

/* By the sound: "an ext4", "an xfs", "a btrfs". */
static const char *article(const char *type)
{
	static const char *const spelled[] = {"f2fs", "hfs", "hfsplus", "ntfs", "xfs"};

	for (size_t i = 0; i < ARRAY_SIZE(spelled); i++)
		if (strcmp(spelled[i], type) == 0)
			return "an";
	return type[0] && strchr("aeioAEIO", type[0]) ? "an" : "a";
}

static const char *noun(enum disk_probe_kind kind)
{
	switch (kind) {
	case DISK_PROBE_FILESYSTEM:
		return "file system";
	case DISK_PROBE_PARTITIONS:
		return "partition table";
	case DISK_PROBE_RAID:
		return "member";
	case DISK_PROBE_CRYPTO:
		return "encrypted container";
	case DISK_PROBE_OTHER:
	case DISK_PROBE_NOTHING:
		break;
	}
	return "signature";
}

/* "zfs_member" and the like end in the noun already. */
static void describe_type(const struct disk_probe_result *result, char *text, size_t size)
{
	const char *type = result->type;
	const int length = (int)(is_member(type) ? strlen(type) - strlen("_member") : strlen(type));
	const char *words = name_of(type);

	if (words)
		snprintf(text, size, "%s", words);
	else
		snprintf(text, size, "%s %.*s %s", article(type), length, type, noun(result->kind));
}

void disk_probe_describe(const struct disk_probe_result *result, char *text, size_t size)
{
	char type[2 * DISK_PROBE_TYPE_MAX];
	char label[DISK_PROBE_LABEL_MAX + 4] = "";
	char uuid[DISK_PROBE_UUID_MAX + 16] = "";
	char more[48] = "";

	if (result->count == 0) {
		snprintf(text, size, "nothing known");
		return;
	}
	describe_type(result, type, sizeof(type));
	if (result->label[0])
		snprintf(label, sizeof(label), " \"%s\"", result->label);
	/* Nobody knows a partition table by its number. */
	if (result->uuid[0] && result->kind != DISK_PROBE_PARTITIONS)
		snprintf(uuid, sizeof(uuid), " (UUID %s)", result->uuid);
	if (result->count > 1)
		snprintf(more, sizeof(more), " and %u more signature%s", result->count - 1,
			 result->count == 2 ? "" : "s");
	snprintf(text, size, "%s%s%s%s", type, label, uuid, more);
}

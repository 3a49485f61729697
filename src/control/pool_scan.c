/* SPDX-License-Identifier: Apache-2.0 */
/* Candidates are gathered, each once, then asked for their labels on the first worker. */
#include "pool_scan.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include <quoin/base_log.h>
#include <quoin/base_text.h>

#include "pool_call.h"
#include "private.h"

#define BY_ID "/dev/disk/by-id"

/* --- Candidates ------------------------------------------------------------------------------- */

static bool same_drive(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) || S_ISBLK(b->st_mode))
		return S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode) && a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* True when an imported pool has it. */
static bool in_use(const struct control_pools *pools, const struct stat *st)
{
	for (unsigned i = 0; i < pools->count; i++) {
		const struct control_pool *pool = pools->pools[i];
		struct stat other;

		for (unsigned d = 0; d < pool->disk_count; d++) {
			if (stat(disk_name(pool->disks[d]), &other) == 0 && same_drive(st, &other))
				return true;
		}
	}
	return false;
}

static void candidate_add(struct control_scan *scan, const char *path, const struct stat *st)
{
	struct scan_drive *drive = &scan->drives[scan->count];

	drive->device = S_ISBLK(st->st_mode) ? 0 : st->st_dev;
	drive->inode = S_ISBLK(st->st_mode) ? (ino_t)st->st_rdev : st->st_ino;
	for (unsigned i = 0; i < scan->count; i++) {
		if (scan->drives[i].device == drive->device &&
		    scan->drives[i].inode == drive->inode)
			return;
	}
	if (scan->count == CONTROL_SCAN_MAX || in_use(scan->pools, st))
		return;
	drive->path = xstrdup(path);
	scan->count++;
}

/* What could be a drive at all. */
static bool is_candidate(const struct stat *st)
{
	return S_ISBLK(st->st_mode) ||
	       (S_ISREG(st->st_mode) && (uint64_t)st->st_size >= POOL_DRIVE_BYTES_MIN);
}

/* Paths are remembered and told as JSON, which is UTF-8: others can only be linked to. */
static bool is_text(const char *path)
{
	json_t *json = json_string(path);

	json_decref(json);
	return json != NULL && strlen(path) <= CONTROL_PATH_MAX;
}

static void directory_add(struct control_scan *scan, const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;

	while (directory && (entry = readdir(directory))) {
		CLEANUP_FREE char *full = xasprintf("%s/%s", path, entry->d_name);
		struct stat st;

		if (stat(full, &st) == 0 && is_candidate(&st) && is_text(full))
			candidate_add(scan, full, &st);
	}
	if (directory)
		closedir(directory);
}

static int path_add(struct control_scan *scan, const char *path, struct err *err)
{
	struct stat st;

	if (path[0] != '/')
		return err_set(err, -EINVAL, "\"%s\": the path must be absolute", path);
	if (stat(path, &st) < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode)) {
		directory_add(scan, path);
		return 0;
	}
	if (!is_candidate(&st))
		return err_set(err, -EINVAL,
			       "%s is no drive of a pool: it is too small, or neither "
			       "a file nor a block device",
			       path);
	if (in_use(scan->pools, &st))
		return err_set(err, -EBUSY, "%s belongs to a pool that is imported already", path);
	candidate_add(scan, path, &st);
	return 0;
}

static void defaults_add(struct control_scan *scan)
{
	for (unsigned i = 0; i < scan->pools->count; i++) {
		const struct control_pool *pool = scan->pools->pools[i];

		/* What is not there is no error: drives come and go. */
		for (unsigned p = 0; p < pool->path_count; p++) {
			if (path_add(scan, pool->paths[p], NULL) < 0)
				log_debug("drive %s of pool \"%s\" is not there", pool->paths[p],
					  pool->name);
		}
	}
	if (geteuid() == 0)
		directory_add(scan, BY_ID);
}

/* --- Labels ------------------------------------------------------------------------------------
 */

struct reading {
	struct loop *loop;
	struct disk *disk;
	struct pool_label *label;
	struct err *err;
};

static int reading_run(void *arg)
{
	const struct reading *reading = arg;

	return pool_label_read(reading->loop, reading->disk, reading->label, reading->err);
}

static int label_read(struct control_scan *scan, struct scan_drive *drive, struct err *err)
{
	const struct disk_open_params params = {.read_only = true, .shared = true};
	struct loop *loop = scan->pools->workers->workers[0].loop;
	struct disk *disk = NULL;
	int r = disk_open(drive->path, &params, &disk, err);

	if (r == 0) {
		struct reading reading = {loop, disk, &drive->label, err};

		r = control_call(loop, reading_run, &reading);
	}
	disk_close(disk);
	drive->labelled = r == 0 && !drive->label.destroyed &&
			  control_object_pool_name_good(drive->label.name);
	return r;
}

static void labels_read(struct control_scan *scan)
{
	for (unsigned i = 0; i < scan->count; i++) {
		struct err why = {.code = 0};

		const int r = label_read(scan, &scan->drives[i], &why);

		if (r < 0)
			log_debug("%s: %s", scan->drives[i].path, why.text);
		if (r < 0 && r != -ENOENT)
			scan->drives[i].trouble = xstrdup(why.text);
	}
}

int control_scan_run(struct control_scan *scan, struct control_pools *pools,
		     const char *const *paths, unsigned count, struct err *err)
{
	int r = 0;

	scan->pools = pools;
	scan->count = 0;
	scan->drives = xcalloc(CONTROL_SCAN_MAX + 1, sizeof(*scan->drives));
	for (unsigned i = 0; r == 0 && i < count; i++)
		r = path_add(scan, paths[i], err);
	if (count == 0)
		defaults_add(scan);
	if (r == 0)
		labels_read(scan);
	if (r < 0)
		control_scan_fini(scan);
	return r;
}

void control_scan_fini(struct control_scan *scan)
{
	for (unsigned i = 0; i < scan->count; i++) {
		free(scan->drives[i].path);
		free(scan->drives[i].trouble);
	}
	free(scan->drives);
	scan->drives = NULL;
	scan->count = 0;
}

/* --- Pools -------------------------------------------------------------------------------------
 */

const char *control_scan_trouble(const struct control_scan *scan, const char *path)
{
	for (unsigned i = 0; i < scan->count; i++) {
		const struct scan_drive *drive = &scan->drives[i];

		if (drive->trouble && (!path || strcmp(drive->path, path) == 0))
			return drive->trouble;
	}
	return NULL;
}

const struct pool_label *control_scan_newest(const struct control_scan *scan,
					     const uint8_t guid[16])
{
	const struct pool_label *newest = NULL;

	for (unsigned i = 0; i < scan->count; i++) {
		const struct scan_drive *drive = &scan->drives[i];

		if (!drive->labelled || memcmp(drive->label.guid, guid, 16) != 0)
			continue;
		if (!newest || drive->label.checkpoint > newest->checkpoint)
			newest = &drive->label;
	}
	return newest;
}

unsigned control_scan_paths(const struct control_scan *scan, const uint8_t guid[16],
			    const char *ret_paths[CONTROL_DRIVES_MAX])
{
	unsigned count = 0;

	for (unsigned i = 0; i < scan->count && count < CONTROL_DRIVES_MAX; i++) {
		const struct scan_drive *drive = &scan->drives[i];

		if (drive->labelled && memcmp(drive->label.guid, guid, 16) == 0)
			ret_paths[count++] = drive->path;
	}
	return count;
}

int control_scan_choose(const struct control_scan *scan, const char *name, uint8_t ret_guid[16],
			struct err *err)
{
	const struct pool_label *found = NULL;
	uint8_t guid[16];
	const bool by_guid = control_uuid_parse(name, guid) == 0;

	for (unsigned i = 0; i < scan->count; i++) {
		const struct pool_label *label = &scan->drives[i].label;

		if (!scan->drives[i].labelled)
			continue;
		if (strcmp(label->name, name) != 0 &&
		    !(by_guid && memcmp(label->guid, guid, 16) == 0))
			continue;
		if (found && memcmp(found->guid, label->guid, 16) != 0)
			return err_set(err, -EINVAL,
				       "there are several pools \"%s\": give the GUID, see quoin "
				       "pool import",
				       name);
		found = label;
	}
	if (!found && control_scan_trouble(scan, NULL))
		return err_set(err, -ENOENT, "no pool \"%s\" is on the drives looked at, but %s",
			       name, control_scan_trouble(scan, NULL));
	if (!found)
		return err_set(err, -ENOENT,
			       "no pool \"%s\" is on the drives looked at: name its drives, or a "
			       "directory with --dir",
			       name);
	memcpy(ret_guid, found->guid, sizeof(guid));
	return 0;
}

static void found_fill(const struct control_scan *scan, const struct pool_label *label,
		       struct control_pool_found *found)
{
	const char *paths[CONTROL_DRIVES_MAX];

	snprintf(found->name, sizeof(found->name), "%s", label->name);
	snprintf(found->host_name, sizeof(found->host_name), "%s", label->host_name);
	memcpy(found->guid, label->guid, sizeof(found->guid));
	found->exported = label->exported;
	found->other_host = !label->exported && memcmp(label->host_id, scan->pools->host.id,
						       sizeof(label->host_id)) != 0;
	found->drive_count = label->drive_count;
	found->checkpoint = label->checkpoint;
	found->time_s = label->time_s;
	found->rewind[0] = label->rewind[0];
	found->rewind[1] = label->rewind[1];
	found->drives_found = control_scan_paths(scan, label->guid, paths);
	for (unsigned i = 0; i < found->drives_found; i++)
		snprintf(found->paths[i], sizeof(found->paths[i]), "%s", paths[i]);
}

int control_pool_scan(struct control *control, const char *const *paths, unsigned count,
		      struct control_pool_scan *ret_scan, struct err *err)
{
	struct control_scan scan;
	struct control_pool_found *all;
	unsigned found = 0;
	int r = control_scan_run(&scan, &control->pools, paths, count, err);

	if (r < 0)
		return r;
	all = xcalloc(CONTROL_POOLS_MAX, sizeof(*all));
	for (unsigned i = 0; i < scan.count && found < CONTROL_POOLS_MAX; i++) {
		const struct pool_label *label = &scan.drives[i].label;
		unsigned f = 0;

		while (f < found && memcmp(all[f].guid, label->guid, sizeof(label->guid)) != 0)
			f++;
		if (scan.drives[i].labelled && f == found)
			found_fill(&scan, control_scan_newest(&scan, label->guid), &all[found++]);
	}
	control_scan_fini(&scan);
	ret_scan->found = all;
	ret_scan->count = found;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Back ends: what a path is decides who is asked. NVMe by its ioctl (no other program, and no JSON
 * in between), other block devices by smartctl, files by the file system, recorded answers by name.
 */
#include "smart_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <quoin/base_child.h>
#include <quoin/base_text.h>
#include <quoin/health_event.h>

#include "smart_nvme.h"

/* --- smartctl ------------------------------------------------------------------------------------
 */

/* A file in memory that cannot grow: what prints without end gets an error. */
static int output_make(void)
{
	int fd = memfd_create("smartctl", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && (ftruncate(fd, SMART_JSON_MAX) < 0 ||
			fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SEAL) < 0))
		base_close(&fd);
	return fd < 0 ? -errno : fd;
}

static char *output_read(int fd, size_t *ret_length)
{
	/* The place where its last write ended: the descriptors share it. */
	const off_t end = lseek(fd, 0, SEEK_CUR);
	const size_t wanted = end > 0 && end <= SMART_JSON_MAX ? (size_t)end : 0;
	char *bytes = xmalloc(wanted + 1);
	const ssize_t n = pread(fd, bytes, wanted, 0);

	*ret_length = n > 0 ? (size_t)n : 0;
	return bytes;
}

/* The report of a program that may end with any status: what it prints counts. */
static int smartctl_run(const struct smart_source *source, const char *const *argv,
			struct smart_report *report, struct err *err)
{
	CLEANUP_FD int fd = output_make();
	CLEANUP_FREE char *bytes = NULL;
	const struct child_params params = {.argv = argv,
					    .package = "smartmontools",
					    .stdin_fd = -1,
					    .stdout_fd = fd,
					    .listen_fd = -1,
					    .timeout_ms = source->timeout_ms};
	size_t length = 0;
	int status = 0;
	int r;

	if (fd < 0)
		return err_set(err, fd, "no memory for what %s says: %s", argv[0], strerror(-fd));
	r = child_run(&params, &status, err);
	if (r < 0)
		return r;
	bytes = output_read(fd, &length);
	if (length == 0)
		return err_set(err, -EIO, "%s printed nothing, and ended with %d", argv[0],
			       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return smart_json_decode(bytes, length, report, err);
}

static const char *smartctl_of(const struct smart_source *source)
{
	if (source->smartctl)
		return source->smartctl;
	/* Not in the PATH of an ordinary user. */
	return access("/usr/sbin/smartctl", X_OK) == 0 ? "/usr/sbin/smartctl" : "smartctl";
}

static int smartctl_read(const struct smart_source *source, const char *path,
			 struct smart_report *report, struct err *err)
{
	const char *const argv[] = {
		smartctl_of(source), "--json=c",       "--info", "--health", "--capabilities",
		"--attributes",	     "--log=selftest", path,	 NULL};

	return smartctl_run(source, argv, report, err);
}

/* --- Files ---------------------------------------------------------------------------------------
 */

static int file_read(const char *path, const struct stat *st, struct smart_report *report)
{
	struct statvfs fs;
	char link[64];
	char target[256];
	ssize_t length;

	memcpy(report->protocol, "file", 5);
	report->self_tests = 0;
	if (statvfs(path, &fs) < 0)
		return -errno;
	report->free_bytes = (int64_t)((uint64_t)fs.f_bavail * fs.f_frsize);
	/* The device below; a file system in memory or on a network has none. */
	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(st->st_dev), minor(st->st_dev));
	length = readlink(link, target, sizeof(target) - 1);
	if (length > 0) {
		target[length] = '\0';
		snprintf(report->backing, sizeof(report->backing), "/dev/%.58s",
			 strrchr(target, '/') ? strrchr(target, '/') + 1 : target);
	}
	return 0;
}

/* One line, as the kernel names a namespace: by its UUID, NGUID or EUI-64. */
static void wwid_take(const char *path, struct smart_report *report)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[sizeof(report->wwn) + 1];
	const ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	/* One that is longer is made up of model and serial, which are known. */
	if (n <= 1 || text[n - 1] != '\n')
		return;
	text[n - 1] = '\0';
	health_text_copy(report->wwn, sizeof(report->wwn), text);
}

/* --- Recorded ------------------------------------------------------------------------------------
 */

#define RECORDED_BYTES \
	(SMART_NVME_IDENTIFY_BYTES + SMART_NVME_HEALTH_BYTES + SMART_NVME_SELF_TEST_BYTES)

static char *recorded_name(const struct smart_source *source, const char *path, const char *end)
{
	const char *slash = strrchr(path, '/');

	return xasprintf("%s/%s%s", source->recorded, slash ? slash + 1 : path, end);
}

static char *recorded_bytes(const struct smart_source *source, const char *path, const char *end,
			    size_t *ret_length)
{
	CLEANUP_FREE char *name = recorded_name(source, path, end);
	CLEANUP_FD int fd = open(name, O_RDONLY | O_CLOEXEC);
	char *bytes;
	ssize_t n;

	if (fd < 0)
		return NULL;
	bytes = xmalloc(SMART_JSON_MAX + 1);
	n = read(fd, bytes, SMART_JSON_MAX + 1);
	*ret_length = n > 0 ? (size_t)n : 0;
	return bytes;
}

static int recorded_read(const struct smart_source *source, const char *path,
			 struct smart_report *report, struct err *err)
{
	CLEANUP_FREE char *hang = recorded_name(source, path, ".hang");
	CLEANUP_FREE char *json = NULL;
	CLEANUP_FREE char *pages = NULL;
	CLEANUP_FREE char *wwid = recorded_name(source, path, ".wwid");
	size_t length = 0;
	const uint8_t *at;

	while (access(hang, F_OK) == 0)
		usleep(10 * 1000);
	json = recorded_bytes(source, path, ".json", &length);
	if (json)
		return smart_json_decode(json, length, report, err);
	pages = recorded_bytes(source, path, ".nvme", &length);
	if (!pages)
		return -ENOENT;
	if (length < RECORDED_BYTES || (length - RECORDED_BYTES) % SMART_NVME_ERROR_BYTES != 0 ||
	    (length - RECORDED_BYTES) / SMART_NVME_ERROR_BYTES > SMART_NVME_ERRORS_MAX)
		return err_set(err, -EINVAL, "%s.nvme has not the size of its pages", path);
	at = (const uint8_t *)pages;
	wwid_take(wwid, report);
	smart_nvme_identify_decode(at, report);
	smart_nvme_health_decode(at + SMART_NVME_IDENTIFY_BYTES, report);
	smart_nvme_self_test_decode(at + SMART_NVME_IDENTIFY_BYTES + SMART_NVME_HEALTH_BYTES,
				    report);
	smart_nvme_errors_decode(at + RECORDED_BYTES,
				 (unsigned)((length - RECORDED_BYTES) / SMART_NVME_ERROR_BYTES),
				 report);
	return 0;
}

/* It takes what is asked of it, in NAME.test; -ENOENT: it is not recorded. */
static int recorded_test(const struct smart_source *source, const char *path, const char *word)
{
	static const char *const ends[] = {".json", ".nvme"};
	CLEANUP_FREE char *name = NULL;
	CLEANUP_FD int fd = -1;
	bool known = false;

	for (size_t i = 0; source->recorded && i < ARRAY_SIZE(ends); i++) {
		CLEANUP_FREE char *answer = recorded_name(source, path, ends[i]);

		known = known || access(answer, F_OK) == 0;
	}
	if (!known)
		return -ENOENT;
	name = recorded_name(source, path, ".test");
	fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return fd < 0 || dprintf(fd, "%s\n", word) < 0 ? -errno : 0;
}

/* --- All -----------------------------------------------------------------------------------------
 */

/* Partitions too: their drive's name begins so. */
static bool is_nvme(const struct stat *st)
{
	char link[64];
	char target[256];
	ssize_t length;
	const char *name;

	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(st->st_rdev),
		 minor(st->st_rdev));
	length = readlink(link, target, sizeof(target) - 1);
	if (length <= 0)
		return false;
	target[length] = '\0';
	name = strrchr(target, '/');
	return name && strncmp(name + 1, "nvme", 4) == 0;
}

/* What the kernel has of it; a partition's directory is in that of its drive. */
static void wwid_read(const struct stat *st, struct smart_report *report)
{
	static const char *const names[] = {"wwid", "../wwid"};
	char path[80];

	for (size_t i = 0; report->wwn[0] == '\0' && i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", major(st->st_rdev),
			 minor(st->st_rdev), names[i]);
		wwid_take(path, report);
	}
}

int smart_read(const struct smart_source *source, const char *path, struct smart_report *ret_report,
	       struct err *err)
{
	struct stat st;
	int r = -ENOENT;

	smart_report_init(ret_report);
	if (source->recorded)
		r = recorded_read(source, path, ret_report, err);
	if (r != -ENOENT)
		return r;
	if (stat(path, &st) < 0)
		return err_set(err, -errno, "%.100s: %s", path, strerror(errno));
	if (S_ISBLK(st.st_mode) && is_nvme(&st)) {
		wwid_read(&st, ret_report);
		return smart_nvme_read(path, ret_report, err);
	}
	if (!S_ISREG(st.st_mode))
		return smartctl_read(source, path, ret_report, err);
	r = file_read(path, &st, ret_report);
	return r < 0 ? err_set(err, r, "%.100s: %s", path, strerror(-r)) : 0;
}

int smart_test(const struct smart_source *source, const char *path, enum health_drive_test test,
	       struct err *err)
{
	static const char *const words[] = {"--test=short", "--test=long", "--abort"};
	const char *const argv[] = {smartctl_of(source), "--json=c", words[test], path, NULL};
	struct smart_report report;
	struct stat st;
	const int r = recorded_test(source, path, words[test]);

	if (r != -ENOENT)
		return r < 0 ? err_set(err, r, "%.100s refuses a self-test", path) : 0;
	smart_report_init(&report);
	if (stat(path, &st) < 0)
		return err_set(err, -errno, "%.100s: %s", path, strerror(errno));
	if (S_ISREG(st.st_mode))
		return err_set(err, -ENOTSUP, "%.100s is a file: it has no self-test", path);
	if (S_ISBLK(st.st_mode) && is_nvme(&st))
		return smart_nvme_test(path, test, err);
	return smartctl_run(source, argv, &report, err);
}

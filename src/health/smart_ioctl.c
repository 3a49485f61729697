/* SPDX-License-Identifier: Apache-2.0 */
/* NVMe drives asked by ioctl; NVM Express Base Specification 2.0, 5.9, 5.16, 5.17. */
#include "smart_nvme.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/nvme_ioctl.h>

#define OPCODE_GET_LOG 0x02
#define OPCODE_IDENTIFY 0x06
#define OPCODE_SELF_TEST 0x14
#define CNS_CONTROLLER 1
#define LOG_ERRORS 0x01
#define LOG_HEALTH 0x02
#define LOG_SELF_TEST 0x06
#define ALL_NAMESPACES 0xFFFFFFFF
#define TIMEOUT_MS 15000
#define STATUS_SELF_TEST_RUNNING 0x11D

/* 0, negative errno, or the status of the command. */
static int command(int fd, struct nvme_admin_cmd *c)
{
	int r;

	c->timeout_ms = TIMEOUT_MS;
	r = ioctl(fd, NVME_IOCTL_ADMIN_CMD, c);
	return r < 0 ? -errno : r & 0x7FF;
}

static int log_get(int fd, uint8_t log, void *page, unsigned size)
{
	struct nvme_admin_cmd c = {.opcode = OPCODE_GET_LOG,
				   .nsid = ALL_NAMESPACES,
				   .addr = (uintptr_t)page,
				   .data_len = size,
				   .cdw10 = (size / 4 - 1) << 16 | log};

	return command(fd, &c);
}

static int refused(const char *path, const char *what, int r, struct err *err)
{
	if (r == -EACCES || r == -EPERM)
		return err_set(err, r, "no permission to ask %.100s: quoind needs CAP_SYS_ADMIN",
			       path);
	if (r < 0)
		return err_set(err, r, "%.100s: %s", path, strerror(-r));
	return err_set(err, -EIO, "%.100s refuses %s with status %Xh", path, what, (unsigned)r);
}

int smart_nvme_read(const char *path, struct smart_report *report, struct err *err)
{
	uint8_t page[SMART_NVME_IDENTIFY_BYTES] = {0};
	struct nvme_admin_cmd identify = {.opcode = OPCODE_IDENTIFY,
					  .addr = (uintptr_t)page,
					  .data_len = sizeof(page),
					  .cdw10 = CNS_CONTROLLER};
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	unsigned errors;
	int r = fd < 0 ? -errno : command(fd, &identify);

	if (r != 0)
		return refused(path, "to identify itself", r, err);
	smart_nvme_identify_decode(page, report);
	errors = smart_nvme_errors_count(page);
	memset(page, 0, sizeof(page));
	r = log_get(fd, LOG_HEALTH, page, SMART_NVME_HEALTH_BYTES);
	if (r != 0)
		return refused(path, "its health log", r, err);
	smart_nvme_health_decode(page, report);
	/* Optional: a drive without self-tests refuses it, which is no problem of its. */
	memset(page, 0, sizeof(page));
	if (log_get(fd, LOG_SELF_TEST, page, SMART_NVME_SELF_TEST_BYTES) == 0)
		smart_nvme_self_test_decode(page, report);
	/* Mandatory, and only there to be shown: what became of it is in the health log too. */
	memset(page, 0, sizeof(page));
	if (log_get(fd, LOG_ERRORS, page, errors * SMART_NVME_ERROR_BYTES) == 0)
		smart_nvme_errors_decode(page, errors, report);
	return 0;
}

int smart_nvme_test(const char *path, enum health_drive_test test, struct err *err)
{
	static const uint32_t codes[] = {1, 2, 0xF};
	struct nvme_admin_cmd c = {
		.opcode = OPCODE_SELF_TEST, .nsid = ALL_NAMESPACES, .cdw10 = codes[test]};
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const int r = fd < 0 ? -errno : command(fd, &c);

	if (r == STATUS_SELF_TEST_RUNNING)
		return err_set(err, -EBUSY, "a self-test of %.100s is running", path);
	return r != 0 ? refused(path, "a self-test", r, err) : 0;
}

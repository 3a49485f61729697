/* SPDX-License-Identifier: Apache-2.0 */
/* NVMe drives asked by the kernel's ioctl for administrative commands. */
#ifndef HEALTH_SMART_NVME_H
#define HEALTH_SMART_NVME_H

#include <quoin/base_err.h>
#include <quoin/health_drives.h>

MUST_CHECK int smart_nvme_read(const char *path, struct smart_report *report, struct err *err);
MUST_CHECK int smart_nvme_test(const char *path, enum health_drive_test test, struct err *err);

#endif

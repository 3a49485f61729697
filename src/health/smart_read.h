/* SPDX-License-Identifier: Apache-2.0 */
/* How a drive is asked. Blocking, for as long as the drive likes: only from a reader's thread. */
#ifndef HEALTH_SMART_READ_H
#define HEALTH_SMART_READ_H

#include <quoin/health_drives.h>

struct smart_source {
	const char *recorded; /* see health_drives_params */
	const char *smartctl;
	unsigned timeout_ms; /* of smartctl */
};

/* Negative errno with a sentence; *ret_report is as far as it came. */
MUST_CHECK int smart_read(const struct smart_source *source, const char *path,
			  struct smart_report *ret_report, struct err *err);

MUST_CHECK int smart_test(const struct smart_source *source, const char *path,
			  enum health_drive_test test, struct err *err);

#endif

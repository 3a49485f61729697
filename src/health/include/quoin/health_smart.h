/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a drive says of itself (S.M.A.R.T.), decoded and judged. Plain functions over bytes: who
 * gets them from a drive is in quoin/health_drives.h.
 *
 * NVMe: Identify Controller and the log pages 01h (errors), 02h (SMART / health) and 06h
 * (self-test), NVM Express Base Specification 2.0, 5.17.2.1 and 5.16.1.2, .3, .7. ATA and SCSI:
 * what smartctl --json prints.
 */
#ifndef QUOIN_HEALTH_SMART_H
#define QUOIN_HEALTH_SMART_H

#include <quoin/base.h>
#include <quoin/base_err.h>

#define SMART_UNKNOWN (-1) /* of numbers that the drive does not tell */
#define SMART_ATTRIBUTES_MAX 40
#define SMART_NVME_IDENTIFY_BYTES 4096
#define SMART_NVME_HEALTH_BYTES 512
#define SMART_NVME_SELF_TEST_BYTES 564
#define SMART_NVME_ERROR_BYTES 64 /* one entry of the error log */
#define SMART_NVME_ERRORS_MAX 16  /* that are read */
#define SMART_JSON_MAX (512 * 1024)

enum smart_verdict {
	SMART_NOT_KNOWN, /* it tells nothing, or cannot be asked */
	SMART_PASSED,
	SMART_WARNING,
	SMART_FAILING,
};

struct smart_attribute {
	unsigned id;
	char name[40];
	unsigned value, worst, threshold; /* normalised; 1 to 253 are good ones */
	uint64_t raw;
	bool prefail;
	bool failing; /* it is at its threshold now */
};

/* Newest self-test. */
enum smart_self_test {
	SMART_TEST_NONE,
	SMART_TEST_RUNNING,
	SMART_TEST_PASSED,
	SMART_TEST_ABORTED,
	SMART_TEST_FAILED
};

struct smart_report {
	char protocol[8]; /* "NVMe", "ATA", "SCSI", "file"; "" = not known */
	char model[48], serial[48], firmware[24];
	char wwn[48];		  /* its name in the world; NVMe: "eui." or "uuid." and so on */
	bool has_own, own_passed; /* the drive's own verdict */
	int64_t critical_warning; /* NVMe: bits */
	int64_t temperature_c;
	int64_t temperature_warning_c; /* by the drive itself */
	int64_t power_on_hours, power_cycles, unsafe_shutdowns;
	int64_t used_percent; /* of its endurance; may be above 100 */
	int64_t spare_percent, spare_threshold_percent;
	int64_t media_errors, error_log_entries;
	int64_t last_error_status, last_error_lba;   /* NVMe: SCT and SC, of the newest entry */
	int64_t reallocated, pending, uncorrectable; /* sectors */
	int64_t bytes_read, bytes_written;
	int64_t free_bytes; /* of a file: on the file system below */
	bool rotational;
	enum smart_self_test self_test;
	int64_t self_test_percent; /* done, while it runs */
	int64_t self_test_hours;   /* power-on hours at its end */
	int64_t self_tests;	   /* it has some: 1, 0 */
	char backing[64];	   /* of a file: the device below */
	unsigned attribute_count;
	struct smart_attribute attributes[SMART_ATTRIBUTES_MAX];
};

/* All unknown. */
void smart_report_init(struct smart_report *report);

/* --- Decoders of foreign bytes ------------------------------------------------------------------
 */

/* Each fills what it knows of. The buffers have the sizes above. */
void smart_nvme_identify_decode(const uint8_t *page, struct smart_report *report);
void smart_nvme_health_decode(const uint8_t *page, struct smart_report *report);
void smart_nvme_self_test_decode(const uint8_t *page, struct smart_report *report);

/* `count` entries of the error log, newest first or not. How many it has room for is in Identify.
 */
void smart_nvme_errors_decode(const uint8_t *page, unsigned count, struct smart_report *report);
unsigned smart_nvme_errors_count(const uint8_t *identify);

/* -EINVAL: no JSON of smartctl; -EIO: smartctl could not ask the drive, and says why. */
MUST_CHECK int smart_json_decode(const char *text, size_t length, struct smart_report *report,
				 struct err *err);

/* --- The verdict ---------------------------------------------------------------------------------
 */

/* A counter that grew is a warning for so many readings; a sector that waits must be seen twice. */
#define SMART_GROWTH_READINGS 144
#define SMART_PENDING_READINGS 2
#define SMART_TEMPERATURE_BACK_C 5
#define SMART_USED_WARNING 90
#define SMART_SPARE_NEAR 10 /* percent above the drive's own threshold */

/* What must be known of earlier readings; zeroed = none. */
struct smart_history {
	bool known;
	int64_t media_errors, reallocated, uncorrectable;
	unsigned grew_readings; /* how long it stays a warning */
	char grew[48];		/* what */
	unsigned pending_readings, clear_readings;
	bool hot, pending;
};

struct smart_judgement {
	enum smart_verdict verdict;
	char reason[160]; /* "" = nothing is wrong */
};

const char *smart_verdict_word(enum smart_verdict verdict);
const char *smart_self_test_word(enum smart_self_test test);

/* Judges one more reading. */
void smart_judge(const struct smart_report *report, struct smart_history *history,
		 struct smart_judgement *ret_judgement);

#endif

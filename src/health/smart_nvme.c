/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages of NVMe drives. 128-bit counters that do not fit stop at the largest number there is;
 * temperatures come in Kelvin, and 0 is "not told".
 */
#include <quoin/health_smart.h>

#include <string.h>

#include <quoin/base_endian.h>

#define KELVIN 273
#define SELF_TEST_RESULTS_AT 4

void smart_report_init(struct smart_report *report)
{
	memset(report, 0, sizeof(*report));
	report->critical_warning = SMART_UNKNOWN;
	report->temperature_c = report->temperature_warning_c = SMART_UNKNOWN;
	report->power_on_hours = report->power_cycles = report->unsafe_shutdowns = SMART_UNKNOWN;
	report->used_percent = report->spare_percent = SMART_UNKNOWN;
	report->spare_threshold_percent = SMART_UNKNOWN;
	report->media_errors = report->error_log_entries = SMART_UNKNOWN;
	report->last_error_status = report->last_error_lba = SMART_UNKNOWN;
	report->reallocated = report->pending = report->uncorrectable = SMART_UNKNOWN;
	report->bytes_read = report->bytes_written = report->free_bytes = SMART_UNKNOWN;
	report->self_test_percent = report->self_test_hours = report->self_tests = SMART_UNKNOWN;
}

/* ASCII, padded with spaces; anything else is shown as '?'. */
static void text_decode(const uint8_t *from, size_t length, char *to, size_t size)
{
	while (length > 0 && (from[length - 1] == ' ' || from[length - 1] == '\0'))
		length--;
	length = MIN(length, size - 1);
	for (size_t i = 0; i < length; i++)
		to[i] = from[i] >= 0x20 && from[i] < 0x7F ? (char)from[i] : '?';
	to[length] = '\0';
}

static int64_t counter(const uint8_t *at)
{
	const uint64_t low = le64_get(at);

	return le64_get(at + 8) != 0 || low > INT64_MAX ? INT64_MAX : (int64_t)low;
}

/* In thousands of 512 bytes. */
static int64_t data_units(const uint8_t *at)
{
	const int64_t units = counter(at);

	return units > INT64_MAX / 512000 ? INT64_MAX : units * 512000;
}

static int64_t celsius(uint16_t kelvin)
{
	return kelvin < KELVIN ? SMART_UNKNOWN : kelvin - KELVIN;
}

void smart_nvme_identify_decode(const uint8_t *page, struct smart_report *report)
{
	memcpy(report->protocol, "NVMe", 5);
	text_decode(page + 4, 20, report->serial, sizeof(report->serial));
	text_decode(page + 24, 40, report->model, sizeof(report->model));
	text_decode(page + 64, 8, report->firmware, sizeof(report->firmware));
	report->temperature_warning_c = celsius(le16_get(page + 266));
	/* OACS: the command is there. */
	report->self_tests = (page[256] & 0x10) != 0;
}

void smart_nvme_health_decode(const uint8_t *page, struct smart_report *report)
{
	memcpy(report->protocol, "NVMe", 5);
	report->critical_warning = page[0];
	report->has_own = true;
	/* Heat alone (bit 1) is no verdict on the drive; bits beyond 5 have no meaning yet. */
	report->own_passed = (page[0] & 0x1D) == 0;
	report->temperature_c = celsius(le16_get(page + 1));
	report->spare_percent = page[3];
	report->spare_threshold_percent = page[4];
	report->used_percent = page[5];
	report->bytes_read = data_units(page + 32);
	report->bytes_written = data_units(page + 48);
	report->power_cycles = counter(page + 112);
	report->power_on_hours = counter(page + 128);
	report->unsafe_shutdowns = counter(page + 144);
	report->media_errors = counter(page + 160);
	report->error_log_entries = counter(page + 176);
}

void smart_nvme_self_test_decode(const uint8_t *page, struct smart_report *report)
{
	const uint8_t *newest = page + SELF_TEST_RESULTS_AT;
	const unsigned result = newest[0] & 0xF;

	if ((page[0] & 0xF) != 0) {
		report->self_test = SMART_TEST_RUNNING;
		report->self_test_percent = MIN(page[1] & 0x7F, 100);
		return;
	}
	if (result == 0xF)
		return;
	/* 5, 6 and 7 are failures; the others were ended by somebody or something else. */
	report->self_test = result == 0			 ? SMART_TEST_PASSED
			    : result >= 5 && result <= 7 ? SMART_TEST_FAILED
							 : SMART_TEST_ABORTED;
	report->self_test_hours = (int64_t)MIN(le64_get(newest + 4), (uint64_t)INT64_MAX);
}

unsigned smart_nvme_errors_count(const uint8_t *identify)
{
	/* ELPE, 0 means 1. */
	return MIN(identify[262] + 1U, (unsigned)SMART_NVME_ERRORS_MAX);
}

void smart_nvme_errors_decode(const uint8_t *page, unsigned count, struct smart_report *report)
{
	const uint8_t *newest = NULL;

	for (unsigned i = 0; i < count; i++) {
		const uint8_t *entry = page + i * SMART_NVME_ERROR_BYTES;

		/* An error count of 0 is no entry. */
		if (le64_get(entry) > (newest ? le64_get(newest) : 0))
			newest = entry;
	}
	if (!newest)
		return;
	/* Without the phase tag, and what says More and Do Not Retry. */
	report->last_error_status = le16_get(newest + 12) >> 1 & 0x7FF;
	report->last_error_lba = (int64_t)MIN(le64_get(newest + 16), (uint64_t)INT64_MAX);
}

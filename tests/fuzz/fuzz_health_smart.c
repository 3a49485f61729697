/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What drives and smartctl say: the first byte chooses the decoder, the rest is the page or the
 * text. What comes out has its texts ended, its numbers not below "not known", and a verdict.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/health_smart.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct smart_report *report)
{
	struct smart_history history = {.known = false};
	struct smart_judgement j;

	ASSERT(strlen(report->model) < sizeof(report->model));
	ASSERT(strlen(report->serial) < sizeof(report->serial));
	ASSERT(strlen(report->firmware) < sizeof(report->firmware));
	ASSERT(report->temperature_c >= SMART_UNKNOWN && report->used_percent >= SMART_UNKNOWN);
	ASSERT(report->bytes_read >= SMART_UNKNOWN && report->media_errors >= SMART_UNKNOWN);
	ASSERT(report->self_test_hours >= SMART_UNKNOWN && report->self_test_percent <= 100);
	ASSERT_U64(report->attribute_count, <=, SMART_ATTRIBUTES_MAX);
	for (unsigned i = 0; i < 4; i++) {
		smart_judge(report, &history, &j);
		ASSERT((j.verdict >= SMART_WARNING) == (j.reason[0] != '\0'));
		ASSERT(j.verdict != SMART_PASSED || report->has_own ||
		       report->attribute_count > 0 || report->critical_warning >= 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t page[SMART_NVME_IDENTIFY_BYTES];
	struct smart_report report;
	struct err err;

	if (size == 0)
		return 0;
	smart_report_init(&report);
	memset(page, 0, sizeof(page));
	memcpy(page, data + 1, MIN(size - 1, sizeof(page)));
	switch (data[0] % 8) {
	case 0:
		smart_nvme_identify_decode(page, &report);
		break;
	case 1:
		smart_nvme_health_decode(page, &report);
		break;
	case 2:
		smart_nvme_self_test_decode(page, &report);
		break;
	case 4:
		smart_nvme_errors_decode(page, smart_nvme_errors_count(page), &report);
		ASSERT(report.last_error_lba >= SMART_UNKNOWN);
		break;
	default:
		if (smart_json_decode((const char *)data + 1, size - 1, &report, &err) < 0)
			return 0;
		break;
	}
	check(&report);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages and smartctl's JSON decoded, and the verdict on them: what is bad is said, and what only
 * looks bad to those who do not know the vendor is not.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <quoin/base_endian.h>
#include <quoin/health_smart.h>

/* --- NVMe pages --------------------------------------------------------------------------------
 */

static void health_page(uint8_t page[SMART_NVME_HEALTH_BYTES])
{
	memset(page, 0, SMART_NVME_HEALTH_BYTES);
	le16_put(page + 1, 273 + 41);
	page[3] = 100;
	page[4] = 10;
	page[5] = 3;
	le64_put(page + 32, 1000);
	le64_put(page + 48, 2000);
	le64_put(page + 112, 149);
	le64_put(page + 128, 9001);
	le64_put(page + 144, 12);
	le64_put(page + 160, 0);
	le64_put(page + 176, 4711);
}

static enum smart_verdict verdict(const struct smart_report *report, struct smart_history *history)
{
	struct smart_judgement j;

	smart_judge(report, history, &j);
	assert_int_equal(j.verdict <= SMART_PASSED, j.reason[0] == '\0');
	return j.verdict;
}

static enum smart_verdict verdict_once(const struct smart_report *report)
{
	struct smart_history history = {.known = false};

	return verdict(report, &history);
}

static void nvme_health(void **state)
{
	uint8_t page[SMART_NVME_HEALTH_BYTES];
	struct smart_report report;

	health_page(page);
	smart_report_init(&report);
	smart_nvme_health_decode(page, &report);
	assert_int_equal(report.temperature_c, 41);
	assert_int_equal(report.spare_percent, 100);
	assert_int_equal(report.used_percent, 3);
	assert_int_equal(report.bytes_read, 512000000);
	assert_int_equal(report.bytes_written, 1024000000);
	assert_int_equal(report.power_cycles, 149);
	assert_int_equal(report.power_on_hours, 9001);
	assert_int_equal(report.unsafe_shutdowns, 12);
	assert_int_equal(report.media_errors, 0);
	assert_int_equal(report.error_log_entries, 4711);
	assert_int_equal(verdict_once(&report), SMART_PASSED);
}

/* Counters of 128 bits and units of 512,000 bytes do not wrap; 0 Kelvin is "not told". */
static void nvme_large_numbers(void **state)
{
	uint8_t page[SMART_NVME_HEALTH_BYTES];
	struct smart_report report;

	health_page(page);
	memset(page + 32, 0xFF, 16);
	le64_put(page + 48, UINT64_MAX / 1000);
	page[168] = 1;
	le16_put(page + 1, 0);
	smart_report_init(&report);
	smart_nvme_health_decode(page, &report);
	assert_int_equal(report.bytes_read, INT64_MAX);
	assert_int_equal(report.bytes_written, INT64_MAX);
	assert_int_equal(report.media_errors, INT64_MAX);
	assert_int_equal(report.temperature_c, SMART_UNKNOWN);
	le16_put(page + 1, 0xFFFF);
	smart_nvme_health_decode(page, &report);
	assert_int_equal(report.temperature_c, 0xFFFF - 273);
}

static void nvme_identify(void **state)
{
	static uint8_t page[SMART_NVME_IDENTIFY_BYTES];
	struct smart_report report;

	memset(page + 4, ' ', 68);
	memcpy(page + 4, "S1", 2);
	memcpy(page + 24, "A  drive\x80", 9);
	memcpy(page + 64, "FW123456", 8);
	le16_put(page + 266, 273 + 70);
	smart_report_init(&report);
	smart_nvme_identify_decode(page, &report);
	assert_string_equal(report.serial, "S1");
	assert_string_equal(report.model, "A  drive?");
	assert_string_equal(report.firmware, "FW123456");
	assert_int_equal(report.temperature_warning_c, 70);
}

static void nvme_critical_warnings(void **state)
{
	uint8_t page[SMART_NVME_HEALTH_BYTES];

	for (unsigned bit = 0; bit < 8; bit++) {
		struct smart_report report;
		/* Heat is a warning; 5 is of a kind of memory, 6 and 7 have no meaning yet. */
		const enum smart_verdict expected = bit == 1  ? SMART_WARNING
						    : bit < 5 ? SMART_FAILING
							      : SMART_PASSED;

		health_page(page);
		page[0] = (uint8_t)(1 << bit);
		smart_report_init(&report);
		smart_nvme_health_decode(page, &report);
		assert_int_equal(verdict_once(&report), expected);
	}
}

static void self_test_check(uint8_t now, uint8_t percent, uint8_t result,
			    enum smart_self_test expected)
{
	uint8_t page[SMART_NVME_SELF_TEST_BYTES] = {now, percent};
	struct smart_report report;

	page[4] = result;
	le64_put(page + 8, 1234);
	smart_report_init(&report);
	smart_nvme_self_test_decode(page, &report);
	assert_int_equal(report.self_test, expected);
	if (expected == SMART_TEST_RUNNING)
		assert_int_equal(report.self_test_percent, MIN(percent, 100));
	else if (expected != SMART_TEST_NONE)
		assert_int_equal(report.self_test_hours, 1234);
}

static void nvme_self_tests(void **state)
{
	self_test_check(0, 0, 0x0F, SMART_TEST_NONE);
	self_test_check(0, 0, 0x10, SMART_TEST_PASSED);
	self_test_check(0, 0, 0x17, SMART_TEST_FAILED);
	self_test_check(0, 0, 0x26, SMART_TEST_FAILED);
	self_test_check(0, 0, 0x11, SMART_TEST_ABORTED);
	self_test_check(0, 0, 0x19, SMART_TEST_ABORTED);
	self_test_check(1, 30, 0x17, SMART_TEST_RUNNING);
	self_test_check(2, 127, 0x0F, SMART_TEST_RUNNING);
}

static void error_put(uint8_t *entry, uint64_t count, uint16_t status, uint64_t lba)
{
	le64_put(entry, count);
	le16_put(entry + 12, status);
	le64_put(entry + 16, lba);
}

static void nvme_error_log(void **state)
{
	static uint8_t identify[SMART_NVME_IDENTIFY_BYTES];
	uint8_t page[4 * SMART_NVME_ERROR_BYTES] = {0};
	struct smart_report report;

	assert_int_equal(smart_nvme_errors_count(identify), 1);
	identify[262] = 3;
	assert_int_equal(smart_nvme_errors_count(identify), 4);
	identify[262] = 255;
	assert_int_equal(smart_nvme_errors_count(identify), SMART_NVME_ERRORS_MAX);
	smart_report_init(&report);
	smart_nvme_errors_decode(page, 4, &report);
	assert_int_equal(report.last_error_status, SMART_UNKNOWN);
	/* The newest has the highest count, wherever it stands: an unrecovered read error. */
	error_put(page, 7, 0x4005, 0);
	error_put(page + SMART_NVME_ERROR_BYTES, 9, 0x8000 | 0x281 << 1 | 1, 1234);
	error_put(page + 2 * SMART_NVME_ERROR_BYTES, 8, 0x4004, UINT64_MAX);
	smart_nvme_errors_decode(page, 4, &report);
	assert_int_equal(report.last_error_status, 0x281);
	assert_int_equal(report.last_error_lba, 1234);
	smart_nvme_errors_decode(page + 2 * SMART_NVME_ERROR_BYTES, 1, &report);
	assert_int_equal(report.last_error_lba, INT64_MAX);
}

static void nvme_says_whether_it_has_self_tests(void **state)
{
	static uint8_t page[SMART_NVME_IDENTIFY_BYTES];
	struct smart_report report;

	smart_report_init(&report);
	assert_int_equal(report.self_tests, SMART_UNKNOWN);
	page[256] = 0xEF;
	smart_nvme_identify_decode(page, &report);
	assert_int_equal(report.self_tests, 0);
	page[256] = 0x10;
	smart_nvme_identify_decode(page, &report);
	assert_int_equal(report.self_tests, 1);
}

/* Pages of drives that are well, at which somebody else cried wolf. */
static void nvme_odd_pages_are_no_alarm(void **state)
{
	static const struct {
		unsigned at, bytes;
		uint64_t value;
	} odd[] = {
		{176, 8, 5000000},   /* an entry for each command that it does not know */
		{144, 8, 100000},    /* a laptop that is switched off */
		{1, 2, 0},	     /* no temperature */
		{200, 2, 0xFFFF},    /* a sensor that is not there */
		{192, 4, 100000},    /* minutes it was warm, years ago */
		{3, 1, 0},	     /* spare blocks that are not told ... */
		{5, 1, 0},	     /* used: new */
		{32, 8, UINT64_MAX}, /* bytes read: nonsense */
		{0, 1, 0x20},	     /* a memory region of a kind that it has not */
		{160, 8, 3},	     /* old media errors that do not grow */
	};

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		struct smart_history history = {.known = false};
		uint8_t page[SMART_NVME_HEALTH_BYTES];
		struct smart_report report;

		health_page(page);
		for (unsigned b = 0; b < odd[i].bytes; b++)
			page[odd[i].at + b] = (uint8_t)(odd[i].value >> 8 * b);
		/* ... nor is what would be too few of them. */
		if (odd[i].at == 3)
			page[4] = 0;
		smart_report_init(&report);
		smart_nvme_health_decode(page, &report);
		for (unsigned n = 0; n < 3; n++)
			assert_int_equal(verdict(&report, &history), SMART_PASSED);
	}
}

/* --- smartctl ------------------------------------------------------------------------------------
 */

#define HEAD "{\"smartctl\":{\"exit_status\":0},\"device\":{\"protocol\":\"ATA\"},"
#define GOOD HEAD "\"smart_status\":{\"passed\":true},"

static struct smart_report decode(const char *text)
{
	struct smart_report report;
	struct err err;

	smart_report_init(&report);
	assert_int_equal(smart_json_decode(text, strlen(text), &report, &err), 0);
	return report;
}

/* One row of the table of a drive that says of itself that it is well. */
static struct smart_report with_row(unsigned id, const char *name, unsigned value,
				    unsigned threshold, uint64_t raw)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 GOOD
		 "\"ata_smart_attributes\":{\"table\":[{\"id\":%u,\"name\":\"%s\",\"value\":%u,"
		 "\"worst\":%u,\"thresh\":%u,\"flags\":{\"prefailure\":true},"
		 "\"raw\":{\"value\":%llu}}]}}",
		 id, name, value, value, threshold, (unsigned long long)raw);
	return decode(text);
}

static void names_in_the_world(void **state)
{
	struct smart_report report =
		decode(GOOD "\"wwn\":{\"naa\":5,\"oui\":3152,\"id\":4294967297}}");

	assert_string_equal(report.wwn, "5000c50100000001");
	report = decode(GOOD "\"nvme_namespaces\":[{\"id\":1,\"eui64\":{\"oui\":9528,"
			     "\"ext_id\":1099511627775}}]}");
	assert_string_equal(report.wwn, "eui.002538ffffffffff");
	report = decode(GOOD "\"logical_unit_id\":\"0x5000c500a1b2c3d4\"}");
	assert_string_equal(report.wwn, "5000c500a1b2c3d4");
	/* What has not so many bits is none. */
	report = decode(GOOD "\"wwn\":{\"naa\":16,\"oui\":3152,\"id\":1}}");
	assert_string_equal(report.wwn, "");
	report = decode(GOOD "\"wwn\":{\"naa\":5,\"oui\":16777216,\"id\":1}}");
	assert_string_equal(report.wwn, "");
	report = decode(GOOD "\"wwn\":{\"naa\":5,\"oui\":1,\"id\":68719476736}}");
	assert_string_equal(report.wwn, "");
	report = decode(GOOD "\"wwn\":\"5000c500a1b2c3d4\"}");
	assert_string_equal(report.wwn, "");
}

static void ata_of_a_disk(void **state)
{
	const struct smart_report report = decode(
		GOOD "\"model_name\":\"M\",\"serial_number\":\"S\",\"firmware_version\":\"F\","
		     "\"rotation_rate\":7200,\"temperature\":{\"current\":31},"
		     "\"power_on_time\":{\"hours\":17},\"power_cycle_count\":4,"
		     "\"ata_smart_attributes\":{\"table\":["
		     "{\"id\":5,\"name\":\"Reallocated_Sector_Ct\",\"value\":100,\"worst\":99,"
		     "\"thresh\":10,\"flags\":{\"prefailure\":true},\"raw\":{\"value\":3}},"
		     "{\"id\":197,\"name\":\"Current_Pending_Sector\",\"value\":100,\"worst\":100,"
		     "\"thresh\":0,\"flags\":{\"prefailure\":false},\"raw\":{\"value\":2}},"
		     "{\"id\":177,\"name\":\"Wear_Leveling_Count\",\"value\":93,\"worst\":93,"
		     "\"thresh\":0,\"raw\":{\"value\":88}}]},"
		     "\"ata_smart_self_test_log\":{\"standard\":{\"table\":[{\"status\":{"
		     "\"passed\":true},\"lifetime_hours\":16}]}}}");

	assert_string_equal(report.protocol, "ATA");
	assert_string_equal(report.model, "M");
	assert_true(report.rotational);
	assert_int_equal(report.temperature_c, 31);
	assert_int_equal(report.power_on_hours, 17);
	assert_int_equal(report.reallocated, 3);
	assert_int_equal(report.pending, 2);
	assert_int_equal(report.used_percent, 7);
	assert_int_equal(report.attribute_count, 3);
	assert_string_equal(report.attributes[0].name, "Reallocated_Sector_Ct");
	assert_int_equal(report.attributes[0].worst, 99);
	assert_true(report.attributes[0].prefail);
	assert_int_equal(report.self_test, SMART_TEST_PASSED);
	assert_int_equal(report.self_test_hours, 16);
}

static void scsi_and_nvme_by_smartctl(void **state)
{
	struct smart_report report =
		decode("{\"smartctl\":{\"exit_status\":0},\"device\":{\"protocol\":\"SCSI\"},"
		       "\"scsi_model_name\":\"X\",\"smart_status\":{\"passed\":true},"
		       "\"scsi_grown_defect_list\":7,"
		       "\"scsi_percentage_used_endurance_indicator\":95}");

	assert_string_equal(report.model, "X");
	assert_int_equal(report.reallocated, 7);
	assert_int_equal(verdict_once(&report), SMART_WARNING);
	report = decode("{\"smartctl\":{\"exit_status\":0},\"device\":{\"protocol\":\"NVMe\"},"
			"\"smart_status\":{\"passed\":true},"
			"\"nvme_smart_health_information_log\":{\"critical_warning\":0,"
			"\"available_spare\":100,\"available_spare_threshold\":10,"
			"\"percentage_used\":1,\"media_errors\":0,\"num_err_log_entries\":99}}");
	assert_int_equal(report.error_log_entries, 99);
	assert_int_equal(verdict_once(&report), SMART_PASSED);
}

static void the_drive_says_it_fails(void **state)
{
	struct smart_report report = decode(HEAD "\"smart_status\":{\"passed\":false}}");
	struct smart_history history = {.known = false};
	struct smart_judgement j;

	smart_judge(&report, &history, &j);
	assert_int_equal(j.verdict, SMART_FAILING);
	assert_string_equal(j.reason, "the drive says that it fails");
}

static void at_the_makers_limit(void **state)
{
	struct smart_report report = with_row(5, "Reallocated_Sector_Ct", 10, 10, 2000);
	struct smart_history history = {.known = false};
	struct smart_judgement j;

	smart_judge(&report, &history, &j);
	assert_int_equal(j.verdict, SMART_FAILING);
	assert_string_equal(j.reason, "Reallocated_Sector_Ct is 10, its maker's limit is 10");
	report.attributes[0].prefail = false;
	assert_int_equal(verdict_once(&report), SMART_WARNING);
}

static void self_tests_by_smartctl(void **state)
{
	struct smart_report report = decode(
		GOOD "\"ata_smart_data\":{\"capabilities\":{\"self_tests_supported\":true}}}");

	assert_int_equal(report.self_tests, 1);
	report = decode(GOOD
			"\"ata_smart_data\":{\"capabilities\":{\"self_tests_supported\":false}}}");
	assert_int_equal(report.self_tests, 0);
	report = decode(GOOD "\"x\":1}");
	assert_int_equal(report.self_tests, SMART_UNKNOWN);
}

/* Of one page of several: bit 2 of the exit status. */
static void a_bad_checksum_is_no_reason_to_know_nothing(void **state)
{
	const struct smart_report report =
		decode("{\"smartctl\":{\"exit_status\":4},\"smart_status\":{\"passed\":true},"
		       "\"temperature\":{\"current\":33}}");

	assert_int_equal(report.temperature_c, 33);
	assert_int_equal(verdict_once(&report), SMART_PASSED);
}

/* Each was called a failure by some program, and the drives were well. */
static void no_false_alarms(void **state)
{
	static const struct {
		unsigned id;
		const char *name;
		unsigned value, threshold;
		uint64_t raw;
	} rows[] = {
		{1, "Raw_Read_Error_Rate", 83, 44, 212345678}, /* Seagate: operations */
		{7, "Seek_Error_Rate", 75, 45, 4329867432},    /* the same, packed */
		{188, "Command_Timeout", 100, 0, 4295032841},  /* three numbers in one */
		{188, "Command_Timeout", 100, 0, 2},
		{195, "Hardware_ECC_Recovered", 1, 0, 99999999},  /* a threshold of 0 is none */
		{240, "Head_Flying_Hours", 100, 0, 280375465088}, /* hours, and something above */
		{190, "Airflow_Temperature_Cel", 40, 45, 60},	  /* warm, not failing */
		{194, "Temperature_Celsius", 30, 0, 0x2B001600001E}, /* minimum, maximum above */
		{22, "Helium_Level", 100, 25, 100},
		{199, "UDMA_CRC_Error_Count", 200, 0, 300}, /* an old cable */
		{5, "Reallocated_Sector_Ct", 100, 10, 8},   /* old, and it does not grow */
		{198, "Offline_Uncorrectable", 100, 0, 1},
		{188, "Command_Timeout", 100, 0, 0},
		{189, "High_Fly_Writes", 1, 0, 65000},	       /* of a drive that has no heads */
		{232, "Perc_Avail_Resrvd_Space", 0, 5, 0},     /* a value of 0 is none */
		{202, "Data_Address_Mark_Errs", 100, 0, 1},    /* a name of the wrong maker */
		{9, "Power_On_Hours", 1, 0, 213305462423},     /* milliseconds above the hours */
		{196, "Reallocated_Event_Count", 100, 0, 900}, /* tries, also those in vain */
		{3, "Spin_Up_Time", 0, 21, 0},		       /* 0, 254 and 255 are no values */
		{3, "Spin_Up_Time", 255, 255, 0},
		{3, "Spin_Up_Time", 253, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct smart_report report = with_row(rows[i].id, rows[i].name, rows[i].value,
							    rows[i].threshold, rows[i].raw);
		struct smart_history history = {.known = false};

		for (unsigned n = 0; n < 5; n++)
			assert_int_equal(verdict(&report, &history), SMART_PASSED);
	}
}

static void temperature_is_the_lowest_byte(void **state)
{
	const struct smart_report report =
		with_row(194, "Temperature_Celsius", 30, 0, 0x2B001600001E);

	assert_int_equal(report.temperature_c, 30);
}

/* What smartctl could not do, and what is none of its output. */
static void refused_output(void **state)
{
	static const struct {
		const char *text;
		int r;
		const char *says;
	} cases[] = {
		{"", -EINVAL, "not JSON"},
		{"smartctl 7.3", -EINVAL, "not JSON"},
		{"{}", -EINVAL, "not its JSON"},
		{"[]", -EINVAL, "not its JSON"},
		{"{\"smartctl\":{\"exit_status\":2,\"messages\":[{\"string\":\"Permission "
		 "denied\"}]}}",
		 -EIO, "Permission denied"},
		{"{\"smartctl\":{\"exit_status\":1}}", -EIO, "does not say why"},
		{"{\"smartctl\":\"x\"}", -EIO, "does not say why"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct smart_report report;
		struct err err;

		smart_report_init(&report);
		assert_int_equal(
			smart_json_decode(cases[i].text, strlen(cases[i].text), &report, &err),
			cases[i].r);
		assert_non_null(strstr(err.text, cases[i].says));
	}
}

/* Bits of the exit status above the first two are about the drive, not about smartctl. */
static void odd_members_are_not_known(void **state)
{
	const struct smart_report report =
		decode("{\"smartctl\":{\"exit_status\":64},\"smart_status\":{\"passed\":\"yes\"},"
		       "\"temperature\":{\"current\":-5},\"power_on_time\":7,"
		       "\"ata_smart_attributes\":{\"table\":[{\"id\":999,\"value\":1},7,"
		       "{\"id\":5,\"value\":\"x\"}]}}");

	assert_false(report.has_own);
	assert_int_equal(report.temperature_c, SMART_UNKNOWN);
	assert_int_equal(report.power_on_hours, SMART_UNKNOWN);
	assert_int_equal(report.attribute_count, 0);
	assert_int_equal(verdict_once(&report), SMART_NOT_KNOWN);
}

/* --- Readings one after the other ----------------------------------------------------------------
 */

static struct smart_report well(void)
{
	struct smart_report report;

	smart_report_init(&report);
	report.has_own = report.own_passed = true;
	return report;
}

static void heat_has_hysteresis(void **state)
{
	struct smart_report report = well();
	struct smart_history history = {.known = false};

	report.temperature_warning_c = 70;
	report.temperature_c = 69;
	assert_int_equal(verdict(&report, &history), SMART_PASSED);
	report.temperature_c = 70;
	assert_int_equal(verdict(&report, &history), SMART_WARNING);
	report.temperature_c = 66;
	assert_int_equal(verdict(&report, &history), SMART_WARNING);
	report.temperature_c = 64;
	assert_int_equal(verdict(&report, &history), SMART_PASSED);
	report.temperature_c = 69;
	assert_int_equal(verdict(&report, &history), SMART_PASSED);
	/* A disk that turns has a lower limit of its own. */
	report.temperature_warning_c = SMART_UNKNOWN;
	report.rotational = true;
	report.temperature_c = 61;
	assert_int_equal(verdict(&report, &history), SMART_WARNING);
}

static void growth_is_a_warning_for_a_while(void **state)
{
	struct smart_report report = well();
	struct smart_history history = {.known = false};
	unsigned readings = 0;

	report.media_errors = 3;
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(verdict(&report, &history), SMART_PASSED);
	report.media_errors = 4;
	while (verdict(&report, &history) == SMART_WARNING && readings <= SMART_GROWTH_READINGS)
		readings++;
	assert_int_equal(readings, SMART_GROWTH_READINGS);
	assert_int_equal(verdict(&report, &history), SMART_PASSED);
}

static void pending_must_last(void **state)
{
	struct smart_report report = well();
	struct smart_history history = {.known = false};

	report.pending = 1;
	assert_int_equal(verdict(&report, &history), SMART_PASSED);
	report.pending = 0;
	assert_int_equal(verdict(&report, &history), SMART_PASSED);
	report.pending = 1;
	assert_int_equal(verdict(&report, &history), SMART_PASSED);
	assert_int_equal(verdict(&report, &history), SMART_WARNING);
	report.pending = 0;
	assert_int_equal(verdict(&report, &history), SMART_WARNING);
	assert_int_equal(verdict(&report, &history), SMART_PASSED);
}

static void wear(void **state)
{
	struct smart_report report = well();

	report.used_percent = 89;
	report.spare_percent = 21;
	report.spare_threshold_percent = 10;
	assert_int_equal(verdict_once(&report), SMART_PASSED);
	report.spare_percent = 20;
	assert_int_equal(verdict_once(&report), SMART_WARNING);
	report.spare_percent = 100;
	report.used_percent = 90;
	assert_int_equal(verdict_once(&report), SMART_WARNING);
	/* A drive whose maker says 100 is the threshold of its spare blocks, and has them all. */
	report.used_percent = 0;
	report.spare_threshold_percent = 100;
	assert_int_equal(verdict_once(&report), SMART_PASSED);
	/* Neither is told. */
	report.spare_percent = report.spare_threshold_percent = 0;
	assert_int_equal(verdict_once(&report), SMART_PASSED);
}

static void a_failed_self_test(void **state)
{
	struct smart_report report = well();

	report.self_test = SMART_TEST_FAILED;
	assert_int_equal(verdict_once(&report), SMART_FAILING);
	report.self_test = SMART_TEST_ABORTED;
	assert_int_equal(verdict_once(&report), SMART_PASSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nvme_health),
		cmocka_unit_test(nvme_large_numbers),
		cmocka_unit_test(nvme_identify),
		cmocka_unit_test(nvme_critical_warnings),
		cmocka_unit_test(nvme_self_tests),
		cmocka_unit_test(nvme_error_log),
		cmocka_unit_test(nvme_says_whether_it_has_self_tests),
		cmocka_unit_test(nvme_odd_pages_are_no_alarm),
		cmocka_unit_test(self_tests_by_smartctl),
		cmocka_unit_test(a_bad_checksum_is_no_reason_to_know_nothing),
		cmocka_unit_test(names_in_the_world),
		cmocka_unit_test(ata_of_a_disk),
		cmocka_unit_test(scsi_and_nvme_by_smartctl),
		cmocka_unit_test(the_drive_says_it_fails),
		cmocka_unit_test(at_the_makers_limit),
		cmocka_unit_test(no_false_alarms),
		cmocka_unit_test(temperature_is_the_lowest_byte),
		cmocka_unit_test(refused_output),
		cmocka_unit_test(odd_members_are_not_known),
		cmocka_unit_test(heat_has_hysteresis),
		cmocka_unit_test(growth_is_a_warning_for_a_while),
		cmocka_unit_test(pending_must_last),
		cmocka_unit_test(wear),
		cmocka_unit_test(a_failed_self_test),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verdict on a drive. A drive is failing when it says so itself: by its own verdict, by an
 * attribute at a threshold that its maker set, or by a self-test. What only looks bad is a warning:
 * heat, wear, sectors that wait, counters that grow.
 *
 * No false alarms: raw numbers mean what a vendor likes (Seagate packs several into one), a
 * threshold of 0 is none, and entries in the error log of an NVMe drive are mostly commands that it
 * does not know. A count of bad sectors that does not grow is an old story.
 */
#include <quoin/health_smart.h>

#include <stdio.h>
#include <string.h>

#define TEMPERATURE_ROTATIONAL_C 60
#define TEMPERATURE_SOLID_C 75

const char *smart_verdict_word(enum smart_verdict verdict)
{
	static const char *const words[] = {"unknown", "passed", "warning", "failing"};

	return words[verdict];
}

const char *smart_self_test_word(enum smart_self_test test)
{
	static const char *const words[] = {"none", "running", "passed", "aborted", "failed"};

	return words[test];
}

/* The worse one, with the first reason for it. */
static void say(struct smart_judgement *j, enum smart_verdict verdict, const char *reason)
{
	if (verdict <= j->verdict)
		return;
	j->verdict = verdict;
	snprintf(j->reason, sizeof(j->reason), "%s", reason);
}

/* --- Failing --------------------------------------------------------------------------------- */

static void own_judge(const struct smart_report *report, struct smart_judgement *j)
{
	static const char *const bits[] = {
		"the drive says: its spare blocks are used up",
		NULL, /* heat */
		"the drive says: it is not reliable any more",
		"the drive says: it takes no writes any more",
		"the drive says: its power backup failed",
	};
	const uint64_t set = report->critical_warning > 0 ? (uint64_t)report->critical_warning : 0;

	for (unsigned i = 0; i < ARRAY_SIZE(bits); i++) {
		if (bits[i] && set & UINT64_C(1) << i)
			say(j, SMART_FAILING, bits[i]);
	}
	if (report->has_own && !report->own_passed)
		say(j, SMART_FAILING, "the drive says that it fails");
	if (report->self_test == SMART_TEST_FAILED)
		say(j, SMART_FAILING, "its last self-test failed");
}

/* Airflow and temperature go up and down, and are judged by their degrees. */
static bool is_temperature(const struct smart_attribute *a)
{
	return a->id == 190 || a->id == 194;
}

static void attributes_judge(const struct smart_report *report, struct smart_judgement *j)
{
	char reason[sizeof(j->reason)];

	for (unsigned i = 0; i < report->attribute_count; i++) {
		const struct smart_attribute *a = &report->attributes[i];

		if (!a->failing || is_temperature(a))
			continue;
		snprintf(reason, sizeof(reason), "%.40s is %u, its maker's limit is %u", a->name,
			 a->value, a->threshold);
		say(j, a->prefail ? SMART_FAILING : SMART_WARNING, reason);
	}
}

/* --- Warnings -------------------------------------------------------------------------------- */

static void heat_judge(const struct smart_report *report, struct smart_history *history,
		       struct smart_judgement *j)
{
	const int64_t usual = report->rotational ? TEMPERATURE_ROTATIONAL_C : TEMPERATURE_SOLID_C;
	const int64_t limit =
		report->temperature_warning_c > 0 ? report->temperature_warning_c : usual;
	char reason[sizeof(j->reason)];

	if (report->temperature_c >= limit)
		history->hot = true;
	else if (report->temperature_c < limit - SMART_TEMPERATURE_BACK_C)
		history->hot = false;
	if (report->critical_warning > 0 && report->critical_warning & 2)
		history->hot = true;
	snprintf(reason, sizeof(reason), "it has %lld degrees Celsius, its limit is %lld",
		 (long long)report->temperature_c, (long long)limit);
	if (history->hot)
		say(j, SMART_WARNING, reason);
}

static void wear_judge(const struct smart_report *report, struct smart_judgement *j)
{
	char reason[sizeof(j->reason)];

	if (report->used_percent >= SMART_USED_WARNING) {
		snprintf(reason, sizeof(reason), "%lld%% of its endurance are used",
			 (long long)report->used_percent);
		say(j, SMART_WARNING, reason);
	}
	/* Some drives have neither: both are 0 then. */
	if (report->spare_threshold_percent > 0 && report->spare_percent >= 0 &&
	    report->spare_percent < 100 &&
	    report->spare_percent <= report->spare_threshold_percent + SMART_SPARE_NEAR) {
		snprintf(reason, sizeof(reason), "%lld%% of its spare blocks are left",
			 (long long)report->spare_percent);
		say(j, SMART_WARNING, reason);
	}
}

/* A sector that cannot be read waits for a write: some drives say so for a moment only. */
static void pending_judge(const struct smart_report *report, struct smart_history *history,
			  struct smart_judgement *j)
{
	char reason[sizeof(j->reason)];

	if (report->pending > 0) {
		history->pending_readings++;
		history->clear_readings = 0;
	} else {
		history->clear_readings++;
		history->pending_readings = 0;
	}
	if (history->pending_readings >= SMART_PENDING_READINGS)
		history->pending = true;
	else if (history->clear_readings >= SMART_PENDING_READINGS)
		history->pending = false;
	snprintf(reason, sizeof(reason), "%lld sectors cannot be read",
		 (long long)MAX(report->pending, 0));
	if (history->pending)
		say(j, SMART_WARNING, reason);
}

static void grew_note(struct smart_history *history, int64_t *before, int64_t now, const char *what)
{
	if (now < 0)
		return;
	if (history->known && *before >= 0 && now > *before) {
		history->grew_readings = SMART_GROWTH_READINGS;
		snprintf(history->grew, sizeof(history->grew), "%s", what);
	}
	*before = now;
}

static void growth_judge(const struct smart_report *report, struct smart_history *history,
			 struct smart_judgement *j)
{
	char reason[sizeof(j->reason)];

	if (!history->known)
		history->media_errors = history->reallocated = history->uncorrectable =
			SMART_UNKNOWN;
	if (history->grew_readings > 0)
		history->grew_readings--;
	grew_note(history, &history->media_errors, report->media_errors, "media errors");
	grew_note(history, &history->reallocated, report->reallocated, "reallocated sectors");
	grew_note(history, &history->uncorrectable, report->uncorrectable,
		  "sectors that cannot be read");
	history->known = true;
	snprintf(reason, sizeof(reason), "its count of %s grew", history->grew);
	if (history->grew_readings > 0)
		say(j, SMART_WARNING, reason);
}

void smart_judge(const struct smart_report *report, struct smart_history *history,
		 struct smart_judgement *ret_judgement)
{
	struct smart_judgement j = {.verdict = SMART_NOT_KNOWN};

	if (report->has_own || report->attribute_count > 0 || report->critical_warning >= 0)
		j.verdict = SMART_PASSED;
	own_judge(report, &j);
	attributes_judge(report, &j);
	heat_judge(report, history, &j);
	pending_judge(report, history, &j);
	growth_judge(report, history, &j);
	wear_judge(report, &j);
	*ret_judgement = j;
}

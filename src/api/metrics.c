/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /metrics for Prometheus: pools, drives, the journal; volumes, targets and workers are in
 * files of their own. Names and units are those of its conventions: base units, _total where a
 * number only grows. docs/METRICS.md tells what to make of them.
 */
#include "metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/api_paths.h>
#include <quoin/control_health.h>
#include <quoin/health_drives.h>

#include "routes.h"

/* All that is told, copied first: a family goes over all of its objects. */
struct scrape {
	struct text t;
	unsigned pool_count;
	struct control_pool_health *pools;
	unsigned drive_count;
	struct health_drive *drives;
};

static const char *const kinds[CONTROL_IO_KINDS] = {"read", "write", "other"};

#define ABSENT (-1.0) /* there is no sample */

static double seconds(uint64_t ns)
{
	return (double)ns / (double)NS_PER_S;
}

/* A number of a struct, at `offset`. */
struct field {
	const char *name, *type, *help;
	size_t offset;
};

static double u64_at(const void *object, size_t offset)
{
	uint64_t value;

	memcpy(&value, (const char *)object + offset, sizeof(value));
	return (double)value;
}

/* --- Pools ---------------------------------------------------------------------------------- */

#define POOL(member) offsetof(struct control_pool_health, member)

static const struct field pool_fields[] = {
	{"quoin_pool_size_bytes", "gauge", "What volumes could hold, the reserve included.",
	 POOL(info.size_bytes)},
	{"quoin_pool_allocated_bytes", "gauge", "Used by volumes, snapshots and the pool itself.",
	 POOL(info.allocated_bytes)},
	{"quoin_pool_available_bytes", "gauge", "What guests can still have.",
	 POOL(info.available_bytes)},
	{"quoin_pool_reserve_bytes", "gauge", "Kept back from guests.", POOL(info.reserve_bytes)},
	{"quoin_pool_reserved_bytes", "gauge", "Promised to volumes and not used.",
	 POOL(info.reserved_bytes)},
	{"quoin_pool_freeing_bytes", "gauge", "Let go and not free yet.", POOL(info.freeing_bytes)},
	{"quoin_pool_pending_bytes", "gauge", "In the log and in no checkpoint yet.",
	 POOL(pending_bytes)},
	{"quoin_pool_checkpoint_timestamp_seconds", "gauge", "When the last checkpoint was made.",
	 POOL(checkpoint_s)},
	{"quoin_pool_healed_total", "counter", "Blocks that were wrong on a drive and mended.",
	 POOL(info.healed)},
	{"quoin_pool_bad_blocks_total", "counter", "Reads of blocks that no copy could serve.",
	 POOL(info.bad_blocks)},
	{"quoin_pool_refused_writes_total", "counter", "Writes refused for want of space.",
	 POOL(info.refused_writes)},
	{"quoin_pool_lost_bytes", "gauge", "Used by nobody, as metadata was damaged.",
	 POOL(info.lost_bytes)},
	{"quoin_pool_request_errors_total", "counter", "Requests of guests that failed.",
	 POOL(io.sums.errors)},
};

static void pool_states_put(struct scrape *s)
{
	static const char *const states[] = {"online", "degraded", "suspended", "failed"};
	const struct metrics_name name = {"quoin_pool_state", ""};

	metrics_head(&s->t, name.family, "gauge", "1 for the state the pool is in.");
	for (unsigned i = 0; i < s->pool_count; i++) {
		const struct control_pool_info *info = &s->pools[i].info;

		for (size_t k = 0; k < ARRAY_SIZE(states); k++) {
			const struct metrics_label labels[] = {
				{"pool", info->name}, {"state", states[k]}, {NULL, NULL}};

			metrics_sample(&s->t, name, labels, strcmp(info->health, states[k]) == 0);
		}
	}
}

static double pool_full(const struct control_pool_health *h)
{
	return h->info.full;
}

static double pool_near_full(const struct control_pool_health *h)
{
	return h->near_full;
}

static double pool_timed_out(const struct control_pool_health *h)
{
	return h->timed_out;
}

static double pool_worst(const struct control_pool_health *h)
{
	return seconds(h->io.worst_ns);
}

static double pool_full_in(const struct control_pool_health *h)
{
	return h->full_in_s > 0 ? (double)h->full_in_s : ABSENT;
}

static double pool_age(const struct control_pool_health *h)
{
	return h->age_ms != UINT64_MAX ? (double)h->age_ms / 1e3 : ABSENT;
}

static void pool_others_put(struct scrape *s)
{
	static const struct {
		const char *name, *help;
		double (*get)(const struct control_pool_health *h);
	} all[] = {
		{"quoin_pool_full", "1 when guests cannot write.", pool_full},
		{"quoin_pool_near_full", "1 when guests have most of what they can have.",
		 pool_near_full},
		{"quoin_pool_collector_timed_out", "1 when the numbers of the pool are old.",
		 pool_timed_out},
		{"quoin_pool_slowest_request_seconds", "The slowest request of the last hour.",
		 pool_worst},
		{"quoin_pool_full_in_seconds",
		 "When guests have all, if they go on as in the last day; absent = never.",
		 pool_full_in},
		{"quoin_pool_age_seconds",
		 "How old the numbers of the pool are; absent = it is not imported.", pool_age},
	};

	for (size_t f = 0; f < ARRAY_SIZE(all); f++) {
		metrics_head(&s->t, all[f].name, "gauge", all[f].help);
		for (unsigned i = 0; i < s->pool_count; i++) {
			const struct metrics_label labels[] = {{"pool", s->pools[i].info.name},
							       {NULL, NULL}};
			const double value = all[f].get(&s->pools[i]);

			if (value != ABSENT)
				metrics_sample(&s->t, (struct metrics_name){all[f].name, ""},
					       labels, value);
		}
	}
}

/* Buckets of Prometheus hold all that is not slower. */
static void histogram_put(struct scrape *s, const char *family, const struct control_pool_health *h,
			  unsigned kind)
{
	struct metrics_label labels[] = {
		{"pool", h->info.name}, {"kind", kinds[kind]}, {"le", NULL}, {NULL, NULL}};
	char le[32];
	uint64_t sum = 0;

	for (unsigned b = 0; b < CONTROL_IO_BUCKETS; b++) {
		sum += h->io.latency[kind][b];
		snprintf(le, sizeof(le), "%.9g", (double)(UINT64_C(1) << b) / 1e6);
		labels[2].value = b + 1 == CONTROL_IO_BUCKETS ? "+Inf" : le;
		metrics_sample(&s->t, (struct metrics_name){family, "_bucket"}, labels,
			       (double)sum);
	}
	labels[2].value = NULL;
	metrics_sample(&s->t, (struct metrics_name){family, "_sum"}, labels,
		       seconds(h->io.sums.ns[kind]));
	metrics_sample(&s->t, (struct metrics_name){family, "_count"}, labels, (double)sum);
}

static void pool_io_put(struct scrape *s)
{
	static const char family[] = "quoin_pool_request_duration_seconds";
	const struct metrics_name bytes = {"quoin_pool_request_bytes_total", ""};

	metrics_head(&s->t, family, "histogram",
		     "Requests of guests, from submission to completion.");
	for (unsigned i = 0; i < s->pool_count; i++) {
		for (unsigned k = 0; k < CONTROL_IO_KINDS; k++)
			histogram_put(s, family, &s->pools[i], k);
	}
	metrics_head(&s->t, bytes.family, "counter", "Bytes of requests of guests.");
	for (unsigned i = 0; i < s->pool_count; i++) {
		for (unsigned k = 0; k < CONTROL_IO_KINDS; k++) {
			const struct metrics_label labels[] = {
				{"pool", s->pools[i].info.name}, {"kind", kinds[k]}, {NULL, NULL}};

			metrics_sample(&s->t, bytes, labels, (double)s->pools[i].io.sums.bytes[k]);
		}
	}
}

static void pools_put(struct scrape *s)
{
	pool_states_put(s);
	for (size_t f = 0; f < ARRAY_SIZE(pool_fields); f++) {
		const struct field *field = &pool_fields[f];

		metrics_head(&s->t, field->name, field->type, field->help);
		for (unsigned i = 0; i < s->pool_count; i++) {
			const struct metrics_label labels[] = {{"pool", s->pools[i].info.name},
							       {NULL, NULL}};

			metrics_sample(&s->t, (struct metrics_name){field->name, ""}, labels,
				       u64_at(&s->pools[i], field->offset));
		}
	}
	pool_others_put(s);
	pool_io_put(s);
}

/* --- Drives --------------------------------------------------------------------------------- */

/* One that was never seen has no path: then its place in the pool. */
static const char *drive_label(const struct control_pool_info *info, unsigned index, char text[16])
{
	if (info->drives[index].path[0] != '\0')
		return info->drives[index].path;
	snprintf(text, 16, "#%u", index);
	return text;
}

static void drive_errors_put(struct scrape *s)
{
	const struct metrics_name online = {"quoin_drive_online", ""};
	const struct metrics_name errors = {"quoin_drive_errors_total", ""};

	metrics_head(&s->t, online.family, "gauge", "1 when the pool uses the drive.");
	for (unsigned i = 0; i < s->pool_count; i++) {
		const struct control_pool_info *info = &s->pools[i].info;

		for (unsigned d = 0; d < info->drive_count; d++) {
			char text[16];
			const struct metrics_label labels[] = {
				{"pool", info->name},
				{"drive", drive_label(info, d, text)},
				{NULL, NULL}};

			metrics_sample(&s->t, online, labels,
				       strcmp(info->drives[d].state, "online") == 0);
		}
	}
	metrics_head(&s->t, errors.family, "counter", "Errors of the drive, by what failed.");
	for (unsigned i = 0; i < s->pool_count; i++) {
		const struct control_pool_info *info = &s->pools[i].info;

		for (unsigned n = 0; n < 3 * info->drive_count; n++) {
			static const char *const words[] = {"read", "write", "check"};
			const struct control_drive_info *drive = &info->drives[n / 3];
			const uint64_t values[] = {drive->read_errors, drive->write_errors,
						   drive->check_errors};
			char text[16];
			const struct metrics_label labels[] = {
				{"pool", info->name},
				{"drive", drive_label(info, n / 3, text)},
				{"kind", words[n % 3]},
				{NULL, NULL}};

			metrics_sample(&s->t, errors, labels, (double)values[n % 3]);
		}
	}
}

#define REPORT(member) offsetof(struct smart_report, member)

struct smart_field {
	const char *name, *type, *help;
	size_t offset;
	double scale;
};

static const struct smart_field smart_fields[] = {
	{"quoin_drive_temperature_celsius", "gauge", "Its temperature.", REPORT(temperature_c), 1},
	{"quoin_drive_used_ratio", "gauge", "Of its endurance; may be above 1.",
	 REPORT(used_percent), 0.01},
	{"quoin_drive_spare_ratio", "gauge", "Spare blocks that are left.", REPORT(spare_percent),
	 0.01},
	{"quoin_drive_power_on_seconds_total", "counter", "How long it was powered.",
	 REPORT(power_on_hours), 3600},
	{"quoin_drive_media_errors_total", "counter", "Media errors.", REPORT(media_errors), 1},
	{"quoin_drive_reallocated_sectors", "gauge", "Reallocated sectors.", REPORT(reallocated),
	 1},
	{"quoin_drive_pending_sectors", "gauge", "Sectors that cannot be read.", REPORT(pending),
	 1},
	{"quoin_drive_read_bytes_total", "counter", "By its own count.", REPORT(bytes_read), 1},
	{"quoin_drive_written_bytes_total", "counter", "By its own count.", REPORT(bytes_written),
	 1},
	{"quoin_drive_free_below_bytes", "gauge", "Of a file: free on its file system.",
	 REPORT(free_bytes), 1},
};

static void smart_field_put(struct scrape *s, size_t f)
{
	for (unsigned i = 0; i < s->drive_count; i++) {
		const struct metrics_label labels[] = {{"drive", s->drives[i].name.path},
						       {NULL, NULL}};
		int64_t value;

		memcpy(&value, (const char *)&s->drives[i].report + smart_fields[f].offset,
		       sizeof(value));
		if (value >= 0)
			metrics_sample(&s->t, (struct metrics_name){smart_fields[f].name, ""},
				       labels, (double)value * smart_fields[f].scale);
	}
}

static void smart_put(struct scrape *s)
{
	const struct metrics_name verdict = {"quoin_drive_verdict", ""};
	const struct metrics_name collector = {"quoin_drive_collector_failed", ""};

	metrics_head(&s->t, verdict.family, "gauge", "1 for the verdict on the drive.");
	for (unsigned i = 0; i < s->drive_count; i++) {
		for (int v = SMART_NOT_KNOWN; v <= SMART_FAILING; v++) {
			const struct metrics_label labels[] = {
				{"drive", s->drives[i].name.path},
				{"verdict", smart_verdict_word((enum smart_verdict)v)},
				{NULL, NULL}};

			metrics_sample(&s->t, verdict, labels,
				       (int)s->drives[i].judgement.verdict == v);
		}
	}
	metrics_head(&s->t, collector.family, "gauge", "1 when the drive could not be asked.");
	for (unsigned i = 0; i < s->drive_count; i++) {
		const struct metrics_label labels[] = {{"drive", s->drives[i].name.path},
						       {NULL, NULL}};

		metrics_sample(&s->t, collector, labels, s->drives[i].problem[0] != '\0');
	}
	for (size_t f = 0; f < ARRAY_SIZE(smart_fields); f++) {
		metrics_head(&s->t, smart_fields[f].name, smart_fields[f].type,
			     smart_fields[f].help);
		smart_field_put(s, f);
	}
}

/* --- All -------------------------------------------------------------------------------------- */

static void gather(struct call *call, struct scrape *s)
{
	struct health_drives *drives = control_drives(call->control);
	const unsigned room = health_drives_count(drives);

	s->pools = xcalloc(CONTROL_POOLS_MAX, sizeof(*s->pools));
	s->drives = xcalloc(room + 1, sizeof(*s->drives));
	while (s->pool_count < CONTROL_POOLS_MAX &&
	       control_health_pool(call->control, s->pool_count, &s->pools[s->pool_count]))
		s->pool_count++;
	while (s->drive_count < room &&
	       health_drives_get(drives, s->drive_count, &s->drives[s->drive_count]))
		s->drive_count++;
}

static void scrape_fini(struct scrape *s)
{
	free(s->pools);
	free(s->drives);
}

static void journal_put(struct call *call, struct scrape *s)
{
	struct health_events_status status;

	health_events_status(control_events(call->control), &status);
	metrics_head(&s->t, "quoin_events_newest", "gauge", "Number of the newest event.");
	metrics_sample(&s->t, (struct metrics_name){"quoin_events_newest", ""}, NULL,
		       (double)status.newest);
	metrics_head(&s->t, "quoin_events_unsaved", "gauge", "Events that are in no file yet.");
	metrics_sample(&s->t, (struct metrics_name){"quoin_events_unsaved", ""}, NULL,
		       (double)status.unsaved);
}

int api_metrics(struct call *call, struct err *err)
{
	const struct metrics_label version[] = {{"version", api_version()}, {NULL, NULL}};
	struct scrape s = {.pool_count = 0};

	text_init(&s.t);
	metrics_head(&s.t, "quoin_build_info", "gauge", "What this is.");
	metrics_sample(&s.t, (struct metrics_name){"quoin_build_info", ""}, version, 1);
	gather(call, &s);
	pools_put(&s);
	drive_errors_put(&s);
	smart_put(&s);
	metrics_targets(call, &s.t);
	journal_put(call, &s);
	scrape_fini(&s);
	metrics_volumes(call, &s.t);
	return 0;
}

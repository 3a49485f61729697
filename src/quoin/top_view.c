/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rates out of two answers. Counters are those of the daemon, so who looks twice sees all that
 * happened between, however long that is. One that has become smaller began anew.
 */
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>

#include "show.h"
#include "top.h"

#define BUCKETS_MAX 64

static double grown(const json_t *before, const json_t *now, const char *key)
{
	const unsigned long long a = show_number(before, key);
	const unsigned long long b = show_number(now, key);

	return (double)(b >= a ? b - a : b);
}

/*
 * Objects come in the same order each time, but for a few that came or went: the search begins at
 * `*hint`, behind the one found before.
 */
static const json_t *named(const json_t *array, const char *name, size_t *hint)
{
	const size_t count = json_array_size(array);

	for (size_t i = 0; i < count; i++) {
		const size_t at = (*hint + i) % count;
		const json_t *found = json_array_get(array, at);

		if (strcmp(show_text(found, "name"), name) == 0) {
			*hint = at + 1;
			return found;
		}
	}
	return NULL;
}

/* When the numbers of an object were taken: those of pools are a little old. */
static double taken_at(const json_t *sample, const json_t *object)
{
	return ((double)show_number(sample, "time_ns") -
		(double)show_number(object, "age_ms") * (double)NS_PER_MS) /
	       (double)NS_PER_S;
}

/* --- Latency ---------------------------------------------------------------------------------- */

/* The bound of the bucket that the slowest hundredth begins in, in microseconds. They wrap. */
static double p99(const json_t *before, const json_t *now)
{
	uint64_t counts[BUCKETS_MAX] = {0};
	const size_t buckets = MIN(json_array_size(now), (size_t)BUCKETS_MAX);
	uint64_t all = 0;
	uint64_t sum = 0;

	for (size_t i = 0; i < buckets; i++) {
		const uint32_t a = (uint32_t)json_integer_value(json_array_get(before, i));
		const uint32_t b = (uint32_t)json_integer_value(json_array_get(now, i));

		counts[i] = (uint32_t)(b - a);
		all += counts[i];
	}
	for (size_t i = 0; i < buckets && all > 0; i++) {
		sum += counts[i];
		if (sum * 100 >= all * 99)
			return (double)(UINT64_C(1) << i);
	}
	return 0;
}

/* --- Rows ------------------------------------------------------------------------------------- */

static void rate_take(struct top_row *row, const json_t *before, const json_t *now, double seconds)
{
	static const char *const kinds[] = {"reads", "writes", "others"};
	double *const requests[] = {&row->reads, &row->writes, &row->others};
	const json_t *was = json_object_get(before, "io");
	const json_t *is = json_object_get(now, "io");
	double ended = 0;
	double ns = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const json_t *a = json_object_get(was, kinds[i]);
		const json_t *b = json_object_get(is, kinds[i]);
		const double count = grown(a, b, "requests");

		*requests[i] = count / seconds;
		ended += count;
		ns += grown(a, b, "ns");
	}
	row->read_bytes =
		grown(json_object_get(was, "reads"), json_object_get(is, "reads"), "bytes") /
		seconds;
	row->write_bytes =
		grown(json_object_get(was, "writes"), json_object_get(is, "writes"), "bytes") /
		seconds;
	row->average_us = ended > 0 ? ns / ended / (double)NS_PER_US : 0;
	row->p99_us = p99(json_object_get(was, "latency"), json_object_get(is, "latency"));
}

static void target_rate_take(struct top_row *row, const json_t *before, const json_t *now,
			     double seconds)
{
	row->reads = grown(before, now, "reads") / seconds;
	row->writes = grown(before, now, "writes") / seconds;
	row->others = grown(before, now, "others") / seconds;
	row->read_bytes = grown(before, now, "read_bytes") / seconds;
	row->write_bytes = grown(before, now, "written_bytes") / seconds;
}

static const char *state_of(const json_t *object, const char *kind)
{
	if (strcmp(kind, "pools") == 0)
		return show_text(object, "health");
	if (strcmp(kind, "volumes") == 0)
		return show_truth(object, "paused") ? "paused" : "";
	if (strcmp(show_text(object, "state"), "running") != 0)
		return show_text(object, "state");
	return show_truth(object, "connected") ? "connected" : "alone";
}

/* `was` is what it was `seconds` before, or NULL. */
static void row_make(struct top_row *row, const char *kind, const json_t *was, const json_t *object,
		     double seconds)
{
	const json_t *io = json_object_get(object, "io");

	*row = (struct top_row){.name = show_text(object, "name"),
				.state = state_of(object, kind),
				.in_flight = show_number(io ? io : object, "in_flight"),
				.json = object};
	/*
	 * The daemon looks at a pool now and then: without a new look there is no rate. Nor is
	 * there one of a volume that never had a request.
	 */
	if (seconds <= 0 || json_is_null(io))
		return;
	if (io)
		rate_take(row, was, object, seconds);
	else
		target_rate_take(row, was, object, seconds);
}

static double busy(const struct top_row *row, enum top_order order)
{
	if (order == TOP_BY_BYTES)
		return row->read_bytes + row->write_bytes;
	if (order == TOP_BY_LATENCY)
		return row->average_us;
	return row->reads + row->writes + row->others;
}

static int by_order(const void *a, const void *b, void *arg)
{
	const enum top_order order = *(const enum top_order *)arg;
	const struct top_row *x = a;
	const struct top_row *y = b;
	const double left = busy(x, order);
	const double right = busy(y, order);

	if (order != TOP_BY_NAME && left != right)
		return left > right ? -1 : 1;
	return strcmp(x->name, y->name);
}

static void rows_make(struct top_rows *rows, const json_t *before, const json_t *now,
		      const char *kind, enum top_order order)
{
	const json_t *all_before = json_object_get(before, kind);
	const json_t *all = json_object_get(now, kind);
	size_t hint = 0;
	size_t i;
	const json_t *object;

	rows->count = json_array_size(all);
	rows->rows = xcalloc(rows->count + 1, sizeof(*rows->rows));
	json_array_foreach(all, i, object)
	{
		const json_t *was = named(all_before, show_text(object, "name"), &hint);
		const double seconds = was ? taken_at(now, object) - taken_at(before, was) : 0;

		row_make(&rows->rows[i], kind, was, object, seconds);
	}
	qsort_r(rows->rows, rows->count, sizeof(*rows->rows), by_order, &order);
}

void top_view_make(struct top_view *view, const json_t *before, const json_t *now,
		   enum top_order order)
{
	const json_t *daemon = json_object_get(now, "daemon");

	*view = (struct top_view){.sample = now};
	view->verb_running = show_truth(daemon, "verb_running");
	if (before) {
		view->seconds = taken_at(now, NULL) - taken_at(before, NULL);
		if (view->seconds > 0)
			view->cpu_percent =
				grown(json_object_get(before, "daemon"), daemon, "cpu_ns") /
				view->seconds / (double)NS_PER_S * 100;
	}
	rows_make(&view->pools, before, now, "pools", order);
	rows_make(&view->volumes, before, now, "volumes", order);
	rows_make(&view->targets, before, now, "targets", order);
}

void top_view_fini(struct top_view *view)
{
	free(view->pools.rows);
	free(view->volumes.rows);
	free(view->targets.rows);
}

/* --- JSON ------------------------------------------------------------------------------------- */

static json_t *rows_encode(const struct top_rows *rows)
{
	json_t *all = json_array();

	for (size_t i = 0; i < rows->count; i++) {
		const struct top_row *row = &rows->rows[i];
		json_t *json = json_deep_copy(row->json);

		json_object_del(json, "io");
		json_object_set_new(json, "reads_per_s", json_real(row->reads));
		json_object_set_new(json, "writes_per_s", json_real(row->writes));
		json_object_set_new(json, "others_per_s", json_real(row->others));
		json_object_set_new(json, "read_bytes_per_s", json_real(row->read_bytes));
		json_object_set_new(json, "written_bytes_per_s", json_real(row->write_bytes));
		json_object_set_new(json, "average_us",
				    row->average_us > 0 ? json_real(row->average_us) : json_null());
		json_object_set_new(json, "p99_us",
				    row->p99_us > 0 ? json_real(row->p99_us) : json_null());
		json_object_set_new(json, "in_flight", json_integer((json_int_t)row->in_flight));
		json_array_append_new(all, json);
	}
	return all;
}

json_t *top_view_encode(const struct top_view *view)
{
	json_t *json = json_object();
	json_t *daemon = json_deep_copy(json_object_get(view->sample, "daemon"));

	json_object_set_new(daemon, "cpu_percent", json_real(view->cpu_percent));
	json_object_set_new(json, "seconds", json_real(view->seconds));
	json_object_set_new(json, "daemon", daemon);
	json_object_set_new(json, "pools", rows_encode(&view->pools));
	json_object_set_new(json, "volumes", rows_encode(&view->volumes));
	json_object_set_new(json, "targets",
			    view->verb_running ? json_null() : rows_encode(&view->targets));
	json_object_set(json, "jobs", json_object_get(view->sample, "jobs"));
	json_object_set(json, "events", json_object_get(view->sample, "events"));
	return json;
}

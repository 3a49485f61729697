/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The screen of quoin top, as lines of text. Each part has a head and some rows; what does not fit
 * is left away from the rows of the part that has the most of them, the least busy first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "progress.h"
#include "show.h"
#include "top.h"

#define WIDTH_DEFAULT 100
#define NAME_MIN 12
#define JOB_BAR 16
#define EVENTS_SHOWN 3
#define NUMBERS_WIDTH 68 /* of a row, without its name */

enum part { PART_POOLS, PART_VOLUMES, PART_TARGETS, PART_JOBS, PART_EVENTS, PARTS };

struct screen {
	const struct top_view *view;
	unsigned width, name_width;
	size_t rows[PARTS]; /* to show */
	struct text *t;
};

/* Ends a line, no longer than the screen is wide. */
static void line(struct screen *s, struct text *one)
{
	text_printf(s->t, "%.*s\n", (int)s->width, one->data ? one->data : "");
	text_fini(one);
	text_init(one);
}

/* --- Numbers ---------------------------------------------------------------------------------- */

static const char *rate(double bytes, char text[SIZE_TEXT_MAX])
{
	return bytes < 1 ? "-" : size_format((uint64_t)bytes, text);
}

static const char *count(double requests, char text[SIZE_TEXT_MAX])
{
	snprintf(text, SIZE_TEXT_MAX, requests < 10 ? "%.1f" : "%.0f", requests);
	return requests < 0.05 ? "-" : text;
}

static const char *latency(double us, char text[SIZE_TEXT_MAX])
{
	if (us <= 0)
		return "-";
	if (us < 1000)
		snprintf(text, SIZE_TEXT_MAX, "%.0fus", us);
	else if (us < 1000000)
		snprintf(text, SIZE_TEXT_MAX, us < 100000 ? "%.1fms" : "%.0fms", us / 1000);
	else
		snprintf(text, SIZE_TEXT_MAX, "%.1fs", us / 1000000);
	return text;
}

/* --- Parts ------------------------------------------------------------------------------------ */

static void head(struct screen *s, enum top_order order)
{
	static const char *const orders[TOP_ORDERS] = {"requests", "bytes", "latency", "name"};
	const json_t *daemon = json_object_get(s->view->sample, "daemon");
	char memory[SIZE_TEXT_MAX];
	struct text one;

	text_init(&one);
	text_printf(&one, "quoind %s  cpu %.1f%%  memory %s  by %s%s", show_text(daemon, "version"),
		    s->view->cpu_percent, show_size(daemon, "memory_bytes", memory), orders[order],
		    s->view->verb_running ? "  (a verb runs: no targets)" : "");
	line(s, &one);
}

static void rows_head(struct screen *s, const char *what, const char *last)
{
	struct text one;

	text_init(&one);
	line(s, &one);
	text_printf(&one, "%-*s %7s %7s %7s %7s %8s %8s %4s  %s", (int)s->name_width, what,
		    "READ/s", "WRITE/s", "READ", "WRITTEN", "LATENCY", "P99", "QD", last);
	line(s, &one);
}

static void row_line(struct screen *s, const struct top_row *row, const char *last)
{
	char text[6][SIZE_TEXT_MAX];
	struct text one;

	text_init(&one);
	text_printf(&one, "%-*.*s %7s %7s %7s %7s %8s %8s %4llu  %s", (int)s->name_width,
		    (int)s->name_width, row->name, count(row->reads, text[0]),
		    count(row->writes, text[1]), rate(row->read_bytes, text[2]),
		    rate(row->write_bytes, text[3]), latency(row->average_us, text[4]),
		    latency(row->p99_us, text[5]), row->in_flight, last);
	line(s, &one);
}

static char *pool_last(const struct top_row *row)
{
	const unsigned long long size = show_number(row->json, "size_bytes");
	const unsigned long long used = show_number(row->json, "allocated_bytes");
	const uint64_t now = (uint64_t)time(NULL);
	const uint64_t made = show_number(row->json, "checkpoint_s");
	char pending[SIZE_TEXT_MAX];
	char freeing[SIZE_TEXT_MAX];
	struct text t;

	text_init(&t);
	text_printf(&t, "%s %u%%", row->state, progress_percent(used, size));
	if (made > 0)
		text_printf(&t, ", checkpoint %llus ago",
			    (unsigned long long)(now - MIN(made, now)));
	if (show_number(row->json, "pending_bytes") > 0)
		text_printf(&t, ", %s since", show_size(row->json, "pending_bytes", pending));
	if (show_number(row->json, "freeing_bytes") > 0)
		text_printf(&t, ", freeing %s", show_size(row->json, "freeing_bytes", freeing));
	return text_detach(&t);
}

static void pools_draw(struct screen *s)
{
	if (s->rows[PART_POOLS] > 0)
		rows_head(s, "POOL", "HEALTH");
	for (size_t i = 0; i < s->rows[PART_POOLS]; i++) {
		CLEANUP_FREE char *last = pool_last(&s->view->pools.rows[i]);

		row_line(s, &s->view->pools.rows[i], last);
	}
}

static void rows_draw(struct screen *s, const struct top_rows *rows, enum part part)
{
	if (s->rows[part] > 0)
		rows_head(s, part == PART_VOLUMES ? "VOLUME" : "TARGET", "");
	for (size_t i = 0; i < s->rows[part]; i++)
		row_line(s, &rows->rows[i], rows->rows[i].state);
}

static void job_line(struct screen *s, const json_t *job)
{
	const unsigned long long done = show_number(job, "done_bytes");
	const unsigned long long all = show_number(job, "total_bytes");
	char a[SIZE_TEXT_MAX];
	char b[SIZE_TEXT_MAX];
	struct text one;

	text_init(&one);
	text_printf(&one, "%-*.*s %-6s ", (int)s->name_width, (int)s->name_width,
		    show_text(job, "object"), show_text(job, "kind"));
	progress_bar(&one, JOB_BAR, done, all);
	text_printf(&one, " %3u%% %s of %s", progress_percent(done, all), size_format(done, a),
		    size_format(all, b));
	if (json_is_integer(json_object_get(job, "rate")))
		text_printf(&one, " at %s/s", show_size(job, "rate", a));
	if (json_is_integer(json_object_get(job, "eta_s")))
		progress_left(&one, show_number(job, "eta_s"));
	if (json_is_integer(json_object_get(job, "fetched_bytes")))
		text_printf(&one, ", %s fetched, %s verified", show_size(job, "fetched_bytes", a),
			    show_size(job, "verified_bytes", b));
	if (strcmp(show_text(job, "state"), "running") != 0)
		text_printf(&one, ", %s", show_text(job, "state"));
	line(s, &one);
}

static void jobs_draw(struct screen *s)
{
	const json_t *jobs = json_object_get(s->view->sample, "jobs");
	struct text one;

	if (s->rows[PART_JOBS] == 0)
		return;
	text_init(&one);
	line(s, &one);
	text_printf(&one, "%-*s JOB", (int)s->name_width, "OBJECT");
	line(s, &one);
	for (size_t i = 0; i < s->rows[PART_JOBS]; i++)
		job_line(s, json_array_get(jobs, i));
}

static void events_draw(struct screen *s)
{
	const json_t *events = json_object_get(s->view->sample, "events");
	const size_t all = json_array_size(events);
	struct text one;

	if (s->rows[PART_EVENTS] == 0)
		return;
	text_init(&one);
	line(s, &one);
	for (size_t i = all - s->rows[PART_EVENTS]; i < all; i++) {
		const json_t *event = json_array_get(events, i);
		const time_t when = (time_t)(show_number(event, "time_ms") / 1000);
		char clock[16] = "";
		struct tm parts;

		if (localtime_r(&when, &parts))
			strftime(clock, sizeof(clock), "%H:%M:%S", &parts);
		text_printf(&one, "%s %-7s %s: %s", clock, show_text(event, "severity"),
			    show_text(event, "object"), show_text(event, "text"));
		line(s, &one);
	}
}

/* --- What fits -------------------------------------------------------------------------------- */

/* A line that separates, and a head, but events have no head. */
static size_t lines_of(const struct screen *s)
{
	size_t lines = 1;

	for (unsigned part = 0; part < PARTS; part++) {
		if (s->rows[part] > 0)
			lines += s->rows[part] + (part == PART_EVENTS ? 1 : 2);
	}
	return lines;
}

static void fit(struct screen *s, unsigned height)
{
	while (height > 0 && lines_of(s) > height) {
		unsigned most = 0;

		for (unsigned part = 1; part < PARTS; part++) {
			if (s->rows[part] > s->rows[most])
				most = part;
		}
		if (s->rows[most] == 0)
			return;
		s->rows[most]--;
	}
}

static void names_measure(struct screen *s, const struct top_rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		s->name_width = MAX(s->name_width, (unsigned)strlen(rows->rows[i].name));
}

void top_view_draw(const struct top_view *view, enum top_order order, unsigned width,
		   unsigned height, struct text *t)
{
	struct screen s = {.view = view,
			   .width = width > 0 ? width : UINT16_MAX,
			   .name_width = NAME_MIN,
			   .t = t};
	const unsigned room = MAX(width > 0 ? width : WIDTH_DEFAULT, NUMBERS_WIDTH + NAME_MIN);
	const size_t events = json_array_size(json_object_get(view->sample, "events"));

	s.rows[PART_POOLS] = view->pools.count;
	s.rows[PART_VOLUMES] = view->volumes.count;
	s.rows[PART_TARGETS] = view->targets.count;
	s.rows[PART_JOBS] = json_array_size(json_object_get(view->sample, "jobs"));
	s.rows[PART_EVENTS] = MIN(events, (size_t)EVENTS_SHOWN);
	names_measure(&s, &view->pools);
	names_measure(&s, &view->volumes);
	names_measure(&s, &view->targets);
	s.name_width = MIN(s.name_width, room - NUMBERS_WIDTH);
	fit(&s, height);
	head(&s, order);
	pools_draw(&s);
	rows_draw(&s, &view->volumes, PART_VOLUMES);
	rows_draw(&s, &view->targets, PART_TARGETS);
	jobs_draw(&s);
	events_draw(&s);
}

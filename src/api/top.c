/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /v1/top: what is busy, from kept counters, for who looks again and again and takes the
 * differences. It waits for nothing. Of pools and volumes it says how old the look is, so that the
 * time between two looks is known; targets and exports are the verbs': null while one runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <quoin/api_paths.h>
#include <quoin/api_pool_json.h>
#include <quoin/base_assert.h>
#include <quoin/base_clock.h>
#include <quoin/base_text.h>
#include <quoin/control_export.h>
#include <quoin/control_health.h>
#include <quoin/health_events.h>

#include "routes.h"

#define EVENTS 8

static void put(json_t *json, const char *key, json_t *value)
{
	ASSERT(json_object_set_new(json, key, value) == 0);
}

static void append(json_t *array, json_t *value)
{
	ASSERT(json_array_append_new(array, value) == 0);
}

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)MIN(value, (uint64_t)INT64_MAX));
}

static json_t *text(const char *value)
{
	char copy[ERR_TEXT_MAX];

	health_text_copy(copy, sizeof(copy), value);
	return json_string(copy);
}

/* --- The daemon ------------------------------------------------------------------------------- */

static uint64_t cpu_ns(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) < 0)
		return 0;
	return ((uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec) * NS_PER_S +
	       ((uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec) * NS_PER_US;
}

/* What is resident; 0 when the kernel does not say. */
static uint64_t memory_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long pages = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%*u %llu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static json_t *daemon_encode(bool verb_running)
{
	json_t *json = json_object();

	put(json, "version", json_string(api_version()));
	put(json, "pid", json_integer(getpid()));
	put(json, "cpu_ns", number(cpu_ns()));
	put(json, "memory_bytes", number(memory_bytes()));
	put(json, "verb_running", json_boolean(verb_running));
	return json;
}

/* --- Pools and volumes ------------------------------------------------------------------------ */

static json_t *io_encode(const struct control_io_sums *sums)
{
	json_t *json = api_io_encode(sums);
	json_t *latency = json_array();

	for (unsigned i = 0; i < CONTROL_IO_BUCKETS; i++)
		append(latency, json_integer(sums->latency[i]));
	put(json, "latency", latency);
	return json;
}

static json_t *pool_encode(const struct control_pool_health *h)
{
	const struct control_pool_info *info = &h->info;
	json_t *json = json_object();

	put(json, "name", text(info->name));
	put(json, "health", text(info->health));
	put(json, "age_ms", h->age_ms == UINT64_MAX ? json_null() : number(h->age_ms));
	put(json, "size_bytes", number(info->size_bytes));
	put(json, "allocated_bytes", number(info->allocated_bytes));
	put(json, "available_bytes", number(info->available_bytes));
	put(json, "freeing_bytes", number(info->freeing_bytes));
	put(json, "pending_bytes", number(h->pending_bytes));
	put(json, "checkpoint", number(info->checkpoint));
	put(json, "checkpoint_s", number(h->checkpoint_s));
	put(json, "full", json_boolean(info->full));
	put(json, "io", io_encode(&h->io.sums));
	return json;
}

static void volumes_append(struct call *call, const struct control_pool_health *h, json_t *all)
{
	CLEANUP_FREE struct control_volume_health *volumes = NULL;
	const unsigned count = control_health_volumes(call->control, h->info.name, &volumes);

	for (unsigned i = 0; i < count; i++) {
		char name[CONTROL_OBJECT_MAX + 1];
		json_t *json = json_object();

		snprintf(name, sizeof(name), "%s/%s", h->info.name, volumes[i].name);
		put(json, "name", text(name));
		put(json, "age_ms", number(MIN(h->age_ms, (uint64_t)INT64_MAX)));
		put(json, "size_bytes", number(volumes[i].size_bytes));
		put(json, "used_bytes", number(volumes[i].used_bytes));
		put(json, "paused", json_boolean(volumes[i].paused));
		put(json, "io", io_encode(&volumes[i].io));
		append(all, json);
	}
}

/* --- Jobs ------------------------------------------------------------------------------------- */

/* Bytes of `done` are there of `all`; `rate` is bytes a second, 0 when nobody knows. */
struct job {
	const char *kind, *object, *state;
	uint64_t done, all, rate;
};

static json_t *job_encode(const struct job *job)
{
	json_t *json = json_object();

	put(json, "kind", json_string(job->kind));
	put(json, "object", text(job->object));
	put(json, "state", text(job->state));
	put(json, "done_bytes", number(job->done));
	put(json, "total_bytes", number(job->all));
	put(json, "rate", job->rate > 0 ? number(job->rate) : json_null());
	put(json, "eta_s",
	    job->rate > 0 ? number((job->all - MIN(job->done, job->all)) / job->rate)
			  : json_null());
	put(json, "fetched_bytes", json_null());
	put(json, "verified_bytes", json_null());
	put(json, "verify_bytes", json_null());
	return json;
}

static void deploy_append(const char *pool, const struct control_deploy_health *deploy, json_t *all)
{
	char name[CONTROL_OBJECT_MAX + 1];
	const struct job job = {
		"deploy",    name, deploy->state, deploy->here_bytes, deploy->image_bytes,
		deploy->rate};
	json_t *json;

	if (strcmp(deploy->state, "done") == 0)
		return;
	snprintf(name, sizeof(name), "%s/%s", pool, deploy->name);
	json = job_encode(&job);
	put(json, "fetched_bytes", number(deploy->fetched_bytes));
	put(json, "verified_bytes", number(deploy->verified_bytes));
	put(json, "verify_bytes", number(deploy->verify_bytes));
	append(all, json);
}

static void pool_jobs_append(const struct control_pool_health *h, json_t *all)
{
	const struct control_pool_trim *trim = &h->info.trim;
	const struct job job = {
		"trim", h->info.name, "running", trim->passed_bytes, trim->total_bytes, 0};

	for (unsigned i = 0; i < h->deploy_count; i++)
		deploy_append(h->info.name, &h->deploys[i], all);
	if (trim->state && strcmp(trim->state, "running") == 0)
		append(all, job_encode(&job));
}

static void exports_append(struct call *call, json_t *all)
{
	for (unsigned i = 0; i < control_export_count(call->control); i++) {
		struct control_export_info info;
		struct job job;

		control_export_at(call->control, i, &info);
		if (strcmp(info.state, "running") != 0)
			continue;
		job = (struct job){"export",	    info.name,	     info.state,
				   info.done_bytes, info.data_bytes, 0};
		if (info.elapsed_ms > 0)
			job.rate = info.done_bytes * 1000 / info.elapsed_ms;
		append(all, job_encode(&job));
	}
}

/* --- What is the verbs' ------------------------------------------------------------------------
 */

static json_t *target_encode(const char *name, const struct control_target_info *info)
{
	json_t *json = json_object();

	put(json, "name", text(name));
	put(json, "state", json_string(info->failure ? "failed" : "running"));
	put(json, "connected", json_boolean(info->client.connected));
	put(json, "reads", number(info->stats.reads));
	put(json, "writes", number(info->stats.writes));
	put(json, "others", number(info->stats.others + info->stats.flushes));
	put(json, "read_bytes", number(info->stats.read_bytes));
	put(json, "written_bytes", number(info->stats.written_bytes));
	put(json, "errors", number(info->stats.errors));
	put(json, "in_flight", json_integer(info->stats.in_flight));
	return json;
}

static json_t *targets_encode(struct call *call)
{
	json_t *all = json_array();

	for (unsigned i = 0; i < control_target_count(call->control); i++) {
		const char *name = control_target_name(call->control, i);
		struct control_target_info info;

		if (control_target_info(call->control, name, &info, NULL) == 0)
			append(all, target_encode(name, &info));
	}
	return all;
}

/* --- All of it -------------------------------------------------------------------------------- */

static json_t *events_encode(struct call *call)
{
	CLEANUP_FREE struct health_event *found = xcalloc(EVENTS, sizeof(*found));
	struct health_events *events = control_events(call->control);
	struct health_events_query query = {.since = 0};
	struct health_events_status status;
	json_t *all = json_array();
	unsigned count;

	health_events_status(events, &status);
	query.since = status.newest > EVENTS ? status.newest - EVENTS : 0;
	count = health_events_read(events, &query, found, EVENTS);
	for (unsigned i = 0; i < count; i++)
		append(all, health_event_encode(&found[i]));
	return all;
}

int api_top(struct call *call, struct err *err UNUSED)
{
	CLEANUP_FREE struct control_pool_health *h = xcalloc(1, sizeof(*h));
	pthread_mutex_t *verbs = call->context->verbs;
	const bool mine = !verbs || pthread_mutex_trylock(verbs) == 0;
	json_t *pools = json_array();
	json_t *volumes = json_array();
	json_t *jobs = json_array();
	json_t *json = json_object();

	put(json, "time_ns", number(clock_now_ns(CLOCK_MONOTONIC)));
	put(json, "daemon", daemon_encode(!mine));
	for (unsigned i = 0; control_health_pool(call->control, i, h); i++) {
		append(pools, pool_encode(h));
		volumes_append(call, h, volumes);
		pool_jobs_append(h, jobs);
	}
	if (mine)
		exports_append(call, jobs);
	put(json, "pools", pools);
	put(json, "volumes", volumes);
	put(json, "targets", mine ? targets_encode(call) : json_null());
	put(json, "jobs", jobs);
	put(json, "events", events_encode(call));
	if (mine && verbs)
		pthread_mutex_unlock(verbs);
	call->answer = json;
	return 0;
}

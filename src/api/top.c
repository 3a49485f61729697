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

#include "parts.h"
#include "routes.h"
#include "volume_text.h"

#define EVENTS 8
#define VOLUME_BYTES 512 /* of text; most are shorter */

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

	part_put(json, "version", json_string(api_version()));
	part_put(json, "pid", json_integer(getpid()));
	part_put(json, "cpu_ns", part_number(cpu_ns()));
	part_put(json, "memory_bytes", part_number(memory_bytes()));
	part_put(json, "verb_running", json_boolean(verb_running));
	return json;
}

/* --- Pools and volumes ------------------------------------------------------------------------ */

/* Latencies of reads and writes: others (a discard, a flush of nothing) are over at once. */
static json_t *io_encode(const struct control_io *io)
{
	json_t *json = api_io_encode(&io->sums);
	json_t *latency = json_array();

	for (unsigned i = 0; i < CONTROL_IO_BUCKETS; i++)
		part_append(latency,
			    json_integer((uint32_t)(io->latency[0][i] + io->latency[1][i])));
	part_put(json, "latency", latency);
	return json;
}

static json_t *pool_encode(const struct control_pool_health *h)
{
	const struct control_pool_info *info = &h->info;
	json_t *json = json_object();

	part_put(json, "name", part_words(info->name));
	part_put(json, "health", part_words(info->health));
	part_put(json, "age_ms", h->age_ms == UINT64_MAX ? json_null() : part_number(h->age_ms));
	part_put(json, "size_bytes", part_number(info->size_bytes));
	part_put(json, "allocated_bytes", part_number(info->allocated_bytes));
	part_put(json, "available_bytes", part_number(info->available_bytes));
	part_put(json, "freeing_bytes", part_number(info->freeing_bytes));
	part_put(json, "pending_bytes", part_number(h->pending_bytes));
	part_put(json, "checkpoint", part_number(info->checkpoint));
	part_put(json, "checkpoint_s", part_number(h->checkpoint_s));
	part_put(json, "full", json_boolean(info->full));
	part_put(json, "io", io_encode(&h->io));
	return json;
}

/* With a comma before each but the first of all. */
static void volumes_print(struct call *call, const struct control_pool_health *h, struct text *t)
{
	CLEANUP_FREE struct control_volume_health *volumes = NULL;
	const unsigned count = control_health_volumes(call->control, h->info.name, &volumes);

	for (unsigned i = 0; i < count; i++) {
		if (t->data[t->length - 1] != '[')
			text_append(t, ",", 1);
		volume_top_print(t, h, &volumes[i]);
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

	part_put(json, "kind", json_string(job->kind));
	part_put(json, "object", part_words(job->object));
	part_put(json, "state", part_words(job->state));
	part_put(json, "done_bytes", part_number(job->done));
	part_put(json, "total_bytes", part_number(job->all));
	part_put(json, "rate", job->rate > 0 ? part_number(job->rate) : json_null());
	part_put(json, "eta_s",
		 job->rate > 0 ? part_number((job->all - MIN(job->done, job->all)) / job->rate)
			       : json_null());
	part_put(json, "fetched_bytes", json_null());
	part_put(json, "verified_bytes", json_null());
	part_put(json, "verify_bytes", json_null());
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
	part_put(json, "fetched_bytes", part_number(deploy->fetched_bytes));
	part_put(json, "verified_bytes", part_number(deploy->verified_bytes));
	part_put(json, "verify_bytes", part_number(deploy->verify_bytes));
	part_append(all, json);
}

static void pool_jobs_append(const struct control_pool_health *h, json_t *all)
{
	const struct control_pool_trim *trim = &h->info.trim;
	const struct job job = {
		"trim", h->info.name, "running", trim->passed_bytes, trim->total_bytes, 0};

	for (unsigned i = 0; i < h->deploy_count; i++)
		deploy_append(h->info.name, &h->deploys[i], all);
	if (trim->state && strcmp(trim->state, "running") == 0)
		part_append(all, job_encode(&job));
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
		part_append(all, job_encode(&job));
	}
}

/* --- What is the verbs' ------------------------------------------------------------------------
 */

static json_t *target_encode(const char *name, const struct control_target_info *info)
{
	json_t *json = json_object();

	part_put(json, "name", part_words(name));
	part_put(json, "state", json_string(info->failure ? "failed" : "running"));
	part_put(json, "connected", json_boolean(info->client.connected));
	part_put(json, "reads", part_number(info->stats.reads));
	part_put(json, "writes", part_number(info->stats.writes));
	part_put(json, "others", part_number(info->stats.others + info->stats.flushes));
	part_put(json, "read_bytes", part_number(info->stats.read_bytes));
	part_put(json, "written_bytes", part_number(info->stats.written_bytes));
	part_put(json, "errors", part_number(info->stats.errors));
	part_put(json, "in_flight", json_integer(info->stats.in_flight));
	return json;
}

static json_t *targets_encode(struct call *call)
{
	json_t *all = json_array();

	for (unsigned i = 0; i < control_target_count(call->control); i++) {
		const char *name = control_target_name(call->control, i);
		struct control_target_info info;

		if (control_target_info(call->control, name, &info, NULL) == 0)
			part_append(all, target_encode(name, &info));
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
		part_append(all, health_event_encode(&found[i]));
	return all;
}

/* There may be ten thousand volumes: their part is printed, the rest is a tree. */
static void answer(struct call *call, json_t *tree, unsigned volume_count)
{
	CLEANUP_FREE struct control_pool_health *h = xcalloc(1, sizeof(*h));
	CLEANUP_FREE char *printed = json_dumps(tree, JSON_COMPACT);
	struct text t;

	ASSERT(printed != NULL);
	text_init(&t);
	text_reserve(&t, strlen(printed) + volume_count * (size_t)VOLUME_BYTES);
	text_append(&t, printed, strlen(printed) - strlen("}"));
	text_word(&t, ",\"volumes\":[");
	for (unsigned i = 0; control_health_pool(call->control, i, h); i++)
		volumes_print(call, h, &t);
	text_word(&t, "]}");
	call->reply.text_length = t.length;
	call->reply.text = text_detach(&t);
	call->reply.text_is_json = true;
	json_decref(tree);
}

int api_top(struct call *call, struct err *err UNUSED)
{
	CLEANUP_FREE struct control_pool_health *h = xcalloc(1, sizeof(*h));
	pthread_mutex_t *verbs = call->context->verbs;
	const bool mine = !verbs || pthread_mutex_trylock(verbs) == 0;
	json_t *pools = json_array();
	json_t *jobs = json_array();
	json_t *json = json_object();
	unsigned volume_count = 0;

	part_put(json, "time_ns", part_number(clock_now_ns(CLOCK_MONOTONIC)));
	part_put(json, "daemon", daemon_encode(!mine));
	for (unsigned i = 0; control_health_pool(call->control, i, h); i++) {
		part_append(pools, pool_encode(h));
		pool_jobs_append(h, jobs);
		volume_count += h->info.volume_count;
	}
	if (mine)
		exports_append(call, jobs);
	part_put(json, "pools", pools);
	part_put(json, "targets", mine ? targets_encode(call) : json_null());
	part_put(json, "jobs", jobs);
	part_put(json, "events", events_encode(call));
	if (mine && verbs)
		pthread_mutex_unlock(verbs);
	answer(call, json, volume_count);
	return 0;
}

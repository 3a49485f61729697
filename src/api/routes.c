/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which path does what. A pattern is matched word by word; {name} and {nsid} take one word each.
 * Names are made of characters that need no escapes, so none are undone here: a path with
 * escapes names nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <quoin/api.h>
#include <quoin/api_json.h>
#include <quoin/api_paths.h>
#include <quoin/base_assert.h>
#include <quoin/base_clock.h>
#include <quoin/base_text.h>
#include <quoin/control.h>
#include <quoin/control_json.h>
#include <quoin/control_pool.h>

#include "parts.h"
#include "routes.h"

/* --- Handlers: 0 with an answer, or negative errno with a sentence ---------------------------- */

static uint64_t uptime_s(const struct call *call)
{
	return (clock_now_ns(CLOCK_BOOTTIME) - call->context->process.started_ns) / NS_PER_S;
}

static int daemon_get(struct call *call, struct err *err)
{
	const struct api_process *process = &call->context->process;
	json_t *workers = json_array();

	ASSERT(workers != NULL);
	for (unsigned i = 0; i < control_worker_count(call->control); i++)
		part_append(workers, api_worker_encode(call->control, i));
	call->answer =
		json_pack("{s:s, s:s, s:i, s:I, s:s, s:s, s:s, s:s?, s:I, s:i, s:i, s:o}", "name",
			  "quoind", "version", api_version(), "pid", (int)getpid(), "uptime_s",
			  (json_int_t)uptime_s(call), "supervisor", process->supervisor,
			  "state_dir", process->state_dir, "socket", process->socket_path, "url",
			  process->url, "memory_bytes", (json_int_t)process->memory_bytes,
			  "targets", (int)control_target_count(call->control), "pools",
			  (int)control_pool_count(call->control), "workers", workers);
	ASSERT(call->answer != NULL);
	return 0;
}

static int targets_list(struct call *call, struct err *err)
{
	json_t *all = json_array();

	ASSERT(all != NULL);
	for (unsigned i = 0; i < control_target_count(call->control); i++) {
		const char *name = control_target_name(call->control, i);

		part_append(all, api_target_encode(call->control, name));
	}
	call->answer = json_pack("{s:o}", "targets", all);
	return 0;
}

static int target_create(struct call *call, struct err *err)
{
	struct control_target_spec spec;
	int r = control_target_spec_from_json(call->body, &spec, err);

	if (r < 0)
		return r;
	r = control_target_create(call->control, &spec, err);
	if (r == 0)
		call->answer = api_target_encode(call->control, spec.name);
	control_target_spec_fini(&spec);
	return r;
}

static int target_get(struct call *call, struct err *err)
{
	struct control_target_info info;
	int r = control_target_info(call->control, call->name, &info, err);

	if (r == 0)
		call->answer = api_target_encode(call->control, call->name);
	return r;
}

static int target_destroy(struct call *call, struct err *err)
{
	return control_target_destroy(call->control, call->name, err);
}

static int target_start(struct call *call, struct err *err)
{
	int r = control_target_start(call->control, call->name, err);

	if (r == 0)
		call->answer = api_target_encode(call->control, call->name);
	return r;
}

static int target_stats(struct call *call, struct err *err)
{
	struct control_target_info info;
	int r = control_target_info(call->control, call->name, &info, err);

	if (r == 0)
		call->answer = api_stats_encode(&info);
	return r;
}

static int namespaces_list(struct call *call, struct err *err)
{
	struct control_target_info info;
	int r = control_target_info(call->control, call->name, &info, err);

	if (r == 0)
		call->answer = json_pack("{s:o}", "namespaces",
					 api_namespaces_encode(call->control, call->name));
	return r;
}

static int namespace_attach(struct call *call, struct err *err)
{
	struct control_namespace_spec ns;
	int r = control_namespace_spec_from_json(call->body, &ns, err);

	if (r == 0)
		r = control_namespace_attach(call->control, call->name, &ns, &call->nsid, err);
	if (r == 0)
		call->answer = api_namespace_encode(call->control, call->name, call->nsid);
	return r;
}

static int namespace_detach(struct call *call, struct err *err)
{
	return control_namespace_detach(call->control, call->name, call->nsid, err);
}

static int namespace_resize(struct call *call, struct err *err)
{
	uint64_t size_bytes = 0;
	int r = api_resize_decode(call->body, &size_bytes, err);

	if (r == 0)
		r = control_namespace_resize(call->control, call->name, call->nsid, size_bytes,
					     err);
	if (r == 0)
		call->answer = api_namespace_encode(call->control, call->name, call->nsid);
	return r;
}

static int namespace_rescan(struct call *call, struct err *err)
{
	int r = control_namespace_rescan(call->control, call->name, call->nsid, err);

	if (r == 0)
		call->answer = api_namespace_encode(call->control, call->name, call->nsid);
	return r;
}

/* --- The table ---------------------------------------------------------------------------------
 */

struct route {
	const char *method;
	const char *pattern;
	int (*handle)(struct call *call, struct err *err);
	bool body; /* takes one */
	unsigned status;
	uint64_t takes; /* of enum api_ask_key: the body is decoded; 0 = the handler does it */
	uint64_t needs;
};

/* They wait for nothing, and need no verb to be at rest. */
static int (*const quick[])(struct call *call, struct err *err) = {
	api_metrics,	 api_schedules_list, api_top,	      api_health,
	api_drives_list, api_drive_test,     api_events_list, api_eve_show,
	api_eve_send,	 api_eve_messages,   api_eve_frames,
};

/* They change nothing, as all GETs. */
static int (*const reads[])(struct call *call, struct err *err) = {
	api_events_list,
	api_volume_info,
	api_deploy_info,
	api_snapshots_list,
};

static const struct route routes[] = {
	{"GET", "/v1", daemon_get, false, 200, 0, 0},
	{"GET", "/v1/targets", targets_list, false, 200, 0, 0},
	{"POST", "/v1/targets", target_create, true, 201, 0, 0},
	{"GET", "/v1/targets/{name}", target_get, false, 200, 0, 0},
	{"DELETE", "/v1/targets/{name}", target_destroy, false, 204, 0, 0},
	{"POST", "/v1/targets/{name}/start", target_start, false, 200, 0, 0},
	{"GET", "/v1/targets/{name}/stats", target_stats, false, 200, 0, 0},
	{"GET", "/v1/targets/{name}/namespaces", namespaces_list, false, 200, 0, 0},
	{"POST", "/v1/targets/{name}/namespaces", namespace_attach, true, 201, 0, 0},
	{"DELETE", "/v1/targets/{name}/namespaces/{nsid}", namespace_detach, false, 204, 0, 0},
	{"PATCH", "/v1/targets/{name}/namespaces/{nsid}", namespace_resize, true, 200, 0, 0},
	{"POST", "/v1/targets/{name}/namespaces/{nsid}/rescan", namespace_rescan, false, 200, 0, 0},
	{"GET", "/metrics", api_metrics, false, 200, 0, 0},
	{"GET", "/v1/top", api_top, false, 200, 0, 0},
	{"GET", "/v1/health", api_health, false, 200, 0, 0},
	{"GET", "/v1/drives", api_drives_list, false, 200, 0, 0},
	{"POST", "/v1/drives/test", api_drive_test, true, 204, ASK_PATH | ASK_TEST,
	 ASK_PATH | ASK_TEST},
	{"GET", "/v1/eve", api_eve_show, false, 200, 0, 0},
	{"PATCH", "/v1/eve", api_eve_set, true, 200, 0, 0},
	{"POST", "/v1/eve/send", api_eve_send, false, 204, 0, 0},
	{"GET", "/v1/eve/messages", api_eve_messages, false, 200, 0, 0},
	{"GET", "/v1/eve/frames", api_eve_frames, false, 200, 0, 0},
	{"GET", "/v1/schedules", api_schedules_list, false, 200, 0, 0},
	{"PATCH", "/v1/schedules/{name}", api_schedule_set, true, 204,
	 ASK_SHORT_TEST | ASK_LONG_TEST | ASK_TRIM | ASK_SCRUB, 0},
	{"POST", "/v1/events/list", api_events_list, true, 200,
	 ASK_SINCE | ASK_SEVERITY | ASK_OBJECT, 0},
	{"GET", "/v1/pools", api_pools_list, false, 200, 0, 0},
	{"POST", "/v1/pools", api_pool_create, true, 201,
	 ASK_NAME | ASK_GROUPS | ASK_RESERVE | ASK_AUTOTRIM | ASK_FORCE, ASK_NAME | ASK_GROUPS},
	{"POST", "/v1/scan", api_pools_scan, true, 200, ASK_PATHS, 0},
	{"GET", "/v1/pools/{name}", api_pool_get, false, 200, 0, 0},
	{"PATCH", "/v1/pools/{name}", api_pool_set, true, 200, ASK_RESERVE | ASK_AUTOTRIM, 0},
	{"POST", "/v1/pools/{name}/trim", api_pool_trim, false, 202, 0, 0},
	{"DELETE", "/v1/pools/{name}/trim", api_pool_trim_stop, false, 204, 0, 0},
	{"POST", "/v1/pools/{name}/import", api_pool_import, true, 200,
	 ASK_PATHS | ASK_FORCE | ASK_READ_ONLY | ASK_REWIND, 0},
	{"POST", "/v1/pools/{name}/export", api_pool_export, false, 204, 0, 0},
	{"POST", "/v1/pools/{name}/destroy", api_pool_destroy, true, 204, ASK_FORCE, 0},
	{"GET", "/v1/pools/{name}/history", api_pool_history, false, 200, 0, 0},
	{"GET", "/v1/pools/{name}/volumes", api_pool_volumes, false, 200, 0, 0},
	{"GET", "/v1/volumes", api_volumes_list, false, 200, 0, 0},
	{"POST", "/v1/volumes", api_volume_create, true, 201, ASK_NAME | ASK_SIZE | ASK_PROPERTIES,
	 ASK_NAME | ASK_SIZE},
	{"POST", "/v1/volumes/info", api_volume_info, true, 200, ASK_NAME, ASK_NAME},
	{"POST", "/v1/volumes/set", api_volume_set, true, 200, ASK_NAME | ASK_PROPERTIES, ASK_NAME},
	{"POST", "/v1/volumes/resize", api_volume_resize, true, 200,
	 ASK_NAME | ASK_SIZE | ASK_FORCE, ASK_NAME | ASK_SIZE},
	{"POST", "/v1/volumes/rename", api_volume_rename, true, 200, ASK_NAME | ASK_NEW_NAME,
	 ASK_NAME | ASK_NEW_NAME},
	{"POST", "/v1/volumes/destroy", api_volume_destroy, true, 204, ASK_NAME | ASK_RECURSIVE,
	 ASK_NAME},
	{"POST", "/v1/volumes/rollback", api_volume_rollback, true, 204,
	 ASK_SNAPSHOT | ASK_RECURSIVE, ASK_SNAPSHOT},
	{"POST", "/v1/volumes/clone", api_volume_clone, true, 201, ASK_SNAPSHOT | ASK_NAME,
	 ASK_SNAPSHOT | ASK_NAME},
	{"POST", "/v1/volumes/copy", api_volume_copy, true, 200,
	 ASK_SOURCE | ASK_NAME | ASK_OFFSET | ASK_LENGTH | ASK_TO_OFFSET, ASK_SOURCE | ASK_NAME},
	{"POST", "/v1/volumes/promote", api_volume_promote, true, 200, ASK_NAME, ASK_NAME},
	{"GET", "/v1/exports", api_exports_list, false, 200, 0, 0},
	{"POST", "/v1/exports", api_export_start, true, 201,
	 ASK_NAME | ASK_TO | ASK_FORMAT | ASK_FORCE, ASK_NAME | ASK_TO},
	{"GET", "/v1/exports/{id}", api_export_get, false, 200, 0, 0},
	{"DELETE", "/v1/exports/{id}", api_export_cancel, false, 204, 0, 0},
	{"POST", "/v1/volumes/deploy", api_volume_deploy, true, 202,
	 ASK_NAME | ASK_SOURCE | ASK_SIZE | ASK_SHA256 | ASK_DIGEST_LIST | ASK_RATE | ASK_FIRST,
	 ASK_NAME | ASK_SOURCE},
	{"POST", "/v1/volumes/deploy/info", api_deploy_info, true, 200, ASK_NAME, ASK_NAME},
	{"POST", "/v1/volumes/deploy/change", api_deploy_change, true, 200,
	 ASK_NAME | ASK_PAUSED | ASK_RATE, ASK_NAME},
	{"POST", "/v1/volumes/deploy/cancel", api_deploy_cancel, true, 204, ASK_NAME, ASK_NAME},
	{"POST", "/v1/snapshots", api_snapshots_create, true, 204, ASK_NAMES, ASK_NAMES},
	{"POST", "/v1/snapshots/list", api_snapshots_list, true, 200, ASK_NAME | ASK_CURSOR,
	 ASK_NAME},
	{"POST", "/v1/snapshots/destroy", api_snapshots_destroy, true, 204, ASK_NAMES, ASK_NAMES},
	{"POST", "/v1/snapshots/hold", api_snapshot_hold, true, 200, ASK_NAME | ASK_TAG,
	 ASK_NAME | ASK_TAG},
	{"POST", "/v1/snapshots/release", api_snapshot_release, true, 200, ASK_NAME | ASK_TAG,
	 ASK_NAME | ASK_TAG},
	{"POST", "/v1/snapshots/set", api_snapshot_set, true, 200, ASK_NAME | ASK_TEMPLATE,
	 ASK_NAME | ASK_TEMPLATE},
	{"POST", "/v1/snapshots/rename", api_snapshot_rename, true, 204, ASK_NAME | ASK_NEW_NAME,
	 ASK_NAME | ASK_NEW_NAME},
};

bool api_route_at(unsigned index, struct api_route_name *ret_route)
{
	if (index >= ARRAY_SIZE(routes))
		return false;
	ret_route->method = routes[index].method;
	ret_route->pattern = routes[index].pattern;
	return true;
}

/* 1 to 4294967295 in plain decimal. */
static bool nsid_read(const char *word, size_t length, unsigned *ret_nsid)
{
	uint64_t value = 0;

	if (length == 0 || length > 10 || word[0] == '0')
		return false;
	for (size_t i = 0; i < length; i++) {
		if (word[i] < '0' || word[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(word[i] - '0');
	}
	*ret_nsid = (unsigned)value;
	return value <= UINT32_MAX;
}

static bool word_match(const char *pattern, size_t pattern_length, const char *word, size_t length,
		       struct call *call)
{
	if (pattern[0] != '{')
		return length == pattern_length && memcmp(pattern, word, length) == 0;
	if (strncmp(pattern, "{nsid}", pattern_length) == 0)
		return nsid_read(word, length, &call->nsid);
	if (length == 0 || length > CONTROL_NAME_MAX)
		return false;
	memcpy(call->name, word, length);
	call->name[length] = '\0';
	return true;
}

static bool path_match(const char *pattern, const char *path, struct call *call)
{
	while (*pattern == '/' && *path == '/') {
		const size_t pattern_length = strcspn(++pattern, "/");
		const size_t length = strcspn(++path, "/");

		if (!word_match(pattern, pattern_length, path, length, call))
			return false;
		pattern += pattern_length;
		path += length;
	}
	return *pattern == '\0' && *path == '\0';
}

/* The methods of the path that has the route, for the Allow header (RFC 9110, 10.2.1). */
static const char *allowed(const struct route *route)
{
	static const char *const lists[] = {"GET, POST", "GET, DELETE", "GET, PATCH",
					    "DELETE, PATCH"};
	const struct route *other = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		if (&routes[i] != route && strcmp(routes[i].pattern, route->pattern) == 0)
			other = &routes[i];
	}
	for (size_t i = 0; other && i < ARRAY_SIZE(lists); i++) {
		if (strstr(lists[i], route->method) && strstr(lists[i], other->method))
			return lists[i];
	}
	return route->method;
}

/* NULL with a sentence and maybe *ret_allow. */
static const struct route *route_find(const struct api_request *request, struct call *call,
				      const char **ret_allow, struct err *err)
{
	const struct route *other = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		if (!path_match(routes[i].pattern, request->path, call))
			continue;
		if (strcmp(routes[i].method, request->method) == 0)
			return &routes[i];
		other = &routes[i];
	}
	if (other) {
		*ret_allow = allowed(other);
		err_set(err, -EXDEV, "%.100s does not take %.20s, but %s", request->path,
			request->method, *ret_allow);
	} else {
		err_set(err, -ENOENT, "there is nothing at %.200s", request->path);
	}
	return NULL;
}

static const struct route *route_of(const struct api_request *request)
{
	const char *allow = NULL;
	struct call call = {.nsid = 0};

	return route_find(request, &call, &allow, NULL);
}

/* What is nowhere is refused without anybody's help. */
bool api_request_is_quick(const struct api_request *request)
{
	const struct route *route = route_of(request);
	bool found = !route;

	for (size_t i = 0; !found && i < ARRAY_SIZE(quick); i++)
		found = quick[i] == route->handle;
	return found;
}

bool api_request_reads(const struct api_request *request)
{
	const struct route *route = route_of(request);
	bool found = !route || strcmp(route->method, "GET") == 0;

	for (size_t i = 0; !found && i < ARRAY_SIZE(reads); i++)
		found = reads[i] == route->handle;
	return found;
}

static int run(const struct route *route, const struct api_request *request, struct call *call,
	       struct err *err)
{
	int r = 0;

	if (route->body)
		r = api_body_parse(request->body, request->body_length, &call->body, err);
	if (r == 0 && route->takes) {
		call->ask = xcalloc(1, sizeof(*call->ask));
		r = api_ask_decode(call->body, route->takes, route->needs, call->ask, err);
	}
	if (r == 0)
		r = route->handle(call, err);
	free(call->ask);
	json_decref(call->body);
	return r;
}

void api_reply_fini(struct api_reply *reply)
{
	json_decref(reply->json);
	free(reply->text);
	if (reply->stream)
		reply->stream->free(reply->stream);
}

void api_dispatch(const struct api_context *context, const struct api_request *request,
		  struct api_reply *ret_reply)
{
	struct call call = {.context = context, .control = context->control};
	struct err err = {.code = 0};
	const struct route *route;

	memset(ret_reply, 0, sizeof(*ret_reply));
	route = route_find(request, &call, &ret_reply->allow, &err);
	if (route && run(route, request, &call, &err) == 0) {
		*ret_reply = call.reply;
		ret_reply->status = route->status;
		ret_reply->json = call.answer;
		return;
	}
	ret_reply->status = api_error_status(err.code);
	ret_reply->json = api_error_encode(&err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Answers and requests as JSON. */
#include <errno.h>
#include <string.h>

#include <quoin/api_json.h>
#include <quoin/base_assert.h>
#include <quoin/base_size.h>
#include <quoin/control.h>
#include <quoin/control_json.h>

#include "parts.h"

/* --- Requests -------------------------------------------------------------------------------- */

int api_body_parse(const char *data, size_t length, json_t **ret_json, struct err *err)
{
	json_error_t where;
	json_t *json;

	if (length == 0)
		return err_set(err, -EINVAL, "the request has no body");
	json = json_loadb(data, length, JSON_REJECT_DUPLICATES, &where);
	if (!json)
		return err_set(err, -EINVAL, "the body is not JSON: %s (line %d, column %d)",
			       where.text, where.line, where.column);
	if (!json_is_object(json)) {
		json_decref(json);
		return err_set(err, -EINVAL, "the body must be an object");
	}
	*ret_json = json;
	return 0;
}

int api_resize_decode(const json_t *json, uint64_t *ret_size_bytes, struct err *err)
{
	const json_t *size = json_object_get(json, "size");
	uint64_t bytes = 0;

	if (json_object_size(json) != 1 || !size)
		return err_set(err, -EINVAL, "the body must be {\"size\": SIZE}");
	if (json_is_integer(size) && json_integer_value(size) > 0)
		bytes = (uint64_t)json_integer_value(size);
	else if (json_is_string(size) && size_parse(json_string_value(size), &bytes) < 0)
		bytes = 0;
	if (bytes > 0 && bytes <= INT64_MAX) {
		*ret_size_bytes = bytes;
		return 0;
	}
	return err_set(err, -EINVAL, "\"size\" must be bytes, or a text such as \"20G\"");
}

/* --- Errors ---------------------------------------------------------------------------------- */

struct error_word {
	int code;
	unsigned status;
	const char *word;
};

static const struct error_word error_words[] = {
	{-EINVAL, 400, "invalid"},
	{-ERANGE, 400, "invalid"},
	{-ENAMETOOLONG, 400, "invalid"},
	{-ENOTBLK, 400, "invalid"},
	{-EISDIR, 400, "invalid"},
	{-ENOTSUP, 400, "unsupported"},
	{-EKEYREJECTED, 401, "unauthorized"},
	{-EACCES, 403, "denied"},
	{-EPERM, 403, "denied"},
	{-EROFS, 403, "denied"},
	{-ENOENT, 404, "not_found"},
	{-ENOTDIR, 404, "not_found"},
	{-EXDEV, 405, "method"}, /* routes.c: the path is there, the method is not */
	{-EEXIST, 409, "exists"},
	{-EBUSY, 409, "busy"},
	{-EADDRINUSE, 409, "busy"},
	{-ETIMEDOUT, 409, "busy"}, /* commands in flight do not end */
	{-ENODEV, 409, "not_running"},
	{-EMSGSIZE, 413, "too_large"},
	{-ENOSPC, 507, "no_space"},
	{-EDQUOT, 507, "no_space"},
	{-EFBIG, 507, "no_space"},
	{-EUCLEAN, 500, "damaged"},
};

static const struct error_word *error_find(int code)
{
	static const struct error_word other = {0, 500, "failed"};

	for (size_t i = 0; i < ARRAY_SIZE(error_words); i++) {
		if (error_words[i].code == code)
			return &error_words[i];
	}
	return &other;
}

const char *api_error_word(int code)
{
	return error_find(code)->word;
}

unsigned api_error_status(int code)
{
	return error_find(code)->status;
}

/* json_pack() for what cannot fail but for memory: the texts are ours and UTF-8. */
#define PACK(ret, ...)                                        \
	do {                                                  \
		json_error_t where;                           \
		(ret) = json_pack_ex(&where, 0, __VA_ARGS__); \
		ASSERT((ret) != NULL);                        \
	} while (0)

json_t *api_error_encode(const struct err *err)
{
	json_t *json;

	PACK(json, "{s:{s:s, s:o}}", "error", "code", api_error_word(err->code), "message",
	     part_text(err->text));
	return json;
}

/* --- Answers --------------------------------------------------------------------------------- */

json_t *api_stats_encode(const struct control_target_info *info)
{
	const struct control_stats *n = &info->stats;
	json_t *json;

	PACK(json,
	     "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:b, s:b, s:b}",
	     "reads", part_integer(n->reads), "writes", part_integer(n->writes), "flushes",
	     part_integer(n->flushes), "others", part_integer(n->others), "read_bytes",
	     part_integer(n->read_bytes), "written_bytes", part_integer(n->written_bytes), "errors",
	     part_integer(n->errors), "mmio_doorbells", part_integer(n->mmio_doorbells),
	     "interrupts", part_integer(n->interrupts), "polls_idle", part_integer(n->polls_idle),
	     "wakeups", part_integer(n->wakeups), "in_flight", (int)n->in_flight, "io_queues",
	     (int)n->io_queues, "enabled", n->enabled, "fatal", n->fatal, "shadow_doorbells_active",
	     n->shadow_active);
	return json;
}

static json_t *client_encode(const struct control_client_info *info)
{
	json_t *pid = info->pid > 0 ? json_integer(info->pid) : json_null();
	json_t *json;

	PACK(json, "{s:b, s:o, s:I, s:I, s:i, s:b, s:o}", "connected", info->connected, "pid", pid,
	     "connections", part_integer(info->connections), "protocol_errors",
	     part_integer(info->protocol_errors), "memory_regions", (int)info->memory_regions,
	     "memory_private", info->memory_private, "last_error",
	     part_text_or_null(info->last_error));
	return json;
}

static json_t *namespace_encode(struct control *control, const struct control_target_spec *spec,
				unsigned index)
{
	json_t *json = control_namespace_spec_to_json(&spec->namespaces[index]);
	struct control_namespace_info info;
	json_t *more;

	control_namespace_info(control, spec->name, index, &info);
	PACK(more, "{s:I, s:i, s:b}", "capacity_bytes", part_integer(info.capacity_bytes),
	     "block_size", (int)info.block_size, "read_only", info.read_only);
	ASSERT(json_object_update(json, more) == 0);
	json_decref(more);
	return json;
}

/* The target is there: routes.c has just looked. */
static struct control_target_info info_get(struct control *control, const char *name)
{
	struct control_target_info info;
	int r = control_target_info(control, name, &info, NULL);

	ASSERT(r == 0);
	return info;
}

json_t *api_namespaces_encode(struct control *control, const char *name)
{
	const struct control_target_info info = info_get(control, name);
	json_t *all = json_array();

	ASSERT(all != NULL);
	for (unsigned i = 0; i < info.spec->namespace_count; i++)
		part_append(all, namespace_encode(control, info.spec, i));
	return all;
}

json_t *api_namespace_encode(struct control *control, const char *name, unsigned nsid)
{
	const struct control_target_info info = info_get(control, name);
	unsigned i = 0;

	while (i < info.spec->namespace_count && info.spec->namespaces[i].nsid != nsid)
		i++;
	ASSERT_U64(i, <, info.spec->namespace_count);
	return namespace_encode(control, info.spec, i);
}

json_t *api_target_encode(struct control *control, const char *name)
{
	const struct control_target_info info = info_get(control, name);
	json_t *json = control_target_spec_to_json(info.spec);
	json_t *more;

	PACK(more, "{s:s, s:o, s:s, s:o, s:o, s:o, s:o}", "state",
	     info.failure ? "failed" : "running", "failure", part_text_or_null(info.failure),
	     "socket", info.socket_path, "worker",
	     info.failure ? json_null() : json_integer(info.worker), "namespaces",
	     api_namespaces_encode(control, name), "client", client_encode(&info.client), "stats",
	     api_stats_encode(&info));
	ASSERT(json_object_update(json, more) == 0);
	json_decref(more);
	return json;
}

json_t *api_worker_encode(struct control *control, unsigned index)
{
	struct control_worker_info info;
	json_t *json;

	control_worker_info(control, index, &info);
	PACK(json, "{s:o, s:i, s:i, s:I, s:I, s:I, s:I, s:I}", "cpu",
	     info.cpu >= 0 ? json_integer(info.cpu) : json_null(), "targets", (int)info.targets,
	     "pools", (int)info.pools, "turns", part_integer(info.turns), "sleeps",
	     part_integer(info.sleeps), "io_submitted", part_integer(info.io_submitted),
	     "io_batches", part_integer(info.io_batches), "messages", part_integer(info.messages));
	return json;
}

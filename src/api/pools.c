/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers of requests on pools. */
#include <stdlib.h>
#include <string.h>

#include <quoin/api_pool_json.h>
#include <quoin/base_text.h>
#include <quoin/control_pool.h>

#include "parts.h"
#include "routes.h"

#define HISTORY_PAGE 256

/* The pool as it is now, for the answer. */
static int answer_pool(struct call *call, const char *name, struct err *err)
{
	CLEANUP_FREE struct control_pool_info *info = xcalloc(1, sizeof(*info));
	int r = control_pool_info(call->control, name, info, err);

	if (r == 0)
		call->answer = api_pool_encode(info);
	return r;
}

int api_pools_list(struct call *call, struct err *err)
{
	CLEANUP_FREE struct control_pool_info *info = xcalloc(1, sizeof(*info));
	json_t *all = json_array();
	int r = 0;

	for (unsigned i = 0; r == 0 && i < control_pool_count(call->control); i++) {
		r = control_pool_info(call->control, control_pool_name(call->control, i), info,
				      err);
		if (r == 0)
			part_append(all, api_pool_encode(info));
	}
	if (r == 0)
		call->answer = json_pack("{s:O}", "pools", all);
	json_decref(all);
	return r;
}

int api_pool_create(struct call *call, struct err *err)
{
	const struct api_ask *ask = call->ask;
	const struct control_pool_create params = {
		.name = ask->name,
		.drives = ask->paths,
		.groups = ask->groups,
		.drive_count = ask->path_count,
		.reserve_permille =
			ask->given & ASK_RESERVE ? ask->reserve_permille : CONTROL_RESERVE_DEFAULT,
		.autotrim = ask->autotrim,
		.force = ask->force,
	};
	int r = control_pool_create(call->control, &params, err);

	return r < 0 ? r : answer_pool(call, ask->name, err);
}

int api_pools_scan(struct call *call, struct err *err)
{
	struct control_pool_scan scan;
	json_t *all;
	int r = control_pool_scan(call->control, call->ask->paths, call->ask->path_count, &scan,
				  err);

	if (r < 0)
		return r;
	all = json_array();
	for (unsigned i = 0; i < scan.count; i++)
		part_append(all, api_pool_found_encode(&scan.found[i]));
	free(scan.found);
	call->answer = json_pack("{s:o}", "pools", all);
	return 0;
}

int api_pool_get(struct call *call, struct err *err)
{
	return answer_pool(call, call->name, err);
}

int api_pool_set(struct call *call, struct err *err)
{
	const struct control_pool_set set = {
		.has_reserve = call->ask->given & ASK_RESERVE,
		.has_autotrim = call->ask->given & ASK_AUTOTRIM,
		.reserve_permille = call->ask->reserve_permille,
		.autotrim = call->ask->autotrim,
	};
	int r = control_pool_set(call->control, call->name, &set, err);

	return r < 0 ? r : answer_pool(call, call->name, err);
}

int api_pool_trim(struct call *call, struct err *err)
{
	int r = control_pool_trim(call->control, call->name, false, err);

	return r < 0 ? r : answer_pool(call, call->name, err);
}

int api_pool_trim_stop(struct call *call, struct err *err)
{
	return control_pool_trim(call->control, call->name, true, err);
}

int api_pool_import(struct call *call, struct err *err)
{
	const struct control_pool_import params = {
		.name = call->name,
		.paths = call->ask->paths,
		.path_count = call->ask->path_count,
		.force = call->ask->force,
		.read_only = call->ask->read_only,
		.rewind_to = call->ask->rewind,
	};
	char name[CONTROL_NAME_MAX + 1];
	int r = control_pool_import(call->control, &params, name, err);

	return r < 0 ? r : answer_pool(call, name, err);
}

int api_pool_export(struct call *call, struct err *err)
{
	return control_pool_export(call->control, call->name, err);
}

int api_pool_destroy(struct call *call, struct err *err)
{
	return control_pool_destroy(call->control, call->name, call->ask->force, err);
}

int api_pool_history(struct call *call, struct err *err)
{
	CLEANUP_FREE struct control_history_line *lines = xcalloc(HISTORY_PAGE, sizeof(*lines));
	struct control_page page = {.max = HISTORY_PAGE};
	json_t *all = json_array();
	int r = 0;

	while (r == 0 && !page.end) {
		r = control_pool_history(call->control, call->name, &page, lines, err);
		for (unsigned i = 0; r == 0 && i < page.count; i++)
			part_append(all, api_history_encode(&lines[i]));
	}
	if (r == 0)
		call->answer = json_pack("{s:O}", "history", all);
	json_decref(all);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers of requests on exports. */
#include <errno.h>
#include <stdlib.h>

#include <quoin/api_pool_json.h>
#include <quoin/control_export.h>

#include "parts.h"
#include "routes.h"

/* The number in the path. */
static int id_read(const struct call *call, unsigned *ret_id, struct err *err)
{
	char *end;
	const unsigned long id = strtoul(call->name, &end, 10);

	if (call->name[0] < '0' || call->name[0] > '9' || *end != '\0' || id > UINT32_MAX)
		return err_set(err, -ENOENT, "\"%s\" is not the number of an export", call->name);
	*ret_id = (unsigned)id;
	return 0;
}

static int answer_export(struct call *call, unsigned id, struct err *err)
{
	struct control_export_info info;
	const int r = control_export_info(call->control, id, &info, err);

	if (r == 0)
		call->answer = api_export_encode(&info);
	return r;
}

int api_exports_list(struct call *call, struct err *err)
{
	json_t *all = json_array();

	for (unsigned i = 0; i < control_export_count(call->control); i++) {
		struct control_export_info info;

		control_export_at(call->control, i, &info);
		part_append(all, api_export_encode(&info));
	}
	call->answer = json_pack("{s:o}", "exports", all);
	return 0;
}

int api_export_start(struct call *call, struct err *err)
{
	const struct api_ask *ask = call->ask;
	const struct control_export_params params = {
		.name = ask->name,
		.path = ask->to,
		.format = ask->given & ASK_FORMAT ? ask->format : "raw",
		.force = ask->force,
	};
	unsigned id = 0;
	const int r = control_export_start(call->control, &params, &id, err);

	return r < 0 ? r : answer_export(call, id, err);
}

int api_export_get(struct call *call, struct err *err)
{
	unsigned id = 0;
	const int r = id_read(call, &id, err);

	return r < 0 ? r : answer_export(call, id, err);
}

int api_export_cancel(struct call *call, struct err *err)
{
	unsigned id = 0;
	const int r = id_read(call, &id, err);

	return r < 0 ? r : control_export_cancel(call->control, id, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers of requests on what is told to EVE: settings, how it goes, the messages themselves. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/eve.h>

#include "routes.h"

static json_t *way_encode(enum eve_way way, const struct eve_way_status *status)
{
	json_t *json = json_pack(
		"{s:s, s:b, s:i, s:i, s:I, s:I, s:I, s:I, s:s?}", "way", eve_way_word(way), "on",
		status->on, "peers", (int)status->peers, "pending", (int)status->pending,
		"delivered", (json_int_t)status->delivered, "failed", (json_int_t)status->failed,
		"refused", (json_int_t)status->refused, "last_ms", (json_int_t)status->last_ms,
		"problem", status->problem[0] != '\0' ? status->problem : NULL);

	ASSERT(json != NULL);
	return json;
}

/* Without it this server does not tell EVE anything. */
static int eve_get(struct call *call, struct eve **ret_eve, struct err *err)
{
	*ret_eve = call->context->eve;
	return *ret_eve ? 0 : err_set(err, -ENOENT, "this daemon does not speak to EVE");
}

static json_t *eve_encode(struct eve *eve)
{
	struct eve_status status;
	struct eve_config config;
	json_t *ways = json_array();
	json_t *json;

	eve_config_get(eve, &config);
	eve_status(eve, &status);
	for (unsigned i = 0; i < EVE_WAYS; i++)
		ASSERT(json_array_append_new(ways, way_encode((enum eve_way)i, &status.ways[i])) ==
		       0);
	json = json_pack("{s:o, s:o, s:i, s:I, s:I, s:s?}", "settings", eve_config_encode(&config),
			 "ways", ways, "objects", (int)status.objects, "looks",
			 (json_int_t)status.looks, "changes", (json_int_t)status.changes,
			 "counters_problem",
			 status.counters_problem[0] != '\0' ? status.counters_problem : NULL);
	ASSERT(json != NULL);
	return json;
}

int api_eve_show(struct call *call, struct err *err)
{
	struct eve *eve = NULL;
	int r = eve_get(call, &eve, err);

	if (r == 0)
		call->answer = eve_encode(eve);
	return r;
}

int api_eve_set(struct call *call, struct err *err)
{
	struct eve_config config;
	struct eve *eve = NULL;
	int r = eve_get(call, &eve, err);

	if (r < 0)
		return r;
	eve_config_get(eve, &config);
	r = eve_config_change(&config, call->body, err);
	if (r == 0)
		r = eve_configure(eve, &config, err);
	if (r == 0)
		call->answer = eve_encode(eve);
	return r;
}

int api_eve_send(struct call *call, struct err *err)
{
	struct eve *eve = NULL;
	int r = eve_get(call, &eve, err);

	if (r == 0)
		eve_send(eve);
	return r;
}

int api_eve_messages(struct call *call, struct err *err)
{
	struct eve *eve = NULL;
	int r = eve_get(call, &eve, err);

	if (r == 0)
		call->answer = eve_messages(eve);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers of requests on what is told to EVE: settings, how it goes, the messages themselves. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_text.h>
#include <quoin/eve.h>

#include "parts.h"
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

static json_t *eve_encode(struct eve *eve)
{
	struct eve_status status;
	struct eve_config config;
	json_t *ways = json_array();
	json_t *json;

	eve_config_get(eve, &config);
	eve_status(eve, &status);
	for (unsigned i = 0; i < EVE_WAYS; i++)
		part_append(ways, way_encode((enum eve_way)i, &status.ways[i]));
	json = json_pack("{s:o, s:o, s:i, s:I, s:I, s:s?}", "settings", eve_config_encode(&config),
			 "ways", ways, "objects", (int)status.objects, "looks",
			 (json_int_t)status.looks, "changes", (json_int_t)status.changes,
			 "counters_problem",
			 status.counters_problem[0] != '\0' ? status.counters_problem : NULL);
	ASSERT(json != NULL);
	return json;
}

/* Without it this server does not tell EVE anything. */
static int with_eve(struct call *call,
		    int (*fn)(struct call *call, struct eve *eve, struct err *err), struct err *err)
{
	struct eve *eve = call->context->eve;

	return eve ? fn(call, eve, err)
		   : err_set(err, -ENOENT, "this daemon does not speak to EVE");
}

static int show(struct call *call, struct eve *eve, struct err *err UNUSED)
{
	call->answer = eve_encode(eve);
	return 0;
}

int api_eve_show(struct call *call, struct err *err)
{
	return with_eve(call, show, err);
}

static int set(struct call *call, struct eve *eve, struct err *err)
{
	struct eve_config config;
	int r;

	eve_config_get(eve, &config);
	r = eve_config_change(&config, call->body, err);
	if (r == 0)
		r = eve_configure(eve, &config, err);
	return r < 0 ? r : show(call, eve, err);
}

int api_eve_set(struct call *call, struct err *err)
{
	return with_eve(call, set, err);
}

static int send_again(struct call *call UNUSED, struct eve *eve, struct err *err UNUSED)
{
	eve_send(eve);
	return 0;
}

int api_eve_send(struct call *call, struct err *err)
{
	return with_eve(call, send_again, err);
}

static int messages(struct call *call, struct eve *eve, struct err *err UNUSED)
{
	call->answer = eve_messages(eve);
	return 0;
}

static int frames(struct call *call, struct eve *eve, struct err *err UNUSED)
{
	struct text t;

	eve_frames(eve, &t);
	call->reply.text_length = t.length;
	call->reply.text = text_detach(&t);
	call->reply.text_is_bytes = true;
	return 0;
}

int api_eve_frames(struct call *call, struct err *err)
{
	return with_eve(call, frames, err);
}

int api_eve_messages(struct call *call, struct err *err)
{
	return with_eve(call, messages, err);
}

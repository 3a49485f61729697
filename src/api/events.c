/* SPDX-License-Identifier: Apache-2.0 */
/* Handler of requests on events: answered from the journal's memory. */
#include <errno.h>
#include <stdlib.h>

#include <quoin/base_assert.h>
#include <quoin/base_text.h>
#include <quoin/health_events.h>

#include "parts.h"
#include "routes.h"

#define EVENTS_PAGE 512

static json_t *answer_encode(struct health_events *events, const struct health_event *found,
			     unsigned count)
{
	struct health_events_status status;
	json_t *all = json_array();
	json_t *json;

	for (unsigned i = 0; i < count; i++)
		part_append(all, health_event_encode(&found[i]));
	health_events_status(events, &status);
	json = json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:s?}", "events", all, "oldest",
			 (json_int_t)status.oldest, "newest", (json_int_t)status.newest, "folded",
			 (json_int_t)status.folded, "unsaved", (json_int_t)status.unsaved, "lost",
			 (json_int_t)status.lost, "problem",
			 status.problem[0] != '\0' ? status.problem : NULL);
	ASSERT(json != NULL);
	return json;
}

int api_events_list(struct call *call, struct err *err)
{
	CLEANUP_FREE struct health_event *found = xcalloc(EVENTS_PAGE, sizeof(*found));
	struct health_events *events = control_events(call->control);
	struct health_events_query query = {.since = call->ask->since, .object = call->ask->object};
	unsigned count;

	if (call->ask->severity && health_severity_parse(call->ask->severity, &query.severity) < 0)
		return err_set(err, -EINVAL,
			       "\"severity\" must be \"notice\", \"warning\" or \"error\"");
	count = health_events_read(events, &query, found, EVENTS_PAGE);
	call->answer = answer_encode(events, found, count);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of the file of events, and texts of anybody: what is taken comes out as a line that is
 * taken again and says the same.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/health_event.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void line(const char *bytes, size_t size)
{
	struct health_event event;
	struct health_event again;
	json_t *json;
	char *text;
	int r;

	if (health_event_decode(bytes, size, &event) < 0)
		return;
	ASSERT(event.number > 0 && event.count > 0 && event.type < HEALTH_EVENT_TYPES);
	json = health_event_encode(&event);
	text = json_dumps(json, JSON_COMPACT);
	ASSERT(text != NULL && strchr(text, '\n') == NULL);
	r = health_event_decode(text, strlen(text), &again);
	ASSERT(r == 0);
	ASSERT(again.number == event.number && again.time_ms == event.time_ms &&
	       again.type == event.type && again.count == event.count);
	ASSERT(strcmp(again.object, event.object) == 0 && strcmp(again.text, event.text) == 0);
	free(text);
	json_decref(json);
}

/* Any bytes become a text that JSON takes, in the room there is. */
static void words(const uint8_t *data, size_t size)
{
	char from[256];
	char to[64];
	const size_t room = size > 0 ? 1 + data[0] % sizeof(to) : 1;
	json_t *json;

	snprintf(from, sizeof(from), "%.*s", (int)MIN(size, sizeof(from) - 1),
		 size > 0 ? (const char *)data : "");
	health_text_copy(to, room, from);
	ASSERT(strlen(to) < room);
	json = json_string(to);
	ASSERT(json != NULL);
	json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	line((const char *)data, size);
	words(data, size);
	return 0;
}

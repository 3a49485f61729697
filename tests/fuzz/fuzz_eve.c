/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What others say to the reporter: lines of agents, answers of controllers; and its own two files.
 * The first byte chooses. What is taken can be written, and says the same when it is read again.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>

#include "request.h"
#include "state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void request(const char *bytes, size_t size)
{
	struct eve_request request = {.epoch = 77};

	if (eve_request_decode(bytes, size, &request) < 0)
		ASSERT(!request.send && !request.has_epoch && request.epoch == 77);
	else
		ASSERT(request.send != request.has_epoch);
}

static void answer(const char *bytes, size_t size)
{
	struct eve_request request;

	eve_answer_decode(bytes, size, &request);
	ASSERT(!request.send && request.epoch <= INT64_MAX);
}

static void totals(const char *bytes, size_t size)
{
	json_t *root = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, NULL);
	struct eve_totals totals = {.count = 0};
	struct eve_totals again = {.count = 0};
	char *text;
	int r = eve_totals_decode(&totals, root);

	json_decref(root);
	ASSERT(r == 0 || totals.count == 0);
	if (r < 0)
		return;
	text = eve_totals_encode(&totals);
	root = json_loads(text, 0, NULL);
	r = eve_totals_decode(&again, root);
	json_decref(root);
	ASSERT(r == 0 && again.count == totals.count);
	for (unsigned i = 0; i < totals.count; i++) {
		ASSERT(memcmp(totals.entries[i].values, again.entries[i].values,
			      sizeof(totals.entries[i].values)) == 0);
		ASSERT(eve_totals_find(&again, totals.entries[i].guid) == &again.entries[i]);
		ASSERT(i == 0 ||
		       memcmp(totals.entries[i - 1].guid, totals.entries[i].guid, 16) < 0);
	}
	free(text);
	eve_totals_fini(&totals);
	eve_totals_fini(&again);
}

static void settings(const char *bytes, size_t size)
{
	struct eve_config config, again;
	struct err err;
	json_t *json = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, NULL);
	int r;

	eve_config_init(&config);
	r = eve_state_decode(json, &config, &err);
	json_decref(json);
	if (r < 0)
		return;
	json = eve_config_encode(&config);
	eve_config_init(&again);
	r = eve_config_change(&again, json, &err);
	ASSERT(r == 0 && memcmp(&config, &again, sizeof(config)) == 0);
	json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const targets[])(const char *bytes, size_t size) = {request, answer, totals,
									  settings};

	if (size > 0)
		targets[data[0] % ARRAY_SIZE(targets)]((const char *)data + 1, size - 1);
	return 0;
}

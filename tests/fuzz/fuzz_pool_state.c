/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools as the state file remembers them, and names of volumes: the first byte chooses. What is
 * taken comes out as JSON that is taken again, and means the same.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_text.h>

#include "object.h"
#include "pool_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void pool(const json_t *json)
{
	struct control_pool *first = NULL;
	struct control_pool *again = NULL;
	struct err err;
	json_t *out;
	json_t *out_again;
	int r;

	if (control_pool_from_json(json, &first, &err) < 0)
		return;
	out = control_pool_to_json(first);
	r = control_pool_from_json(out, &again, &err);
	ASSERT(r == 0);
	out_again = control_pool_to_json(again);
	ASSERT(json_equal(out, out_again));
	json_decref(out);
	json_decref(out_again);
	control_pool_free(first);
	control_pool_free(again);
}

static void name(const char *text)
{
	struct control_object object;
	struct err err;
	bool read_only = false;

	if (control_object_of_volume(text, &object, &read_only, &err) < 0)
		return;
	ASSERT(object.pool[0] != '\0' && object.volume[0] != '\0');
	ASSERT(read_only || object.snapshot[0] == '\0');
	ASSERT_U64(strlen(object.pool) + strlen(object.volume), <, strlen(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_FREE char *text = NULL;
	json_t *json;

	if (size == 0 || size > 64 * KiB)
		return 0;
	if (data[0] % 2 == 0) {
		json = json_loadb((const char *)data + 1, size - 1, JSON_REJECT_DUPLICATES, NULL);
		pool(json);
		json_decref(json);
		return 0;
	}
	text = xasprintf("%.*s", (int)(size - 1), (const char *)data + 1);
	name(text);
	return 0;
}

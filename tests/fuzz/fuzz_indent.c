/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What quoin prints of a long answer: of any JSON the same as jansson prints of its tree, of any
 * bytes nothing bad.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <quoin/base_assert.h>

#include "indent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare(const json_t *json)
{
	char *compact = json_dumps(json, JSON_COMPACT);
	char *wanted = json_dumps(json, JSON_INDENT(2));
	struct text t;

	ASSERT(compact != NULL && wanted != NULL);
	text_init(&t);
	/* What is nested deeper than any answer is refused. */
	if (indent_json(compact, strlen(compact), &t) == 0)
		ASSERT(strcmp(t.data, wanted) == 0);
	else
		ASSERT(strlen(compact) > (size_t)2 * INDENT_DEPTH_MAX);
	text_fini(&t);
	free(wanted);
	free(compact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *json = json_loadb((const char *)data, size, 0, NULL);
	struct text t;

	if (json)
		compare(json);
	json_decref(json);
	text_init(&t);
	if (indent_json((const char *)data, size, &t) == 0)
		ASSERT(t.length >= size);
	text_fini(&t);
	return 0;
}

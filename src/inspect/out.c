/* SPDX-License-Identifier: Apache-2.0 */
/* JSON or lines, piece by piece. */
#include <inttypes.h>
#include <string.h>

#include <jansson.h>

#include <quoin/base_assert.h>

#include "out.h"

void out_init(struct out *out, FILE *to, bool json)
{
	*out = (struct out){.to = to, .json = json};
}

static void indent(const struct out *out)
{
	fputc('\n', out->to);
	for (unsigned i = 0; i < out->depth; i++)
		fputs("  ", out->to);
}

/* Bytes that are no UTF-8 become '?': paths and old texts may have any. */
static void json_text(const struct out *out, const char *text)
{
	json_t *string = json_string(text);

	if (!string) {
		char safe[512];
		size_t length = 0;

		for (; text[length] != '\0' && length < sizeof(safe) - 1; length++)
			safe[length] = (unsigned char)text[length] < 0x80 ? text[length] : '?';
		safe[length] = '\0';
		string = json_string(safe);
	}
	json_dumpf(string, out->to, JSON_ENCODE_ANY);
	json_decref(string);
}

/* --- For people ---------------------------------------------------------------------------- */

/* Inside a row pieces follow each other; elsewhere each has a line. */
static bool in_row(const struct out *out)
{
	for (unsigned i = 0; i < out->depth; i++)
		if (out->levels[i].shape == POOL_INSPECT_ROW)
			return true;
	return false;
}

static void people_begin(struct out *out, const char *key)
{
	struct out_level *level = out->depth > 0 ? &out->levels[out->depth - 1] : NULL;

	if (in_row(out)) {
		if (level->any)
			fputc(' ', out->to);
		if (key)
			fprintf(out->to, "%s=", key);
	} else if (level) {
		/* The outermost list or object needs no room of its own. */
		if (level->any || out->depth > 1)
			fputc('\n', out->to);
		for (unsigned i = 1; i < out->depth; i++)
			fputs("  ", out->to);
		if (key)
			fprintf(out->to, "%s: ", key);
	}
	if (level)
		level->any = true;
}

/* --- JSON ---------------------------------------------------------------------------------- */

static void json_begin(struct out *out, const char *key)
{
	struct out_level *level = out->depth > 0 ? &out->levels[out->depth - 1] : NULL;

	if (!level)
		return;
	if (level->any)
		fputc(',', out->to);
	if (level->shape == POOL_INSPECT_ROW)
		fputs(level->any ? " " : "", out->to);
	else
		indent(out);
	if (key) {
		json_text(out, key);
		fputs(": ", out->to);
	}
	level->any = true;
}

static void begin(struct out *out, const char *key)
{
	if (out->json)
		json_begin(out, key);
	else
		people_begin(out, key);
}

/* --- Pieces -------------------------------------------------------------------------------- */

void out_open(void *context, const char *key, enum pool_inspect_shape shape)
{
	struct out *out = context;

	ASSERT_U64(out->depth, <, OUT_DEPTH_MAX);
	out->begun = true;
	begin(out, key);
	if (out->json)
		fputc(shape == POOL_INSPECT_LIST ? '[' : '{', out->to);
	else if (!key && shape == POOL_INSPECT_OBJECT && out->depth > 0)
		fputc('-', out->to);
	out->levels[out->depth++] = (struct out_level){.shape = shape};
}

void out_close(void *context)
{
	struct out *out = context;
	struct out_level level;

	ASSERT_U64(out->depth, >, 0);
	level = out->levels[--out->depth];
	if (!out->json) {
		if (level.shape == POOL_INSPECT_LIST && !level.any && out->depth > 0)
			fputs("none", out->to);
		return;
	}
	if (level.any && level.shape != POOL_INSPECT_ROW)
		indent(out);
	fputc(level.shape == POOL_INSPECT_LIST ? ']' : '}', out->to);
}

void out_number(void *context, const char *key, uint64_t number)
{
	struct out *out = context;

	begin(out, key);
	fprintf(out->to, "%" PRIu64, number);
}

void out_text(void *context, const char *key, const char *text)
{
	struct out *out = context;

	begin(out, key);
	if (out->json)
		json_text(out, text);
	else
		fputs(text[0] != '\0' ? text : "-", out->to);
}

void out_truth(void *context, const char *key, bool truth)
{
	struct out *out = context;

	begin(out, key);
	if (out->json)
		fputs(truth ? "true" : "false", out->to);
	else
		fputs(truth ? "yes" : "no", out->to);
}

void out_guid(struct out *out, const char *key, const uint8_t guid[16])
{
	char text[40];
	size_t at = 0;

	for (unsigned i = 0; i < 16; i++) {
		const bool dash = i == 4 || i == 6 || i == 8 || i == 10;

		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%02x", dash ? "-" : "",
				       guid[i]);
	}
	out_text(out, key, text);
}

void out_fini(struct out *out)
{
	ASSERT_U64(out->depth, ==, 0);
	fputc('\n', out->to);
}

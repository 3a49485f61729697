/* SPDX-License-Identifier: Apache-2.0 */
/* JSON with lines; see indent.h. */
#include "indent.h"

#include <errno.h>

static void line_begin(struct text *t, unsigned depth)
{
	text_append(t, "\n", 1);
	for (unsigned i = 0; i < depth; i++)
		text_append(t, "  ", 2);
}

/* Behind the string that begins at `at`; `end` when it has no end. */
static const char *string_end(const char *at, const char *end)
{
	for (at++; at < end && *at != '"'; at++)
		at += *at == '\\' && at + 1 < end;
	return at < end ? at + 1 : end;
}

struct nesting {
	unsigned depth;
	char closers[INDENT_DEPTH_MAX];
};

/* One character that is in no string. */
static int mark_print(struct nesting *n, const char *at, const char *end, struct text *t)
{
	const char closer = *at == '{' ? '}' : ']';

	if (*at == '{' || *at == '[') {
		if (n->depth == INDENT_DEPTH_MAX)
			return -EINVAL;
		n->closers[n->depth++] = closer;
		text_append(t, at, 1);
		if (at + 1 < end && at[1] != closer)
			line_begin(t, n->depth);
	} else if (*at == '}' || *at == ']') {
		if (n->depth == 0 || n->closers[--n->depth] != *at)
			return -EINVAL;
		if (at[-1] != '{' && at[-1] != '[')
			line_begin(t, n->depth);
		text_append(t, at, 1);
	} else if (*at == ',') {
		text_append(t, at, 1);
		line_begin(t, n->depth);
	} else if (*at == ':') {
		text_append(t, ": ", 2);
	} else {
		text_append(t, at, 1);
	}
	return 0;
}

int indent_json(const char *json, size_t length, struct text *t)
{
	const char *const end = json + length;
	const char *at = json;
	struct nesting n = {.depth = 0};

	if (length == 0 || (*json != '{' && *json != '['))
		return -EINVAL;
	while (at < end) {
		const char *next = at + 1;

		if (*at == '"') {
			next = string_end(at, end);
			if (next[-1] != '"' || next == at + 1)
				return -EINVAL;
			text_append(t, at, (size_t)(next - at));
		} else if (mark_print(&n, at, end, t) < 0) {
			return -EINVAL;
		} else if (n.depth == 0 && next < end) {
			return -EINVAL;
		}
		at = next;
	}
	return n.depth == 0 ? 0 : -EINVAL;
}

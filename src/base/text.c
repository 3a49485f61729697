/* SPDX-License-Identifier: Apache-2.0 */
/* Growing text, and allocation that does not fail, for the control path. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_text.h>

void *xmalloc(size_t size_bytes)
{
	void *p = malloc(size_bytes ? size_bytes : 1);

	ASSERT(p != NULL);
	return p;
}

void *xcalloc(size_t count, size_t size_bytes)
{
	void *p = calloc(count ? count : 1, size_bytes ? size_bytes : 1);

	ASSERT(p != NULL);
	return p;
}

char *xstrdup(const char *s)
{
	const size_t size = strlen(s) + 1;

	return memcpy(xmalloc(size), s, size);
}

char *xasprintf(const char *format, ...)
{
	va_list args;
	char *result = NULL;
	int length;

	va_start(args, format);
	length = vasprintf(&result, format, args);
	va_end(args);
	ASSERT(length >= 0);
	return result;
}

void text_init(struct text *t)
{
	memset(t, 0, sizeof(*t));
}

void text_fini(struct text *t)
{
	free(t->data);
	text_init(t);
}

void text_append(struct text *t, const char *bytes, size_t length)
{
	if (t->capacity - t->length < length + 1) {
		t->capacity = (t->length + length + 1) * 2;
		t->data = realloc(t->data, t->capacity);
		ASSERT(t->data != NULL);
	}
	memcpy(t->data + t->length, bytes, length);
	t->length += length;
	t->data[t->length] = '\0';
}

void text_printf(struct text *t, const char *format, ...)
{
	CLEANUP_FREE char *piece = NULL;
	va_list args;
	int length;

	va_start(args, format);
	length = vasprintf(&piece, format, args);
	va_end(args);
	ASSERT(length >= 0);
	text_append(t, piece, (size_t)length);
}

char *text_detach(struct text *t)
{
	char *data = t->data ? t->data : xstrdup("");

	text_init(t);
	return data;
}

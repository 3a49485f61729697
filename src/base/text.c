/* SPDX-License-Identifier: Apache-2.0 */
/* Growing text, and allocation that does not fail, for the control path. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <quoin/base_assert.h>
#include <quoin/base_text.h>

#define DIGITS_MAX 20 /* of 64 bits */
#define LARGE_PAGE (2 * MiB)
#define PRINTF_ROOM 64 /* most pieces are shorter: they are printed once */

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

/* Room for `length` more bytes and the NUL. */
static void make_room(struct text *t, size_t length)
{
	if (t->capacity - t->length >= length + 1)
		return;
	t->capacity = (t->length + length + 1) * 2;
	t->data = realloc(t->data, t->capacity);
	ASSERT(t->data != NULL);
}

void text_reserve(struct text *t, size_t bytes)
{
	const size_t size = (t->length + bytes + LARGE_PAGE) / LARGE_PAGE * LARGE_PAGE;
	void *data = NULL;

	if (t->length + bytes < LARGE_PAGE || t->capacity - t->length > bytes) {
		make_room(t, bytes);
		return;
	}
	ASSERT(posix_memalign(&data, LARGE_PAGE, size) == 0);
	/* Only quicker: a fault for each 4 KiB costs more than all that is written there. */
	(void)madvise(data, size, MADV_HUGEPAGE);
	if (t->length > 0)
		memcpy(data, t->data, t->length + 1);
	free(t->data);
	t->data = data;
	t->capacity = size;
}

void text_append(struct text *t, const char *bytes, size_t length)
{
	make_room(t, length);
	memcpy(t->data + t->length, bytes, length);
	t->length += length;
	t->data[t->length] = '\0';
}

void text_word(struct text *t, const char *word)
{
	text_append(t, word, strlen(word));
}

void text_number(struct text *t, uint64_t value)
{
	char digits[DIGITS_MAX];
	unsigned at = DIGITS_MAX;

	do
		digits[--at] = (char)('0' + value % 10);
	while ((value /= 10) > 0);
	text_append(t, digits + at, DIGITS_MAX - at);
}

void text_printf(struct text *t, const char *format, ...)
{
	va_list args;
	va_list again;
	int length;

	make_room(t, PRINTF_ROOM);
	va_start(args, format);
	va_copy(again, args);
	length = vsnprintf(t->data + t->length, t->capacity - t->length, format, args);
	ASSERT(length >= 0);
	if ((size_t)length >= t->capacity - t->length) {
		make_room(t, (size_t)length);
		vsnprintf(t->data + t->length, t->capacity - t->length, format, again);
	}
	t->length += (size_t)length;
	va_end(again);
	va_end(args);
}

char *text_detach(struct text *t)
{
	char *data = t->data ? t->data : xstrdup("");

	text_init(t);
	return data;
}

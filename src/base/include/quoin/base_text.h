/* SPDX-License-Identifier: Apache-2.0 */
/* A growing text buffer for the control path. Always NUL terminated once written to. */
#ifndef QUOIN_BASE_TEXT_H
#define QUOIN_BASE_TEXT_H

#include <quoin/base.h>

struct text {
	char *data; /* NULL until the first byte */
	size_t length;
	size_t capacity;
};

void text_init(struct text *t);
void text_fini(struct text *t);

/* Room for so many bytes more at once. Megabytes of it are in large pages, where the kernel has
 * them. */
void text_reserve(struct text *t, size_t bytes);

/* Aborts when memory is exhausted: control path only. */
void text_append(struct text *t, const char *bytes, size_t length);
void text_word(struct text *t, const char *word);
void text_number(struct text *t, uint64_t value); /* decimal */

/* None of the arguments is in `t` itself. */
void text_printf(struct text *t, const char *format, ...) PRINTF_LIKE(2, 3);

/* The caller frees what this returns; `t` becomes empty. Never NULL. */
char *text_detach(struct text *t);

/* malloc, calloc and strdup that abort when memory is exhausted: control path and start-up only. */
void *xmalloc(size_t size_bytes);
void *xcalloc(size_t count, size_t size_bytes);
char *xstrdup(const char *s);
char *xasprintf(const char *format, ...) PRINTF_LIKE(1, 2);

#endif

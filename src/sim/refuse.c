/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The allocator as the linker's --wrap option shows it to the program: __wrap_f() is called for
 * f(), and __real_f() is the allocator's. State is global, as the allocator is; one thread.
 */
#include <stdlib.h>
#include <string.h>

#include "refuse.h"

/* The names are the linker's. NOLINTBEGIN(bugprone-reserved-identifier) */
void *__real_malloc(size_t size_bytes);
void *__real_calloc(size_t count, size_t size_bytes);
void *__real_realloc(void *old, size_t size_bytes);
void *__real_aligned_alloc(size_t alignment, size_t size_bytes);
void __real_free(void *memory);
void *__real_xmalloc(size_t size_bytes);
void *__real_xcalloc(size_t count, size_t size_bytes);
char *__real_xstrdup(const char *s);

void *__wrap_malloc(size_t size_bytes);
void *__wrap_calloc(size_t count, size_t size_bytes);
void *__wrap_realloc(void *old, size_t size_bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t size_bytes);
char *__wrap_strdup(const char *s);
void __wrap_free(void *memory);
void *__wrap_xmalloc(size_t size_bytes);
void *__wrap_xcalloc(size_t count, size_t size_bytes);
char *__wrap_xstrdup(const char *s);

static struct {
	uint64_t n; /* of the plan */
	bool onwards;
	bool open;
	uint64_t asked, refused;
	int64_t live;
} memory;

void refuse_plan(uint64_t n, bool onwards)
{
	memory.n = n;
	memory.onwards = onwards;
	memory.asked = memory.refused = 0;
}

bool refuse_window(bool open)
{
	const bool was = memory.open;

	memory.open = open;
	return was;
}

uint64_t refuse_asked(void)
{
	return memory.asked;
}

uint64_t refuse_count(void)
{
	return memory.refused;
}

int64_t refuse_live(void)
{
	return memory.live;
}

static bool refuse(void)
{
	bool refused;

	if (!memory.open)
		return false;
	memory.asked++;
	refused = memory.n != 0 &&
		  (memory.onwards ? memory.asked >= memory.n : memory.asked == memory.n);
	memory.refused += refused;
	return refused;
}

static void *given(void *result)
{
	memory.live += result != NULL;
	return result;
}

void *__wrap_malloc(size_t size_bytes)
{
	return refuse() ? NULL : given(__real_malloc(size_bytes));
}

void *__wrap_calloc(size_t count, size_t size_bytes)
{
	return refuse() ? NULL : given(__real_calloc(count, size_bytes));
}

void *__wrap_aligned_alloc(size_t alignment, size_t size_bytes)
{
	return refuse() ? NULL : given(__real_aligned_alloc(alignment, size_bytes));
}

void *__wrap_realloc(void *old, size_t size_bytes)
{
	void *result;

	if (refuse())
		return NULL;
	result = __real_realloc(old, size_bytes);
	memory.live += !old && result;
	return result;
}

char *__wrap_strdup(const char *s)
{
	const size_t size = strlen(s) + 1;
	void *copy = __wrap_malloc(size);

	return copy ? memcpy(copy, s, size) : NULL;
}

void __wrap_free(void *pointer)
{
	memory.live -= pointer != NULL;
	__real_free(pointer);
}

/* --- What may not be refused ----------------------------------------------------------------- */

void *__wrap_xmalloc(size_t size_bytes)
{
	const bool was = refuse_window(false);
	void *result = __real_xmalloc(size_bytes);

	refuse_window(was);
	return result;
}

void *__wrap_xcalloc(size_t count, size_t size_bytes)
{
	const bool was = refuse_window(false);
	void *result = __real_xcalloc(count, size_bytes);

	refuse_window(was);
	return result;
}

char *__wrap_xstrdup(const char *s)
{
	const bool was = refuse_window(false);
	char *result = __real_xstrdup(s);

	refuse_window(was);
	return result;
}
/* NOLINTEND(bugprone-reserved-identifier) */

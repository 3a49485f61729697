/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiler attributes and the smallest helpers every room uses.
 * Nothing here allocates, logs or keeps state.
 */
#ifndef QUOIN_BASE_H
#define QUOIN_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_index, first_index) \
	__attribute__((format(printf, format_index, first_index)))
#define NO_RETURN __attribute__((noreturn))
#define COLD __attribute__((cold))
#define UNUSED __attribute__((unused))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* The object of type `type` whose member `member` is at `ptr`. */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define KiB ((uint64_t)1 << 10)
#define MiB ((uint64_t)1 << 20)
#define GiB ((uint64_t)1 << 30)
#define TiB ((uint64_t)1 << 40)

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

/* Scope-bound clean-up: `CLEANUP_FREE char *p`, `CLEANUP_FD int fd = -1`. */
void base_cleanup_free(void *pointer_to_pointer);
void base_cleanup_fd(int *fd);
#define CLEANUP_FREE __attribute__((cleanup(base_cleanup_free)))
#define CLEANUP_FD __attribute__((cleanup(base_cleanup_fd)))

/* Closes *fd if it is >= 0 and sets it to -1. errno is kept. */
void base_close(int *fd);

#endif

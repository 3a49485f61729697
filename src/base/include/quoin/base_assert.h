/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assertions for our own bugs, on in release. Never for untrusted bytes, never for
 * failures of the world. A failed assertion prints the expression and its values, then aborts.
 */
#ifndef QUOIN_BASE_ASSERT_H
#define QUOIN_BASE_ASSERT_H

#include <quoin/base.h>

#define ASSERT(condition)                                                 \
	do {                                                              \
		if (UNLIKELY(!(condition)))                               \
			base_assert_fail(__FILE__, __LINE__, #condition); \
	} while (0)

/* ASSERT_U64(a, <=, b): prints both values when it fails. */
#define ASSERT_U64(a, op, b)                                                                  \
	do {                                                                                  \
		const uint64_t assert_a = (uint64_t)(a);                                      \
		const uint64_t assert_b = (uint64_t)(b);                                      \
		if (UNLIKELY(!(assert_a op assert_b)))                                        \
			base_assert_fail_u64(__FILE__, __LINE__, #a " " #op " " #b, assert_a, \
					     assert_b);                                       \
	} while (0)

#define UNREACHABLE() base_assert_fail(__FILE__, __LINE__, "unreachable")

NO_RETURN COLD void base_assert_fail(const char *file, int line, const char *expression);
NO_RETURN COLD void base_assert_fail_u64(const char *file, int line, const char *expression,
					 uint64_t a, uint64_t b);

#endif

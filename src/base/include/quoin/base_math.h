/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic that cannot wrap unseen, and powers of two. */
#ifndef QUOIN_BASE_MATH_H
#define QUOIN_BASE_MATH_H

#include <quoin/base.h>

/* True when [offset, offset + length) lies within [0, limit). No sum is formed that could wrap. */
static inline bool range_within(uint64_t offset, uint64_t length, uint64_t limit)
{
	return length <= limit && offset <= limit - length;
}

/* The two have something in common. Nothing wraps, whatever comes. */
static inline bool ranges_overlap(uint64_t a, uint64_t a_length, uint64_t b, uint64_t b_length)
{
	return a_length > 0 && b_length > 0 && (a <= b ? b - a < a_length : a - b < b_length);
}

/* True and *ret_sum = a + b, or false when the sum does not fit. */
MUST_CHECK static inline bool u64_add(uint64_t a, uint64_t b, uint64_t *ret_sum)
{
	return !__builtin_add_overflow(a, b, ret_sum);
}

/* True and *ret_product = a * b, or false when the product does not fit. */
MUST_CHECK static inline bool u64_mul(uint64_t a, uint64_t b, uint64_t *ret_product)
{
	return !__builtin_mul_overflow(a, b, ret_product);
}

static inline bool is_power_of_two(uint64_t x)
{
	return x != 0 && (x & (x - 1)) == 0;
}

/* `alignment` is a power of two for the next three. */
static inline uint64_t align_down(uint64_t x, uint64_t alignment)
{
	return x & ~(alignment - 1);
}

static inline uint64_t align_up(uint64_t x, uint64_t alignment)
{
	return align_down(x + alignment - 1, alignment);
}

static inline bool is_aligned(uint64_t x, uint64_t alignment)
{
	return (x & (alignment - 1)) == 0;
}

static inline uint64_t div_round_up(uint64_t x, uint64_t divisor)
{
	return x / divisor + (x % divisor != 0);
}

/* Floor of the base-2 logarithm; x > 0. */
static inline unsigned log2_u64(uint64_t x)
{
	return 63U - (unsigned)__builtin_clzll(x);
}

#endif

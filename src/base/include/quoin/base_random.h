/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seeded pseudo-random numbers, as a handle (no global state). xoshiro256** by Blackman and
 * Vigna, seeded through splitmix64. Not for keys.
 */
#ifndef QUOIN_BASE_RANDOM_H
#define QUOIN_BASE_RANDOM_H

#include <quoin/base.h>

struct random {
	uint64_t state[4];
};

void random_init(struct random *r, uint64_t seed);
uint64_t random_u64(struct random *r);

/* Uniform in [0, bound); bound > 0. */
uint64_t random_below(struct random *r, uint64_t bound);

/* True with probability numerator / denominator. */
bool random_chance(struct random *r, uint64_t numerator, uint64_t denominator);

void random_fill(struct random *r, void *buffer, size_t size_bytes);

/* Bytes from the kernel's generator, for identities and seeds. Aborts if there are none. */
void random_system_fill(void *buffer, size_t size_bytes);

#endif

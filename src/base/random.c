/* SPDX-License-Identifier: Apache-2.0 */
/* xoshiro256** 1.0 with splitmix64 seeding (Blackman and Vigna, 2018), from the paper. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include <quoin/base_assert.h>
#include <quoin/base_random.h>

static uint64_t splitmix64(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t x, unsigned count)
{
	return (x << count) | (x >> (64 - count));
}

void random_init(struct random *r, uint64_t seed)
{
	for (size_t i = 0; i < ARRAY_SIZE(r->state); i++)
		r->state[i] = splitmix64(&seed);
}

uint64_t random_u64(struct random *r)
{
	uint64_t *s = r->state;
	const uint64_t result = rotate_left(s[1] * 5, 7) * 9;
	const uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate_left(s[3], 45);
	return result;
}

uint64_t random_below(struct random *r, uint64_t bound)
{
	const uint64_t unfair = -bound % bound; /* 2^64 mod bound: the values to throw away */
	uint64_t x;

	ASSERT(bound > 0);
	do
		x = random_u64(r);
	while (x < unfair);
	return x % bound;
}

bool random_chance(struct random *r, uint64_t numerator, uint64_t denominator)
{
	return random_below(r, denominator) < numerator;
}

void random_fill(struct random *r, void *buffer, size_t size_bytes)
{
	unsigned char *p = buffer;

	while (size_bytes > 0) {
		const uint64_t x = random_u64(r);
		const size_t n = MIN(size_bytes, sizeof(x));

		memcpy(p, &x, n);
		p += n;
		size_bytes -= n;
	}
}

void random_system_fill(void *buffer, size_t size_bytes)
{
	unsigned char *p = buffer;

	while (size_bytes > 0) {
		const ssize_t n = getrandom(p, size_bytes, 0);

		ASSERT(n > 0 || errno == EINTR);
		if (n > 0) {
			p += n;
			size_bytes -= (size_t)n;
		}
	}
}

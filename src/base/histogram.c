/* SPDX-License-Identifier: Apache-2.0 */
/* Log-linear histogram: values below 16 are exact, above it 16 steps per power of two. */
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_histogram.h>
#include <quoin/base_math.h>

#define STEPS (1U << HISTOGRAM_STEP_BITS)

static size_t bucket_of(uint64_t value)
{
	unsigned shift;

	if (value < STEPS)
		return (size_t)value;
	shift = log2_u64(value) - HISTOGRAM_STEP_BITS;
	return ((size_t)(shift + 1) << HISTOGRAM_STEP_BITS) + (size_t)((value >> shift) - STEPS);
}

static uint64_t bucket_upper(size_t bucket)
{
	const size_t group = bucket >> HISTOGRAM_STEP_BITS;
	const uint64_t step = bucket & (STEPS - 1);

	if (group == 0)
		return step;
	return ((STEPS + step) << (group - 1)) + ((UINT64_C(1) << (group - 1)) - 1);
}

void histogram_init(struct histogram *h)
{
	memset(h, 0, sizeof(*h));
	h->min = UINT64_MAX;
}

void histogram_add(struct histogram *h, uint64_t value)
{
	h->count++;
	h->sum += value;
	if (value < h->min)
		h->min = value;
	if (value > h->max)
		h->max = value;
	h->buckets[bucket_of(value)]++;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	into->count += from->count;
	into->sum += from->sum;
	into->min = MIN(into->min, from->min);
	into->max = MAX(into->max, from->max);
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->buckets[i] += from->buckets[i];
}

uint64_t histogram_permille(const struct histogram *h, unsigned permille)
{
	const uint64_t rank = h->count / 1000 * permille + h->count % 1000 * permille / 1000;
	uint64_t seen = 0;

	if (h->count == 0)
		return 0;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->buckets[i];
		if (seen > rank || seen == h->count)
			return MIN(bucket_upper(i), h->max);
	}
	return h->max;
}

uint64_t histogram_mean(const struct histogram *h)
{
	return h->count ? h->sum / h->count : 0;
}

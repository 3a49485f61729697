/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log-linear histogram of 64-bit values (latencies in ns, sizes): 16 steps per power of two,
 * relative error <= 6.25 %. Fixed size, no allocation; one writer.
 */
#ifndef QUOIN_BASE_HISTOGRAM_H
#define QUOIN_BASE_HISTOGRAM_H

#include <quoin/base.h>

#define HISTOGRAM_STEP_BITS 4
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_STEP_BITS + 1) << HISTOGRAM_STEP_BITS)

struct histogram {
	uint64_t count;
	uint64_t sum;
	uint64_t min; /* UINT64_MAX when empty */
	uint64_t max;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_init(struct histogram *h);
void histogram_add(struct histogram *h, uint64_t value);
void histogram_merge(struct histogram *into, const struct histogram *from);

/* Upper bound of the bucket that holds the p-th permille (500 = median); 0 when empty. */
uint64_t histogram_permille(const struct histogram *h, unsigned permille);
uint64_t histogram_mean(const struct histogram *h);

#endif

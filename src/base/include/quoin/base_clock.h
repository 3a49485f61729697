/* SPDX-License-Identifier: Apache-2.0 */
/* What a clock of the system says. In a loop's thread: loop_now_ns(), which a simulation can set.
 */
#ifndef QUOIN_BASE_CLOCK_H
#define QUOIN_BASE_CLOCK_H

#include <time.h>

#include <quoin/base.h>

static inline uint64_t clock_now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_now_ms(clockid_t clock)
{
	return clock_now_ns(clock) / NS_PER_MS;
}

#endif

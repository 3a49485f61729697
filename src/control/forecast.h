/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a pool will be full, if its guests go on as they did: a straight line through what was used
 * an interval ago and now. Points are kept for FORECAST_POINTS intervals; a forecast needs an hour
 * of them, as a burst says nothing about days.
 */
#ifndef CONTROL_FORECAST_H
#define CONTROL_FORECAST_H

#include <quoin/base.h>

#define FORECAST_INTERVAL_S 600
#define FORECAST_POINTS 144 /* a day */
#define FORECAST_LEAST_S 3600
#define FORECAST_MOST_S (UINT64_C(10) * 365 * 86400) /* what is later is never */

struct forecast {
	unsigned count;
	unsigned next; /* where the next one goes, in the ring */
	struct {
		uint64_t time_s, used_bytes;
	} points[FORECAST_POINTS];
	uint64_t now_s, used_bytes;
};

/* Zeroed = nothing is known. `time_s` is monotonic. */
void forecast_add(struct forecast *forecast, uint64_t time_s, uint64_t used_bytes);

/* In so many seconds; 0 = never, or not known. */
uint64_t forecast_full_in(const struct forecast *forecast, uint64_t left_bytes);

#endif

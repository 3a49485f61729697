/* SPDX-License-Identifier: Apache-2.0 */
/* When a pool will be full; see forecast.h. */
#include "forecast.h"

void forecast_add(struct forecast *forecast, uint64_t time_s, uint64_t used_bytes)
{
	const unsigned last = (forecast->next + FORECAST_POINTS - 1) % FORECAST_POINTS;

	forecast->now_s = time_s;
	forecast->used_bytes = used_bytes;
	if (forecast->count > 0 && time_s < forecast->points[last].time_s + FORECAST_INTERVAL_S)
		return;
	forecast->points[forecast->next].time_s = time_s;
	forecast->points[forecast->next].used_bytes = used_bytes;
	forecast->next = (forecast->next + 1) % FORECAST_POINTS;
	if (forecast->count < FORECAST_POINTS)
		forecast->count++;
}

uint64_t forecast_full_in(const struct forecast *forecast, uint64_t left_bytes)
{
	const unsigned oldest =
		(forecast->next + FORECAST_POINTS - forecast->count) % FORECAST_POINTS;
	double passed_s;
	double grown;
	double left_s;

	if (forecast->count == 0)
		return 0;
	passed_s = (double)(forecast->now_s - forecast->points[oldest].time_s);
	grown = (double)forecast->used_bytes - (double)forecast->points[oldest].used_bytes;
	if (passed_s < FORECAST_LEAST_S || grown <= 0)
		return 0;
	left_s = (double)left_bytes / grown * passed_s;
	if (left_s > (double)FORECAST_MOST_S)
		return 0;
	return left_s < 1 ? 1 : (uint64_t)left_s;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Medians over the runs, and the medians of the ratios of runs that were neighbours in time. */
#include <stdio.h>
#include <stdlib.h>

#include <quoin/base_size.h>

#include "versus.h"

static const char *const names[VERSUS_COUNT] = {"raw", "file", "qcow2", "pool"};

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, unsigned count)
{
	qsort(values, count, sizeof(*values), compare);
	return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

enum figure { IOPS, P50, P99, P999, MAX_NS, CPU };

static double figure_of(const struct load_result *r, enum figure figure)
{
	switch (figure) {
	case IOPS:
		return r->iops;
	case P50:
		return (double)r->p50_ns;
	case P99:
		return (double)r->p99_ns;
	case P999:
		return (double)r->p999_ns;
	case MAX_NS:
		return (double)r->max_ns;
	case CPU:
		return r->cpu_us;
	}
	return 0;
}

static double median_of(const struct versus *v, const struct load_result *runs, enum figure figure)
{
	double values[VERSUS_RUNS_MAX];

	for (unsigned i = 0; i < v->options.runs; i++)
		values[i] = figure_of(&runs[i], figure);
	return median(values, v->options.runs);
}

static double ratio_of(const struct versus *v, const struct load_result *runs,
		       const struct load_result *base)
{
	double values[VERSUS_RUNS_MAX];

	for (unsigned i = 0; i < v->options.runs; i++)
		values[i] = base[i].iops > 0 ? runs[i].iops / base[i].iops : 0;
	return median(values, v->options.runs);
}

void versus_report_stage(const struct versus *v, const char *text)
{
	if (v->options.json) {
		printf("{\"stage\":\"%s\"}\n", text);
		return;
	}
	printf("\n%s\n%-28s %-6s %10s %9s %9s %9s %9s %9s %7s\n", text, "work", "disk", "IOPS",
	       "p50", "p99", "p99.9", "max", "CPU/IO", "of raw");
}

static uint64_t errors_of(const struct versus *v, const struct load_result *runs)
{
	uint64_t errors = 0;

	for (unsigned i = 0; i < v->options.runs; i++)
		errors += runs[i].errors;
	return errors;
}

static void row(const struct versus *v, const char *work, const char *name,
		const struct load_result *runs, double ratio)
{
	char p50[SIZE_TEXT_MAX], p99[SIZE_TEXT_MAX], p999[SIZE_TEXT_MAX], max[SIZE_TEXT_MAX];
	const uint64_t errors = errors_of(v, runs);
	const double cpu = median_of(v, runs, CPU);

	if (v->options.json) {
		printf("{\"work\":\"%s\",\"disk\":\"%s\",\"iops\":%.0f,\"p50_ns\":%.0f,"
		       "\"p99_ns\":%.0f,\"p999_ns\":%.0f,\"max_ns\":%.0f,\"cpu_us\":%.3f,"
		       "\"ratio\":%.3f,\"errors\":%llu}\n",
		       work, name, median_of(v, runs, IOPS), median_of(v, runs, P50),
		       median_of(v, runs, P99), median_of(v, runs, P999),
		       median_of(v, runs, MAX_NS), cpu, ratio, (unsigned long long)errors);
		return;
	}
	printf("%-28s %-6s %10.0f %9s %9s %9s %9s ", work, name, median_of(v, runs, IOPS),
	       duration_format((uint64_t)median_of(v, runs, P50), p50),
	       duration_format((uint64_t)median_of(v, runs, P99), p99),
	       duration_format((uint64_t)median_of(v, runs, P999), p999),
	       duration_format((uint64_t)median_of(v, runs, MAX_NS), max));
	if (cpu >= 0)
		printf("%6.2f us", cpu);
	else
		printf("%9s", "-");
	if (ratio > 0)
		printf(" %7.2f", ratio);
	if (errors)
		printf("  %llu ERRORS", (unsigned long long)errors);
	printf("\n");
}

void versus_report_point(const struct versus *v, const struct versus_point *point,
			 struct load_result results[VERSUS_COUNT][VERSUS_RUNS_MAX])
{
	const bool raw = v->options.who & 1U << VERSUS_RAW;

	for (unsigned i = 0; i < VERSUS_COUNT; i++) {
		if (v->options.who & 1U << i)
			row(v, i == VERSUS_RAW || !raw || v->options.json ? point->name : "",
			    names[i], results[i],
			    raw ? ratio_of(v, results[i], results[VERSUS_RAW]) : 0);
	}
	fflush(stdout);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Results: an aligned table for people, one JSON object per line for machines. */
#include <stdio.h>

#include <quoin/base_size.h>

#include "bench.h"

void report_begin(const struct bench_options *options)
{
	if (options->json)
		return;
	printf("quoin-bench nvme: random 4 KiB, one client thread");
	if (options->client_cpu >= 0)
		printf(" on CPU %d, quoind's worker on CPU %d", options->client_cpu,
		       options->worker_cpu);
	printf("\n");
}

void report_target(const struct bench_options *options, const char *target, const char *doorbells)
{
	if (options->json) {
		printf("{\"target\":\"%s\",\"doorbells\":\"%s\"}\n", target, doorbells);
		return;
	}
	printf("\n%s, doorbells %s\n", target, doorbells);
	printf("%-6s %3s x %-2s %10s %9s %9s %9s %9s %9s %10s\n", "op", "qd", "q", "IOPS", "p50",
	       "p99", "p99.9", "max", "CPU/IO", "MMIO/IO");
}

static void result_json(const struct bench_result *r)
{
	printf("{\"op\":\"%s\",\"depth\":%u,\"queues\":%u,\"iops\":%.0f,\"p50_ns\":%llu,"
	       "\"p99_ns\":%llu,\"p999_ns\":%llu,\"max_ns\":%llu,\"cpu_us_per_io\":%.3f,"
	       "\"mmio_per_io\":%.4f,\"errors\":%llu}\n",
	       r->point.write ? "write" : "read", r->point.depth, r->point.queues, r->iops,
	       (unsigned long long)r->p50_ns, (unsigned long long)r->p99_ns,
	       (unsigned long long)r->p999_ns, (unsigned long long)r->max_ns, r->cpu_us,
	       r->doorbells, (unsigned long long)r->errors);
}

void report_result(const struct bench_options *options, const struct bench_result *r)
{
	char p50[SIZE_TEXT_MAX], p99[SIZE_TEXT_MAX], p999[SIZE_TEXT_MAX], max[SIZE_TEXT_MAX];

	if (options->json) {
		result_json(r);
	} else {
		printf("%-6s %3u x %-2u %10.0f %9s %9s %9s %9s %6.3f us %10.4f",
		       r->point.write ? "write" : "read", r->point.depth, r->point.queues, r->iops,
		       duration_format(r->p50_ns, p50), duration_format(r->p99_ns, p99),
		       duration_format(r->p999_ns, p999), duration_format(r->max_ns, max),
		       r->cpu_us, r->doorbells);
		if (r->errors)
			printf("  %llu ERRORS", (unsigned long long)r->errors);
		printf("\n");
	}
	fflush(stdout);
}

void report_idle(const struct bench_options *options, const struct bench_idle *idle)
{
	if (options->json)
		printf("{\"idle_cpu_percent\":%.2f,\"idle_wakeups\":%llu,\"idle_seconds\":%.1f,"
		       "\"rss_anon_kib\":%llu}\n",
		       idle->cpu_percent, (unsigned long long)idle->wakeups, idle->seconds,
		       (unsigned long long)idle->rss_anon_kib);
	else
		printf("idle   %.1f s: CPU %.2f %%, %llu wake-ups; quoind's own memory %.1f MiB\n",
		       idle->seconds, idle->cpu_percent, (unsigned long long)idle->wakeups,
		       (double)idle->rss_anon_kib / 1024);
	fflush(stdout);
}

void report_versus_begin(const struct bench_options *options)
{
	if (!options->json)
		printf("\nagainst fio (io_uring, O_DIRECT) on the same file, runs interleaved\n"
		       "%-6s %3s x %-2s %10s %10s %7s\n",
		       "op", "qd", "q", "quoin", "fio", "ratio");
}

void report_versus(const struct bench_options *options, const struct bench_versus *v)
{
	const char *op = v->point.write ? "write" : "read";

	if (options->json)
		printf("{\"versus\":\"fio\",\"op\":\"%s\",\"depth\":%u,\"queues\":%u,"
		       "\"quoin_iops\":%.0f,\"fio_iops\":%.0f,\"ratio\":%.3f}\n",
		       op, v->point.depth, v->point.queues, v->quoin_iops, v->fio_iops, v->ratio);
	else
		printf("%-6s %3u x %-2u %10.0f %10.0f %7.3f\n", op, v->point.depth, v->point.queues,
		       v->quoin_iops, v->fio_iops, v->ratio);
	fflush(stdout);
}

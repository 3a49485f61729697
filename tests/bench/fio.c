/* SPDX-License-Identifier: Apache-2.0 */
/* The yardstick: fio with io_uring and O_DIRECT on the same file. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "versus.h"

#define TERSE_READ_IOPS 7
#define TERSE_WRITE_IOPS 48

bool bench_fio_there(void)
{
	return system("fio --version >/dev/null 2>&1") == 0;
}

/* Field `index` of fio's terse output (version 3). */
static const char *terse_field(const char *line, unsigned index)
{
	while (index-- && line) {
		line = strchr(line, ';');
		if (line)
			line++;
	}
	return line;
}

int bench_fio(const char *path, struct bench_point point, unsigned run_ms, double *ret_iops)
{
	char command[1024], line[4096];
	const char *field = NULL;
	FILE *pipe;

	snprintf(command, sizeof(command),
		 "fio --name=b --filename='%s' --ioengine=io_uring --direct=1 --bs=4k --rw=%s "
		 "--iodepth=%u --numjobs=%u --group_reporting --time_based --runtime=%ums "
		 "--ramp_time=%ums --randrepeat=0 --norandommap --output-format=terse 2>/dev/null",
		 path, point.write ? "randwrite" : "randread", point.depth, point.queues, run_ms,
		 run_ms / 5);
	pipe = popen(command, "r");
	if (!pipe)
		return -errno;
	while (fgets(line, sizeof(line), pipe)) {
		if (strncmp(line, "3;fio", 5) == 0) {
			field = terse_field(line, point.write ? TERSE_WRITE_IOPS : TERSE_READ_IOPS);
			break;
		}
	}
	if (field)
		*ret_iops = strtod(field, NULL);
	return pclose(pipe) == 0 && field ? 0 : -EIO;
}

/* --- A job of the load ------------------------------------------------------------------------ */

static uint64_t percentile(const json_t *side, const char *which)
{
	const json_t *list = json_object_get(json_object_get(side, "clat_ns"), "percentile");

	return (uint64_t)json_integer_value(json_object_get(list, which));
}

static int parse(const json_t *root, const struct load_job *job, struct load_result *ret)
{
	const json_t *jobs = json_object_get(root, "jobs");
	const json_t *side =
		json_object_get(json_array_get(jobs, 0), job->write ? "write" : "read");
	const json_t *latency = json_object_get(side, "clat_ns");

	if (!side)
		return -EPROTO;
	*ret = (struct load_result){
		.count = (uint64_t)json_integer_value(json_object_get(side, "total_ios")),
		.iops = json_number_value(json_object_get(side, "iops")),
		.p50_ns = percentile(side, "50.000000"),
		.p99_ns = percentile(side, "99.000000"),
		.p999_ns = percentile(side, "99.900000"),
		.max_ns = (uint64_t)json_number_value(json_object_get(latency, "max")),
		.cpu_us = -1,
	};
	return ret->iops > 0 ? 0 : -EPROTO;
}

/* Streams of write + flush are jobs of depth 1: fio waits for all of a job at each fdatasync. */
static void print_command(char *command, size_t size, const char *path, const struct load_job *job)
{
	const unsigned depth = job->flush ? 1 : job->depth;
	const unsigned jobs = job->flush ? job->depth * job->queues : job->queues;
	const bool flushes_last = load_flushes_last(job);

	snprintf(command, size,
		 "fio --name=b --filename='%s' --ioengine=io_uring --direct=1 --bs=%u --rw=%s%s "
		 "--iodepth=%u --numjobs=%u --group_reporting --time_based --runtime=%ums "
		 "--ramp_time=%ums --randrepeat=0 --norandommap --fdatasync=%d "
		 "--end_fsync=%d --output-format=json 2>/dev/null",
		 path, job->block_bytes, job->random ? "rand" : "", job->write ? "write" : "read",
		 depth, jobs, job->run_ms, flushes_last ? 0 : job->run_ms / 5, job->flush,
		 flushes_last);
}

int fio_run(const char *path, const struct load_job *job, struct load_result *ret)
{
	char command[1024];
	json_t *root;
	FILE *pipe;
	int error;

	print_command(command, sizeof(command), path, job);
	pipe = popen(command, "r");
	if (!pipe)
		return -errno;
	root = json_loadf(pipe, JSON_DISABLE_EOF_CHECK, NULL);
	error = root ? parse(root, job, ret) : -EPROTO;
	json_decref(root);
	return pclose(pipe) == 0 ? error : -EIO;
}

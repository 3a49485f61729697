/* SPDX-License-Identifier: Apache-2.0 */
/* The yardstick: fio with io_uring and O_DIRECT on the same file. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

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

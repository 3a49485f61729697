/* SPDX-License-Identifier: Apache-2.0 */
/* The workers: how many, where, and starting them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <quoin/base_bitmap.h>

#include "workers.h"

/* Reads a decimal number; false when there is none or it is too large. */
static bool number_read(const char **text, unsigned *number)
{
	const char *start = *text;

	*number = 0;
	for (; **text >= '0' && **text <= '9' && *number < CONTROL_CPUS_MAX; (*text)++)
		*number = *number * 10 + (unsigned)(**text - '0');
	return *text != start && *number < CONTROL_CPUS_MAX;
}

/* One "N" or "N-M" into the set. */
static bool range_read(const char **text, uint64_t *set)
{
	unsigned first;
	unsigned last;

	if (!number_read(text, &first))
		return false;
	last = first;
	if (**text == '-') {
		(*text)++;
		if (!number_read(text, &last))
			return false;
	}
	for (unsigned i = first; i <= last; i++)
		bitmap_set(set, i);
	return first <= last;
}

int control_cpus_parse(const char *text, struct control_cpus *ret_cpus, struct err *err)
{
	uint64_t set[BITMAP_WORDS(CONTROL_CPUS_MAX)] = {0};
	const char *at = text;
	bool good = range_read(&at, set);

	while (good && *at == ',') {
		at++;
		good = range_read(&at, set);
	}
	if (!good || *at != '\0')
		return err_set(err, -EINVAL, "\"%s\" is not a list of CPUs such as 0-3,8", text);
	ret_cpus->count = 0;
	for (size_t i = bitmap_next_set(set, CONTROL_CPUS_MAX, 0); i < CONTROL_CPUS_MAX;
	     i = bitmap_next_set(set, CONTROL_CPUS_MAX, i + 1))
		ret_cpus->cpus[ret_cpus->count++] = (unsigned)i;
	return 0;
}

unsigned control_workers_default(const struct control_cpus *cpus, unsigned online)
{
	if (cpus && cpus->count > 0)
		return MIN(cpus->count, CONTROL_WORKERS_MAX);
	if (online <= 4)
		return 1;
	return MIN(online / 4, CONTROL_WORKERS_MAX);
}

static int worker_start(struct control_worker *worker, unsigned index, int cpu, struct err *err)
{
	char name[16];
	const struct loop_params params = {.name = name, .cpu = cpu};
	int r;

	snprintf(name, sizeof(name), "worker-%u", index);
	worker->cpu = cpu;
	worker->targets = 0;
	worker->pools = 0;
	r = loop_new(&params, &worker->loop);
	if (r == -ENOSYS || r == -EPERM)
		return err_set(err, r,
			       "cannot start worker %u: the kernel refuses io_uring (%s); see "
			       "kernel.io_uring_disabled and the container's seccomp profile",
			       index, strerror(-r));
	if (r < 0)
		return err_set(err, r, "cannot start worker %u: %s", index, strerror(-r));
	r = loop_start_thread(worker->loop);
	if (r == 0)
		return 0;
	loop_free(worker->loop);
	worker->loop = NULL;
	if (cpu >= 0)
		return err_set(err, r, "cannot start worker %u on CPU %d: %s", index, cpu,
			       strerror(-r));
	return err_set(err, r, "cannot start worker %u: %s", index, strerror(-r));
}

int control_workers_start(struct control_workers *workers, unsigned count, const char *cpus,
			  struct err *err)
{
	struct control_cpus list = {.count = 0};
	int r;

	memset(workers, 0, sizeof(*workers));
	if (cpus) {
		r = control_cpus_parse(cpus, &list, err);
		if (r < 0)
			return r;
	}
	if (count > CONTROL_WORKERS_MAX)
		return err_set(err, -EINVAL, "the number of workers must be 1 to %d, not %u",
			       CONTROL_WORKERS_MAX, count);
	if (count == 0)
		count = control_workers_default(&list, (unsigned)sysconf(_SC_NPROCESSORS_ONLN));
	for (unsigned i = 0; i < count; i++) {
		const int cpu = list.count > 0 ? (int)list.cpus[i % list.count] : -1;

		r = worker_start(&workers->workers[i], i, cpu, err);
		if (r < 0) {
			control_workers_stop(workers);
			return r;
		}
		workers->count++;
	}
	return 0;
}

void control_workers_stop(struct control_workers *workers)
{
	for (unsigned i = 0; i < workers->count; i++) {
		loop_stop(workers->workers[i].loop);
		loop_join(workers->workers[i].loop);
		loop_free(workers->workers[i].loop);
	}
	workers->count = 0;
}

unsigned control_workers_choose(const struct control_workers *workers)
{
	unsigned best = 0;

	for (unsigned i = 1; i < workers->count; i++) {
		if (workers->workers[i].targets < workers->workers[best].targets)
			best = i;
	}
	return best;
}

unsigned control_workers_choose_home(const struct control_workers *workers)
{
	unsigned best = 0;

	for (unsigned i = 1; i < workers->count; i++) {
		if (workers->workers[i].pools < workers->workers[best].pools)
			best = i;
	}
	return best;
}

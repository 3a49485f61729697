/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workers: loops with their threads.
 *
 * How many: the number asked for; else one per CPU of the list; else 1 on up to 4 CPUs and a
 * quarter of the CPUs beyond. They are pinned only when a list of CPUs is given, in turn: without
 * one the kernel knows better where the virtual CPUs run that share the machine with us.
 */
#ifndef CONTROL_WORKERS_H
#define CONTROL_WORKERS_H

#include <quoin/base_err.h>
#include <quoin/control.h>
#include <quoin/loop.h>

struct control_worker {
	struct loop *loop;
	int cpu;
	unsigned targets;
	unsigned pools;
};

struct control_workers {
	unsigned count;
	struct control_worker workers[CONTROL_WORKERS_MAX];
};

#define CONTROL_CPUS_MAX 1024

struct control_cpus {
	unsigned count;
	unsigned cpus[CONTROL_CPUS_MAX]; /* ascending, each once */
};

/* "0-3,8". -EINVAL. */
MUST_CHECK int control_cpus_parse(const char *text, struct control_cpus *ret_cpus, struct err *err);

/* `cpus` may be NULL or empty. */
unsigned control_workers_default(const struct control_cpus *cpus, unsigned online);

/* `count` 0 = default; `cpus` NULL = not pinned. */
MUST_CHECK int control_workers_start(struct control_workers *workers, unsigned count,
				     const char *cpus, struct err *err);

/* No target is left on them. */
void control_workers_stop(struct control_workers *workers);

/* The index of the one with the fewest targets. */
unsigned control_workers_choose(const struct control_workers *workers);

/* The one with the fewest pools: the home of the next. */
unsigned control_workers_choose_home(const struct control_workers *workers);

#endif

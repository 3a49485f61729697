/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads of a real loop. They take no signals, so that the program's own signal handling stays
 * in its main thread; signals that report a fault of the thread itself stay open.
 */
#include <signal.h>

#include "real.h"

static void block_signals(sigset_t *before)
{
	static const int faults[] = {SIGBUS, SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS};
	sigset_t blocked;

	sigfillset(&blocked);
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		sigdelset(&blocked, faults[i]);
	ASSERT(pthread_sigmask(SIG_BLOCK, &blocked, before) == 0);
}

int real_thread_start(pthread_t *thread, const cpu_set_t *cpus, void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;
	sigset_t before;
	int r;

	if (pthread_attr_init(&attr) != 0)
		return -ENOMEM;
	if (CPU_COUNT(cpus) > 0) {
		r = pthread_attr_setaffinity_np(&attr, sizeof(*cpus), cpus);
		if (r != 0)
			goto out;
	}
	/* The mask is inherited: there is no moment in which the thread could take a signal. */
	block_signals(&before);
	r = pthread_create(thread, &attr, run, arg);
	ASSERT(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
out:
	pthread_attr_destroy(&attr);
	return -r;
}

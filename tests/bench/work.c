/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Somebody who waits and clears away: files are tens of gigabytes, and benchmarks are often
 * interrupted. The child has a process group of its own, as fio and others that it starts must end
 * with it.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client_daemon.h"
#include "work.h"

static void signals_hold(sigset_t *held, sigset_t *before)
{
	sigemptyset(held);
	sigaddset(held, SIGINT);
	sigaddset(held, SIGTERM);
	sigaddset(held, SIGHUP);
	sigaddset(held, SIGQUIT);
	sigaddset(held, SIGCHLD);
	sigprocmask(SIG_BLOCK, held, before);
}

NO_RETURN static void stay_behind(pid_t child, const sigset_t *held, const char *work,
				  const char *daemons)
{
	int signal = SIGTERM; /* fio's jobs are sessions of their own, which fio ends */
	int status = 0;

	while (waitpid(child, &status, WNOHANG) == 0) {
		if (sigwaitinfo(held, NULL) == SIGCHLD)
			continue;
		kill(-child, signal);
		signal = SIGKILL;
	}
	daemon_tree_remove(work);
	daemon_tree_remove(daemons);
	if (WIFEXITED(status))
		exit(WEXITSTATUS(status));
	fprintf(stderr, "quoin-bench: ended; its files are removed\n");
	exit(1);
}

int bench_work_begin(const char *dir, char ret_path[BENCH_WORK_MAX])
{
	/* Sockets are in it: its path must be short. */
	char daemons[] = "/tmp/quoin-bench-XXXXXX";
	sigset_t held, before;
	pid_t child;

	if ((size_t)snprintf(ret_path, BENCH_WORK_MAX, "%s/quoin-bench-XXXXXX", dir) >=
	    BENCH_WORK_MAX)
		return -ENAMETOOLONG;
	if (!mkdtemp(ret_path))
		return -errno;
	if (!mkdtemp(daemons)) {
		rmdir(ret_path);
		return -errno;
	}
	signals_hold(&held, &before);
	child = fork();
	if (child > 0) {
		setpgid(child, child);
		stay_behind(child, &held, ret_path, daemons);
	}
	if (child < 0) {
		const int error = -errno;

		sigprocmask(SIG_SETMASK, &before, NULL);
		rmdir(ret_path);
		rmdir(daemons);
		return error;
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setenv("QUOIN_TEST_DIR", daemons, 1);
	return 0;
}

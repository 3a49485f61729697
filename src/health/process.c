/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that are run; see process.h. */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SLICE_MS 100
#define KILL_MS 2000 /* after SIGKILL a process ends, unless it waits for a drive */

static void actions_add(posix_spawn_file_actions_t *actions, const struct process *process)
{
	if (process->stdin_fd >= 0)
		posix_spawn_file_actions_adddup2(actions, process->stdin_fd, 0);
	else
		posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
	if (process->stdout_fd >= 0)
		posix_spawn_file_actions_adddup2(actions, process->stdout_fd, 1);
	else
		posix_spawn_file_actions_addopen(actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(actions, 2, "/dev/null", O_WRONLY, 0);
}

static int start(const struct process *process, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	sigset_t all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	actions_add(&actions, process);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
						      POSIX_SPAWN_SETSIGDEF);
	r = posix_spawnp(ret_pid, process->argv[0], &actions, &attributes,
			 (char *const *)process->argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return -r;
}

/* 0 when it has ended. */
static int end_wait(int pid_fd, unsigned timeout_ms, const atomic_bool *stop)
{
	for (unsigned waited = 0; waited < timeout_ms; waited += SLICE_MS) {
		struct pollfd poller = {.fd = pid_fd, .events = POLLIN};

		if (poll(&poller, 1, (int)MIN(SLICE_MS, timeout_ms - waited)) > 0)
			return 0;
		if (stop && atomic_load(stop))
			return -ECANCELED;
	}
	return -ETIMEDOUT;
}

int process_run(const struct process *process, int *ret_status)
{
	CLEANUP_FD int pid_fd = -1;
	pid_t pid = 0;
	int r = start(process, &pid);

	if (r < 0)
		return r;
	pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	r = pid_fd < 0 ? -errno : end_wait(pid_fd, process->timeout_ms, process->stop);
	/* What it left behind in its group ends too; before the wait, while the number is its own.
	 */
	kill(-pid, SIGKILL);
	if (r < 0 && pid_fd >= 0 && end_wait(pid_fd, KILL_MS, NULL) < 0)
		return r;
	while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
		continue;
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program as a hook. It gets nothing of ours but the event: signals are as at the start of a
 * process, files are closed, and it leads a process group, so that what it started ends with it.
 */
#include "hook_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLICE_MS 100

/* The event as a file, at its beginning. */
static int stdin_make(const char *json)
{
	const size_t length = strlen(json);
	int fd = memfd_create("event", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, json, length) != (ssize_t)length || lseek(fd, 0, SEEK_SET) < 0) {
		base_close(&fd);
		return -EIO;
	}
	return fd;
}

static int spawn(const struct hook_try *try, int stdin_fd, pid_t *ret_pid)
{
	char *const argv[] = {(char *)try->where, (char *)health_event_word(try->event->type),
			      (char *)health_severity_word(health_event_severity(try->event->type)),
			      (char *)try->event->object, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	sigset_t all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawn_file_actions_adddup2(&actions, stdin_fd, 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
						      POSIX_SPAWN_SETSIGDEF);
	r = posix_spawn(ret_pid, try->where, &actions, &attributes, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return -r;
}

/* 0 when it has ended. */
static int end_wait(const struct hook_try *try, int pid_fd)
{
	for (unsigned waited = 0; waited < try->timeout_ms; waited += SLICE_MS) {
		struct pollfd poller = {.fd = pid_fd, .events = POLLIN};

		if (poll(&poller, 1, (int)MIN(SLICE_MS, try->timeout_ms - waited)) > 0)
			return 0;
		if (atomic_load(try->stop))
			return -ECANCELED;
	}
	return -ETIMEDOUT;
}

static int outcome(const struct hook_try *try, int r, int status, struct err *err)
{
	if (r == -ETIMEDOUT)
		return err_set(err, r, "%.100s did not end within %u s", try->where,
			       try->timeout_ms / 1000);
	if (r < 0)
		return err_set(err, r, "%.100s was stopped", try->where);
	if (WIFSIGNALED(status))
		return err_set(err, -EIO, "%.100s was ended by signal %d", try->where,
			       WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		return err_set(err, -EIO, "%.100s ended with %d", try->where, WEXITSTATUS(status));
	return 0;
}

int hook_program_run(const struct hook_try *try, struct err *err)
{
	CLEANUP_FD int stdin_fd = stdin_make(try->json);
	CLEANUP_FD int pid_fd = -1;
	int status = 0;
	pid_t pid = 0;
	int r = stdin_fd < 0 ? stdin_fd : spawn(try, stdin_fd, &pid);

	if (r < 0)
		return err_set(err, r, "%.100s cannot be run: %s", try->where, strerror(-r));
	pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	r = pid_fd < 0 ? -errno : end_wait(try, pid_fd);
	/* What it left behind in its group ends too; before the wait, while the number is its own.
	 */
	kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return outcome(try, r, status, err);
}

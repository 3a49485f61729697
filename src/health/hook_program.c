/* SPDX-License-Identifier: Apache-2.0 */
/* A program as a hook: it gets nothing of ours but the event. */
#include "hook_run.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <quoin/base_child.h>

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

static int outcome(const struct hook_try *try, int status, struct err *err)
{
	if (WIFSIGNALED(status))
		return err_set(err, -EIO, "%.100s was ended by signal %d", try->where,
			       WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		return err_set(err, -EIO, "%.100s ended with %d", try->where, WEXITSTATUS(status));
	return 0;
}

int hook_program_run(const struct hook_try *try, struct err *err)
{
	const char *const argv[] = {try->where, health_event_word(try->event->type),
				    health_severity_word(health_event_severity(try->event->type)),
				    try->event->object, NULL};
	CLEANUP_FD int stdin_fd = stdin_make(try->json);
	const struct child_params params = {.argv = argv,
					    .stdin_fd = stdin_fd,
					    .stdout_fd = -1,
					    .listen_fd = -1,
					    .timeout_ms = try->timeout_ms,
					    .stop = try->stop};
	int status = 0;
	int r;

	if (stdin_fd < 0)
		return err_set(err, stdin_fd, "no memory for an event: %s", strerror(-stdin_fd));
	r = child_run(&params, &status, err);
	return r < 0 ? r : outcome(try, status, err);
}

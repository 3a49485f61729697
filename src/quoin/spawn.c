/* SPDX-License-Identifier: Apache-2.0 */
/* quoind as a process. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <quoin/base_assert.h>
#include <quoin/base_text.h>

#include "spawn.h"

#define START_TIMEOUT_MS 30000
#define START_STEP_MS 20
#define STOP_TIMEOUT_MS 90000
#define COMMAND_LINE_MAX (128 * 1024)
#define LAST_WORDS_MAX 400

void spawn_fini(struct spawn *spawn)
{
	for (size_t i = 0; spawn->arguments && spawn->arguments[i]; i++)
		free(spawn->arguments[i]);
	free(spawn->arguments);
	free(spawn->program);
	free(spawn->directory);
	free(spawn->log_path);
	memset(spawn, 0, sizeof(*spawn));
}

/* --- Plans -------------------------------------------------------------------------------------
 */

/* Where an installed or a freshly built quoin has its quoind; else the search path decides. */
static char *program_find(void)
{
	static const char *const places[] = {"quoind", "../sbin/quoind", "../quoind/quoind"};
	char self[4096];
	const ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (length > 0) {
		self[length] = '\0';
		dirname(self);
		for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
			CLEANUP_FREE char *path = xasprintf("%s/%s", self, places[i]);
			struct stat st;

			if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0)
				return xstrdup(path);
		}
	}
	return xstrdup("quoind");
}

static char *log_path_make(const struct client *client)
{
	CLEANUP_FREE char *copy = xstrdup(client->socket_path);

	return xasprintf("%s/quoind.log", dirname(copy));
}

void spawn_plan(struct spawn *spawn, const struct client *client, char **rest)
{
	size_t count = 0;

	while (rest && rest[count])
		count++;
	memset(spawn, 0, sizeof(*spawn));
	spawn->program = program_find();
	spawn->log_path = log_path_make(client);
	spawn->arguments = xcalloc(count + 4, sizeof(char *));
	spawn->arguments[0] = xstrdup("quoind");
	spawn->arguments[1] = xstrdup("--socket");
	spawn->arguments[2] = xstrdup(client->socket_path);
	for (size_t i = 0; i < count; i++)
		spawn->arguments[3 + i] = xstrdup(rest[i]);
}

/* The target of /proc/PID/NAME, or NULL. */
static char *proc_link(int pid, const char *name)
{
	CLEANUP_FREE char *path = xasprintf("/proc/%d/%s", pid, name);
	char target[4096];
	const ssize_t length = readlink(path, target, sizeof(target) - 1);

	if (length <= 0)
		return NULL;
	target[length] = '\0';
	return xstrdup(target);
}

static char **arguments_split(const char *data, size_t length)
{
	size_t count = 0;
	char **arguments;

	for (size_t i = 0; i < length; i++)
		count += data[i] == '\0';
	arguments = xcalloc(count + 1, sizeof(char *));
	for (size_t i = 0; i < count; i++) {
		arguments[i] = xstrdup(data);
		data += strlen(data) + 1;
	}
	return arguments;
}

int spawn_plan_like(struct spawn *spawn, int pid, const struct client *client, struct err *err)
{
	CLEANUP_FREE char *path = xasprintf("/proc/%d/cmdline", pid);
	CLEANUP_FREE char *data = xmalloc(COMMAND_LINE_MAX);
	FILE *file = fopen(path, "re");
	size_t length = 0;

	if (file) {
		length = fread(data, 1, COMMAND_LINE_MAX, file);
		fclose(file);
	}
	if (length == 0 || data[length - 1] != '\0')
		return err_set(err, -ESRCH, "cannot see how quoind (process %d) was started", pid);
	memset(spawn, 0, sizeof(*spawn));
	spawn->program = proc_link(pid, "exe");
	spawn->directory = proc_link(pid, "cwd");
	if (!spawn->program || !spawn->directory) {
		spawn_fini(spawn);
		return err_set(err, -EACCES, "quoind (process %d) is another user's", pid);
	}
	/* A program that was replaced by a newer one: start the newer. */
	if (strlen(spawn->program) > 10 &&
	    strcmp(spawn->program + strlen(spawn->program) - 10, " (deleted)") == 0)
		spawn->program[strlen(spawn->program) - 10] = '\0';
	spawn->arguments = arguments_split(data, length);
	spawn->log_path = log_path_make(client);
	return 0;
}

/* --- Start -------------------------------------------------------------------------------------
 */

NO_RETURN static void child(const struct spawn *spawn, int log_fd)
{
	const int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	unsetenv("NOTIFY_SOCKET");
	if (spawn->directory && chdir(spawn->directory) < 0)
		dprintf(log_fd, "error: cannot go to %s: %s\n", spawn->directory, strerror(errno));
	else if (dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0 || dup2(log_fd, 2) < 0)
		dprintf(log_fd, "error: %s\n", strerror(errno));
	else
		execvp(spawn->program, spawn->arguments);
	dprintf(log_fd, "error: cannot run %s: %s\n", spawn->program, strerror(errno));
	_exit(127);
}

static int log_open(const struct spawn *spawn, struct err *err)
{
	CLEANUP_FREE char *copy = xstrdup(spawn->log_path);
	const char *directory = dirname(copy);
	int fd;

	if (mkdir(directory, 0700) < 0 && errno != EEXIST)
		return err_set(err, -errno, "cannot make %s: %s", directory, strerror(errno));
	fd = open(spawn->log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
		  0600);
	if (fd < 0)
		return err_set(err, -errno, "cannot write %s: %s", spawn->log_path,
			       strerror(errno));
	return fd;
}

/* The last line of its log. */
static int tell_last_words(const struct spawn *spawn, struct err *err)
{
	char words[LAST_WORDS_MAX + 1];
	CLEANUP_FD int fd = open(spawn->log_path, O_RDONLY | O_CLOEXEC);
	const off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
	const off_t start = MAX(size - LAST_WORDS_MAX, 0);
	ssize_t length = fd >= 0 ? pread(fd, words, LAST_WORDS_MAX, start) : 0;
	const char *line;

	while (length > 0 && words[length - 1] == '\n')
		length--;
	words[MAX(length, 0)] = '\0';
	line = strrchr(words, '\n');
	line = line ? line + 1 : words;
	if (strncmp(line, "error: ", 7) == 0)
		line += 7;
	return err_set(err, -ECHILD, "quoind does not start: %s", line);
}

int spawn_start(const struct spawn *spawn, const struct client *client, struct err *err)
{
	const struct timespec step = {.tv_nsec = START_STEP_MS * 1000000L};
	CLEANUP_FD int log_fd = log_open(spawn, err);
	pid_t pid;

	if (log_fd < 0)
		return log_fd;
	pid = fork();
	if (pid < 0)
		return err_set(err, -errno, "cannot start a process: %s", strerror(errno));
	if (pid == 0)
		child(spawn, log_fd);
	for (int waited_ms = 0; waited_ms < START_TIMEOUT_MS; waited_ms += START_STEP_MS) {
		json_t *answer = NULL;

		if (waitpid(pid, NULL, WNOHANG) == pid)
			return tell_last_words(spawn, err);
		if (client_send(client, &(struct client_request){"GET", "/v1", NULL}, &answer,
				NULL) == 0) {
			json_decref(answer);
			return 0;
		}
		nanosleep(&step, NULL);
	}
	return err_set(err, -ETIMEDOUT, "quoind (process %d) does not answer on %s; see %s", pid,
		       client->socket_path, spawn->log_path);
}

/* --- Stop --------------------------------------------------------------------------------------
 */

int spawn_stop(int pid, struct err *err)
{
	CLEANUP_FD int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd ended = {.fd = fd, .events = POLLIN};

	if (fd < 0 && errno == ESRCH)
		return 0;
	if (fd < 0 || syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0) < 0)
		return err_set(err, -errno, "cannot stop quoind (process %d): %s", pid,
			       strerror(errno));
	if (poll(&ended, 1, STOP_TIMEOUT_MS) != 1)
		return err_set(err, -ETIMEDOUT,
			       "quoind (process %d) is still stopping after %d s: a volume does "
			       "not answer",
			       pid, STOP_TIMEOUT_MS / 1000);
	return 0;
}

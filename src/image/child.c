/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Children; see child.h. vfork: nothing of the daemon's memory is copied or marked for copying,
 * which drives may be writing to at the time. Between vfork and exec only system calls are made.
 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <quoin/base_assert.h>
#include <quoin/base_text.h>

#define LISTEN_FD 3 /* sd_listen_fds(3) */
#define HIGH_FD 16  /* ours are moved up here, out of the child's way */
#define PID_TEXT_MAX 24

/* What the child needs, made before it is. It runs in our memory until it has another program. */
struct birth {
	const struct child_params *params;
	char **environment;
	char pid_text[PID_TEXT_MAX + 12]; /* "LISTEN_PID=N": only it knows N */
	int null_fd, words_fd, output_fd, listen_fd;
	volatile int error; /* why there is no other program */
};

/* --- In the child ------------------------------------------------------------------------------
 */

static void pid_put(char *to, pid_t pid)
{
	char digits[PID_TEXT_MAX];
	unsigned count = 0;

	for (; pid > 0; pid /= 10)
		digits[count++] = (char)('0' + pid % 10);
	while (count > 0)
		*to++ = digits[--count];
	*to = '\0';
}

static void privileges_drop(void)
{
	const struct rlimit none = {0, 0};
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{.effective = 1U << CAP_DAC_READ_SEARCH, .permitted = 1U << CAP_DAC_READ_SEARCH}};

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (geteuid() == 0)
		syscall(SYS_capset, &header, data);
}

NO_RETURN static void child_main(struct birth *birth)
{
	sigset_t all;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	privileges_drop();
	dup2(birth->null_fd, 0);
	dup2(birth->output_fd >= 0 ? birth->output_fd : birth->null_fd, 1);
	dup2(birth->words_fd, 2);
	if (birth->listen_fd >= 0)
		dup2(birth->listen_fd, LISTEN_FD);
	syscall(SYS_close_range, birth->listen_fd >= 0 ? LISTEN_FD + 1 : LISTEN_FD, ~0U, 0);
	pid_put(birth->pid_text + strlen("LISTEN_PID="), getpid());
	execvpe(birth->params->argv[0], (char *const *)birth->params->argv, birth->environment);
	birth->error = errno;
	_exit(127);
}

/* --- In the parent -----------------------------------------------------------------------------
 */

/* Ours, but for what is said of sockets, and in a language that is known. */
static char **environment_make(struct birth *birth)
{
	static char fds[] = "LISTEN_FDS=1";
	static char language[] = "LC_ALL=C";
	size_t count = 0;
	size_t kept = 0;
	char **all;

	while (environ[count])
		count++;
	all = xcalloc(count + 4, sizeof(*all));
	for (size_t i = 0; i < count; i++) {
		if (strncmp(environ[i], "LISTEN_", 7) != 0 && strncmp(environ[i], "LC_", 3) != 0 &&
		    strncmp(environ[i], "NOTIFY_SOCKET=", 14) != 0)
			all[kept++] = environ[i];
	}
	all[kept++] = language;
	if (birth->params->listen_fd >= 0) {
		snprintf(birth->pid_text, sizeof(birth->pid_text), "LISTEN_PID=");
		all[kept++] = fds;
		all[kept++] = birth->pid_text;
	}
	return all;
}

/* A pipe whose writing end is out of the child's way. */
static int pipe_make(int *ret_read_fd, int *ret_write_fd)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	*ret_write_fd = fcntl(fds[1], F_DUPFD_CLOEXEC, HIGH_FD);
	close(fds[1]);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	*ret_read_fd = fds[0];
	return *ret_write_fd < 0 ? -errno : 0;
}

static int birth_prepare(struct birth *birth, struct child *child)
{
	int r;

	birth->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (birth->null_fd < 0)
		return -errno;
	r = pipe_make(&child->words_fd, &birth->words_fd);
	if (r == 0 && birth->params->output)
		r = pipe_make(&child->output_fd, &birth->output_fd);
	if (r == 0 && birth->params->listen_fd >= 0) {
		birth->listen_fd = fcntl(birth->params->listen_fd, F_DUPFD_CLOEXEC, HIGH_FD);
		r = birth->listen_fd < 0 ? -errno : 0;
	}
	return r;
}

static pid_t give_birth(struct birth *birth)
{
	sigset_t all;
	sigset_t before;
	pid_t pid;

	/* A handler of ours must not run in the child. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = vfork();
	if (pid == 0)
		child_main(birth);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return pid;
}

int child_start(struct child *child, const struct child_params *params, struct err *err)
{
	struct birth birth = {
		.params = params, .null_fd = -1, .words_fd = -1, .output_fd = -1, .listen_fd = -1};
	int r;

	*child = (struct child){.words_fd = -1, .output_fd = -1, .program = params->argv[0]};
	r = birth_prepare(&birth, child);
	if (r == 0) {
		birth.environment = environment_make(&birth);
		child->pid = give_birth(&birth);
		r = child->pid < 0 ? -errno : -birth.error;
		free(birth.environment);
	}
	base_close(&birth.null_fd);
	base_close(&birth.words_fd);
	base_close(&birth.output_fd);
	base_close(&birth.listen_fd);
	if (r == 0)
		return 0;
	child_stop(child);
	if (r == -ENOENT)
		return err_set(err, -ENOPKG, "%s is not installed: apt install %s", params->argv[0],
			       params->package);
	return err_set(err, r, "cannot run %s: %s", params->argv[0], strerror(-r));
}

/* Keeps the last of it. */
static void words_read(struct child *child)
{
	char piece[256];
	ssize_t got;

	while (child->words_fd >= 0 && (got = read(child->words_fd, piece, sizeof(piece))) > 0) {
		const size_t length = (size_t)got;
		const size_t room = sizeof(child->words) - 1 - child->words_length;
		const size_t drop = length > room ? length - room : 0;

		memmove(child->words, child->words + drop, child->words_length - drop);
		child->words_length -= drop;
		memcpy(child->words + child->words_length, piece, length);
		child->words_length += length;
		child->words[child->words_length] = '\0';
	}
}

bool child_look(struct child *child, int *ret_status)
{
	int status;

	if (child->pid <= 0)
		return true;
	words_read(child);
	if (waitpid(child->pid, &status, WNOHANG) != child->pid)
		return false;
	words_read(child);
	child->pid = 0;
	child_stop(child);
	if (ret_status)
		*ret_status = status;
	return true;
}

const char *child_reason(struct child *child)
{
	const size_t prefix = strlen(child->program);
	char *line;

	words_read(child);
	while (child->words_length > 0 && child->words[child->words_length - 1] == '\n')
		child->words[--child->words_length] = '\0';
	line = strrchr(child->words, '\n');
	line = line ? line + 1 : child->words;
	if (strncmp(line, child->program, prefix) == 0 && strncmp(line + prefix, ": ", 2) == 0)
		line += prefix + 2;
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e)
			*c = '?';
	return line;
}

void child_stop(struct child *child)
{
	if (child->pid > 0) {
		kill(-child->pid, SIGKILL);
		kill(child->pid, SIGKILL);
		while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	}
	child->pid = 0;
	base_close(&child->words_fd);
	base_close(&child->output_fd);
}

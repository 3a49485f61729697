/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Children; see base_child.h. vfork: nothing of the daemon's memory is copied or marked for
 * copying, which drives may be writing to at the time. Between vfork and exec only system calls are
 * made. Why there is no other program comes through a pipe that exec closes, since under some tools
 * vfork is fork.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <quoin/base_text.h>

#include "sandbox.h"

#define LISTEN_FD 3 /* sd_listen_fds(3) */
#define HIGH_FD 16  /* ours are moved up here, out of the child's way */
#define PID_TEXT_MAX 24
#define SLICE_MS 100

/* What the child needs, made before it is. It runs in our memory until it has another program. */
struct birth {
	const struct child_params *params;
	pid_t parent;
	char **environment;
	char *scratch_text;		  /* of it; NULL = none */
	char pid_text[PID_TEXT_MAX + 12]; /* "LISTEN_PID=N": only it knows N */
	/* All at HIGH_FD or above; -1 = none. */
	int null_fd, stdin_fd, stdout_fd, words_fd, listen_fd;
	int error_fd; /* takes the errno for which there is no other program */
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

NO_RETURN static void give_up(const struct birth *birth)
{
	const int error = errno;

	/* If this fails, its status is all there is. */
	(void)!write(birth->error_fd, &error, sizeof(error));
	_exit(127);
}

static void signals_reset(void)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int files_arrange(const struct birth *birth)
{
	unsigned first = LISTEN_FD;

	if (dup2(birth->stdin_fd >= 0 ? birth->stdin_fd : birth->null_fd, 0) < 0 ||
	    dup2(birth->stdout_fd >= 0 ? birth->stdout_fd : birth->null_fd, 1) < 0 ||
	    dup2(birth->words_fd >= 0 ? birth->words_fd : birth->null_fd, 2) < 0)
		return -1;
	if (birth->listen_fd >= 0 && dup2(birth->listen_fd, (int)first++) < 0)
		return -1;
	return (int)syscall(SYS_close_range, first, ~0U, CLOSE_RANGE_CLOEXEC);
}

NO_RETURN static void child_main(struct birth *birth)
{
	const struct child_params *params = birth->params;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Who ended before that was asked for sends no signal. */
	if (getppid() != birth->parent)
		_exit(127);
	signals_reset();
	if (setsid() < 0 || sandbox_limit(RLIMIT_CORE, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || files_arrange(birth) < 0 ||
	    (params->sandbox && sandbox_enter(params->sandbox) < 0))
		give_up(birth);
	pid_put(birth->pid_text + strlen("LISTEN_PID="), getpid());
	execvpe(params->argv[0], (char *const *)params->argv, birth->environment);
	give_up(birth);
}

/* --- In the parent -----------------------------------------------------------------------------
 */

static bool begins(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Ours, but for what is said of sockets; where words are wanted, in a language that is known. */
static char **environment_make(struct birth *birth)
{
	static char fds[] = "LISTEN_FDS=1";
	static char language[] = "LC_ALL=C";
	const bool words = birth->params->words;
	const struct child_sandbox *sandbox = birth->params->sandbox;
	const char *scratch = sandbox ? sandbox->scratch : NULL;
	size_t count = 0;
	size_t kept = 0;
	char **all;

	while (environ[count])
		count++;
	all = xcalloc(count + 5, sizeof(*all));
	for (size_t i = 0; i < count; i++) {
		if (!begins(environ[i], "LISTEN_") && !begins(environ[i], "NOTIFY_SOCKET=") &&
		    !(words && begins(environ[i], "LC_")) &&
		    !(scratch && begins(environ[i], "TMPDIR=")))
			all[kept++] = environ[i];
	}
	if (scratch)
		all[kept++] = birth->scratch_text = xasprintf("TMPDIR=%s", scratch);
	if (words)
		all[kept++] = language;
	snprintf(birth->pid_text, sizeof(birth->pid_text), "LISTEN_PID=");
	if (birth->params->listen_fd >= 0) {
		all[kept++] = fds;
		all[kept++] = birth->pid_text;
	}
	return all;
}

/* A copy out of the child's way; of -1, -1. */
static int raised(int fd, int *ret_fd)
{
	if (fd < 0)
		return 0;
	*ret_fd = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
	return *ret_fd < 0 ? -errno : 0;
}

/* A pipe whose writing end is out of the child's way. */
static int pipe_make(int *ret_read_fd, int *ret_write_fd)
{
	int fds[2];
	int r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	r = raised(fds[1], ret_write_fd);
	close(fds[1]);
	*ret_read_fd = fds[0];
	return r;
}

/* One that is read without waiting. */
static int stream_make(int *ret_read_fd, int *ret_write_fd)
{
	const int r = pipe_make(ret_read_fd, ret_write_fd);

	if (r == 0)
		fcntl(*ret_read_fd, F_SETFL, O_NONBLOCK);
	return r;
}

static int birth_prepare(struct birth *birth, struct child *child)
{
	const struct child_params *params = birth->params;
	CLEANUP_FD int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int r = null_fd < 0 ? -errno : raised(null_fd, &birth->null_fd);

	if (r == 0)
		r = raised(params->stdin_fd, &birth->stdin_fd);
	if (r == 0)
		r = raised(params->stdout_fd, &birth->stdout_fd);
	if (r == 0)
		r = raised(params->listen_fd, &birth->listen_fd);
	if (r == 0 && params->words)
		r = stream_make(&child->words_fd, &birth->words_fd);
	if (r == 0 && params->output)
		r = stream_make(&child->output_fd, &birth->stdout_fd);
	return r;
}

static void birth_end(struct birth *birth)
{
	base_close(&birth->null_fd);
	base_close(&birth->stdin_fd);
	base_close(&birth->stdout_fd);
	base_close(&birth->words_fd);
	base_close(&birth->listen_fd);
	base_close(&birth->error_fd);
	free(birth->environment);
	free(birth->scratch_text);
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

/* Until it has another program, or has said why not. */
static int birth_wait(struct birth *birth, int error_fd)
{
	int error = 0;
	ssize_t got;

	base_close(&birth->error_fd);
	do
		got = read(error_fd, &error, sizeof(error));
	while (got < 0 && errno == EINTR);
	return got == sizeof(error) ? -error : 0;
}

static int birth_run(struct birth *birth, struct child *child)
{
	CLEANUP_FD int error_fd = -1;
	int r = birth_prepare(birth, child);

	if (r == 0)
		r = pipe_make(&error_fd, &birth->error_fd);
	if (r < 0)
		return r;
	birth->environment = environment_make(birth);
	birth->parent = getpid();
	child->pid = give_birth(birth);
	if (child->pid < 0) {
		r = -errno;
		child->pid = 0;
		return r;
	}
	child->pid_fd = (int)syscall(SYS_pidfd_open, child->pid, 0);
	return child->pid_fd < 0 ? -errno : birth_wait(birth, error_fd);
}

int child_start(struct child *child, const struct child_params *params, struct err *err)
{
	struct birth birth = {.params = params,
			      .null_fd = -1,
			      .stdin_fd = -1,
			      .stdout_fd = -1,
			      .words_fd = -1,
			      .listen_fd = -1,
			      .error_fd = -1};
	int r;

	*child = (struct child){
		.pid_fd = -1, .words_fd = -1, .output_fd = -1, .program = params->argv[0]};
	r = birth_run(&birth, child);
	birth_end(&birth);
	if (r == 0)
		return 0;
	child_stop(child);
	if (r == -ENOENT && params->package)
		return err_set(err, -ENOPKG, "%.100s is not installed: apt install %s",
			       params->argv[0], params->package);
	return err_set(err, r, "%.100s cannot be run: %s", params->argv[0], strerror(-r));
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

/* 0 when it has ended. */
static int end_wait(const struct child *child, unsigned timeout_ms, const atomic_bool *stop)
{
	for (unsigned waited = 0; waited < timeout_ms; waited += SLICE_MS) {
		struct pollfd poller = {.fd = child->pid_fd, .events = POLLIN};

		if (poll(&poller, 1, (int)MIN(SLICE_MS, timeout_ms - waited)) > 0)
			return 0;
		if (stop && atomic_load(stop))
			return -ECANCELED;
	}
	return -ETIMEDOUT;
}

static void session_kill(const struct child *child)
{
	kill(-child->pid, SIGKILL);
	/* It may not lead a session yet. */
	kill(child->pid, SIGKILL);
}

/* Of one that has ended. What it left in its session ends too, while the number is its own. */
static int reap(struct child *child)
{
	int status = 0;

	session_kill(child);
	while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	child->pid = 0;
	return status;
}

static bool has_ended(const struct child *child)
{
	struct pollfd poller = {.fd = child->pid_fd, .events = POLLIN};

	return poll(&poller, 1, 0) > 0;
}

bool child_look(struct child *child, int *ret_status)
{
	int status;

	if (child->pid <= 0)
		return true;
	words_read(child);
	if (!has_ended(child))
		return false;
	words_read(child);
	status = reap(child);
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
		session_kill(child);
		if (child->pid_fd < 0 || end_wait(child, CHILD_KILL_MS, NULL) == 0)
			reap(child);
	}
	child->pid = 0;
	base_close(&child->pid_fd);
	base_close(&child->words_fd);
	base_close(&child->output_fd);
}

int child_run(const struct child_params *params, int *ret_status, struct err *err)
{
	const char *program = params->argv[0];
	struct child child;
	int r = child_start(&child, params, err);

	if (r < 0)
		return r;
	r = end_wait(&child, params->timeout_ms, params->stop);
	if (r == 0)
		*ret_status = reap(&child);
	child_stop(&child);
	if (r == -ETIMEDOUT)
		return err_set(err, r, "%.100s did not end in time (%g s)", program,
			       params->timeout_ms / 1e3);
	if (r == -ECANCELED)
		return err_set(err, r, "%.100s was stopped", program);
	return 0;
}

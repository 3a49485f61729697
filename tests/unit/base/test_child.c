/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Children: what they get of ours, what they say, how they end, and what ends with them. Shell
 * scripts are the programs.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>

#include <quoin/base_child.h>

#define OUTPUT_MAX 4096
#define LONG_MS 60000

static const char *probe; /* tests/unit/base/child_probe.c, built */

/* All that a script prints, run with a limit. */
static const char *script_run(const char *script, const struct child_sandbox *sandbox, int *ret_r,
			      int *ret_status)
{
	static char text[OUTPUT_MAX];
	const char *const argv[] = {"sh", "-c", script, NULL};
	struct child_params params = {.argv = argv,
				      .stdin_fd = -1,
				      .listen_fd = -1,
				      .timeout_ms = LONG_MS,
				      .sandbox = sandbox};
	struct err err;
	ssize_t length;
	int fds[2];

	/* What is printed fits into a pipe. */
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	params.stdout_fd = fds[1];
	*ret_r = child_run(&params, ret_status, &err);
	close(fds[1]);
	length = read(fds[0], text, sizeof(text) - 1);
	close(fds[0]);
	text[length > 0 ? length : 0] = '\0';
	return text;
}

static const char *printed(const char *script)
{
	int r;
	int status;
	const char *text = script_run(script, NULL, &r, &status);

	assert_int_equal(r, 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return text;
}

static void nothing_of_ours(void **state)
{
	sigset_t set;
	int open_fd;

	/* What it must not get: a descriptor, ignored and blocked signals, words for us. */
	open_fd = dup(2);
	assert_true(open_fd > 2);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	setenv("LISTEN_FDS", "7", 1);
	setenv("NOTIFY_SOCKET", "/run/x", 1);
	setenv("KEPT", "yes", 1);
	/* The last one is that of the directory. */
	assert_string_equal(printed("for fd in /proc/$$/fd/*; do echo ${fd##*/}; done"),
			    "0\n1\n2\n3\n");
	assert_string_equal(printed("grep -E '^Sig(Blk|Ign)' /proc/self/status | cut -f 2"),
			    "0000000000000000\n0000000000000000\n");
	assert_string_equal(printed("grep NoNewPrivs /proc/self/status | cut -f 2"), "1\n");
	assert_string_equal(printed("ulimit -Sc; ulimit -Hc"), "0\n0\n");
	assert_string_equal(printed("echo $KEPT$LISTEN_FDS$NOTIFY_SOCKET"), "yes\n");
	/* It leads a session: number 6 of the line, after "(sh) S parent group". */
	assert_string_equal(printed("set -- $(cat /proc/$$/stat); test $6 = $$ && echo leads"),
			    "leads\n");
	close(open_fd);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	signal(SIGHUP, SIG_DFL);
	unsetenv("LISTEN_FDS");
	unsetenv("NOTIFY_SOCKET");
}

static void status_is_told(void **state)
{
	int r;
	int status;

	script_run("exit 7", NULL, &r, &status);
	assert_int_equal(r, 0);
	assert_int_equal(WEXITSTATUS(status), 7);
	script_run("kill -KILL $$", NULL, &r, &status);
	assert_int_equal(r, 0);
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void not_there(void **state)
{
	const char *argv[] = {"/nonexistent/program", NULL};
	struct child_params params = {.argv = argv,
				      .stdin_fd = -1,
				      .stdout_fd = -1,
				      .listen_fd = -1,
				      .timeout_ms = LONG_MS};
	struct child child;
	struct err err;
	int status;

	assert_int_equal(child_start(&child, &params, &err), -ENOENT);
	assert_non_null(strstr(err.text, "cannot be run"));
	assert_int_equal(child.pid, 0);
	params.package = "some-package";
	assert_int_equal(child_run(&params, &status, &err), -ENOPKG);
	assert_non_null(strstr(err.text, "apt install some-package"));
	argv[0] = "/proc/version";
	assert_int_equal(child_run(&params, &status, &err), -EACCES);
}

/* Until nobody is at the other end of a pipe that the child and all it started have. */
static void wait_until_closed(int fd)
{
	char byte;

	while (read(fd, &byte, 1) > 0)
		continue;
}

/* In the background, in a group of its own, deaf to all that can be ignored. */
#define STUBBORN "trap '' TERM HUP INT; (trap '' TERM HUP INT; sleep 1000) & echo up; sleep 1000"

static void the_whole_session_ends(void **state)
{
	const char *const argv[] = {"sh", "-c", STUBBORN, NULL};
	struct child_params params = {
		.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .listen_fd = -1, .timeout_ms = 1};
	atomic_bool stop = true;
	struct child child;
	struct err err;
	int fds[2];
	int status;
	char byte;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	params.stdout_fd = fds[1];
	assert_int_equal(child_start(&child, &params, &err), 0);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	assert_false(child_look(&child, &status));
	child_stop(&child);
	child_stop(&child);
	assert_int_equal(child_run(&params, &status, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.text, "sh did not end in time"));
	params.timeout_ms = LONG_MS;
	params.stop = &stop;
	assert_int_equal(child_run(&params, &status, &err), -ECANCELED);
	close(fds[1]);
	wait_until_closed(fds[0]);
	close(fds[0]);
}

/* One that ends by itself leaves nothing either. */
static void what_it_leaves_ends(void **state)
{
	const char *const argv[] = {"sh", "-c", "sleep 1000 & exit 0", NULL};
	struct child_params params = {.argv = argv,
				      .stdin_fd = -1,
				      .stdout_fd = -1,
				      .listen_fd = -1,
				      .timeout_ms = LONG_MS};
	struct child child;
	struct err err;
	int fds[2];
	int status = -1;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	params.stdout_fd = fds[1];
	assert_int_equal(child_run(&params, &status, &err), 0);
	assert_int_equal(child_start(&child, &params, &err), 0);
	while (!child_look(&child, &status))
		usleep(1000);
	close(fds[1]);
	wait_until_closed(fds[0]);
	close(fds[0]);
	assert_int_equal(status, 0);
}

static void *start_and_leave(void *arg)
{
	const char *const argv[] = {"sh", "-c", "exec sleep 1000", NULL};
	const struct child_params params = {
		.argv = argv, .stdin_fd = -1, .stdout_fd = *(int *)arg, .listen_fd = -1};
	struct child child;
	struct err err;

	if (child_start(&child, &params, &err) < 0)
		return NULL;
	close(child.pid_fd);
	return (void *)(intptr_t)child.pid;
}

static void it_ends_with_its_thread(void **state)
{
	pthread_t thread;
	void *pid;
	int status;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&thread, NULL, start_and_leave, &fds[1]), 0);
	pthread_join(thread, &pid);
	assert_non_null(pid);
	assert_int_equal(waitpid((pid_t)(intptr_t)pid, &status, 0), (pid_t)(intptr_t)pid);
	assert_int_equal(WTERMSIG(status), SIGKILL);
	close(fds[0]);
	close(fds[1]);
}

static void its_words(void **state)
{
	const char *const argv[] = {
		"sh", "-c",
		"echo $LC_ALL; i=0; while [ $i -lt 100 ]; do echo many words in a row "
		">&2; i=$((i + 1)); done; printf 'sh: the \\001 reason\\n\\n' >&2",
		NULL};
	const struct child_params params = {.argv = argv,
					    .stdin_fd = -1,
					    .stdout_fd = -1,
					    .listen_fd = -1,
					    .output = true,
					    .words = true};
	struct child child;
	struct err err;
	char text[8] = "";

	assert_int_equal(child_start(&child, &params, &err), 0);
	/* What it prints is there until its end is looked at. */
	while (read(child.output_fd, text, sizeof(text) - 1) < 0)
		usleep(1000);
	while (!child_look(&child, NULL))
		usleep(1000);
	assert_string_equal(text, "C\n");
	assert_string_equal(child_reason(&child), "the ? reason");
}

static void a_socket_is_handed_over(void **state)
{
	const char *const argv[] = {
		"sh", "-c", "test $LISTEN_PID = $$ && test $LISTEN_FDS = 1 && echo hello >&3",
		NULL};
	struct child_params params = {
		.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .timeout_ms = LONG_MS};
	struct err err;
	int sockets[2];
	int status;
	char text[8] = "";

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	params.listen_fd = sockets[1];
	assert_int_equal(child_run(&params, &status, &err), 0);
	assert_int_equal(status, 0);
	assert_int_equal(read(sockets[0], text, sizeof(text) - 1), 6);
	assert_string_equal(text, "hello\n");
	close(sockets[0]);
	close(sockets[1]);
}

/* --- Sandboxes -------------------------------------------------------------------------------- */

static void a_sandbox_has_few_capabilities(void **state)
{
	const struct child_sandbox sandbox = {.capabilities = UINT64_C(1) << CAP_DAC_READ_SEARCH};
	const unsigned long long ours =
		strtoull(printed("grep CapPrm /proc/self/status | cut -f 2"), NULL, 16);
	int r;
	int status;
	const char *text = script_run("grep -E 'Cap(Prm|Eff)' /proc/self/status | cut -f 2",
				      &sandbox, &r, &status);
	char wanted[64];

	assert_int_equal(r, 0);
	snprintf(wanted, sizeof(wanted), "%016llx\n%016llx\n", ours & sandbox.capabilities,
		 ours & sandbox.capabilities);
	assert_string_equal(text, wanted);
}

static void a_sandbox_has_limits(void **state)
{
	const struct child_sandbox sandbox = {.memory_bytes = GiB, .cpu_s = 1};
	char name[] = "/tmp/quoin-child-XXXXXX";
	const int fd = mkstemp(name);
	char script[128];
	int r;
	int status;

	assert_true(fd >= 0);
	snprintf(script, sizeof(script), "trap '' XFSZ; echo x >%s", name);
	script_run(script, &sandbox, &r, &status);
	assert_int_equal(r, 0);
	assert_int_not_equal(status, 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), 0);
	unlink(name);
	close(fd);
	script_run("while :; do :; done", &sandbox, &r, &status);
	assert_int_equal(r, 0);
	assert_true(WIFSIGNALED(status));
	script_run("test $(ulimit -v) = 1048576", &sandbox, &r, &status);
	assert_int_equal(status, 0);
}

/*
 * What the probe finds, in sandboxes without sockets, with local ones, and with those of the
 * Internet. Only the last one may open /dev/null.
 */
static const struct {
	const char *name;
	const char *in[3];
} findings[] = {
	{"read", {"yes", "yes", "yes"}},   {"thread", {"yes", "yes", "yes"}},
	{"fork", {"yes", "yes", "yes"}},   {"signal-self", {"yes", "yes", "yes"}},
	{"null", {"no", "no", "yes"}},	   {"write", {"no", "no", "no"}},
	{"make", {"no", "no", "no"}},	   {"remove", {"no", "no", "no"}},
	{"trace", {"no", "no", "no"}},	   {"signal-parent", {"no", "no", "no"}},
	{"mount", {"no", "no", "no"}},	   {"namespace", {"no", "no", "no"}},
	{"unshare", {"no", "no", "no"}},   {"keys", {"no", "no", "no"}},
	{"bpf", {"no", "no", "no"}},	   {"local-socket", {"no", "yes", "no"}},
	{"internet", {"no", "no", "yes"}}, {"remove-it", {"no", "no", "no"}},
};

/* With a file in that directory. */
static const char *probe_run(const struct child_sandbox *sandbox, const char *directory)
{
	char name[64];
	int fd;
	char script[512];
	const char *text;
	int status;
	int r;

	snprintf(name, sizeof(name), "%s/quoin-child-XXXXXX", directory);
	fd = mkstemp(name);
	assert_true(fd >= 0);
	close(fd);
	snprintf(script, sizeof(script), "exec %s %s", probe, name);
	text = script_run(script, sandbox, &r, &status);
	unlink(name);
	assert_int_equal(r, 0);
	assert_int_equal(status, 0);
	return text;
}

static bool found(const char *text, const char *name, const char *what)
{
	char line[64];

	snprintf(line, sizeof(line), "%s %s\n", name, what);
	return strstr(text, line) != NULL;
}

static void a_sandbox_keeps_its_child_in(void **state)
{
	static const enum child_sockets kinds[] = {CHILD_SOCKETS_NONE, CHILD_SOCKETS_LOCAL,
						   CHILD_SOCKETS_INTERNET};
	static const char *const free_to[] = {"write",	      "make",	  "signal-parent",
					      "local-socket", "internet", "remove-it"};
	const char *missing = child_sandbox_missing();
	const char *text = probe_run(NULL, "/tmp");

	/* Who is in none can do these, whoever we are. */
	for (size_t i = 0; i < ARRAY_SIZE(free_to); i++)
		assert_true(found(text, free_to[i], "yes"));
	if (missing)
		skip();
	for (size_t kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
		const struct child_sandbox sandbox = {.sockets = kinds[kind],
						      .needs_null = kind == 2};

		text = probe_run(&sandbox, "/tmp");
		for (size_t i = 0; i < ARRAY_SIZE(findings); i++)
			if (!found(text, findings[i].name, findings[i].in[kind]))
				fail_msg("kind %zu: %s is not %s:\n%s", kind, findings[i].name,
					 findings[i].in[kind], text);
	}
}

/* In its scratch directory it works with files, and nowhere else. */
static void a_sandbox_with_a_scratch_directory(void **state)
{
	static const char *const works[] = {"write", "make", "remove-it"};
	char scratch[] = "/tmp/quoin-scratch-XXXXXX";
	const struct child_sandbox sandbox = {.scratch = scratch};
	const char *text;
	int status;
	int r;

	assert_non_null(mkdtemp(scratch));
	if (child_sandbox_missing()) {
		rmdir(scratch);
		skip();
	}
	text = probe_run(&sandbox, scratch);
	for (size_t i = 0; i < ARRAY_SIZE(works); i++)
		assert_true(found(text, works[i], "yes"));
	assert_true(found(text, "null", "no"));
	text = probe_run(&sandbox, "/tmp");
	for (size_t i = 0; i < ARRAY_SIZE(works); i++)
		assert_true(found(text, works[i], "no"));
	text = script_run("echo $TMPDIR", &sandbox, &r, &status);
	assert_int_equal(strncmp(text, scratch, strlen(scratch)), 0);
	assert_int_equal(rmdir(scratch), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_of_ours),
		cmocka_unit_test(status_is_told),
		cmocka_unit_test(not_there),
		cmocka_unit_test(the_whole_session_ends),
		cmocka_unit_test(what_it_leaves_ends),
		cmocka_unit_test(it_ends_with_its_thread),
		cmocka_unit_test(its_words),
		cmocka_unit_test(a_socket_is_handed_over),
		cmocka_unit_test(a_sandbox_has_few_capabilities),
		cmocka_unit_test(a_sandbox_has_limits),
		cmocka_unit_test(a_sandbox_keeps_its_child_in),
		cmocka_unit_test(a_sandbox_with_a_scratch_directory),
	};

	if (argc != 2)
		return 2;
	probe = argv[1];

	return cmocka_run_group_tests(tests, NULL, NULL);
}

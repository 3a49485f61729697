/* SPDX-License-Identifier: Apache-2.0 */
/* Scope-bound clean-up, and assertions that end the process. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include <quoin/base_assert.h>

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void scope_closes(void **state)
{
	int seen;

	{
		CLEANUP_FD int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		CLEANUP_FD int none = -1;
		CLEANUP_FREE char *memory = malloc(100);
		CLEANUP_FREE char *no_memory = NULL;

		assert_non_null(memory);
		assert_null(no_memory);
		assert_int_equal(none, -1);
		seen = fd;
		assert_true(is_open(seen));
	}
	assert_false(is_open(seen));
}

static void close_keeps_errno(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	const int seen = fd;

	errno = ENOTTY;
	base_close(&fd);
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(fd, -1);
	assert_false(is_open(seen));
	errno = ENOTTY;
	base_close(&fd);
	assert_int_equal(errno, ENOTTY);
	fd = 1 << 29; /* not open: errno stays nevertheless */
	base_close(&fd);
	assert_int_equal(errno, ENOTTY);
}

static void break_a_rule(void)
{
	const uint64_t size = 5;

	ASSERT_U64(size, <=, 5);
	ASSERT(size == 5);
	ASSERT_U64(size, <, 5);
}

static void assertion_prints_values_and_aborts(void **state)
{
	const struct rlimit no_core = {0};
	char output[512];
	int fds[2];
	int status = 0;
	ssize_t length;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		setrlimit(RLIMIT_CORE, &no_core);
		dup2(fds[1], STDERR_FILENO);
		break_a_rule();
		_exit(0);
	}
	close(fds[1]);
	length = read(fds[0], output, sizeof(output) - 1);
	assert_true(length > 0);
	output[length] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_non_null(strstr(output, "assertion failed: size < 5 (5, 5; 0x5, 0x5)"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scope_closes),
		cmocka_unit_test(close_keeps_errno),
		cmocka_unit_test(assertion_prints_values_and_aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

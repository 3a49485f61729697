/* SPDX-License-Identifier: Apache-2.0 */
/* The default socket of an ordinary user without a runtime directory: in /tmp, but in private. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <quoin/api_paths.h>

#define NOBODY_IN_PARTICULAR 54321 /* used when the test runs as root */

/* Root again, and dumpable, which seteuid() ends: the leak checker looks at us as a debugger does.
 */
static int teardown(void **state)
{
	return seteuid(getuid()) < 0 ? -1 : prctl(PR_SET_DUMPABLE, 1);
}

static int get(char **ret)
{
	struct err err;

	return api_socket_default(ret, &err);
}

static void test_directory_in_tmp(void **state)
{
	char directory[64];
	char *path = NULL;
	struct stat st;

	if (geteuid() == 0)
		assert_int_equal(seteuid(NOBODY_IN_PARTICULAR), 0);
	snprintf(directory, sizeof(directory), "/tmp/quoin-%u", geteuid());
	if (rmdir(directory) < 0 && errno != ENOENT)
		skip();
	unsetenv("XDG_RUNTIME_DIR");

	/* It is there, and ours, before anybody else can put something in its place. */
	assert_int_equal(get(&path), 0);
	free(path);
	assert_int_equal(lstat(directory, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(get(&path), 0);
	free(path);

	assert_int_equal(chmod(directory, 0755), 0);
	assert_int_equal(get(&path), -EPERM);
	assert_int_equal(rmdir(directory), 0);
	assert_int_equal(symlink("/tmp", directory), 0);
	assert_int_equal(get(&path), -EPERM);
	assert_int_equal(unlink(directory), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_directory_in_tmp, teardown)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

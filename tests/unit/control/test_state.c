/* SPDX-License-Identifier: Apache-2.0 */
/* The state directory: lock, load, atomic save, and files that are not what they should be. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state.h"

struct fixture {
	char directory[64];
	struct control_state state;
};

static void path_in(const struct fixture *f, const char *name, char path[128])
{
	snprintf(path, 128, "%s/%s", f->directory, name);
}

static void file_put(const struct fixture *f, const char *text)
{
	char path[128];
	FILE *file;

	path_in(f, "targets.json", path);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->directory, sizeof(f->directory), "/tmp/quoin-state-XXXXXX");
	if (!mkdtemp(f->directory))
		return -1;
	*state = f;
	return control_state_open(&f->state, f->directory, NULL);
}

static int teardown(void **state)
{
	static const char *const names[] = {"targets.json", "targets.json.new", "pools.json",
					    "lock"};
	struct fixture *f = *state;
	char path[128];

	control_state_close(&f->state);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		path_in(f, names[i], path);
		unlink(path);
	}
	rmdir(f->directory);
	free(f);
	return 0;
}

static void none_yet(void **state)
{
	struct fixture *f = *state;
	json_t *targets = NULL;

	assert_int_equal(control_state_load(&f->state, CONTROL_STATE_TARGETS, &targets, NULL), 0);
	assert_int_equal(json_array_size(targets), 0);
	json_decref(targets);
}

static void saved_and_loaded(void **state)
{
	struct fixture *f = *state;
	json_t *in = json_pack("[{s:s}, {s:i}]", "name", "vm1", "x", 7);
	json_t *out = NULL;
	struct stat st;
	char path[128];

	assert_int_equal(control_state_save(&f->state, CONTROL_STATE_TARGETS, in, NULL), 0);
	assert_int_equal(control_state_load(&f->state, CONTROL_STATE_TARGETS, &out, NULL), 0);
	assert_true(json_equal(in, out));
	path_in(f, "targets.json", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	path_in(f, "targets.json.new", path);
	assert_int_equal(access(path, F_OK), -1);
	json_decref(in);
	json_decref(out);
}

static void lists_are_apart(void **state)
{
	struct fixture *f = *state;
	json_t *pools = json_pack("[{s:s}]", "name", "tank");
	json_t *out = NULL;
	char path[128];

	assert_int_equal(control_state_save(&f->state, CONTROL_STATE_POOLS, pools, NULL), 0);
	assert_int_equal(control_state_load(&f->state, CONTROL_STATE_TARGETS, &out, NULL), 0);
	assert_int_equal(json_array_size(out), 0);
	json_decref(out);
	assert_int_equal(control_state_load(&f->state, CONTROL_STATE_POOLS, &out, NULL), 0);
	assert_true(json_equal(pools, out));
	path_in(f, "pools.json", path);
	assert_int_equal(access(path, F_OK), 0);
	json_decref(out);
	json_decref(pools);
}

static void one_daemon_only(void **state)
{
	struct fixture *f = *state;
	struct control_state second;
	struct err err;

	assert_int_equal(control_state_open(&second, f->directory, &err), -EBUSY);
	assert_non_null(strstr(err.text, f->directory));
	control_state_close(&f->state);
	assert_int_equal(control_state_open(&second, f->directory, &err), 0);
	f->state = second;
}

static void damaged(void **state)
{
	static const struct {
		const char *text;
		int code;
	} cases[] = {
		{"", -EUCLEAN},
		{"{", -EUCLEAN},
		{"[]", -EUCLEAN},
		{"{\"targets\": []}", -EUCLEAN},
		{"{\"version\": 0, \"targets\": []}", -EUCLEAN},
		{"{\"version\": \"1\", \"targets\": []}", -EUCLEAN},
		{"{\"version\": 1}", -EUCLEAN},
		{"{\"version\": 1, \"targets\": {}}", -EUCLEAN},
		{"{\"version\": 1, \"version\": 1, \"targets\": []}", -EUCLEAN},
		{"{\"version\": 2, \"targets\": []}", -EPROTO},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *targets = (json_t *)1;
		struct err err;

		file_put(f, cases[i].text);
		assert_int_equal(
			control_state_load(&f->state, CONTROL_STATE_TARGETS, &targets, &err),
			cases[i].code);
		assert_non_null(strstr(err.text, "targets.json"));
		assert_ptr_equal(targets, (json_t *)1);
	}
}

/* A device that is full shows as a short write; a file size limit shows the same to anybody. */
static void no_space_keeps_the_old(void **state)
{
	const struct rlimit none = {.rlim_cur = 100, .rlim_max = RLIM_INFINITY};
	const struct rlimit all = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
	struct fixture *f = *state;
	json_t *small = json_pack("[{s:s}]", "name", "vm1");
	json_t *large = json_array();
	json_t *out = NULL;
	struct err err;
	int r;

	for (int i = 0; i < 100; i++)
		json_array_append_new(large, json_pack("{s:s}", "name", "vm1"));
	assert_int_equal(control_state_save(&f->state, CONTROL_STATE_TARGETS, small, NULL), 0);
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &none);
	r = control_state_save(&f->state, CONTROL_STATE_TARGETS, large, &err);
	setrlimit(RLIMIT_FSIZE, &all);
	assert_int_equal(r, -EFBIG);
	assert_int_equal(control_state_load(&f->state, CONTROL_STATE_TARGETS, &out, NULL), 0);
	assert_true(json_equal(small, out));
	json_decref(small);
	json_decref(large);
	json_decref(out);
}

static void directories(void **state)
{
	struct fixture *f = *state;
	char deep[160];
	char path[128];
	struct stat st;

	path_in(f, "a", path);
	snprintf(deep, sizeof(deep), "%s/b", path);
	assert_int_equal(control_directory_make(deep, NULL), 0);
	assert_int_equal(control_directory_make(deep, NULL), 0);
	assert_int_equal(stat(deep, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	rmdir(deep);
	rmdir(path);
	assert_int_equal(control_directory_make("relative", NULL), -EINVAL);
	file_put(f, "x");
	path_in(f, "targets.json", path);
	assert_int_equal(control_directory_make(path, NULL), -ENOTDIR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(none_yet, setup, teardown),
		cmocka_unit_test_setup_teardown(saved_and_loaded, setup, teardown),
		cmocka_unit_test_setup_teardown(lists_are_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(one_daemon_only, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(no_space_keeps_the_old, setup, teardown),
		cmocka_unit_test_setup_teardown(directories, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

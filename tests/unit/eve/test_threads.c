/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reporter beside a whole daemon without pools: its threads while it is asked, told to send,
 * and configured anew, by several at once. Nothing is waited for by the clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <quoin/base_text.h>
#include <quoin/control.h>
#include <quoin/eve.h>

struct test {
	char directory[64];
	char state[96];
	struct control *control;
	struct eve *eve;
	atomic_bool stop;
};

static int setup(void **state)
{
	struct test *t = xcalloc(1, sizeof(*t));
	struct control_params control = {.workers = 1};
	struct eve_params eve = {.version = "1"};
	struct err err;

	signal(SIGPIPE, SIG_IGN);
	snprintf(t->directory, sizeof(t->directory), "/tmp/quoin-eve-XXXXXX");
	if (!mkdtemp(t->directory))
		return -1;
	snprintf(t->state, sizeof(t->state), "%s/state", t->directory);
	control.state_dir = eve.state_dir = t->state;
	control.runtime_dir = t->directory;
	*state = t;
	if (control_new(&control, &t->control, &err) < 0)
		return -1;
	eve.control = t->control;
	return eve_new(&eve, &t->eve, &err);
}

static int teardown(void **state)
{
	struct test *t = *state;
	CLEANUP_FREE char *remove = xasprintf("rm -rf %s", t->directory);
	struct err err;
	int r;

	eve_free(t->eve);
	r = control_stop(t->control, &err);
	control_free(t->control);
	r = system(remove) != 0 ? -1 : r;
	free(t);
	return r;
}

static void set(struct test *t, json_t *changes)
{
	struct eve_config config;
	struct err err;

	eve_config_get(t->eve, &config);
	assert_int_equal(eve_config_change(&config, changes, &err), 0);
	assert_int_equal(eve_configure(t->eve, &config, &err), 0);
	json_decref(changes);
}

static void *asking(void *arg)
{
	struct test *t = arg;
	struct eve_status status;

	while (!atomic_load(&t->stop)) {
		eve_status(t->eve, &status);
		json_decref(eve_messages(t->eve));
		eve_send(t->eve);
		usleep(1000);
	}
	return NULL;
}

static int connected(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	while (connect(fd, (const void *)&address, sizeof(address)) < 0)
		usleep(1000);
	return fd;
}

static uint64_t delivered(struct test *t, enum eve_way way)
{
	struct eve_status status;

	eve_status(t->eve, &status);
	return status.ways[way].delivered;
}

/* Who asks, an agent that reads and asks for all again, files, a controller that is not there. */
static void all_at_once(void **state)
{
	struct test *t = *state;
	CLEANUP_FREE char *path = xasprintf("%s/eve.sock", t->directory);
	CLEANUP_FREE char *out = xasprintf("%s/out", t->directory);
	struct eve_status status;
	pthread_t threads[2];
	char bytes[4096];
	int fd;

	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, asking, t), 0);
	set(t, json_pack("{s:s, s:s, s:s, s:s, s:s}", "device",
			 "01234567-89ab-4def-8123-456789abcdef", "socket", path, "directory", out,
			 "controller", "http://127.0.0.1:1", "format", "json"));
	fd = connected(path);
	assert_true(recv(fd, bytes, sizeof(bytes), 0) > 0);
	assert_int_equal(send(fd, "send\nepoch 1\nepoch 2\n", 21, MSG_NOSIGNAL), 21);
	assert_true(recv(fd, bytes, sizeof(bytes), 0) > 0);
	while (delivered(t, EVE_DIRECTORY) == 0 || delivered(t, EVE_SOCKET) < 2)
		usleep(1000);
	do {
		usleep(1000);
		eve_status(t->eve, &status);
	} while (status.ways[EVE_CONTROLLER].failed == 0);
	assert_string_not_equal(status.ways[EVE_CONTROLLER].problem, "");
	for (unsigned i = 0; i < 10; i++)
		set(t, json_pack("{s:s?}", "directory", i % 2 ? out : NULL));
	/* It was dropped, with what the socket was. */
	while (recv(fd, bytes, sizeof(bytes), 0) > 0)
		;
	close(fd);
	atomic_store(&t->stop, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

/* An agent that never reads keeps nobody from the end. */
static void the_end_while_one_does_not_read(void **state)
{
	struct test *t = *state;
	CLEANUP_FREE char *path = xasprintf("%s/eve.sock", t->directory);
	int fd;

	set(t, json_pack("{s:s}", "socket", path));
	fd = connected(path);
	while (delivered(t, EVE_SOCKET) == 0)
		usleep(1000);
	eve_free(t->eve);
	t->eve = NULL;
	assert_int_equal(access(path, F_OK), -1);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(the_end_while_one_does_not_read, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

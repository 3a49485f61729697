/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks: programs and addresses that work, fail, hang, are not there; order, tries, restarts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <quoin/health_hook.h>

#define SENT_MAX 8192

struct fixture {
	char directory[64];
	char program[96];
	char out[96]; /* what the program writes */
	int fd;
	struct health_events *events;
	struct health_hook_params params;
	struct health_hook *hook;
	atomic_uint problems;
	/* A server for one connection at a time. */
	int listener;
	char url[64];
	pthread_t server;
	const char *answer; /* NULL: it says nothing */
	unsigned connections;
	char sent[SENT_MAX]; /* all that it got */
};

static void on_problem(void *data, const char *why)
{
	struct fixture *f = data;

	if (why)
		atomic_fetch_add(&f->problems, 1);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct health_events_params params;

	signal(SIGPIPE, SIG_IGN);
	snprintf(f->directory, sizeof(f->directory), "/tmp/quoin-hook-XXXXXX");
	if (!mkdtemp(f->directory))
		return -1;
	snprintf(f->program, sizeof(f->program), "%s/program", f->directory);
	snprintf(f->out, sizeof(f->out), "%s/out", f->directory);
	f->fd = open(f->directory, O_RDONLY | O_DIRECTORY);
	f->listener = -1;
	params = (struct health_events_params){.directory_fd = f->fd};
	*state = f;
	if (health_events_new(&params, &f->events) < 0)
		return -1;
	f->params = (struct health_hook_params){.events = f->events,
						.directory_fd = f->fd,
						.severity = HEALTH_WARNING,
						.problem = on_problem,
						.data = f,
						.timeout_ms = 10000,
						.retry_ms = 1};
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = {"program",	    "out",	"events.log",
					    "hook-program", "hook-url", "tries"};
	struct fixture *f = *state;

	health_hook_free(f->hook);
	health_events_free(f->events);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlinkat(f->fd, names[i], 0);
	close(f->fd);
	rmdir(f->directory);
	free(f);
	return 0;
}

/* A shell script; "$OUT" is the file for what it has to say. */
static void program_put(struct fixture *f, const char *text)
{
	FILE *file = fopen(f->program, "w");

	assert_non_null(file);
	fprintf(file, "#!/bin/sh\nOUT=%s\n%s\n", f->out, text);
	fclose(file);
	assert_int_equal(chmod(f->program, 0700), 0);
	f->params.program = f->program;
}

static void hook_open(struct fixture *f)
{
	struct err err;

	assert_int_equal(health_hook_new(&f->params, &f->hook, &err), 0);
}

static struct health_hook_status status(struct fixture *f)
{
	struct health_hook_status s;

	health_hook_status(f->hook, &s);
	return s;
}

static void wait_for(struct fixture *f, uint64_t delivered, uint64_t failed)
{
	while (status(f).delivered < delivered || status(f).failed < failed)
		usleep(1000);
	assert_int_equal(status(f).delivered, delivered);
	assert_int_equal(status(f).failed, failed);
}

static const char *out_read(struct fixture *f, char *text, size_t size)
{
	FILE *file = fopen(f->out, "r");
	size_t length = 0;

	if (file) {
		length = fread(text, 1, size - 1, file);
		fclose(file);
	}
	text[length] = '\0';
	return text;
}

static void a_program_gets_them_in_order(void **state)
{
	struct fixture *f = *state;
	char text[4096];

	program_put(f, "echo \"$@\" >>$OUT; cat >>$OUT; echo >>$OUT");
	hook_open(f);
	health_events_add(f->events, HEALTH_POOL_CREATED, "tank", "only a notice");
	health_events_add(f->events, HEALTH_POOL_DEGRADED, "tank", "a \"drive\" is gone");
	health_events_add(f->events, HEALTH_POOL_FULL, "tank", "full");
	wait_for(f, 2, 0);
	out_read(f, text, sizeof(text));
	assert_true(strncmp(text, "pool.degraded warning tank\n{\"number\":2,", 39) == 0);
	assert_non_null(strstr(text, "a \\\"drive\\\" is gone"));
	assert_non_null(strstr(text, "}\npool.full error tank\n"));
	assert_null(strstr(text, "notice"));
	assert_string_equal(status(f).problem, "");
}

/* It fails twice and then does it. */
static void tried_again(void **state)
{
	struct fixture *f = *state;
	char text[128];

	program_put(f, "echo x >>$OUT; test $(wc -l <$OUT) -ge 3");
	hook_open(f);
	health_events_add(f->events, HEALTH_POOL_FULL, "tank", "full");
	wait_for(f, 1, 0);
	assert_string_equal(out_read(f, text, sizeof(text)), "x\nx\nx\n");
	assert_int_equal(status(f).retries, 2);
	assert_int_equal(f->problems, 1);
}

static void given_up(void **state)
{
	struct fixture *f = *state;

	program_put(f, "test $1 = pool.full");
	hook_open(f);
	health_events_add(f->events, HEALTH_POOL_DEGRADED, "tank", "x");
	health_events_add(f->events, HEALTH_POOL_FULL, "tank", "y");
	wait_for(f, 1, 1);
	assert_int_equal(status(f).retries, HEALTH_HOOK_TRIES - 1);
}

static void no_such_program(void **state)
{
	struct fixture *f = *state;

	f->params.program = "/nonexistent/program";
	hook_open(f);
	health_events_add(f->events, HEALTH_POOL_FULL, "tank", "y");
	wait_for(f, 0, 1);
	assert_non_null(strstr(status(f).problem, "cannot be run"));
}

/* With what it started, and soon. */
static void a_program_that_hangs(void **state)
{
	struct fixture *f = *state;

	f->params.timeout_ms = 150;
	program_put(f, "sleep 1000 & sleep 1000");
	hook_open(f);
	health_events_add(f->events, HEALTH_POOL_FULL, "tank", "y");
	wait_for(f, 0, 1);
	assert_non_null(strstr(status(f).problem, "did not end"));
}

/* An hour would pass, if it waited for the program. */
static void stopped_while_it_runs(void **state)
{
	struct fixture *f = *state;
	char text[16];

	f->params.timeout_ms = 3600 * 1000;
	program_put(f, "echo x >$OUT; sleep 3600");
	hook_open(f);
	health_events_add(f->events, HEALTH_POOL_FULL, "tank", "y");
	while (out_read(f, text, sizeof(text))[0] != 'x')
		usleep(1000);
	health_hook_free(f->hook);
	/* It was not done: after a restart it comes again. */
	program_put(f, "true");
	hook_open(f);
	wait_for(f, 1, 0);
}

static void goes_on_after_a_restart(void **state)
{
	struct fixture *f = *state;
	char text[256];

	program_put(f, "echo $1 >>$OUT");
	hook_open(f);
	health_events_add(f->events, HEALTH_POOL_FULL, "tank", "y");
	wait_for(f, 1, 0);
	health_hook_free(f->hook);
	health_events_add(f->events, HEALTH_POOL_DEGRADED, "tank", "z");
	hook_open(f);
	wait_for(f, 1, 0);
	assert_string_equal(out_read(f, text, sizeof(text)), "pool.full\npool.degraded\n");
}

/* What happened before there was a hook is not its business. */
static void a_new_one_begins_now(void **state)
{
	struct fixture *f = *state;
	char text[256];

	health_events_add(f->events, HEALTH_POOL_FULL, "tank", "y");
	program_put(f, "echo $1 >>$OUT");
	hook_open(f);
	health_events_add(f->events, HEALTH_POOL_DEGRADED, "tank", "z");
	wait_for(f, 1, 0);
	assert_string_equal(out_read(f, text, sizeof(text)), "pool.degraded\n");
}

/* A number that is none, or of a journal that is gone. */
static void a_damaged_place(void **state)
{
	static const char *const texts[] = {"", "x\n", "99999999999999999999999999\n", "5",
					    "7000\n"};
	struct fixture *f = *state;

	program_put(f, "true");
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const int fd = openat(f->fd, "hook-program", O_WRONLY | O_CREAT | O_TRUNC, 0600);

		assert_int_equal(write(fd, texts[i], strlen(texts[i])), strlen(texts[i]));
		close(fd);
		hook_open(f);
		health_events_add(f->events, HEALTH_POOL_FULL, i % 2 ? "tank" : "lake", "y");
		wait_for(f, 1, 0);
		health_hook_free(f->hook);
		f->hook = NULL;
	}
}

/* --- Addresses ---------------------------------------------------------------------------------
 */

/* Reads a request up to the end of its body. */
static bool request_read(struct fixture *f, int fd)
{
	char *text = f->sent + strlen(f->sent);
	size_t room = sizeof(f->sent) - strlen(f->sent) - 1;
	size_t length = 0;

	for (;;) {
		const ssize_t n = read(fd, text + length, room - length);
		const char *body;

		if (n <= 0)
			return false;
		length += (size_t)n;
		text[length] = '\0';
		body = strstr(text, "\r\n\r\n");
		if (body && strchr(body, '}'))
			return true;
	}
}

static void *server_main(void *arg)
{
	struct fixture *f = arg;
	int fd;

	while ((fd = accept(f->listener, NULL, NULL)) >= 0) {
		char byte;

		f->connections++;
		if (request_read(f, fd) && f->answer)
			(void)!write(fd, f->answer, strlen(f->answer));
		else
			(void)!read(fd, &byte, 1); /* until the other side has enough */
		close(fd);
	}
	return NULL;
}

static void server_start(struct fixture *f, const char *answer)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t length = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	f->answer = answer;
	f->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(f->listener, 4), 0);
	assert_int_equal(getsockname(f->listener, (struct sockaddr *)&address, &length), 0);
	snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u/events", ntohs(address.sin_port));
	f->params.url = f->url;
	assert_int_equal(pthread_create(&f->server, NULL, server_main, f), 0);
}

static void server_stop(struct fixture *f)
{
	health_hook_free(f->hook);
	f->hook = NULL;
	shutdown(f->listener, SHUT_RDWR);
	pthread_join(f->server, NULL);
	close(f->listener);
}

static void an_address_gets_them(void **state)
{
	struct fixture *f = *state;

	server_start(f, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
	hook_open(f);
	health_events_add(f->events, HEALTH_POOL_DEGRADED, "tank", "x");
	health_events_add(f->events, HEALTH_POOL_FULL, "tank", "y");
	wait_for(f, 2, 0);
	server_stop(f);
	assert_int_equal(f->connections, 2);
	assert_true(strncmp(f->sent, "POST /events HTTP/1.1\r\n", 23) == 0);
	assert_non_null(strstr(f->sent, "Content-Type: application/json"));
	assert_non_null(strstr(f->sent, "\"type\":\"pool.degraded\""));
	assert_non_null(strstr(f->sent, "\"type\":\"pool.full\""));
}

static void an_address_that_refuses(void **state)
{
	struct fixture *f = *state;

	server_start(f, "HTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
	hook_open(f);
	health_events_add(f->events, HEALTH_POOL_FULL, "tank", "y");
	wait_for(f, 0, 1);
	assert_non_null(strstr(status(f).problem, "503"));
	server_stop(f);
	assert_int_equal(f->connections, HEALTH_HOOK_TRIES);
}

/* Another place is not gone to. */
static void an_address_that_points_elsewhere(void **state)
{
	struct fixture *f = *state;

	server_start(f,
		     "HTTP/1.1 302 There\r\nLocation: file:///etc/passwd\r\nConnection: close\r\n"
		     "Content-Length: 0\r\n\r\n");
	hook_open(f);
	health_events_add(f->events, HEALTH_POOL_FULL, "tank", "y");
	wait_for(f, 0, 1);
	assert_non_null(strstr(status(f).problem, "302"));
	server_stop(f);
}

static void an_address_that_hangs(void **state)
{
	struct fixture *f = *state;

	f->params.timeout_ms = 50;
	server_start(f, NULL);
	hook_open(f);
	health_events_add(f->events, HEALTH_POOL_FULL, "tank", "y");
	wait_for(f, 0, 1);
	assert_non_null(strstr(status(f).problem, "did not answer"));
	server_stop(f);
}

static void nobody_at_the_address(void **state)
{
	struct fixture *f = *state;

	f->params.url = "http://127.0.0.1:1/";
	hook_open(f);
	health_events_add(f->events, HEALTH_POOL_FULL, "tank", "y");
	wait_for(f, 0, 1);
	assert_true(strlen(status(f).problem) > 10);
}

static void refused_places(void **state)
{
	struct fixture *f = *state;
	struct err err;

	f->params.program = "relative";
	assert_int_equal(health_hook_new(&f->params, &f->hook, &err), -EINVAL);
	f->params.program = NULL;
	f->params.url = "file:///etc/passwd";
	assert_int_equal(health_hook_new(&f->params, &f->hook, &err), -EINVAL);
	assert_non_null(strstr(err.text, "http"));
	assert_null(f->hook);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_program_gets_them_in_order),
		CASE(tried_again),
		CASE(given_up),
		CASE(no_such_program),
		CASE(a_program_that_hangs),
		CASE(stopped_while_it_runs),
		CASE(goes_on_after_a_restart),
		CASE(a_new_one_begins_now),
		CASE(a_damaged_place),
		CASE(an_address_gets_them),
		CASE(an_address_that_refuses),
		CASE(an_address_that_points_elsewhere),
		CASE(an_address_that_hangs),
		CASE(nobody_at_the_address),
		CASE(refused_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

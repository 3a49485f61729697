/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The opener of real sources on a real loop, against a server that takes connections and then says
 * nothing: who gives the opening up is told so, and not of the server's silence.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <cmocka.h>

#include <quoin/base_text.h>
#include <quoin/image_source.h>
#include <quoin/loop_fiber.h>

#define LOOK_NS (20 * NS_PER_MS)

struct world {
	struct loop *loop;
	struct image_opening opening;
	char *url;
	int result;
	bool ended;
};

static int silent_listen(unsigned *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static void opening_main(void *arg)
{
	struct world *w = arg;
	struct image_opener opener;
	struct image_source *source = NULL;
	struct err err = {.code = 0};
	const struct image_ask ask = {.source = w->url, .format = "", .opening = &w->opening};

	image_opener_nbd(&opener, "/tmp", NULL);
	w->result = opener.open(&opener, w->loop, &ask, &source, &err);
	assert_string_not_equal(err.text, "");
	assert_null(w->opening.source);
	w->ended = true;
}

/* When it is under way, and the server has the connection. */
static void give_up_main(void *arg)
{
	struct world *w = arg;

	while (!w->opening.source)
		fiber_sleep_ns(LOOK_NS);
	fiber_sleep_ns(LOOK_NS);
	image_opening_give_up(&w->opening);
}

static int open_and_give_up(const char *scheme, bool before)
{
	const struct loop_params params = {.name = "test", .cpu = -1};
	struct world w = {.opening = {.given_up = before}};
	unsigned port = 0;
	const int fd = silent_listen(&port);

	w.url = xasprintf("%s://127.0.0.1:%u/", scheme, port);
	assert_int_equal(loop_new(&params, &w.loop), 0);
	assert_int_equal(fiber_start(w.loop, false, opening_main, &w, NULL), 0);
	if (!before)
		assert_int_equal(fiber_start(w.loop, false, give_up_main, &w, NULL), 0);
	while (!w.ended)
		loop_turn(w.loop, LOOK_NS);
	loop_free(w.loop);
	close(fd);
	free(w.url);
	return w.result;
}

static void a_server_that_hangs_is_given_up(void **state)
{
	assert_int_equal(open_and_give_up("http", false), -ECANCELED);
	assert_int_equal(open_and_give_up("nbd", false), -ECANCELED);
}

static void what_was_given_up_is_not_begun(void **state)
{
	assert_int_equal(open_and_give_up("http", true), -ECANCELED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_that_hangs_is_given_up),
		cmocka_unit_test(what_was_given_up_is_not_begun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

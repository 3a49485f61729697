/* SPDX-License-Identifier: Apache-2.0 */
/* Watches: start, stop and modify, also from inside their callbacks. */
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "real.h"

struct test_watch {
	struct loop_watch watch;
	struct loop *loop;
	int fd;
	unsigned calls;
	uint32_t events;
	struct test_watch *stop;
	struct test_watch *modify;
	bool drain;
	bool called;
};

static void ready(struct loop_watch *watch, uint32_t events)
{
	struct test_watch *t = container_of(watch, struct test_watch, watch);
	uint64_t count;

	t->calls++;
	t->called = true;
	t->events = events;
	if (t->stop != NULL)
		loop_watch_stop(t->loop, &t->stop->watch);
	if (t->modify != NULL)
		loop_watch_modify(t->loop, &t->modify->watch, 0);
	if (t->drain)
		assert_int_equal(read(t->fd, &count, sizeof(count)), sizeof(count));
}

static void start(struct test_watch *t, struct loop *loop, uint32_t events)
{
	*t = (struct test_watch){.loop = loop, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	assert_true(t->fd >= 0);
	assert_int_equal(loop_watch_start(loop, &t->watch, t->fd, events, ready), 0);
}

static void signal_fd(int fd)
{
	const uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static void finish(struct test_watch *t)
{
	loop_watch_stop(t->loop, &t->watch);
	loop_watch_stop(t->loop, &t->watch);
	close(t->fd);
}

/* Turns often enough for every event that is on its way. */
static void settle(struct loop *loop)
{
	for (unsigned i = 0; i < 20; i++)
		loop_turn(loop, 0);
}

static void level_triggered(void **state)
{
	struct loop *loop = test_loop_new();
	struct test_watch t;

	start(&t, loop, EPOLLIN);
	settle(loop);
	assert_int_equal(t.calls, 0);
	signal_fd(t.fd);
	test_turn_until(loop, &t.called);
	assert_int_equal(t.events, EPOLLIN);
	/* Not drained: it is called again. */
	t.called = false;
	test_turn_until(loop, &t.called);
	t.drain = true;
	t.called = false;
	test_turn_until(loop, &t.called);
	t.calls = 0;
	settle(loop);
	assert_int_equal(t.calls, 0);
	finish(&t);
	loop_free(loop);
}

static void modify_changes_what_is_reported(void **state)
{
	struct loop *loop = test_loop_new();
	struct test_watch t;

	start(&t, loop, EPOLLIN);
	loop_watch_modify(loop, &t.watch, EPOLLOUT);
	test_turn_until(loop, &t.called);
	assert_int_equal(t.events, EPOLLOUT);
	loop_watch_modify(loop, &t.watch, 0);
	t.calls = 0;
	settle(loop);
	assert_int_equal(t.calls, 0);
	finish(&t);
	loop_free(loop);
}

/* Both are ready in the same turn; whichever is called first takes the other away. */
static void stop_takes_back_events_in_flight(void **state)
{
	for (unsigned round = 0; round < 2; round++) {
		struct loop *loop = test_loop_new();
		struct test_watch a, b;

		start(&a, loop, EPOLLIN);
		start(&b, loop, EPOLLIN);
		a.stop = &b;
		b.stop = &a;
		signal_fd(round == 0 ? a.fd : b.fd);
		signal_fd(round == 0 ? b.fd : a.fd);
		settle(loop);
		assert_true((a.calls > 0) != (b.calls > 0));
		finish(&a);
		finish(&b);
		loop_free(loop);
	}
}

static void modify_takes_back_events_in_flight(void **state)
{
	struct loop *loop = test_loop_new();
	struct test_watch a, b;

	start(&a, loop, EPOLLIN);
	start(&b, loop, EPOLLIN);
	a.modify = &b;
	b.modify = &a;
	signal_fd(a.fd);
	signal_fd(b.fd);
	settle(loop);
	assert_true((a.calls > 0) != (b.calls > 0));
	finish(&a);
	finish(&b);
	loop_free(loop);
}

static void stop_inside_own_callback(void **state)
{
	struct loop *loop = test_loop_new();
	struct test_watch t;

	start(&t, loop, EPOLLIN);
	t.stop = &t;
	signal_fd(t.fd);
	settle(loop);
	assert_int_equal(t.calls, 1);
	assert_int_equal(t.watch.fd, -1);
	/* And it can be started again. */
	assert_int_equal(loop_watch_start(loop, &t.watch, t.fd, EPOLLIN, ready), 0);
	settle(loop);
	assert_int_equal(t.calls, 2);
	finish(&t);
	loop_free(loop);
}

static void hang_up_is_reported(void **state)
{
	struct loop *loop = test_loop_new();
	struct test_watch t = {.loop = loop};
	int pipe_fds[2];

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	t.fd = pipe_fds[0];
	assert_int_equal(loop_watch_start(loop, &t.watch, t.fd, EPOLLIN, ready), 0);
	close(pipe_fds[1]);
	test_turn_until(loop, &t.called);
	assert_true(t.events & EPOLLHUP);
	finish(&t);
	loop_free(loop);
}

static void refusals(void **state)
{
	struct loop *loop = test_loop_new();
	struct test_watch t;
	struct loop_watch other = {.fd = -1};
	struct loop_watch zeroed = {0};
	const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	start(&t, loop, EPOLLIN);
	assert_int_equal(loop_watch_start(loop, &other, t.fd, EPOLLIN, ready), -EEXIST);
	assert_int_equal(loop_watch_start(loop, &other, fd, EPOLLIN, ready), -EPERM);
	assert_int_equal(other.fd, -1);
	loop_watch_stop(loop, &other);
	loop_watch_stop(loop, &zeroed);
	close(fd);
	finish(&t);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(level_triggered),
		cmocka_unit_test(modify_changes_what_is_reported),
		cmocka_unit_test(stop_takes_back_events_in_flight),
		cmocka_unit_test(modify_takes_back_events_in_flight),
		cmocka_unit_test(stop_inside_own_callback),
		cmocka_unit_test(hang_up_is_reported),
		cmocka_unit_test(refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches of a real loop: an epoll set, observed by a one-shot poll in the ring. epoll keeps the
 * list of descriptors, so stopping a watch is immediate (nothing of it is left in the ring), and
 * a poll of the set that is armed anew completes at once while anything is still ready: level
 * triggered.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "real.h"

int watches_init(struct watches *watches)
{
	*watches = (struct watches){.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
	return watches->epoll_fd < 0 ? -errno : 0;
}

void watches_fini(struct watches *watches)
{
	ASSERT_U64(watches->count, ==, 0);
	base_close(&watches->epoll_fd);
}

int loop_watch_start(struct loop *loop, struct loop_watch *watch, int fd, uint32_t events,
		     void (*ready)(struct loop_watch *watch, uint32_t events))
{
	struct watches *watches = &real_of(loop)->watches;
	struct epoll_event event = {.events = events, .data.ptr = watch};

	ASSERT(loop->twin == &real_twin);
	if (epoll_ctl(watches->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	*watch = (struct loop_watch){.fd = fd, .events = events, .ready = ready};
	list_init(&watch->node);
	watches->count++;
	return 0;
}

void loop_watch_modify(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
	struct watches *watches = &real_of(loop)->watches;
	struct epoll_event event = {.events = events, .data.ptr = watch};

	if (watch->events == events)
		return;
	ASSERT(epoll_ctl(watches->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) == 0);
	watch->events = events;
}

void loop_watch_stop(struct loop *loop, struct loop_watch *watch)
{
	struct watches *watches = &real_of(loop)->watches;

	if (watch->fd < 0 || watch->ready == NULL)
		return;
	ASSERT(epoll_ctl(watches->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL) == 0);
	watch->fd = -1;
	watches->count--;
	for (int i = 0; i < watches->event_count; i++)
		if (watches->events[i].data.ptr == watch)
			watches->events[i].data.ptr = NULL;
}

void watches_arm(struct real_loop *real)
{
	struct io_uring_sqe *sqe;

	if (LIKELY(real->watches.armed) || real->watches.count == 0)
		return;
	sqe = ring_sqe(real);
	if (sqe == NULL)
		return;
	io_uring_prep_poll_add(sqe, real->watches.epoll_fd, POLLIN);
	sqe->user_data = RING_TAG_WATCH;
	real->watches.armed = true;
}

void watches_dispatch(struct real_loop *real)
{
	struct watches *watches = &real->watches;
	const int count = epoll_wait(watches->epoll_fd, watches->events, REAL_WATCH_EVENTS_MAX, 0);

	ASSERT(count >= 0 || errno == EINTR);
	watches->event_count = MAX(count, 0);
	for (int i = 0; i < count; i++) {
		struct loop_watch *watch = watches->events[i].data.ptr;
		uint32_t events;

		if (watch == NULL)
			continue;
		/* An earlier callback may have lost interest in what epoll reported. */
		events = watches->events[i].events & (watch->events | EPOLLERR | EPOLLHUP);
		if (events != 0)
			watch->ready(watch, events);
	}
	watches->event_count = 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* SET_IRQS, and the signalling that follows from it. See irq.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <quoin/base_assert.h>

#include "irq.h"

static void signal_fd(struct vfio_irqs *irqs, int fd)
{
	const uint64_t one = 1;

	/* EAGAIN: the counter is full, the client has more than enough to wake up for. */
	if (write(fd, &one, sizeof(one)) == (ssize_t)sizeof(one))
		irqs->signals++;
}

/*
 * Makes sure that a descriptor is an eventfd (a full pipe would block us) and that writing to it
 * never waits.
 */
static int eventfd_check(int fd)
{
	static const char expected[] = "anon_inode:[eventfd]";
	char path[32], target[64];
	ssize_t length;
	int flags;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	length = readlink(path, target, sizeof(target));
	if (length != (ssize_t)sizeof(expected) - 1 ||
	    memcmp(target, expected, sizeof(expected) - 1) != 0)
		return -EINVAL;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -EINVAL;
	return 0;
}

static void resample_stop(struct vfio_irqs *irqs)
{
	loop_watch_stop(irqs->loop, &irqs->resample_watch);
	base_close(&irqs->resample);
}

static void intx_unmask(struct vfio_irqs *irqs)
{
	irqs->intx_masked = false;
	if (irqs->intx_level && irqs->intx >= 0)
		signal_fd(irqs, irqs->intx);
}

static void resample_ready(struct loop_watch *watch, uint32_t events)
{
	struct vfio_irqs *irqs = container_of(watch, struct vfio_irqs, resample_watch);
	uint64_t count;

	if (read(irqs->resample, &count, sizeof(count)) == (ssize_t)sizeof(count))
		intx_unmask(irqs);
}

void vfio_irqs_init(struct vfio_irqs *irqs, struct loop *loop, unsigned vectors, bool intx)
{
	ASSERT_U64(vectors, <=, VFIO_VECTORS_MAX);
	*irqs = (struct vfio_irqs){.loop = loop, .intx = -1, .resample = -1, .err = -1};
	irqs->resample_watch.fd = -1;
	irqs->counts[VFIO_IRQ_INTX] = intx;
	irqs->counts[VFIO_IRQ_MSIX] = vectors;
	irqs->counts[VFIO_IRQ_ERR] = 1;
	for (unsigned i = 0; i < VFIO_VECTORS_MAX; i++)
		irqs->msix[i] = -1;
}

void vfio_irqs_forget(struct vfio_irqs *irqs)
{
	memset(irqs->pending, 0, sizeof(irqs->pending));
}

void vfio_irqs_clear(struct vfio_irqs *irqs)
{
	for (unsigned i = 0; i < VFIO_VECTORS_MAX; i++)
		base_close(&irqs->msix[i]);
	base_close(&irqs->intx);
	base_close(&irqs->err);
	resample_stop(irqs);
	irqs->intx_masked = false;
	vfio_irqs_forget(irqs);
}

uint32_t vfio_irqs_flags(const struct vfio_irqs *irqs, unsigned index)
{
	if (irqs->counts[index] == 0)
		return 0;
	if (index == VFIO_IRQ_INTX)
		return VFIO_IRQ_EVENTFD | VFIO_IRQ_MASKABLE | VFIO_IRQ_AUTOMASKED;
	return VFIO_IRQ_EVENTFD;
}

void vfio_irqs_fire(struct vfio_irqs *irqs, unsigned vector)
{
	ASSERT_U64(vector, <, irqs->counts[VFIO_IRQ_MSIX]);
	if (LIKELY(irqs->msix[vector] >= 0))
		signal_fd(irqs, irqs->msix[vector]);
	else
		bitmap_set(irqs->pending, vector);
}

void vfio_irqs_intx(struct vfio_irqs *irqs, bool level)
{
	bool rises = level && !irqs->intx_level;

	irqs->intx_level = level;
	if (rises && !irqs->intx_masked && irqs->intx >= 0)
		signal_fd(irqs, irqs->intx);
}

/* --- SET_IRQS ----------------------------------------------------------------------------- */

static int *vector_fd(struct vfio_irqs *irqs, unsigned index, unsigned vector)
{
	if (index == VFIO_IRQ_MSIX)
		return &irqs->msix[vector];
	return index == VFIO_IRQ_INTX ? &irqs->intx : &irqs->err;
}

/* A vector got an eventfd: tell it what it missed. */
static void vector_catch_up(struct vfio_irqs *irqs, unsigned index, unsigned vector)
{
	if (index == VFIO_IRQ_MSIX && bitmap_test(irqs->pending, vector)) {
		bitmap_clear(irqs->pending, vector);
		signal_fd(irqs, irqs->msix[vector]);
	}
	if (index == VFIO_IRQ_INTX && irqs->intx_level && !irqs->intx_masked)
		signal_fd(irqs, irqs->intx);
}

/* Gives vectors their eventfds; without descriptors it takes those away that are there. */
static void set_eventfds(struct vfio_irqs *irqs, const struct vfio_irq_set *set, int *fds,
			 unsigned fd_count)
{
	for (unsigned i = 0; i < set->count; i++) {
		int *fd = vector_fd(irqs, set->index, set->start + i);

		base_close(fd);
		if (fd_count == 0)
			continue;
		*fd = fds[i];
		fds[i] = -1;
		vector_catch_up(irqs, set->index, set->start + i);
	}
}

static void fire_now(struct vfio_irqs *irqs, const struct vfio_irq_set *set)
{
	for (unsigned i = 0; i < set->count; i++) {
		int fd = *vector_fd(irqs, set->index, set->start + i);

		if (fd >= 0 && (!(set->flags & VFIO_DATA_BOOL) || set->data[i] != 0))
			signal_fd(irqs, fd);
	}
}

static void disable_index(struct vfio_irqs *irqs, unsigned index)
{
	for (unsigned i = 0; i < irqs->counts[index]; i++)
		base_close(vector_fd(irqs, index, i));
	if (index == VFIO_IRQ_INTX) {
		resample_stop(irqs);
		irqs->intx_masked = false;
	}
}

static int set_resample(struct vfio_irqs *irqs, int *fds, unsigned fd_count)
{
	int r;

	resample_stop(irqs);
	if (fd_count == 0)
		return 0;
	r = loop_watch_start(irqs->loop, &irqs->resample_watch, fds[0], EPOLLIN, resample_ready);
	if (r < 0)
		return r;
	irqs->resample = fds[0];
	fds[0] = -1;
	return 0;
}

static int set_trigger(struct vfio_irqs *irqs, const struct vfio_irq_set *set, int *fds,
		       unsigned fd_count)
{
	if (set->flags & VFIO_DATA_EVENTFD)
		set_eventfds(irqs, set, fds, fd_count);
	else if ((set->flags & VFIO_DATA_NONE) && set->count == 0)
		disable_index(irqs, set->index);
	else
		fire_now(irqs, set);
	return 0;
}

/* Masking is for INTx; for other indices it is accepted and means nothing. */
static int set_mask(struct vfio_irqs *irqs, const struct vfio_irq_set *set, int *fds,
		    unsigned fd_count)
{
	bool wanted = set->count > 0 && (!(set->flags & VFIO_DATA_BOOL) || set->data[0] != 0);

	if (set->flags & VFIO_DATA_EVENTFD)
		return (set->flags & VFIO_ACTION_UNMASK) && set->index == VFIO_IRQ_INTX
			       ? set_resample(irqs, fds, fd_count)
			       : -EINVAL;
	if (set->index != VFIO_IRQ_INTX || !wanted)
		return 0;
	if (set->flags & VFIO_ACTION_UNMASK)
		intx_unmask(irqs);
	else
		irqs->intx_masked = true;
	return 0;
}

static bool one_bit_of(uint32_t flags, uint32_t mask)
{
	return __builtin_popcount(flags & mask) == 1;
}

static int set_check(const struct vfio_irqs *irqs, const struct vfio_irq_set *set, const int *fds,
		     unsigned fd_count)
{
	const uint32_t data = VFIO_DATA_NONE | VFIO_DATA_BOOL | VFIO_DATA_EVENTFD;
	const uint32_t action = VFIO_ACTION_MASK | VFIO_ACTION_UNMASK | VFIO_ACTION_TRIGGER;
	unsigned limit;

	if (!one_bit_of(set->flags, data) || !one_bit_of(set->flags, action) ||
	    (set->flags & ~(data | action)) != 0 || set->index >= VFIO_IRQ_COUNT)
		return -EINVAL;
	limit = irqs->counts[set->index];
	if (set->start > limit || set->count > limit - set->start)
		return -EINVAL;
	/* Only disabling an index may name no vector. */
	if (set->count == 0 && (set->start != 0 || !(set->flags & VFIO_DATA_NONE)))
		return -EINVAL;
	if (fd_count > 0 && (!(set->flags & VFIO_DATA_EVENTFD) || fd_count != set->count))
		return -EINVAL;
	for (unsigned i = 0; i < fd_count; i++)
		if (eventfd_check(fds[i]) < 0)
			return -EINVAL;
	return 0;
}

int vfio_irqs_set(struct vfio_irqs *irqs, const struct vfio_irq_set *set, int *fds,
		  unsigned fd_count)
{
	int r = set_check(irqs, set, fds, fd_count);

	if (r < 0)
		return r;
	if (set->flags & VFIO_ACTION_TRIGGER)
		return set_trigger(irqs, set, fds, fd_count);
	return set_mask(irqs, set, fds, fd_count);
}

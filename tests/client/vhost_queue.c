/* SPDX-License-Identifier: Apache-2.0 */
/* The slow parts of a virtio ring: see client_vhost_queue.h. */
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <quoin/base_math.h>

#include "client_vhost_queue.h"

#define SPIN_NS (20 * NS_PER_US)

_Static_assert(sizeof(struct vhost_slot) == 128, "tags share no cache line");

void vhost_queue_init(struct vhost_queue *q, struct ram *ram, struct vhost_queue_options options)
{
	const uint16_t n = options.entries;
	uint8_t *used;

	ASSERT(is_power_of_two(n) && n >= VHOST_PIECES && n <= VHOST_ENTRIES_MAX);
	memset(q, 0, sizeof(*q));
	q->entries = n;
	q->tag_count = (uint16_t)(options.indirect ? n : n / VHOST_PIECES);
	q->indirect = options.indirect;
	q->event_index = options.event_index;
	q->kick_fd = -1;
	q->call_fd = -1;
	q->desc = ram_alloc(ram, n * sizeof(*q->desc));
	q->avail = ram_alloc(ram, sizeof(*q->avail) + (n + 1) * sizeof(uint16_t));
	q->used_event = &q->avail->ring[n];
	used = ram_alloc(ram, sizeof(*q->used) + n * sizeof(q->used->ring[0]) + sizeof(uint16_t));
	q->used = (const void *)used;
	q->avail_event =
		(const void *)(used + sizeof(*q->used) + n * sizeof(struct vhost_used_entry));
	q->slots = ram_alloc(ram, n * sizeof(*q->slots));
	q->slots_address = ram_addr(ram, q->slots);
	vhost_disarm(q);
}

void vhost_kick_write(struct vhost_queue *q)
{
	const uint64_t one = 1;

	q->kicks++;
	if (write(q->kick_fd, &one, sizeof(one)) != sizeof(one))
		q->error = -errno;
}

bool vhost_arm(struct vhost_queue *q)
{
	if (q->event_index)
		__atomic_store_n(q->used_event, q->used_next, __ATOMIC_RELEASE);
	else
		__atomic_store_n(&q->avail->flags, 0, __ATOMIC_RELEASE);
	atomic_thread_fence(memory_order_seq_cst);
	return vhost_peek(q);
}

/* An event just passed comes again after 65535 completions: one call too many, none too few. */
void vhost_disarm(struct vhost_queue *q)
{
	if (q->event_index)
		__atomic_store_n(q->used_event, (uint16_t)(q->used_next - 1), __ATOMIC_RELEASE);
	else
		__atomic_store_n(&q->avail->flags, VHOST_AVAIL_NO_INTERRUPT, __ATOMIC_RELEASE);
}

/* An old call ends the sleep early: the caller looks again. */
static void sleep_until_called(struct vhost_queue *q, int timeout_ms)
{
	struct pollfd p = {.fd = q->call_fd, .events = POLLIN};
	uint64_t count;

	if (!vhost_arm(q) && poll(&p, 1, timeout_ms) > 0 &&
	    read(q->call_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		q->error = -errno;
	vhost_disarm(q);
}

int vhost_wait(struct vhost_queue *q, int timeout_ms)
{
	const uint64_t start = client_now_ns();
	const uint64_t end = start + (uint64_t)timeout_ms * NS_PER_MS;

	while (!vhost_peek(q)) {
		const uint64_t now = client_now_ns();

		if (q->error)
			return q->error;
		if (now >= end)
			return -ETIMEDOUT;
		if (now - start >= SPIN_NS)
			sleep_until_called(q, (int)((end - now) / NS_PER_MS) + 1);
	}
	return 0;
}

void vhost_submit_range(struct vhost_queue *q, const struct vhost_io *io, uint32_t sectors)
{
	struct vhost_io range = *io;

	ASSERT(io->tag < q->tag_count);
	q->slots[io->tag].range = (struct vhost_range){.sector = io->sector, .sectors = sectors};
	range.sector = 0;
	range.length = sizeof(struct vhost_range);
	range.address = q->slots_address + io->tag * sizeof(struct vhost_slot) +
			offsetof(struct vhost_slot, range);
	vhost_submit(q, &range);
}

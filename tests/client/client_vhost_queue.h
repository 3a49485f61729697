/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio-blk driver's split ring, with the inline path the benchmark runs on.
 *
 * The caller names requests by tags in [0, tag_count). A tag owns its place for good: one
 * descriptor and an indirect table, or three descriptors where the device takes no tables. So
 * submitting allocates nothing, and what the device returns names the tag.
 *
 *   vhost_submit()  puts a request into the ring, not yet seen by the device
 *   vhost_kick()    shows all that was put, and wakes the device when it wants that
 *   vhost_reap()    takes one completion
 *
 * Call-backs of the device are off but between vhost_arm() and vhost_disarm(). What the device
 * writes is checked: a completion of nothing makes the queue's `error` -EPROTO and ends reaping.
 */
#ifndef CLIENT_VHOST_QUEUE_H
#define CLIENT_VHOST_QUEUE_H

#include <errno.h>
#include <stdatomic.h>

#include <quoin/base_assert.h>

#include "client_queue.h"
#include "client_ram.h"
#include "client_vhost_wire.h"

#define VHOST_ENTRIES_MAX 1024
#define VHOST_PIECES 3		 /* header, data, status */
#define VHOST_STATUS_UNSET 0xEEU /* no status of virtio-blk */

/* A tag's part of the guest's memory. */
struct vhost_slot {
	struct vhost_request request;
	struct vhost_range range;
	struct vhost_desc table[VHOST_PIECES];
	uint8_t status;
	uint8_t padding[128 - 81];
};

struct vhost_queue {
	struct vhost_desc *desc;
	struct vhost_avail *avail;
	const struct vhost_used *used;
	uint16_t *used_event;	     /* when we want to be called */
	const uint16_t *avail_event; /* when the device wants to be kicked */
	struct vhost_slot *slots;
	uint64_t slots_address; /* the guest's */
	uint16_t entries;	/* a power of two */
	uint16_t tag_count;
	bool indirect;
	bool event_index;
	uint16_t avail_next; /* free running, as in the ring */
	uint16_t avail_shown;
	uint16_t used_next;
	int kick_fd; /* -1 = none */
	int call_fd;
	uint64_t kicks; /* written to kick_fd */
	int error;
	bool pending[VHOST_ENTRIES_MAX]; /* by tag */
};

/* `length` 0: no data. `address` is the guest's: ram_addr(). */
struct vhost_io {
	enum vhost_type type;
	uint16_t tag;
	uint32_t length;
	uint64_t sector; /* of 512 bytes */
	uint64_t address;
};

struct vhost_done {
	uint16_t tag;
	uint8_t status;	 /* enum vhost_status, if the device keeps to it */
	uint32_t length; /* bytes the device says it wrote, the status among them */
};

struct vhost_queue_options {
	uint16_t entries; /* a power of two up to VHOST_ENTRIES_MAX */
	bool indirect;
	bool event_index;
};

/* Lays a fresh queue into `ram`. The descriptors start as -1; whoever sets them closes them. */
void vhost_queue_init(struct vhost_queue *q, struct ram *ram, struct vhost_queue_options options);

/* --- The hot path --------------------------------------------------------------------------- */

/* The tag must not be in flight. */
static inline void vhost_submit(struct vhost_queue *q, const struct vhost_io *io)
{
	const uint16_t head = (uint16_t)(q->indirect ? io->tag : io->tag * VHOST_PIECES);
	const uint16_t first = q->indirect ? 0 : head;
	const uint64_t at = q->slots_address + io->tag * sizeof(struct vhost_slot);
	const bool from_device = io->type == VHOST_READ || io->type == VHOST_GET_ID;
	struct vhost_slot *slot = &q->slots[io->tag];
	struct vhost_desc *d = q->indirect ? slot->table : &q->desc[head];
	unsigned n = 1;

	ASSERT(io->tag < q->tag_count && !q->pending[io->tag]);
	q->pending[io->tag] = true;
	slot->request = (struct vhost_request){.type = io->type, .sector = io->sector};
	slot->status = VHOST_STATUS_UNSET;
	d[0] = (struct vhost_desc){at, sizeof(slot->request), VHOST_DESC_NEXT,
				   (uint16_t)(first + 1)};
	if (io->length)
		d[n++] = (struct vhost_desc){
			io->address, io->length,
			(uint16_t)(VHOST_DESC_NEXT | (from_device ? VHOST_DESC_WRITE : 0)),
			(uint16_t)(first + 2)};
	d[n++] = (struct vhost_desc){at + offsetof(struct vhost_slot, status), 1, VHOST_DESC_WRITE,
				     0};
	if (q->indirect)
		q->desc[head] =
			(struct vhost_desc){at + offsetof(struct vhost_slot, table),
					    (uint32_t)(n * sizeof(*d)), VHOST_DESC_INDIRECT, 0};
	q->avail->ring[q->avail_next++ & (q->entries - 1)] = head;
}

/* Writes kick_fd. */
void vhost_kick_write(struct vhost_queue *q);

/*
 * The index must be seen before the device's wish is read: both sides store, fence, load; at
 * least one of them then sees the other's store, so no wake-up is lost (virtio 1.2, 2.7.13.4.1).
 */
static inline void vhost_kick(struct vhost_queue *q)
{
	const uint16_t old = q->avail_shown;
	bool wanted;

	if (q->avail_next == old)
		return;
	q->avail_shown = q->avail_next;
	__atomic_store_n(&q->avail->index, q->avail_next, __ATOMIC_RELEASE);
	atomic_thread_fence(memory_order_seq_cst);
	if (q->event_index)
		wanted = host_event_wanted(__atomic_load_n(q->avail_event, __ATOMIC_ACQUIRE),
					   q->avail_next, old);
	else
		wanted = !(__atomic_load_n(&q->used->flags, __ATOMIC_ACQUIRE) &
			   VHOST_USED_NO_NOTIFY);
	if (wanted)
		vhost_kick_write(q);
}

static inline bool vhost_peek(const struct vhost_queue *q)
{
	return __atomic_load_n(&q->used->index, __ATOMIC_ACQUIRE) != q->used_next && !q->error;
}

static inline bool vhost_reap(struct vhost_queue *q, struct vhost_done *ret)
{
	struct vhost_used_entry entry;
	uint32_t tag;

	if (!vhost_peek(q))
		return false;
	entry = q->used->ring[q->used_next & (q->entries - 1)];
	tag = q->indirect ? entry.id : entry.id / VHOST_PIECES;
	if (UNLIKELY(tag >= q->tag_count || !q->pending[tag] ||
		     (!q->indirect && entry.id % VHOST_PIECES))) {
		q->error = -EPROTO;
		return false;
	}
	q->pending[tag] = false;
	q->used_next++;
	*ret = (struct vhost_done){(uint16_t)tag, q->slots[tag].status, entry.length};
	return true;
}

/* --- Waiting -------------------------------------------------------------------------------- */

/* Asks for a call at the next completion. True when one is there already. */
bool vhost_arm(struct vhost_queue *q);
void vhost_disarm(struct vhost_queue *q);

/* Waits for a completion: spins, then sleeps on call_fd. -ETIMEDOUT, or the queue's error. */
MUST_CHECK int vhost_wait(struct vhost_queue *q, int timeout_ms);

/* DISCARD or WRITE_ZEROES of [sector, sector + sectors), as vhost_submit(). */
void vhost_submit_range(struct vhost_queue *q, const struct vhost_io *io, uint32_t sectors);

#endif

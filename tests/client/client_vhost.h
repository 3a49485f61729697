/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio-blk driver over vhost-user: connects to a back end, negotiates, gives it memory and
 * rings, and takes them back. It asks for an acknowledgement of every message when the back end
 * has them (as Cloud Hypervisor and libblkio do), so a refused message is an error at once.
 *
 * The guest's address of a byte is its offset in `ram`; its user address is where it is mapped
 * here. The two differ, so a back end that takes one for the other fails.
 *
 * Functions return 0 or a negative errno: -EPROTO with words in client.violation when the back
 * end breaks the protocol, -EREMOTEIO when it refuses a message.
 *
 * Not here: packed rings, in-flight regions and reconnecting, resizing, migration.
 */
#ifndef CLIENT_VHOST_H
#define CLIENT_VHOST_H

#include "client_vhost_queue.h"

#define VHOST_QUEUES_MAX 16
#define VHOST_TIMEOUT_MS 15000

struct vhost_options {
	const char *path;
	unsigned queues;   /* 0 = 1; at most VHOST_QUEUES_MAX */
	uint16_t entries;  /* of a ring; 0 = 128, QEMU's number */
	uint64_t refuse;   /* features not to take, by bit: 1 << VHOST_F_... */
	bool memory_slots; /* ADD_MEM_REG in place of SET_MEM_TABLE */
};

struct vhost {
	struct client client; /* the socket; its vfio-user parts lie idle */
	struct ram *ram;      /* borrowed */
	uint64_t offered;     /* features of the back end */
	uint64_t features;    /* features taken */
	uint64_t protocol_features;
	struct vhost_config config;
	unsigned queue_count;
	struct vhost_queue queues[VHOST_QUEUES_MAX];
};

/*
 * Connects, waiting up to two seconds for the socket, and brings the device up. The rings come
 * from `ram`, which must stay till vhost_close(). -EOPNOTSUPP: the back end lacks a feature this
 * driver cannot do without, or has too few queues.
 */
MUST_CHECK int vhost_open(struct vhost *vhost, struct ram *ram,
			  const struct vhost_options *options);

/*
 * Disables the rings and asks for each where it stands, as for a pausing virtual machine. All that
 * was shown must be back: -EBUSY otherwise, -EPROTO when the back end says another index.
 */
MUST_CHECK int vhost_stop(struct vhost *vhost);

/* Drops the connection, as a killed client does. Closing a closed one is allowed. */
void vhost_close(struct vhost *vhost);

static inline bool vhost_has(const struct vhost *vhost, enum vhost_feature feature)
{
	return vhost->features >> feature & 1;
}

/* Runs one request on an idle queue: the device's status, or a negative errno. */
MUST_CHECK int vhost_run(struct vhost *vhost, unsigned queue, const struct vhost_io *io);

/* --- Below it --------------------------------------------------------------------------------- */

/* One message. With `reply` the answer is that, else an acknowledgement where there are any. */
struct vhost_message {
	enum vhost_message_type type;
	const void *payload;
	uint32_t size;
	int fd; /* goes with it; <= 0 = none */
	void *reply;
	uint32_t reply_size;
};

MUST_CHECK int vhost_call(struct vhost *vhost, const struct vhost_message *message);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vfio-user server for any PCI device: one socket, one client at a time, the protocol's
 * commands in order. The device behind it is a table of operations.
 *
 *   state      event                              next
 *   IDLE       a client connects                  HELLO
 *   HELLO      VERSION                            READY
 *   READY      DMA_UNMAP with holds left          UNMAPPING    (no messages meanwhile)
 *   READY      DEVICE_RESET, device not done      RESETTING    (no messages meanwhile)
 *   UNMAPPING  last hold gone, or 2 s             READY
 *   RESETTING  device done, or 4 s (an error)     READY
 *   any of these: the client leaves, lies or loses its memory   LEAVING
 *   LEAVING    device reset, memory unmapped      IDLE, or STOPPED after stop
 *
 * QEMU gives up on a device that does not answer for 5 s. So an unmap that waited for 2 s is
 * answered although the device still works on those pages. This breaks the rule that nothing is
 * touched behind the answer, on purpose: the guest has not got that command's completion, so the
 * pages are still lent, and our mapping of them stays until the command ends.
 *
 * Everything runs in the loop's thread, also init and fini (or while the loop does not run).
 */
#ifndef VFIO_USER_SERVER_H
#define VFIO_USER_SERVER_H

#include <quoin/guest.h>
#include <quoin/loop.h>

#include "connection.h"
#include "irq.h"
#include "socket.h"

#define VFIO_UNMAP_WAIT_NS (2 * NS_PER_S)
#define VFIO_RESET_WAIT_NS (4 * NS_PER_S)
#define VFIO_ACCEPT_RETRY_NS (100 * NS_PER_MS)
#define VFIO_WHY_MAX 160

struct vfio_server;

struct vfio_region {
	uint64_t size_bytes; /* 0: not there */
	uint32_t flags;	     /* VFIO_REGION_R, _W; _MMAP with an area below */
	int fd;		     /* borrowed; what a client may map */
	uint64_t area_offset;
	uint64_t area_bytes;
};

struct vfio_device_ops {
	/* Within the region's bounds; they cannot fail. */
	void (*region_read)(void *device, unsigned region, uint64_t offset, void *data,
			    unsigned length);
	void (*region_write)(void *device, unsigned region, uint64_t offset, const void *data,
			     unsigned length);

	/* The guest memory's regions changed. */
	void (*memory_changed)(void *device);

	/*
	 * Starts a reset; the device calls vfio_server_reset_done(), maybe at once, when it will
	 * touch no guest memory any more. Not called again before that.
	 */
	void (*reset)(void *device, bool disconnected);
};

enum vfio_server_state {
	VFIO_STATE_IDLE,
	VFIO_STATE_HELLO,
	VFIO_STATE_READY,
	VFIO_STATE_UNMAPPING,
	VFIO_STATE_RESETTING,
	VFIO_STATE_LEAVING,
	VFIO_STATE_STOPPED,
};

struct vfio_server_params {
	struct loop *loop;
	const char *name; /* for messages; borrowed */
	const char *socket_path;
	const struct vfio_device_ops *ops;
	void *device;
	struct guest_memory *memory; /* borrowed */
	unsigned vectors;
	bool intx;
};

struct vfio_server {
	struct loop *loop;
	const char *name;
	const struct vfio_device_ops *ops;
	void *device;
	struct guest_memory *memory;
	enum vfio_server_state state;
	bool device_resetting;
	bool reset_again; /* when the one under way is done */
	bool stopping;
	bool private_told; /* about memory that is not shared: once, the log is not a client's */
	void (*stopped)(struct vfio_server *server);
	struct vfio_region regions[VFIO_REGION_COUNT];
	struct vfio_irqs irqs;
	struct vfio_socket socket;
	struct loop_watch listen_watch;
	struct loop_timer accept_timer;
	struct vfio_connection connection;
	struct vfio_header waiting; /* the command to answer when the wait is over */
	uint8_t waiting_payload[VFIO_DMA_UNMAP_BYTES];
	struct loop_timer wait_timer;
	struct guest_unmap unmap;
	struct loop_poller loss_poller; /* looks whether the client's memory was lost */
	struct loop_task loss_task;
	int client_pid;
	uint64_t connections;
	uint64_t errors;
	char why[VFIO_WHY_MAX];
};

/* Listens. The caller fills `regions` before the loop turns. */
MUST_CHECK int vfio_server_init(struct vfio_server *server, const struct vfio_server_params *params,
				struct err *err);

/* Stopped, or never connected and no longer listening. */
void vfio_server_fini(struct vfio_server *server);

/* Drops the client, listens no more; stopped() is called when the device is at rest. */
void vfio_server_stop(struct vfio_server *server, void (*stopped)(struct vfio_server *server));

void vfio_server_reset_done(struct vfio_server *server);

/* --- For dispatch.c ------------------------------------------------------------------------ */

/* A command that is complete and allowed in this state. */
void vfio_server_dispatch(struct vfio_server *server, const struct vfio_message *message);

/* Waits for the unmap under way / for the device; answers `command` when that is over. */
void vfio_server_wait_unmap(struct vfio_server *server, const struct vfio_message *message);
void vfio_server_wait_reset(struct vfio_server *server, const struct vfio_message *message);

#endif

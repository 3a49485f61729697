/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the vfio-user server share: a server with a device of its own behind it, and
 * a client that speaks raw bytes. All in one thread: whoever waits turns the loop meanwhile.
 */
#ifndef VFIO_USER_PEER_H
#define VFIO_USER_PEER_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server.h"

#define BAR_BYTES 0x8000
#define PAGE GUEST_PAGE_SIZE

/* The device: memory for its regions, a note of every write, a reset that can be held back. */
struct fake {
	uint8_t bar[BAR_BYTES];
	uint8_t config[4096];
	uint64_t writes;
	uint32_t last_value; /* of the last write of four bytes to the BAR */
	bool in_order;	     /* every such write was the one before plus 1 */
	unsigned resets;
	unsigned disconnects;
	bool hold_reset; /* the next reset is not done until fake_reset_release() */
	bool reset_held;
	unsigned memory_changes;
	struct vfio_server *server;
};

struct fixture {
	struct loop *loop;
	struct guest_memory *memory;
	struct vfio_server server;
	struct fake fake;
	int area_fd;
	char path[64];
	bool stopped;
	int fd;		     /* the client that spoke last */
	const int *send_fds; /* go with the next message */
	unsigned send_fd_count;
	unsigned fds_before; /* open in this process when the fixture was made */
};

struct fixture *fixture_new(void);

/* Stops the server and asserts that no descriptor is left. */
void fixture_free(struct fixture *fixture);

void fixture_turn(struct fixture *fixture, unsigned turns);

/* Turns the loop until the state is this one; fails the test after a while. */
void fixture_await(struct fixture *fixture, enum vfio_server_state state);

void fake_reset_release(struct fixture *fixture);

unsigned open_fd_count(void);

/* --- The client ---------------------------------------------------------------------------- */

struct message {
	struct vfio_header header;
	uint8_t payload[VFIO_MESSAGE_MAX];
	size_t payload_bytes;
	int fds[8];
	unsigned fd_count;
};

int peer_connect(struct fixture *fixture);

/* As above, with the version negotiated. */
int peer_open(struct fixture *fixture);

/* The descriptors (borrowed) go with the first byte that is sent next. Returns `fixture`. */
struct fixture *peer_attach(struct fixture *fixture, const int *fds, unsigned fd_count);

void peer_send_raw(struct fixture *fixture, int fd, const void *bytes, size_t size_bytes);

/* Makes a message of a command in `bytes`; returns its size. */
size_t message_make(uint8_t *bytes, unsigned command, uint32_t flags, const void *payload,
		    size_t payload_bytes);

void peer_send(struct fixture *fixture, int fd, unsigned command, const void *payload,
	       size_t payload_bytes);

/* Waits for a whole message. False at the end of the stream. */
bool peer_receive(struct fixture *fixture, int fd, struct message *ret_message);

/* True when nothing comes, and the connection lives. */
bool peer_silent(struct fixture *fixture, int fd);

/*
 * The client that spoke last sends a command; returns the error number of its reply, 0 for none.
 */
uint32_t peer_call(struct fixture *fixture, unsigned command, const void *payload,
		   size_t payload_bytes, struct message *ret_reply);

/* --- Payloads ------------------------------------------------------------------------------ */

struct map_payload {
	uint32_t argsz, flags;
	uint64_t offset, address, size;
};

struct unmap_payload {
	uint32_t argsz, flags;
	uint64_t address, size;
};

struct irq_payload {
	uint32_t argsz, flags, index, start, count;
};

struct access_payload {
	uint64_t offset;
	uint32_t region, count;
	uint8_t data[64];
};

struct info_payload {
	uint32_t argsz, flags, index, count;
	uint64_t rest[8];
};

uint32_t peer_map(struct fixture *fixture, uint64_t address, uint64_t size, uint32_t flags,
		  int memory_fd);
uint32_t peer_irqs(struct fixture *fixture, struct irq_payload payload, const int *fds,
		   unsigned fd_count);
uint32_t peer_write(struct fixture *fixture, int fd, unsigned region, uint64_t offset,
		    uint32_t value);
uint32_t peer_read(struct fixture *fixture, int fd, unsigned region, uint64_t offset);

int memory_file(uint64_t size_bytes);

/* The number of signals an eventfd has got since the last look. */
uint64_t eventfd_take(int fd);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile client of a whole target: the input is a program for it. The server, the NVMe
 * controller and a null device run in a loop's thread, as in the daemon.
 *
 * The first byte chooses the target (bit 0: mapped doorbells) and whether VERSION is sent first
 * (bit 1 clear). Then come operations, each a byte and its operands; what is missing reads as 0:
 *
 *   0  message   command, flags and descriptor kind, length (16 bits), payload
 *   1  raw       length, bytes as they are on the stream
 *   2  write     offset (16 bits) in BAR0, value (32 bits), posted
 *   3  config    offset (12 bits), value (32 bits)
 *   4  poke      address (20 bits), length, bytes into the guest's memory
 *   5  set up    map memory, queues of 64 entries at fixed places, enable the controller
 *   6  command   64 bytes into the admin queue, and its doorbell
 *   7  command   64 bytes into I/O queue 1, and its doorbell
 *   8  queues    create I/O queue pair 1
 *   9  truncate  the guest's memory
 *
 * A server that does not end the connection soon after the client did is a crash as well.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <quoin/base_assert.h>
#include <quoin/vfio_user.h>

#define MEMORY_BYTES ((size_t)1 << 20)
#define PATIENCE_MS 20000
#define OPERATIONS_MAX 200
#define QUEUE_ENTRIES 64

/* Where things are in the guest's memory. */
enum { ADMIN_SQ = 0x1000, ADMIN_CQ = 0x2000, IO_SQ = 0x3000, IO_CQ = 0x4000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
	struct loop *loop;
	struct block_device *device;
	struct vfio_user_target *targets[2];
	char paths[2][64];
	int memory_fd;
	uint8_t *memory;
};

/* A client, and what is left of its program. */
struct program {
	struct world *world;
	const uint8_t *data;
	size_t size;
	int socket;
	bool ended; /* by the server */
	unsigned tails[2];
	bool mapped;
};

/* --- The world, made once ------------------------------------------------------------------ */

static void target_make(struct world *world, unsigned index)
{
	struct vfio_user_target_params params = {
		.loop = world->loop,
		.name = "fuzz",
		.queue_pairs = 4,
		.queue_entries = QUEUE_ENTRIES,
		.namespaces = 2,
		.doorbells = index ? NVME_DOORBELLS_MAPPED : NVME_DOORBELLS_SHADOW,
		.intx = true,
		.serial = "FUZZ",
		.model = "Quoin",
		.uuid = {1},
	};
	struct vfio_user_namespace ns = {
		.nsid = 1, .device = world->device, .nguid = {1}, .uuid = {1}};
	struct err err;

	snprintf(world->paths[index], sizeof(world->paths[index]), "/tmp/quoin-fuzz-%d-%u.sock",
		 getpid(), index);
	params.socket_path = world->paths[index];
	if (vfio_user_target_new(&params, &world->targets[index], &err) < 0 ||
	    vfio_user_target_attach(world->targets[index], &ns, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		UNREACHABLE();
	}
}

static struct world *world_get(void);

/* Leaves no sockets behind. */
static void world_end(void)
{
	struct world *world = world_get();

	for (unsigned i = 0; i < ARRAY_SIZE(world->targets); i++)
		vfio_user_target_free(world->targets[i]);
	block_close(world->device);
	loop_stop(world->loop);
	loop_join(world->loop);
	loop_free(world->loop);
}

static struct world *world_get(void)
{
	static struct world world;
	const struct loop_params params = {.name = "fuzz", .cpu = -1};
	struct err err;

	if (world.loop)
		return &world;
	ASSERT(loop_new(&params, &world.loop) == 0);
	ASSERT(loop_start_thread(world.loop) == 0);
	ASSERT(block_open("null:16M", &world.device, &err) == 0);
	target_make(&world, 0);
	target_make(&world, 1);
	world.memory_fd = memfd_create("fuzz", MFD_CLOEXEC);
	ASSERT(ftruncate(world.memory_fd, (off_t)MEMORY_BYTES) == 0);
	world.memory =
		mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, world.memory_fd, 0);
	ASSERT(world.memory != MAP_FAILED);
	atexit(world_end);
	return &world;
}

/* --- The program --------------------------------------------------------------------------- */

static uint64_t take(struct program *program, unsigned width)
{
	uint64_t value = 0;
	size_t count = MIN((size_t)width, program->size);

	memcpy(&value, program->data, count);
	program->data += count;
	program->size -= count;
	return value;
}

static const uint8_t *take_bytes(struct program *program, size_t *count)
{
	const uint8_t *bytes = program->data;

	*count = MIN(*count, program->size);
	program->data += *count;
	program->size -= *count;
	return bytes;
}

/* Reads and forgets what the server answers; closes descriptors that come with it. */
static void drain(struct program *program)
{
	_Alignas(struct cmsghdr) char control[256];
	static uint8_t bytes[65536];
	struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	ssize_t got = recvmsg(program->socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
		program->ended = true;
	if (got <= 0)
		return;
	for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part;
	     part = CMSG_NXTHDR(&message, part)) {
		size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int fd;

		for (size_t i = 0; i < count; i++) {
			memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(fd));
			close(fd);
		}
	}
}

static void await(struct program *program, short events)
{
	struct pollfd look = {.fd = program->socket, .events = (short)(events | POLLIN)};

	if (poll(&look, 1, PATIENCE_MS) == 0) {
		fprintf(stderr, "the server hangs\n");
		UNREACHABLE();
	}
	if (look.revents & (POLLIN | POLLHUP | POLLERR))
		drain(program);
}

static void send_bytes(struct program *program, const void *bytes, size_t size, int fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	size_t sent = 0;

	while (sent < size && !program->ended) {
		struct iovec iov = {.iov_base = (uint8_t *)(uintptr_t)bytes + sent,
				    .iov_len = size - sent};
		struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
		ssize_t n;

		if (fd >= 0 && sent == 0) {
			message.msg_control = control;
			message.msg_controllen = sizeof(control);
			struct cmsghdr *part = CMSG_FIRSTHDR(&message);

			part->cmsg_level = SOL_SOCKET;
			part->cmsg_type = SCM_RIGHTS;
			part->cmsg_len = CMSG_LEN(sizeof(int));
			memcpy(CMSG_DATA(part), &fd, sizeof(fd));
		}
		n = sendmsg(program->socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			sent += (size_t)n;
		else if (n < 0 && errno == EAGAIN)
			await(program, POLLOUT);
		else
			program->ended = true;
	}
}

static void send_message(struct program *program, unsigned command, unsigned flags,
			 const void *payload, size_t size)
{
	uint8_t bytes[1024] = {0};
	uint32_t total = (uint32_t)(16 + size);
	uint16_t word = (uint16_t)command;

	ASSERT(total <= sizeof(bytes));
	memcpy(bytes + 2, &word, 2);
	memcpy(bytes + 4, &total, 4);
	bytes[8] = flags & 1 ? 0x10 : 0;
	if (size > 0)
		memcpy(bytes + 16, payload, size);
	send_bytes(program, bytes, total, (int)(flags >> 8) - 1);
}

/* A descriptor of some kind; the caller closes it. -1 for none. */
static int fd_of_kind(struct program *program, unsigned kind)
{
	int fds[2];

	switch (kind % 6) {
	case 1:
		return dup(program->world->memory_fd);
	case 2:
		return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	case 3:
		return memfd_create("empty", MFD_CLOEXEC);
	case 4:
		if (pipe(fds) < 0)
			return -1;
		close(fds[0]);
		return fds[1];
	case 5:
		return dup(program->socket);
	default:
		return -1;
	}
}

static void operation_message(struct program *program)
{
	unsigned command = (unsigned)take(program, 1);
	unsigned flags = (unsigned)take(program, 1);
	size_t size = take(program, 2) % 512;
	const uint8_t *payload = take_bytes(program, &size);
	int fd = fd_of_kind(program, flags >> 1);

	send_message(program, command, (flags & 1) | (unsigned)(fd + 1) << 8, payload, size);
	base_close(&fd);
}

static void region_write(struct program *program, unsigned region, uint64_t offset, uint64_t value,
			 unsigned count)
{
	uint8_t payload[24];
	const uint32_t words[2] = {region, count};

	memcpy(payload, &offset, 8);
	memcpy(payload + 8, words, 8);
	memcpy(payload + 16, &value, 8);
	send_message(program, 10, 1, payload, 16 + count);
}

static void set_up(struct program *program)
{
	struct {
		uint32_t argsz, flags;
		uint64_t offset, address, size;
	} map = {32, 3, 0, 0, MEMORY_BYTES};
	int fd = program->world->memory_fd;

	if (ftruncate(fd, (off_t)MEMORY_BYTES) < 0)
		UNREACHABLE();
	send_message(program, 2, (unsigned)(fd + 1) << 8, &map, sizeof(map));
	region_write(program, 7, 4, 0x6, 2);
	region_write(program, 0, 0x24, (QUEUE_ENTRIES - 1) * 0x10001U, 4);
	region_write(program, 0, 0x28, ADMIN_SQ, 8);
	region_write(program, 0, 0x30, ADMIN_CQ, 8);
	region_write(program, 0, 0x14, 0x00460001, 4);
	program->tails[0] = 0;
	program->tails[1] = 0;
}

/* Lets the server take all that was sent, and the controller do what it asks for. */
static void settle(struct program *program)
{
	struct vfio_user_target *target = program->world->targets[program->mapped];
	struct vfio_user_target_info info;
	int unread = 1;

	while (!program->ended && unread > 0) {
		if (ioctl(program->socket, SIOCOUTQ, &unread) < 0)
			UNREACHABLE();
		drain(program);
		vfio_user_target_info(target, &info); /* At least one turn of the loop. */
	}
	for (unsigned i = 0; i < 3; i++)
		vfio_user_target_info(target, &info);
	ASSERT(info.nvme.io_queues <= 4);
}

static void command(struct program *program, unsigned queue, const void *bytes, size_t size)
{
	unsigned *tail = &program->tails[queue];
	uint8_t *slot = program->world->memory + (queue ? IO_SQ : ADMIN_SQ) + *tail * 64;

	memset(slot, 0, 64);
	memcpy(slot, bytes, MIN(size, (size_t)64));
	*tail = (*tail + 1) % QUEUE_ENTRIES;
	region_write(program, 0, 0x1000 + queue * 8, *tail, 4);
	settle(program);
	/* As if every command had ended: the completion queue does not fill up. */
	region_write(program, 0, 0x1004 + queue * 8, *tail, 4);
}

static void operation_command(struct program *program, unsigned queue)
{
	size_t size = 64;
	const uint8_t *bytes = take_bytes(program, &size);

	command(program, queue, bytes, size);
}

static void queues_create(struct program *program)
{
	uint32_t cq[16] = {5, 0, 0, 0, 0, 0, IO_CQ, 0, 0, 0, 1 | (QUEUE_ENTRIES - 1) << 16, 3};
	uint32_t sq[16] = {1,	   0, 0, 0, 0, 0, IO_SQ, 0, 0, 0, 1 | (QUEUE_ENTRIES - 1) << 16,
			   0x10001};

	command(program, 0, cq, sizeof(cq));
	command(program, 0, sq, sizeof(sq));
}

static void poke(struct program *program)
{
	size_t at = take(program, 3) % MEMORY_BYTES, size = take(program, 1);
	const uint8_t *bytes = take_bytes(program, &size);

	memcpy(program->world->memory + at, bytes, MIN(size, MEMORY_BYTES - at));
}

static void raw(struct program *program)
{
	size_t size = take(program, 1);
	const uint8_t *bytes = take_bytes(program, &size);

	send_bytes(program, bytes, size, -1);
}

static void operation(struct program *program)
{
	uint64_t offset;

	switch (take(program, 1) % 10) {
	case 0:
		operation_message(program);
		break;
	case 1:
		raw(program);
		break;
	case 2:
		offset = take(program, 2) % 0x8000;
		region_write(program, 0, offset, take(program, 4), 4);
		break;
	case 3:
		offset = take(program, 2) % 0x1000;
		region_write(program, 7, offset, take(program, 4), 4);
		break;
	case 4:
		poke(program);
		break;
	case 5:
		set_up(program);
		break;
	case 6:
		operation_command(program, 0);
		break;
	case 7:
		operation_command(program, 1);
		break;
	case 8:
		queues_create(program);
		break;
	default:
		if (ftruncate(program->world->memory_fd, 0) < 0)
			UNREACHABLE();
		/* Our own view is gone, too, until it is long enough again. */
		if (ftruncate(program->world->memory_fd, (off_t)MEMORY_BYTES) < 0)
			UNREACHABLE();
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct program program = {.world = world_get(), .data = data, .size = size};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	unsigned head = (unsigned)take(&program, 1);

	program.mapped = head & 1;
	memcpy(address.sun_path, program.world->paths[head & 1], sizeof(program.world->paths[0]));
	program.socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ASSERT(connect(program.socket, (struct sockaddr *)&address, sizeof(address)) == 0);
	memset(program.world->memory + ADMIN_SQ, 0, IO_CQ + 0x1000 - ADMIN_SQ);
	if (!(head & 2))
		send_message(&program, 1, 0, &(uint32_t){0}, 4);
	for (unsigned i = 0; i < OPERATIONS_MAX && program.size > 0 && !program.ended; i++)
		operation(&program);
	settle(&program);
	shutdown(program.socket, SHUT_WR);
	while (!program.ended)
		await(&program, POLLIN);
	close(program.socket);
	return 0;
}

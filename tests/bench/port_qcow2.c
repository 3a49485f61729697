/* SPDX-License-Identifier: Apache-2.0 */
/* A qcow2 file, exported by qemu-storage-daemon as vhost-user-blk. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <quoin/base_assert.h>
#include <quoin/base_random.h>

#include "client_qsd.h"
#include "client_vhost.h"
#include "load.h"

#define WAIT_MS 10
#define RAM_BYTES (48 * MiB)

struct qcow2_port {
	struct load_port port;
	struct qsd qsd;
	struct ram ram;
	struct vhost vhost;
	uint64_t buffers[LOAD_QUEUES_MAX * LOAD_DEPTH_MAX]; /* by load_buffer() */
};

static struct qcow2_port *qcow2_of(struct load_port *port)
{
	return container_of(port, struct qcow2_port, port);
}

static void qcow2_submit(struct load_port *port, const struct load_request *request)
{
	static const enum vhost_type types[] = {
		[LOAD_READ] = VHOST_READ, [LOAD_WRITE] = VHOST_WRITE, [LOAD_FLUSH] = VHOST_FLUSH};
	struct qcow2_port *qcow2 = qcow2_of(port);
	struct vhost_io io = {.type = types[request->op], .tag = (uint16_t)request->slot};

	if (request->op != LOAD_FLUSH) {
		io.length = request->length_bytes;
		io.sector = request->offset / 512;
		io.address = qcow2->buffers[load_buffer(request->queue, request->slot)];
	}
	vhost_submit(&qcow2->vhost.queues[request->queue], &io);
}

static void qcow2_ring(struct load_port *port, unsigned queue)
{
	vhost_kick(&qcow2_of(port)->vhost.queues[queue]);
}

static unsigned qcow2_reap(struct load_port *port, unsigned queue, struct load_done *done,
			   unsigned max)
{
	struct vhost_queue *q = &qcow2_of(port)->vhost.queues[queue];
	struct vhost_done ended;
	unsigned count = 0;

	while (count < max && vhost_reap(q, &ended))
		done[count++] = (struct load_done){.slot = ended.tag, .failed = ended.status != 0};
	return count;
}

static void qcow2_wait(struct load_port *port, unsigned queues)
{
	struct vhost *vhost = &qcow2_of(port)->vhost;
	struct pollfd p[LOAD_QUEUES_MAX];
	bool there = false;
	uint64_t calls;

	ASSERT_U64(queues, <=, LOAD_QUEUES_MAX);
	for (unsigned i = 0; i < queues; i++) {
		there = vhost_arm(&vhost->queues[i]) || there;
		p[i] = (struct pollfd){.fd = vhost->queues[i].call_fd, .events = POLLIN};
	}
	if (!there && poll(p, queues, WAIT_MS) > 0) {
		for (unsigned i = 0; i < queues; i++) {
			if ((p[i].revents & POLLIN) && read(p[i].fd, &calls, sizeof(calls)) < 0)
				break;
		}
	}
	for (unsigned i = 0; i < queues; i++)
		vhost_disarm(&vhost->queues[i]);
}

static uint64_t qcow2_cpu_ns(struct load_port *port)
{
	return daemon_cpu_ns(&qcow2_of(port)->qsd.process);
}

static void qcow2_close(struct load_port *port)
{
	struct qcow2_port *qcow2 = qcow2_of(port);

	/* Its daemon hangs at the end when it is left without a word (QEMU 7.2). */
	if (port->size_bytes > 0 && vhost_stop(&qcow2->vhost) < 0)
		fprintf(stderr, "quoin-bench: qemu-storage-daemon does not let go of its queues\n");
	vhost_close(&qcow2->vhost);
	ram_close(&qcow2->ram);
	qsd_fini(&qcow2->qsd);
	free(qcow2);
}

static const struct load_port_ops qcow2_ops = {
	.submit = qcow2_submit,
	.ring = qcow2_ring,
	.reap = qcow2_reap,
	.wait = qcow2_wait,
	.cpu_ns = qcow2_cpu_ns,
	.close = qcow2_close,
};

static void buffers_make(struct qcow2_port *qcow2)
{
	struct random random;

	random_init(&random, 4);
	for (unsigned i = 0; i < ARRAY_SIZE(qcow2->buffers); i++) {
		uint8_t *data = ram_alloc(&qcow2->ram, LOAD_BLOCK_MAX);

		random_fill(&random, data, LOAD_BLOCK_MAX);
		qcow2->buffers[i] = ram_addr(&qcow2->ram, data);
	}
}

/* The table of such an image fits the cache that QEMU gives it by itself (32 MiB: 256 GiB). */
static int bring_up(struct qcow2_port *qcow2, const char *path, uint64_t size_bytes)
{
	const struct qsd_disk disk = {
		.path = path,
		.format = "qcow2",
		.aio = "io_uring",
		.direct = true,
		.queues = LOAD_QUEUES_MAX,
	};
	const struct vhost_options options = {.path = qcow2->qsd.socket, .queues = LOAD_QUEUES_MAX};
	int error = qsd_init(&qcow2->qsd);

	unlink(path);
	if (!error)
		error = qsd_image_create(&qcow2->qsd, "qcow2", "cluster_size=64k", path,
					 size_bytes);
	if (!error)
		error = qsd_start(&qcow2->qsd, &disk);
	if (!error)
		error = ram_open(&qcow2->ram, RAM_BYTES);
	if (!error)
		error = vhost_open(&qcow2->vhost, &qcow2->ram, &options);
	return error;
}

int port_qcow2_open(const char *path, uint64_t size_bytes, struct load_port **ret_port)
{
	struct qcow2_port *qcow2 = calloc(1, sizeof(*qcow2));
	const int error = qcow2 ? bring_up(qcow2, path, size_bytes) : -ENOMEM;

	if (error) {
		if (qcow2)
			qcow2_close(&qcow2->port);
		return error;
	}
	qcow2->port.ops = &qcow2_ops;
	qcow2->port.size_bytes = size_bytes;
	buffers_make(qcow2);
	*ret_port = &qcow2->port;
	return 0;
}

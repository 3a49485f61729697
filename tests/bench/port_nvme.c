/* SPDX-License-Identifier: Apache-2.0 */
/* An NVMe disk of quoind, over vfio-user with shadow doorbells and interrupts. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <quoin/base_random.h>

#include "client.h"
#include "load.h"

#define QUEUE_ENTRIES 256
#define WAIT_MS 10
#define RAM_BYTES (48 * MiB)

struct nvme_port {
	struct load_port port;
	struct daemon *daemon;
	struct host host;
	unsigned lba_shift;
	/* Of every (queue, slot): the data pointers of a command of LOAD_BLOCK_MAX, by
	 * load_buffer(). A shorter one uses the beginning. */
	struct {
		uint64_t data, list;
	} buffers[LOAD_QUEUES_MAX * LOAD_DEPTH_MAX];
};

static struct nvme_port *nvme_of(struct load_port *port)
{
	return container_of(port, struct nvme_port, port);
}

static void nvme_submit(struct load_port *port, const struct load_request *request)
{
	static const uint8_t opcodes[] = {
		[LOAD_READ] = IO_READ, [LOAD_WRITE] = IO_WRITE, [LOAD_FLUSH] = IO_FLUSH};
	struct nvme_port *nvme = nvme_of(port);
	struct host_sq *sq = &nvme->host.queues[1 + request->queue].sq;
	const unsigned buffer = load_buffer(request->queue, request->slot);
	struct nvme_sqe *sqe = host_sq_slot(sq);
	const uint64_t lba = request->offset >> nvme->lba_shift;

	*sqe = (struct nvme_sqe){
		.opcode = opcodes[request->op], .cid = (uint16_t)request->slot, .nsid = 1};
	if (request->op != LOAD_FLUSH) {
		sqe->prp1 = nvme->buffers[buffer].data;
		if (request->length_bytes == 2 * RAM_PAGE)
			sqe->prp2 = sqe->prp1 + RAM_PAGE;
		else if (request->length_bytes > 2 * RAM_PAGE)
			sqe->prp2 = nvme->buffers[buffer].list;
		sqe->dw10 = (uint32_t)lba;
		sqe->dw11 = (uint32_t)(lba >> 32);
		sqe->dw12 = (request->length_bytes >> nvme->lba_shift) - 1;
	}
	host_sq_push(sq);
}

static void nvme_ring(struct load_port *port, unsigned queue)
{
	struct host_queue *q = &nvme_of(port)->host.queues[1 + queue];

	host_sq_ring(&q->sq);
	host_cq_ring(&q->cq);
}

static unsigned nvme_reap(struct load_port *port, unsigned queue, struct load_done *done,
			  unsigned max)
{
	struct host_cq *cq = &nvme_of(port)->host.queues[1 + queue].cq;
	const struct nvme_cqe *cqe;
	unsigned count = 0;

	while (count < max && (cqe = host_cq_peek(cq))) {
		done[count++] = (struct load_done){.slot = cqe->cid % LOAD_DEPTH_MAX,
						   .failed = nvme_cqe_status(cqe) != 0};
		host_cq_pop(cq);
	}
	return count;
}

static void nvme_wait(struct load_port *port, unsigned queues)
{
	struct nvme_port *nvme = nvme_of(port);
	struct pollfd p[LOAD_QUEUES_MAX];
	uint64_t count;

	for (unsigned i = 0; i < queues; i++)
		p[i] = (struct pollfd){.fd = nvme->host.queues[1 + i].cq.event_fd,
				       .events = POLLIN};
	if (poll(p, queues, WAIT_MS) <= 0)
		return;
	for (unsigned i = 0; i < queues; i++) {
		if ((p[i].revents & POLLIN) && read(p[i].fd, &count, sizeof(count)) < 0)
			return;
	}
}

static uint64_t nvme_cpu_ns(struct load_port *port)
{
	return daemon_cpu_ns(nvme_of(port)->daemon);
}

static void nvme_close(struct load_port *port)
{
	host_close(&nvme_of(port)->host);
	free(nvme_of(port));
}

static const struct load_port_ops nvme_ops = {
	.submit = nvme_submit,
	.ring = nvme_ring,
	.reap = nvme_reap,
	.wait = nvme_wait,
	.cpu_ns = nvme_cpu_ns,
	.close = nvme_close,
};

static void buffers_make(struct nvme_port *nvme)
{
	struct random random;

	random_init(&random, 3);
	for (unsigned i = 0; i < ARRAY_SIZE(nvme->buffers); i++) {
		uint8_t *data = ram_alloc(&nvme->host.ram, LOAD_BLOCK_MAX);
		uint64_t *list = ram_alloc(&nvme->host.ram, RAM_PAGE);

		random_fill(&random, data, LOAD_BLOCK_MAX);
		nvme->buffers[i].data = ram_addr(&nvme->host.ram, data);
		nvme->buffers[i].list = ram_addr(&nvme->host.ram, list);
		for (unsigned page = 1; page < LOAD_BLOCK_MAX / RAM_PAGE; page++)
			list[page - 1] = nvme->buffers[i].data + page * RAM_PAGE;
	}
}

static int bring_up(struct nvme_port *nvme, const char *path)
{
	const struct host_options options = {
		.path = path,
		.flavour = CLIENT_QEMU,
		.ram_size = RAM_BYTES,
		.interrupts = true,
	};
	const struct host_queue_options queue = {.sq_size = QUEUE_ENTRIES, .interrupts = true};
	struct host_namespace ns;
	int status = host_open(&nvme->host, &options);

	if (!status)
		status = host_set_feature(
			&nvme->host, 7, (LOAD_QUEUES_MAX - 1) << 16 | (LOAD_QUEUES_MAX - 1), NULL);
	for (unsigned i = 1; i <= LOAD_QUEUES_MAX && !status; i++)
		status = host_queue_create(&nvme->host, i, queue);
	if (!status)
		status = host_shadow_enable(&nvme->host);
	if (!status)
		status = host_namespace_get(&nvme->host, 1, &ns);
	if (status)
		return status > 0 ? -EIO : status;
	nvme->lba_shift = ns.lba_shift;
	nvme->port.size_bytes = ns.block_count << ns.lba_shift;
	buffers_make(nvme);
	return 0;
}

int port_nvme_open(struct daemon *daemon, const char *path, struct load_port **ret_port)
{
	struct nvme_port *nvme = calloc(1, sizeof(*nvme));
	int error;

	if (!nvme)
		return -ENOMEM;
	nvme->port.ops = &nvme_ops;
	nvme->daemon = daemon;
	host_init(&nvme->host);
	error = bring_up(nvme, path);
	if (error) {
		nvme_close(&nvme->port);
		return error;
	}
	*ret_port = &nvme->port;
	return 0;
}

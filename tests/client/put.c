/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nvme-put SOCKET FILE: writes an image to the disk of a target, as a virtual machine would, and
 * flushes it; the daemon has no verb for that yet. What is zero in the file is left out, so the
 * disk must be a new one. With --compare the disk is read instead, and must have what the file has
 * there. Namespace 1, blocks of 512 bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"

#define BATCH 16
#define CHUNK_BYTES (128 * KiB)

struct put {
	struct host host;
	int fd;
	uint64_t size, at, written;
	bool compare;
	unsigned submitted; /* of the batch */
	/* Of each: what the file has, what the disk is given or gives. */
	uint8_t *wanted[BATCH], *data[BATCH];
	uint64_t bytes[BATCH];
};

static bool is_zero(const uint8_t *data, size_t size)
{
	return data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

/* The next piece of the file into `data`, which is zeroed beyond its end. Negative errno. */
static int piece_read(struct put *p, uint8_t *data)
{
	const ssize_t n = pread(p->fd, data, CHUNK_BYTES, (off_t)p->at);

	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	memset(data + n, 0, CHUNK_BYTES - (size_t)n);
	return 0;
}

static int piece_submit(struct put *p, uint8_t *wanted)
{
	const uint64_t bytes = MIN((uint64_t)CHUNK_BYTES, (p->size - p->at + 511) / 512 * 512);
	struct nvme_sqe sqe = {
		.opcode = p->compare ? IO_READ : IO_WRITE,
		.nsid = 1,
		.dw10 = (uint32_t)(p->at / 512),
		.dw11 = (uint32_t)(p->at / 512 >> 32),
		.dw12 = (uint32_t)(bytes / 512) - 1,
	};

	p->wanted[p->submitted] = wanted;
	p->data[p->submitted] = p->compare ? ram_alloc(&p->host.ram, CHUNK_BYTES) : wanted;
	p->bytes[p->submitted] = bytes;
	prp_set(&p->host.ram, &sqe, p->data[p->submitted], bytes, 0);
	p->submitted++;
	p->written += bytes;
	return host_submit(&p->host, 1, sqe) < 0 ? -EIO : 0;
}

static int batch_submit(struct put *p)
{
	int r = 0;

	for (p->submitted = 0; r == 0 && p->submitted < BATCH && p->at < p->size;
	     p->at += CHUNK_BYTES) {
		uint8_t *data = ram_alloc(&p->host.ram, CHUNK_BYTES);

		r = piece_read(p, data);
		if (r == 0 && !is_zero(data, CHUNK_BYTES))
			r = piece_submit(p, data);
		else
			ram_release(&p->host.ram, ram_addr(&p->host.ram, data));
	}
	return r;
}

static int batch_end(struct put *p)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < p->submitted; i++) {
		struct nvme_cqe cqe;

		r = host_reap(&p->host, 1, &cqe, HOST_COMMAND_TIMEOUT_MS);
		if (r == 0 && nvme_cqe_status(&cqe) != ST_OK)
			r = -EIO;
	}
	for (unsigned i = 0; r == 0 && i < p->submitted; i++) {
		if (memcmp(p->wanted[i], p->data[i], p->bytes[i]) != 0)
			r = -EILSEQ;
	}
	return r;
}

static int put(struct put *p)
{
	const struct nvme_sqe flush = {.opcode = IO_FLUSH, .nsid = 1};
	int r = 0;

	while (r == 0 && p->at < p->size) {
		const uint64_t mark = ram_mark(&p->host.ram);

		r = batch_submit(p);
		if (r == 0)
			r = batch_end(p);
		ram_release(&p->host.ram, mark);
	}
	return r ? r : host_run(&p->host, 1, flush, NULL) ? -EIO : 0;
}

static int fail(const char *what, int error)
{
	fprintf(stderr, "nvme-put: %s: %s\n", what, strerror(-error));
	return 1;
}

static int disk_open(struct put *p, const char *path)
{
	struct host_namespace ns;
	int r = host_open(&p->host, &(struct host_options){.path = path, .flavour = CLIENT_QEMU});

	if (r == 0)
		r = host_queue_create(&p->host, 1, (struct host_queue_options){0}) ? -EIO : 0;
	if (r == 0)
		r = host_namespace_get(&p->host, 1, &ns) ? -EIO : 0;
	if (r == 0 && ns.lba_shift != 9)
		r = -EINVAL;
	return r == 0 && ns.block_count * 512 < p->size ? -EFBIG : r;
}

int main(int argc, char **argv)
{
	static struct put p;
	struct stat st;
	int r;

	if (argc == 4 && strcmp(argv[1], "--compare") == 0) {
		p.compare = true;
		argv++;
	} else if (argc != 3) {
		fprintf(stderr, "usage: nvme-put [--compare] SOCKET FILE\n");
		return 2;
	}
	p.fd = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (p.fd < 0 || fstat(p.fd, &st) < 0)
		return fail(argv[2], -errno);
	p.size = (uint64_t)st.st_size;
	host_init(&p.host);
	r = disk_open(&p, argv[1]);
	if (r < 0)
		return fail(argv[1], r);
	r = put(&p);
	host_close(&p.host);
	close(p.fd);
	if (r < 0)
		return fail(p.compare ? "the disk does not have it" : "the image was not written",
			    r);
	printf("%llu MiB %s, the rest is zero\n", (unsigned long long)(p.written / MiB),
	       p.compare ? "are there" : "written");
	return 0;
}

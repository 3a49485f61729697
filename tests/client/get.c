/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nvme-get SOCKET FILE: reads the disk of a target into a new file, as a virtual machine would,
 * from its first byte to its last. Namespace 1, blocks of 512 bytes. A piece that cannot be read is
 * told, with its offset, and ends it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

#define CHUNK_BYTES (128 * KiB)

static int fail(const char *what, int error)
{
	fprintf(stderr, "nvme-get: %s: %s\n", what, strerror(-error));
	return 1;
}

static int disk_open(struct host *host, const char *path, uint64_t *ret_size)
{
	struct host_namespace ns;
	int r = host_open(host, &(struct host_options){.path = path, .flavour = CLIENT_QEMU});

	if (r == 0)
		r = host_queue_create(host, 1, (struct host_queue_options){0}) ? -EIO : 0;
	if (r == 0)
		r = host_namespace_get(host, 1, &ns) ? -EIO : 0;
	if (r == 0 && ns.lba_shift != 9)
		r = -EINVAL;
	if (r == 0)
		*ret_size = ns.block_count * 512;
	return r;
}

static int piece_get(struct host *host, int fd, uint64_t at, uint64_t bytes)
{
	const uint64_t mark = ram_mark(&host->ram);
	uint8_t *data = ram_alloc(&host->ram, CHUNK_BYTES);
	struct nvme_sqe sqe = {
		.opcode = IO_READ,
		.nsid = 1,
		.dw10 = (uint32_t)(at / 512),
		.dw11 = (uint32_t)(at / 512 >> 32),
		.dw12 = (uint32_t)(bytes / 512) - 1,
	};
	int r;

	prp_set(&host->ram, &sqe, data, bytes, 0);
	r = host_run(host, 1, sqe, NULL) ? -EIO : 0;
	if (r == 0 && pwrite(fd, data, bytes, (off_t)at) != (ssize_t)bytes)
		r = -errno;
	ram_release(&host->ram, mark);
	return r;
}

int main(int argc, char **argv)
{
	static struct host host;
	uint64_t size = 0;
	int r;
	int fd;

	if (argc != 3) {
		fprintf(stderr, "usage: nvme-get SOCKET FILE\n");
		return 2;
	}
	fd = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return fail(argv[2], -errno);
	host_init(&host);
	r = disk_open(&host, argv[1], &size);
	if (r < 0)
		return fail(argv[1], r);
	for (uint64_t at = 0; r == 0 && at < size; at += CHUNK_BYTES) {
		r = piece_get(&host, fd, at, MIN((uint64_t)CHUNK_BYTES, size - at));
		if (r < 0)
			fprintf(stderr, "at %llu: ", (unsigned long long)at);
	}
	host_close(&host);
	close(fd);
	return r < 0 ? fail("the disk cannot be read", r) : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory: see client_ram.h. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <quoin/base_assert.h>
#include <quoin/base_math.h>

#include "client_ram.h"

int ram_open(struct ram *ram, uint64_t size)
{
	int fd = memfd_create("client-ram", MFD_CLOEXEC);
	void *base;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size) < 0)
		goto fail;
	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		goto fail;
	*ram = (struct ram){.fd = fd, .base = base, .size = size, .next = RAM_PAGE};
	return 0;
fail:
	base_close(&fd);
	return -ENOMEM;
}

void ram_close(struct ram *ram)
{
	if (!ram->base)
		return;
	munmap(ram->base, ram->size);
	base_close(&ram->fd);
	ram->base = NULL;
}

void *ram_alloc(struct ram *ram, uint64_t size)
{
	uint8_t *p = ram->base + ram->next;

	size = align_up(size, RAM_PAGE);
	ASSERT(range_within(ram->next, size, ram->size));
	ram->next += size;
	memset(p, 0, size);
	return p;
}

int ram_map_piece(struct ram *ram, struct client *client, uint64_t start, uint64_t size)
{
	const struct client_map map = {
		.iova = start,
		.size = size,
		.offset = start,
		.flags = WIRE_MAP_READ | WIRE_MAP_WRITE,
		.fd = ram->fd,
	};

	return client_dma_map(client, &map);
}

int ram_map(struct ram *ram, struct client *client)
{
	return ram_map_piece(ram, client, 0, ram->size);
}

int ram_map_seabios(struct ram *ram, struct client *client)
{
	const uint32_t rw = WIRE_MAP_READ | WIRE_MAP_WRITE;
	const struct client_map pieces[] = {
		{0, 0xC3000, 0, rw, ram->fd},
		{0xC3000, 0x25000, 0xC3000, WIRE_MAP_READ, ram->fd},
		{0xE8000, 0x8000, 0xE8000, rw, ram->fd},
		{0xF0000, 0x10000, 0, WIRE_MAP_READ, -1},
		{0x100000, ram->size - 0x100000, 0x100000, rw, ram->fd},
	};
	uint16_t ids[ARRAY_SIZE(pieces)];
	int error = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(pieces) && !error; i++)
		error = client_dma_map_send(client, &pieces[i], &ids[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(pieces) && !error; i++)
		error = client_dma_map_reply(client, ids[i]);
	return error;
}

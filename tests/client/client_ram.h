/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of a pretended virtual machine: one memfd, mapped here and given to the server in
 * regions. The guest address of a byte is its offset in the memfd. Pages are handed out upwards
 * and never taken back one by one: ram_mark() and ram_release() give whole stretches back.
 */
#ifndef CLIENT_RAM_H
#define CLIENT_RAM_H

#include "client_device.h"

#define RAM_PAGE 4096

struct ram {
	int fd;
	uint8_t *base;
	uint64_t size;
	uint64_t next;
};

/* -ENOMEM or what memfd_create() and mmap() said. Page 0 is never handed out. */
MUST_CHECK int ram_open(struct ram *ram, uint64_t size);
void ram_close(struct ram *ram);

/* Zeroed, page aligned. Aborts the test when there is no more: the test asked for too little. */
void *ram_alloc(struct ram *ram, uint64_t size);

static inline uint64_t ram_addr(const struct ram *ram, const void *p)
{
	return (uint64_t)((const uint8_t *)p - ram->base);
}

static inline uint64_t ram_mark(const struct ram *ram)
{
	return ram->next;
}

static inline void ram_release(struct ram *ram, uint64_t mark)
{
	ram->next = mark;
}

/* One region for all of it. */
MUST_CHECK int ram_map(struct ram *ram, struct client *client);

/* [start, start + size) as one region, readable and writable. */
MUST_CHECK int ram_map_piece(struct ram *ram, struct client *client, uint64_t start, uint64_t size);

/* As SeaBIOS' play with the PAM registers looks from below: low memory in pieces. */
MUST_CHECK int ram_map_seabios(struct ram *ram, struct client *client);

#endif

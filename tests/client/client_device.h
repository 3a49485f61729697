/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a virtual machine monitor does with a vfio-user device: ask what it has, reach its
 * regions, give it memory and interrupts. Each call is one message. Errors as in client_socket.h.
 */
#ifndef CLIENT_DEVICE_H
#define CLIENT_DEVICE_H

#include "client_socket.h"

MUST_CHECK int client_device_info(struct client *client, struct wire_device_info *ret);

/* The two-phase form: `argsz` is what the client says it has room for. */
struct client_region {
	struct wire_region_info info;
	struct wire_sparse sparse; /* valid when info.flags has CAPS and one area came */
	bool has_sparse;
	int fd; /* -1 = none; the caller closes it */
};

MUST_CHECK int client_region_info(struct client *client, unsigned index, uint32_t argsz,
				  struct client_region *ret);
MUST_CHECK int client_irq_info(struct client *client, unsigned index, struct wire_irq_info *ret);

/* Sets interrupts as `set` says; argsz is filled in. */
MUST_CHECK int client_irq_set(struct client *client, struct wire_irq_set set, const int *fds,
			      unsigned fd_count);

/* Assigns eventfd `fd` to MSI-X vector `vector`; -1 takes it away. */
MUST_CHECK int client_msix_assign(struct client *client, unsigned vector, int fd);

MUST_CHECK int client_region_read(struct client *client, struct wire_region_access at, void *data);
MUST_CHECK int client_region_write(struct client *client, struct wire_region_access at,
				   const void *data);

/* BAR0 and configuration space by name. BAR writes are posted when client->posted. */
MUST_CHECK int client_bar_read(struct client *client, uint64_t offset, void *data, uint32_t count);
MUST_CHECK int client_bar_write(struct client *client, uint64_t offset, const void *data,
				uint32_t count);
MUST_CHECK int client_config_read(struct client *client, uint64_t offset, void *data,
				  uint32_t count);
MUST_CHECK int client_config_write(struct client *client, uint64_t offset, const void *data,
				   uint32_t count);

/* fd -1: a region without a descriptor. */
struct client_map {
	uint64_t iova;
	uint64_t size;
	uint64_t offset; /* in the fd */
	uint32_t flags;	 /* WIRE_MAP_* */
	int fd;
};

MUST_CHECK int client_dma_map(struct client *client, const struct client_map *map);

/* Sends the map only; the reply is taken with client_dma_map_reply(). QEMU does so. */
MUST_CHECK int client_dma_map_send(struct client *client, const struct client_map *map,
				   uint16_t *ret_id);
MUST_CHECK int client_dma_map_reply(struct client *client, uint16_t id);
MUST_CHECK int client_dma_unmap(struct client *client, uint64_t iova, uint64_t size);
MUST_CHECK int client_dma_unmap_all(struct client *client);

/* DEVICE_RESET. */
MUST_CHECK int client_reset(struct client *client);

#endif

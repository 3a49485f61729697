/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a kind of drive fills in, and what all kinds share. Private to this room.
 * Drivers embed the two structures as their first member.
 */
#ifndef DISK_DRIVER_H
#define DISK_DRIVER_H

#include <quoin/disk.h>

struct disk_ops {
	void (*close)(struct disk *disk);
	int (*refresh)(struct disk *disk);
	int (*resize)(struct disk *disk, uint64_t size_bytes);
	int (*attach)(struct disk *disk, struct loop *loop, struct disk_channel **ret_channel);
	void (*detach)(struct disk_channel *channel);
	void (*submit)(struct disk_channel *channel, struct disk_request *request);
};

struct disk {
	const struct disk_ops *ops;
	struct disk_info info;
	char *name;
	_Atomic unsigned channels; /* attached now; a count for the assertion in close */
};

struct disk_channel {
	struct disk *disk;
	struct loop *loop;
	unsigned in_flight;
};

/* Ends a request that was counted in. */
void disk_request_end(struct disk_request *request, int result);

/* Ends a request with `result` from a later turn of the loop: for refusals inside submit. */
void disk_request_end_later(struct disk_request *request, int result);

#endif

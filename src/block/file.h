/* SPDX-License-Identifier: Apache-2.0 */
/* The file driver from inside: the device (file.c) and the path of a request (file_merge.c). */
#ifndef BLOCK_FILE_H
#define BLOCK_FILE_H

#include <quoin/disk.h>

#include "driver.h"

#define FILE_MERGES_MAX 32     /* merged I/O in flight per channel; beyond it, no merging */
#define FILE_MERGE_IOV_MAX 128 /* pieces of one */
#define FILE_MERGE_BYTES_MAX                                                \
	262144 /* of one: past this, size gains nothing and the first waits \
		*/

struct file_device {
	struct block_device device;
	struct disk *disk;
	bool owns_disk;
};

/* What lives in block_request.driver. */
struct file_request {
	struct disk_request disk;
};

/* Neighbours that travel as one. */
struct file_merge {
	struct list node; /* of the free ones */
	struct disk_request disk;
	struct file_channel *channel;
	struct list requests; /* block_request.node */
	unsigned iov_count;
	struct iovec iov[FILE_MERGE_IOV_MAX];
};

/* Requests held back since the last kick: one run of neighbours. */
struct file_run {
	struct block_request *first; /* NULL: none */
	struct file_merge *merge;    /* NULL: `first` is alone */
	uint64_t end;		     /* offset behind the last */
	uint64_t length_bytes;
};

struct file_channel {
	struct block_channel channel;
	struct disk_channel *disk;
	struct file_run run;
	struct list merges_free;
	struct file_merge merges[FILE_MERGES_MAX];
};

void block_file_channel_init(struct file_channel *channel);
void block_file_submit(struct block_channel *channel, struct block_request *request);
void block_file_kick(struct block_channel *channel);

#endif

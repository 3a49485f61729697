/* SPDX-License-Identifier: Apache-2.0 */
/* Files and block devices: what opening (file_open.c), asking (disk_file_identify.c) and I/O
 * (file_io.c) share. */
#ifndef DISK_FILE_H
#define DISK_FILE_H

#include <stdatomic.h>
#include <sys/types.h>

#include "driver.h"

#define FILE_IOV_MAX 1024		/* the kernel's UIO_MAXIOV */
#define FILE_TRANSFER_MAX (1024 * 1024) /* the kernel splits for the device below */
#define FILE_ZEROES_BYTES (1024 * 1024) /* written at a time where nothing zeroes for us */
#define FILE_RETRIES_MAX 16		/* of an I/O that was interrupted */
#define FILE_LOOK_NS (100 * NS_PER_MS)	/* how long a size is believed while writing */

struct file_disk {
	struct disk disk;
	int fd;
	const void *zeroes; /* FILE_ZEROES_BYTES of the kernel's zero page, read-only */

	/* Shared between the loops. */
	_Atomic uint64_t size_now;	 /* requests beyond it fail; <= info.size_bytes + tail */
	_Atomic int flush_error;	 /* of the first flush that failed, for ever */
	_Atomic bool punch_refused;	 /* EOPNOTSUPP was the answer once */
	_Atomic bool zero_range_refused; /* the same */
};

struct file_channel {
	struct disk_channel channel;
	uint64_t look_again_ns; /* the size is looked at when a write comes after this */
	unsigned file;		/* the descriptor's in the loop's table, or 0 */
};

/* The sentence for a failed open or stat; `code` is a positive errno. Returns it negated. */
int disk_file_open_failed(const char *path, int code, bool read_only, struct err *err);

/* Refuses what is neither a file nor a block device, before open() can have side effects. */
MUST_CHECK int disk_file_kind_check(const char *path, mode_t mode, struct err *err);

/* Fills disk->disk.info from the open descriptor. May turn O_DIRECT off. */
MUST_CHECK int disk_file_identify(struct file_disk *disk, struct err *err);

/* The length now, in whole logical blocks. Negative errno. */
MUST_CHECK int disk_file_size(const struct file_disk *disk, uint64_t *ret_bytes);

/* File I/O of the ops table. */
void disk_file_submit(struct disk_channel *channel, struct disk_request *request);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A source that is a snapshot of a pool, on whatever loop that has its home. */
#ifndef QUOIN_IMAGE_SNAPSHOT_H
#define QUOIN_IMAGE_SNAPSHOT_H

#include <quoin/block.h>
#include <quoin/image_source.h>

struct image_snapshot {
	struct block_device *device; /* read-only; borrowed until closed() */
	struct loop *home;	     /* of its pool */
	const char *name;	     /* for sentences; copied */
	const char *identity;	     /* copied */
	uint64_t data_bytes;	     /* of it are no zeroes, at most */
	/* Nothing of it is used any more; in the loop that it was opened for. */
	void (*closed)(void *data);
	void *data;
};

/* [fiber] It is raw. -ENOMEM ...: closed() is not called then. */
MUST_CHECK int image_snapshot_open(const struct image_snapshot *snapshot, struct loop *loop,
				   struct image_source **ret_source, struct err *err);

#endif

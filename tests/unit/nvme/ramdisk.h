/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A drive in memory for tests of front ends: keeps data, knows what is durable, and completes when
 * the test says. What was written without FUA is durable only after a flush.
 */
#ifndef TEST_NVME_RAMDISK_H
#define TEST_NVME_RAMDISK_H

#include <quoin/block.h>

enum ramdisk_mode {
	RAMDISK_INLINE, /* inside submit */
	RAMDISK_ASYNC,	/* later, one by one, in an order from the loop's generator */
	RAMDISK_HOLD,	/* when the test releases them */
};

struct ramdisk {
	struct block_device device;
	uint8_t *data;
	uint8_t *durable;
	enum ramdisk_mode mode;
	struct loop *loop;
	struct loop_task task;
	struct list held_back; /* requests until the next kick */
	struct list waiting;   /* then, in the order of arrival */
	unsigned waiting_count;
	int fail; /* negative errno for all requests whose op is in fail_ops */
	unsigned fail_ops;
	unsigned counts[BLOCK_OP_COUNT];
	bool reads_nothing; /* reads succeed and leave the buffer as it was */
	unsigned fua_count;
	unsigned kicks;
};

struct ramdisk *ramdisk_new(uint64_t size_bytes, uint32_t block_bytes);

/* Executes and completes the oldest waiting request; false when there is none. */
bool ramdisk_release(struct ramdisk *disk);
void ramdisk_release_all(struct ramdisk *disk);

#endif

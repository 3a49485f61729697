/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost-user and virtio-blk as bytes: messages of the socket, split rings and requests in memory.
 * Written from the protocol texts alone (QEMU's docs/interop/vhost-user, virtio 1.2), so that the
 * client is a second opinion about them. Messages have the host's byte order, rings and requests
 * are little endian: this client runs on little endian machines only.
 */
#ifndef CLIENT_VHOST_WIRE_H
#define CLIENT_VHOST_WIRE_H

#include <stdint.h>

/* --- Messages ------------------------------------------------------------------------------- */

enum vhost_message_type {
	VHOST_GET_FEATURES = 1,
	VHOST_SET_FEATURES = 2,
	VHOST_SET_OWNER = 3,
	VHOST_SET_MEM_TABLE = 5,
	VHOST_SET_VRING_NUM = 8,
	VHOST_SET_VRING_ADDR = 9,
	VHOST_SET_VRING_BASE = 10,
	VHOST_GET_VRING_BASE = 11,
	VHOST_SET_VRING_KICK = 12,
	VHOST_SET_VRING_CALL = 13,
	VHOST_SET_VRING_ERR = 14,
	VHOST_GET_PROTOCOL_FEATURES = 15,
	VHOST_SET_PROTOCOL_FEATURES = 16,
	VHOST_GET_QUEUE_NUM = 17,
	VHOST_SET_VRING_ENABLE = 18,
	VHOST_GET_CONFIG = 24,
	VHOST_SET_CONFIG = 25,
	VHOST_GET_MAX_MEM_SLOTS = 36,
	VHOST_ADD_MEM_REG = 37,
};

#define VHOST_VERSION 0x1U
#define VHOST_REPLY 0x4U
#define VHOST_NEED_REPLY 0x8U

/* `size` counts what follows the header. */
struct vhost_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
};

struct vhost_region {
	uint64_t guest_address;
	uint64_t size;
	uint64_t user_address;
	uint64_t offset; /* in the descriptor that comes with it */
};

/* SET_MEM_TABLE with one region. */
struct vhost_table {
	uint32_t count;
	uint32_t padding;
	struct vhost_region region;
};

/* ADD_MEM_REG. */
struct vhost_add_region {
	uint64_t padding;
	struct vhost_region region;
};

/* SET_VRING_NUM, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_ENABLE. */
struct vhost_ring_state {
	uint32_t index;
	uint32_t value;
};

/* Addresses as the front end sees its own memory ("user address"), not the guest's. */
struct vhost_ring_address {
	uint32_t index;
	uint32_t flags;
	uint64_t desc;
	uint64_t used;
	uint64_t avail;
	uint64_t log;
};

/* What virtio-blk keeps in its configuration space, 60 bytes. */
struct vhost_config {
	uint64_t capacity; /* sectors of 512 bytes */
	uint32_t size_max;
	uint32_t seg_max;
	uint8_t geometry[4];
	uint32_t blk_size;
	uint8_t physical_exponent;
	uint8_t alignment_offset;
	uint16_t min_io;
	uint32_t opt_io;
	uint8_t writeback;
	uint8_t padding;
	uint16_t num_queues;
	uint32_t max_discard_sectors;
	uint32_t max_discard_segments;
	uint32_t discard_alignment;
	uint32_t max_write_zeroes_sectors;
	uint32_t max_write_zeroes_segments;
	uint8_t write_zeroes_may_unmap;
	uint8_t end[3];
} __attribute__((packed));

struct vhost_config_message {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	struct vhost_config config;
} __attribute__((packed));

/* Bits of the features, by number. */
enum vhost_feature {
	VHOST_F_BLK_SIZE = 6,
	VHOST_F_FLUSH = 9,
	VHOST_F_MQ = 12,
	VHOST_F_DISCARD = 13,
	VHOST_F_WRITE_ZEROES = 14,
	VHOST_F_INDIRECT = 28,
	VHOST_F_EVENT_IDX = 29,
	VHOST_F_PROTOCOL_FEATURES = 30,
	VHOST_F_VERSION_1 = 32,
};

enum vhost_protocol_feature {
	VHOST_P_MQ = 0,
	VHOST_P_REPLY_ACK = 3,
	VHOST_P_CONFIG = 9,
	VHOST_P_MEM_SLOTS = 15,
};

/* --- Rings and requests --------------------------------------------------------------------- */

#define VHOST_DESC_NEXT 1U
#define VHOST_DESC_WRITE 2U /* the device writes */
#define VHOST_DESC_INDIRECT 4U
#define VHOST_AVAIL_NO_INTERRUPT 1U
#define VHOST_USED_NO_NOTIFY 1U

struct vhost_desc {
	uint64_t address; /* the guest's */
	uint32_t length;
	uint16_t flags;
	uint16_t next;
};

/* Entry `n` (the ring's size) is used_event. */
struct vhost_avail {
	uint16_t flags;
	uint16_t index;
	uint16_t ring[];
};

struct vhost_used_entry {
	uint32_t id; /* first descriptor of the chain */
	uint32_t length;
};

/* avail_event is a u16 behind the last entry. */
struct vhost_used {
	uint16_t flags;
	uint16_t index;
	struct vhost_used_entry ring[];
};

enum vhost_type {
	VHOST_READ = 0,
	VHOST_WRITE = 1,
	VHOST_FLUSH = 4,
	VHOST_GET_ID = 8,
	VHOST_DISCARD = 11,
	VHOST_ZERO = 13,
};

enum vhost_status { VHOST_OK = 0, VHOST_IOERR = 1, VHOST_UNSUPPORTED = 2 };

struct vhost_request {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector;
};

/* The data of DISCARD and WRITE_ZEROES. */
struct vhost_range {
	uint64_t sector;
	uint32_t sectors;
	uint32_t flags;
};

#endif

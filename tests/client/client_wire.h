/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vfio-user protocol as bytes: written from the protocol text alone, so that the client is a
 * second opinion about it. Byte order is the host's.
 */
#ifndef CLIENT_WIRE_H
#define CLIENT_WIRE_H

#include <stdint.h>

enum wire_command {
	WIRE_VERSION = 1,
	WIRE_DMA_MAP = 2,
	WIRE_DMA_UNMAP = 3,
	WIRE_GET_INFO = 4,
	WIRE_GET_REGION_INFO = 5,
	WIRE_GET_REGION_IO_FDS = 6,
	WIRE_GET_IRQ_INFO = 7,
	WIRE_SET_IRQS = 8,
	WIRE_REGION_READ = 9,
	WIRE_REGION_WRITE = 10,
	WIRE_DMA_READ = 11,
	WIRE_DMA_WRITE = 12,
	WIRE_RESET = 13,
	WIRE_REGION_WRITE_MULTI = 15,
	WIRE_FEATURE = 16,
};

#define WIRE_FLAG_REPLY 0x1U
#define WIRE_FLAG_NO_REPLY 0x10U
#define WIRE_FLAG_ERROR 0x20U

#define WIRE_REGION_BAR0 0
#define WIRE_REGION_CONFIG 7
#define WIRE_REGION_COUNT 9

#define WIRE_REGION_READABLE 1U
#define WIRE_REGION_WRITABLE 2U
#define WIRE_REGION_MMAP 4U
#define WIRE_REGION_CAPS 8U

#define WIRE_IRQ_INTX 0
#define WIRE_IRQ_MSIX 2

#define WIRE_IRQ_DATA_NONE 1U
#define WIRE_IRQ_DATA_BOOL 2U
#define WIRE_IRQ_DATA_EVENTFD 4U
#define WIRE_IRQ_MASK 8U
#define WIRE_IRQ_UNMASK 0x10U
#define WIRE_IRQ_TRIGGER 0x20U

#define WIRE_MAP_READ 1U
#define WIRE_MAP_WRITE 2U
#define WIRE_UNMAP_ALL 2U

#define WIRE_FDS_MAX 64
#define WIRE_TRANSFER_MAX (1U << 20)
#define WIRE_MESSAGE_MAX (WIRE_TRANSFER_MAX + 64)

struct wire_header {
	uint16_t id;
	uint16_t command;
	uint32_t size;
	uint32_t flags;
	uint32_t error;
};

struct wire_version {
	uint16_t major;
	uint16_t minor;
};

struct wire_dma_map {
	uint32_t argsz;
	uint32_t flags;
	uint64_t offset;
	uint64_t iova;
	uint64_t size;
};

struct wire_dma_unmap {
	uint32_t argsz;
	uint32_t flags;
	uint64_t iova;
	uint64_t size;
};

struct wire_device_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t num_regions;
	uint32_t num_irqs;
};

struct wire_region_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t cap_offset;
	uint64_t size;
	uint64_t offset;
};

/* A sparse mmap capability with one area, as it follows the region info. */
struct wire_sparse {
	uint16_t id;
	uint16_t version;
	uint32_t next;
	uint32_t nr_areas;
	uint32_t reserved;
	uint64_t offset;
	uint64_t size;
};

struct wire_irq_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t count;
};

struct wire_irq_set {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t start;
	uint32_t count;
};

struct wire_region_access {
	uint64_t offset;
	uint32_t region;
	uint32_t count;
};

#endif

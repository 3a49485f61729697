/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vfio-user protocol as bytes: headers and payloads, and nothing else. Pure: no I/O, no
 * state, no allocation. Integers are in the byte order of the host, at any alignment.
 *
 * Decoders take the payload behind the header with its true size, look at no byte beyond it, and
 * return -EINVAL for what is too short, or says it is (`argsz`). What values mean is judged by
 * the caller.
 */
#ifndef VFIO_USER_WIRE_H
#define VFIO_USER_WIRE_H

#include <quoin/base.h>

#define VFIO_HEADER_BYTES 16
#define VFIO_ACCESS_BYTES 16	    /* fixed part of region accesses */
#define VFIO_DATA_MAX (1024 * 1024) /* max_data_xfer_size */
#define VFIO_MESSAGE_MAX (VFIO_HEADER_BYTES + VFIO_ACCESS_BYTES + VFIO_DATA_MAX)
#define VFIO_FDS_MAX 64 /* taken with one message; what we announce is less */
#define VFIO_FDS_ANNOUNCED 8
#define VFIO_WRITES_MAX 200 /* entries of one REGION_WRITE_MULTI */

enum vfio_command {
	VFIO_VERSION = 1,
	VFIO_DMA_MAP = 2,
	VFIO_DMA_UNMAP = 3,
	VFIO_GET_INFO = 4,
	VFIO_GET_REGION_INFO = 5,
	VFIO_GET_REGION_IO_FDS = 6,
	VFIO_GET_IRQ_INFO = 7,
	VFIO_SET_IRQS = 8,
	VFIO_REGION_READ = 9,
	VFIO_REGION_WRITE = 10,
	VFIO_RESET = 13,
	VFIO_REGION_WRITE_MULTI = 15,
	VFIO_FEATURE = 16,
};

enum { VFIO_TYPE_MASK = 0xf, VFIO_TYPE_REPLY = 1, VFIO_NO_REPLY = 0x10, VFIO_ERROR = 0x20 };
enum { VFIO_REGION_CONFIG = 7, VFIO_REGION_COUNT = 9 };
enum { VFIO_IRQ_INTX, VFIO_IRQ_MSI, VFIO_IRQ_MSIX, VFIO_IRQ_ERR, VFIO_IRQ_REQ, VFIO_IRQ_COUNT };
enum { VFIO_DEVICE_RESET = 1, VFIO_DEVICE_PCI = 2 };
enum { VFIO_REGION_R = 1, VFIO_REGION_W = 2, VFIO_REGION_MMAP = 4, VFIO_REGION_CAPS = 8 };
enum { VFIO_IRQ_EVENTFD = 1, VFIO_IRQ_MASKABLE = 2, VFIO_IRQ_AUTOMASKED = 4 };
enum {
	VFIO_DATA_NONE = 1,
	VFIO_DATA_BOOL = 2,
	VFIO_DATA_EVENTFD = 4,
	VFIO_ACTION_MASK = 8,
	VFIO_ACTION_UNMASK = 0x10,
	VFIO_ACTION_TRIGGER = 0x20,
};
enum { VFIO_MAP_READ = 1, VFIO_MAP_WRITE = 2, VFIO_MAP_MMAP = 4, VFIO_UNMAP_ALL = 2 };

struct vfio_header {
	uint16_t id;
	uint16_t command;
	uint32_t size_bytes; /* of the whole message */
	uint32_t flags;
	uint32_t error;
};

/* -EINVAL: smaller than a header, larger than VFIO_MESSAGE_MAX, or not a command. */
MUST_CHECK int vfio_header_decode(const uint8_t *bytes, struct vfio_header *ret_header);
void vfio_header_encode(uint8_t *bytes, const struct vfio_header *header);

/* The version, and the text that follows it: NULL when there is none. -EINVAL without a NUL. */
struct vfio_version {
	uint16_t major;
	uint16_t minor;
	const char *text;
	size_t text_length;
};

MUST_CHECK int vfio_version_decode(const uint8_t *payload, size_t size_bytes,
				   struct vfio_version *ret_version);
size_t vfio_version_encode(uint8_t *payload, const struct vfio_version *version);

struct vfio_dma_map {
	uint32_t flags;
	uint64_t fd_offset;
	uint64_t address;
	uint64_t size_bytes;
};

MUST_CHECK int vfio_dma_map_decode(const uint8_t *payload, size_t size_bytes,
				   struct vfio_dma_map *ret_map);

#define VFIO_DMA_UNMAP_BYTES 24

struct vfio_dma_unmap {
	uint32_t flags;
	uint64_t address;
	uint64_t size_bytes;
};

MUST_CHECK int vfio_dma_unmap_decode(const uint8_t *payload, size_t size_bytes,
				     struct vfio_dma_unmap *ret_unmap);

/* The four words of GET_INFO, GET_REGION_IO_FDS and GET_IRQ_INFO. */
struct vfio_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index; /* GET_INFO: number of regions */
	uint32_t count; /* GET_INFO: number of interrupt indices */
};

MUST_CHECK int vfio_info_decode(const uint8_t *payload, size_t size_bytes,
				struct vfio_info *ret_info);
size_t vfio_info_encode(uint8_t *payload, const struct vfio_info *info);

#define VFIO_REGION_INFO_BYTES 32
#define VFIO_REGION_SPARSE_BYTES 64 /* with a sparse capability of one area */

struct vfio_region_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint64_t size_bytes;
	uint64_t fd_offset;
	uint64_t area_offset; /* of the part that can be mapped; with VFIO_REGION_CAPS */
	uint64_t area_bytes;
};

MUST_CHECK int vfio_region_info_decode(const uint8_t *payload, size_t size_bytes,
				       struct vfio_region_info *ret_info);
size_t vfio_region_info_encode(uint8_t *payload, const struct vfio_region_info *info);

struct vfio_irq_set {
	uint32_t flags;
	uint32_t index;
	uint32_t start;
	uint32_t count;
	const uint8_t *data; /* VFIO_DATA_BOOL: `count` bytes, checked */
};

MUST_CHECK int vfio_irq_set_decode(const uint8_t *payload, size_t size_bytes,
				   struct vfio_irq_set *ret_set);

struct vfio_access {
	uint64_t offset;
	uint32_t region;
	uint32_t count;
	const uint8_t *data; /* a write's `count` bytes, checked */
};

/* Also -EINVAL: count is 0 or larger than VFIO_DATA_MAX. */
MUST_CHECK int vfio_read_decode(const uint8_t *payload, size_t size_bytes,
				struct vfio_access *ret_access);
MUST_CHECK int vfio_write_decode(const uint8_t *payload, size_t size_bytes,
				 struct vfio_access *ret_access);
void vfio_access_encode(uint8_t *payload, const struct vfio_access *access);

/* Number of writes in a REGION_WRITE_MULTI; vfio_multi_entry() gives the index-th. */
MUST_CHECK int vfio_multi_decode(const uint8_t *payload, size_t size_bytes, uint64_t *ret_count);
MUST_CHECK int vfio_multi_entry(const uint8_t *payload, unsigned index,
				struct vfio_access *ret_access);

#endif

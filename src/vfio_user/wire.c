/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encoders and decoders of the vfio-user protocol, field by field at the offsets of the
 * specification (QEMU's docs/interop/vfio-user.rst).
 */
#include <errno.h>
#include <string.h>

#include "wire.h"

static uint16_t get16(const uint8_t *at)
{
	uint16_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static uint32_t get32(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static uint64_t get64(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static void put16(uint8_t *at, uint16_t v)
{
	memcpy(at, &v, sizeof(v));
}

static void put32(uint8_t *at, uint32_t v)
{
	memcpy(at, &v, sizeof(v));
}

static void put64(uint8_t *at, uint64_t v)
{
	memcpy(at, &v, sizeof(v));
}

/* True when the payload holds `needed` bytes and its first word, argsz, says so too. */
static bool sized(const uint8_t *payload, size_t size_bytes, size_t needed)
{
	return size_bytes >= needed && get32(payload) >= needed;
}

int vfio_header_decode(const uint8_t *bytes, struct vfio_header *ret_header)
{
	const struct vfio_header header = {
		.id = get16(bytes),
		.command = get16(bytes + 2),
		.size_bytes = get32(bytes + 4),
		.flags = get32(bytes + 8),
		.error = get32(bytes + 12),
	};

	if (header.size_bytes < VFIO_HEADER_BYTES || header.size_bytes > VFIO_MESSAGE_MAX)
		return -EINVAL;
	/* We send no commands, so nothing can be a reply. */
	if ((header.flags & VFIO_TYPE_MASK) != 0)
		return -EINVAL;
	*ret_header = header;
	return 0;
}

void vfio_header_encode(uint8_t *bytes, const struct vfio_header *header)
{
	put16(bytes, header->id);
	put16(bytes + 2, header->command);
	put32(bytes + 4, header->size_bytes);
	put32(bytes + 8, header->flags);
	put32(bytes + 12, header->error);
}

int vfio_version_decode(const uint8_t *payload, size_t size_bytes, struct vfio_version *ret_version)
{
	const uint8_t *end;

	if (size_bytes < 4)
		return -EINVAL;
	*ret_version = (struct vfio_version){.major = get16(payload), .minor = get16(payload + 2)};
	if (size_bytes == 4)
		return 0;
	end = memchr(payload + 4, '\0', size_bytes - 4);
	if (!end)
		return -EINVAL;
	ret_version->text = (const char *)payload + 4;
	ret_version->text_length = (size_t)(end - (payload + 4));
	return 0;
}

size_t vfio_version_encode(uint8_t *payload, const struct vfio_version *version)
{
	put16(payload, version->major);
	put16(payload + 2, version->minor);
	memcpy(payload + 4, version->text, version->text_length);
	payload[4 + version->text_length] = '\0';
	return 4 + version->text_length + 1;
}

int vfio_dma_map_decode(const uint8_t *payload, size_t size_bytes, struct vfio_dma_map *ret_map)
{
	if (!sized(payload, size_bytes, 32))
		return -EINVAL;
	*ret_map = (struct vfio_dma_map){
		.flags = get32(payload + 4),
		.fd_offset = get64(payload + 8),
		.address = get64(payload + 16),
		.size_bytes = get64(payload + 24),
	};
	return 0;
}

int vfio_dma_unmap_decode(const uint8_t *payload, size_t size_bytes,
			  struct vfio_dma_unmap *ret_unmap)
{
	if (!sized(payload, size_bytes, VFIO_DMA_UNMAP_BYTES))
		return -EINVAL;
	*ret_unmap = (struct vfio_dma_unmap){
		.flags = get32(payload + 4),
		.address = get64(payload + 8),
		.size_bytes = get64(payload + 16),
	};
	return 0;
}

int vfio_info_decode(const uint8_t *payload, size_t size_bytes, struct vfio_info *ret_info)
{
	if (!sized(payload, size_bytes, 16))
		return -EINVAL;
	*ret_info = (struct vfio_info){
		.argsz = get32(payload),
		.flags = get32(payload + 4),
		.index = get32(payload + 8),
		.count = get32(payload + 12),
	};
	return 0;
}

size_t vfio_info_encode(uint8_t *payload, const struct vfio_info *info)
{
	put32(payload, info->argsz);
	put32(payload + 4, info->flags);
	put32(payload + 8, info->index);
	put32(payload + 12, info->count);
	return 16;
}

int vfio_region_info_decode(const uint8_t *payload, size_t size_bytes,
			    struct vfio_region_info *ret_info)
{
	if (!sized(payload, size_bytes, VFIO_REGION_INFO_BYTES))
		return -EINVAL;
	*ret_info = (struct vfio_region_info){
		.argsz = get32(payload),
		.flags = get32(payload + 4),
		.index = get32(payload + 8),
	};
	return 0;
}

size_t vfio_region_info_encode(uint8_t *payload, const struct vfio_region_info *info)
{
	bool caps = (info->flags & VFIO_REGION_CAPS) != 0;
	uint8_t *sparse = payload + VFIO_REGION_INFO_BYTES;

	put32(payload, info->argsz);
	put32(payload + 4, info->flags);
	put32(payload + 8, info->index);
	put32(payload + 12, caps ? VFIO_REGION_INFO_BYTES : 0);
	put64(payload + 16, info->size_bytes);
	put64(payload + 24, info->fd_offset);
	if (!caps)
		return VFIO_REGION_INFO_BYTES;

	/* Capability 1, version 1: sparse mmap, with one area. */
	put16(sparse, 1);
	put16(sparse + 2, 1);
	put32(sparse + 4, 0);
	put32(sparse + 8, 1);
	put32(sparse + 12, 0);
	put64(sparse + 16, info->area_offset);
	put64(sparse + 24, info->area_bytes);
	return VFIO_REGION_SPARSE_BYTES;
}

int vfio_irq_set_decode(const uint8_t *payload, size_t size_bytes, struct vfio_irq_set *ret_set)
{
	if (!sized(payload, size_bytes, 20))
		return -EINVAL;
	*ret_set = (struct vfio_irq_set){
		.flags = get32(payload + 4),
		.index = get32(payload + 8),
		.start = get32(payload + 12),
		.count = get32(payload + 16),
		.data = payload + 20,
	};
	if ((ret_set->flags & VFIO_DATA_BOOL) && ret_set->count > size_bytes - 20)
		return -EINVAL;
	return 0;
}

static void access_get(const uint8_t *payload, struct vfio_access *ret_access)
{
	*ret_access = (struct vfio_access){
		.offset = get64(payload),
		.region = get32(payload + 8),
		.count = get32(payload + 12),
		.data = payload + VFIO_ACCESS_BYTES,
	};
}

int vfio_read_decode(const uint8_t *payload, size_t size_bytes, struct vfio_access *ret_access)
{
	if (size_bytes < VFIO_ACCESS_BYTES)
		return -EINVAL;
	access_get(payload, ret_access);
	return ret_access->count > 0 && ret_access->count <= VFIO_DATA_MAX ? 0 : -EINVAL;
}

int vfio_write_decode(const uint8_t *payload, size_t size_bytes, struct vfio_access *ret_access)
{
	if (size_bytes < VFIO_ACCESS_BYTES)
		return -EINVAL;
	access_get(payload, ret_access);
	if (ret_access->count == 0 || ret_access->count != size_bytes - VFIO_ACCESS_BYTES)
		return -EINVAL;
	return ret_access->count <= VFIO_DATA_MAX ? 0 : -EINVAL;
}

void vfio_access_encode(uint8_t *payload, const struct vfio_access *access)
{
	put64(payload, access->offset);
	put32(payload + 8, access->region);
	put32(payload + 12, access->count);
}

int vfio_multi_decode(const uint8_t *payload, size_t size_bytes, uint64_t *ret_count)
{
	uint64_t count;

	if (size_bytes < 8)
		return -EINVAL;
	count = get64(payload);
	if (count > VFIO_WRITES_MAX || size_bytes - 8 < count * 24)
		return -EINVAL;
	*ret_count = count;
	return 0;
}

int vfio_multi_entry(const uint8_t *payload, unsigned index, struct vfio_access *ret_access)
{
	access_get(payload + 8 + (size_t)index * 24, ret_access);
	return ret_access->count > 0 && ret_access->count <= 8 ? 0 : -EINVAL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Golden bytes of every header and payload, and the sizes at which decoders must refuse. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "version.h"

static void header(void **state)
{
	const uint8_t golden[16] = {0x34, 0x12, 9, 0, 0x20, 0, 0, 0, 0x21, 0, 0, 0, 22, 0, 0, 0};
	uint8_t bytes[16];
	struct vfio_header h = {0x1234, VFIO_REGION_READ, 32, VFIO_TYPE_REPLY | VFIO_ERROR, EINVAL};

	vfio_header_encode(bytes, &h);
	assert_memory_equal(bytes, golden, sizeof(golden));
	assert_int_equal(vfio_header_decode(golden, &h), -EINVAL); /* A reply. */
	bytes[8] = VFIO_NO_REPLY;
	assert_int_equal(vfio_header_decode(bytes, &h), 0);
	assert_int_equal(h.id, 0x1234);
	assert_int_equal(h.command, VFIO_REGION_READ);
	assert_int_equal(h.size_bytes, 32);
	assert_int_equal(h.flags, VFIO_NO_REPLY);
	bytes[4] = 15;
	assert_int_equal(vfio_header_decode(bytes, &h), -EINVAL);
	memcpy(bytes + 4, &(uint32_t){VFIO_MESSAGE_MAX}, 4);
	assert_int_equal(vfio_header_decode(bytes, &h), 0);
	memcpy(bytes + 4, &(uint32_t){VFIO_MESSAGE_MAX + 1}, 4);
	assert_int_equal(vfio_header_decode(bytes, &h), -EINVAL);
}

static void dma(void **state)
{
	const uint8_t map_bytes[32] = {32, 0, 0, 0, 3, 0,    0, 0,    0, 0x30, 0xC, 0, 0, 0, 0, 0,
				       0,  0, 1, 0, 0, 0x10, 0, 0x80, 0, 0xD0, 0,   0, 0, 0, 0, 0};
	const uint8_t unmap_bytes[24] = {24, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0,
					 0,  0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0};
	struct vfio_dma_unmap unmap;
	struct vfio_dma_map map;
	uint8_t small[32];

	assert_int_equal(vfio_dma_map_decode(map_bytes, 32, &map), 0);
	assert_int_equal(map.flags, 3);
	assert_int_equal(map.fd_offset, 0xC3000);
	assert_int_equal(map.address, 0x8000100000010000);
	assert_int_equal(map.size_bytes, 0xD000);
	assert_int_equal(vfio_dma_map_decode(map_bytes, 31, &map), -EINVAL);
	memcpy(small, map_bytes, 32);
	small[0] = 31;
	assert_int_equal(vfio_dma_map_decode(small, 32, &map), -EINVAL);
	assert_int_equal(vfio_dma_unmap_decode(unmap_bytes, 24, &unmap), 0);
	assert_int_equal(unmap.flags, VFIO_UNMAP_ALL);
	assert_int_equal(unmap.address, 1);
	assert_int_equal(unmap.size_bytes, 2);
	assert_int_equal(vfio_dma_unmap_decode(unmap_bytes, 23, &unmap), -EINVAL);
}

static void infos(void **state)
{
	const uint8_t golden[16] = {32, 0, 0, 0, 3, 0, 0, 0, 9, 0, 0, 0, 5, 0, 0, 0};
	struct vfio_info info;
	uint8_t bytes[16];

	assert_int_equal(vfio_info_decode(golden, 16, &info), 0);
	assert_int_equal(vfio_info_encode(bytes, &info), 16);
	assert_memory_equal(bytes, golden, 16);
	assert_int_equal(vfio_info_decode(golden, 15, &info), -EINVAL);
	assert_int_equal(vfio_info_decode(golden, 0, &info), -EINVAL);
}

static void region_info(void **state)
{
	const uint8_t golden[64] = {
		64, 0, 0, 0, 0xF, 0,	0, 0, 2, 0, 0, 0, 32, 0,    0, 0, 0, 0x80, 0, 0, 0, 0,
		0,  0, 7, 0, 0,	  0,	0, 0, 0, 0, 1, 0, 1,  0,    0, 0, 0, 0,	   1, 0, 0, 0,
		0,  0, 0, 0, 0,	  0x10, 0, 0, 0, 0, 0, 0, 0,  0x20, 0, 0, 0, 0,	   0, 0,
	};
	struct vfio_region_info info = {
		.argsz = 64,
		.flags = 0xF,
		.index = 2,
		.size_bytes = 0x8000,
		.fd_offset = 7,
		.area_offset = 0x1000,
		.area_bytes = 0x2000,
	};
	uint8_t bytes[64] = {0}, plain[64];

	assert_int_equal(vfio_region_info_encode(bytes, &info), 64);
	assert_memory_equal(bytes, golden, 64);
	info.flags = 7;
	assert_int_equal(vfio_region_info_encode(plain, &info), 32);
	assert_int_equal(plain[12], 0);
	assert_int_equal(vfio_region_info_decode(golden, 32, &info), 0);
	assert_int_equal(info.index, 2);
	assert_int_equal(vfio_region_info_decode(golden, 31, &info), -EINVAL);
}

static void irq_set(void **state)
{
	uint8_t bytes[23] = {23, 0, 0, 0, 0x22, 0, 0, 0, 2, 0, 0, 0,
			     1,	 0, 0, 0, 3,	0, 0, 0, 1, 0, 1};
	struct vfio_irq_set set;

	assert_int_equal(vfio_irq_set_decode(bytes, 23, &set), 0);
	assert_int_equal(set.flags, VFIO_DATA_BOOL | VFIO_ACTION_TRIGGER);
	assert_int_equal(set.index, VFIO_IRQ_MSIX);
	assert_int_equal(set.start, 1);
	assert_int_equal(set.count, 3);
	assert_int_equal(set.data[2], 1);
	assert_int_equal(vfio_irq_set_decode(bytes, 22, &set), -EINVAL);
	bytes[4] = 0x24;
	assert_int_equal(vfio_irq_set_decode(bytes, 20, &set), 0);
	assert_int_equal(vfio_irq_set_decode(bytes, 19, &set), -EINVAL);
}

static void accesses(void **state)
{
	uint8_t bytes[20] = {4, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 1, 2, 3, 4};
	struct vfio_access access;
	uint8_t back[16];

	assert_int_equal(vfio_write_decode(bytes, 20, &access), 0);
	assert_int_equal(access.offset, 0x1004);
	assert_int_equal(access.region, 0);
	assert_int_equal(access.count, 4);
	assert_int_equal(access.data[3], 4);
	vfio_access_encode(back, &access);
	assert_memory_equal(back, bytes, 16);
	assert_int_equal(vfio_write_decode(bytes, 19, &access), -EINVAL);
	assert_int_equal(vfio_write_decode(bytes, 15, &access), -EINVAL);
	assert_int_equal(vfio_read_decode(bytes, 16, &access), 0);
	assert_int_equal(vfio_read_decode(bytes, 15, &access), -EINVAL);
	bytes[12] = 0;
	assert_int_equal(vfio_read_decode(bytes, 16, &access), -EINVAL);
	assert_int_equal(vfio_write_decode(bytes, 16, &access), -EINVAL);
	memcpy(bytes + 12, &(uint32_t){VFIO_DATA_MAX + 1}, 4);
	assert_int_equal(vfio_read_decode(bytes, 16, &access), -EINVAL);
}

static void multi(void **state)
{
	uint8_t bytes[8 + 2 * 24] = {2, 0, 0, 0, 0, 0, 0, 0, 8, 0x10, 0, 0, 0, 0,
				     0, 0, 0, 0, 0, 0, 4, 0, 0, 0,    9, 9, 9, 9};
	struct vfio_access access;
	uint64_t count;

	assert_int_equal(vfio_multi_decode(bytes, sizeof(bytes), &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(vfio_multi_entry(bytes, 0, &access), 0);
	assert_int_equal(access.offset, 0x1008);
	assert_int_equal(access.count, 4);
	assert_int_equal(access.data[0], 9);
	assert_int_equal(vfio_multi_entry(bytes, 1, &access), -EINVAL); /* count 0 */
	assert_int_equal(vfio_multi_decode(bytes, sizeof(bytes) - 1, &count), -EINVAL);
	assert_int_equal(vfio_multi_decode(bytes, 7, &count), -EINVAL);
	memset(bytes, 0xFF, 8);
	assert_int_equal(vfio_multi_decode(bytes, sizeof(bytes), &count), -EINVAL);
}

/* --- Version ------------------------------------------------------------------------------- */

static int negotiate(uint16_t major, uint16_t minor, const char *text, size_t text_bytes)
{
	uint8_t payload[512], reply[VFIO_VERSION_REPLY_MAX];
	size_t reply_bytes = 0;
	uint16_t got[2];
	int r;

	memcpy(payload, &major, 2);
	memcpy(payload + 2, &minor, 2);
	if (text_bytes > 0)
		memcpy(payload + 4, text, text_bytes);
	r = vfio_version_negotiate(payload, 4 + text_bytes, reply, &reply_bytes);
	if (r < 0)
		return r;
	assert_in_range(reply_bytes, 10, VFIO_VERSION_REPLY_MAX - VFIO_HEADER_BYTES);
	assert_int_equal(reply[reply_bytes - 1], 0);
	assert_string_equal((char *)reply + 4, "{\"capabilities\":{\"max_msg_fds\":8,"
					       "\"max_data_xfer_size\":1048576,\"pgsizes\":4096}}");
	memcpy(got, reply, 4);
	assert_int_equal(got[0], 0);
	return got[1];
}

static int negotiate_text(const char *text)
{
	return negotiate(0, 1, text, strlen(text) + 1);
}

static void version_numbers(void **state)
{
	assert_int_equal(negotiate(0, 0, NULL, 0), 0);
	assert_int_equal(negotiate(0, 1, NULL, 0), 1);
	assert_int_equal(negotiate(0, 9, NULL, 0), 1);
	assert_int_equal(negotiate(1, 0, NULL, 0), -EINVAL);
	assert_int_equal(negotiate(0xFFFF, 0, NULL, 0), -EINVAL);
}

static void version_texts(void **state)
{
	assert_int_equal(negotiate(0, 1, "{}", 2), -EINVAL); /* no NUL */
	assert_int_equal(negotiate_text("{}"), 1);
	assert_int_equal(negotiate_text("{\"capabilities\":{}}"), 1);
	assert_int_equal(negotiate_text("{\"other\":1,\"capabilities\":{\"new\":[1,{}]}}"), 1);
	assert_int_equal(negotiate_text("{\"capabilities\":{\"max_msg_fds\":16,\"pgsizes\":4096,"
					"\"max_dma_maps\":65535,\"max_data_xfer_size\":1048576,"
					"\"migration\":{\"pgsize\":4096,\"max_bitmap_size\":"
					"268435456},\"write_multiple\":true}}"),
			 1);
	assert_int_equal(negotiate_text(""), -EINVAL);
	assert_int_equal(negotiate_text("[]"), -EINVAL);
	assert_int_equal(negotiate_text("{\"capabilities\":1}"), -EINVAL);
	assert_int_equal(negotiate_text("{\"capabilities\":{\"max_msg_fds\":\"1\"}}"), -EINVAL);
	assert_int_equal(negotiate_text("{\"capabilities\":{\"max_msg_fds\":-1}}"), -EINVAL);
	assert_int_equal(negotiate_text("{\"capabilities\":{\"max_data_xfer_size\":0}}"), -EINVAL);
	assert_int_equal(negotiate_text("{\"capabilities\":{"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header),	 cmocka_unit_test(dma),
		cmocka_unit_test(infos),	 cmocka_unit_test(region_info),
		cmocka_unit_test(irq_set),	 cmocka_unit_test(accesses),
		cmocka_unit_test(multi),	 cmocka_unit_test(version_numbers),
		cmocka_unit_test(version_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

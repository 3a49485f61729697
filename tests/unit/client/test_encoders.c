/* SPDX-License-Identifier: Apache-2.0 */
/* The test client's own encoders: messages, doorbell compare, PRP lists, SGL. No server needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "client.h"

static void message_has_header_payload_and_data(void **state)
{
	static const uint8_t expected[] = {
		0x34, 0x12, 10, 0, 23,	0,   0,	  0,   0x10, 0,	  0,   0,
		0,    0,    0,	0, 'a', 'b', 'c', 'd', 'x',  'y', 'z',
	};
	const struct client_message m = {
		.command = WIRE_REGION_WRITE,
		.payload = "abcd",
		.payload_size = 4,
		.data = "xyz",
		.data_size = 3,
	};
	uint8_t bytes[64];

	assert_int_equal(client_encode(&m, 0x1234, WIRE_FLAG_NO_REPLY, bytes), sizeof(expected));
	assert_memory_equal(bytes, expected, sizeof(expected));
}

/* Linux' nvme_dbbuf_need_event(), case by case. */
static void event_is_wanted_when_it_is_passed(void **state)
{
	assert_true(host_event_wanted(5, 6, 5));
	assert_false(host_event_wanted(5, 5, 4));
	assert_false(host_event_wanted(5, 7, 6));
	assert_true(host_event_wanted(5, 9, 3));
	assert_true(host_event_wanted(0, 1, 0));
	assert_true(host_event_wanted(1023, 2, 1020));
	assert_false(host_event_wanted(4, 2, 1022));
}

static void doorbell_without_wish_writes_no_register(void **state)
{
	_Atomic uint32_t shadow = 3, event = 9;
	struct host_doorbell d = {.shadow = &shadow, .event = &event};

	host_doorbell_ring(&d, 4);
	assert_int_equal(shadow, 4);
	assert_int_equal(d.register_writes, 0);
}

static void prp_covers_one_two_and_many_pages(void **state)
{
	struct ram ram;
	struct nvme_sqe sqe = {0};
	uint8_t *data;
	const uint64_t *list;

	assert_int_equal(ram_open(&ram, 8 * MiB), 0);
	data = ram_alloc(&ram, 4 * MiB);
	prp_set(&ram, &sqe, data + 512, 3584, 0);
	assert_int_equal(sqe.prp1, ram_addr(&ram, data) + 512);
	assert_int_equal(sqe.prp2, 0);
	prp_set(&ram, &sqe, data + 512, 4096, 0);
	assert_int_equal(sqe.prp2, ram_addr(&ram, data) + 4096);
	prp_set(&ram, &sqe, data, 3 * 4096, 16);
	assert_int_equal(sqe.prp2 % 4096, 16);
	list = (const uint64_t *)(const void *)(ram.base + sqe.prp2);
	assert_int_equal(list[0], ram_addr(&ram, data) + 4096);
	assert_int_equal(list[1], ram_addr(&ram, data) + 8192);
	ram_close(&ram);
}

/* The last slot of a page is data when it is the last one needed, else the next page. */
static void prp_list_chains_at_the_last_slot(void **state)
{
	struct ram ram;
	struct nvme_sqe sqe = {0};
	const uint64_t *list;
	uint8_t *data;

	assert_int_equal(ram_open(&ram, 8 * MiB), 0);
	data = ram_alloc(&ram, MiB);
	prp_set(&ram, &sqe, data, 3 * 4096, 4080);
	list = (const uint64_t *)(const void *)(ram.base + sqe.prp2);
	assert_int_equal(list[1], ram_addr(&ram, data) + 8192);
	prp_set(&ram, &sqe, data, 4 * 4096, 4080);
	list = (const uint64_t *)(const void *)(ram.base + sqe.prp2);
	assert_int_equal(list[0], ram_addr(&ram, data) + 4096);
	list = (const uint64_t *)(const void *)(ram.base + list[1]);
	assert_int_equal(list[0], ram_addr(&ram, data) + 8192);
	assert_int_equal(list[1], ram_addr(&ram, data) + 12288);
	ram_close(&ram);
}

static void sgl_segment_adds_up(void **state)
{
	struct ram ram;
	struct nvme_sqe sqe = {0};
	const struct nvme_sgl *list;
	uint8_t *data;

	assert_int_equal(ram_open(&ram, MiB), 0);
	data = ram_alloc(&ram, 65536);
	sgl_set_segment(&ram, &sqe, data, 8200, 3);
	assert_int_equal(sqe.flags, SQE_SGL);
	assert_int_equal(sqe.prp2 >> 56, SGL_LAST_SEGMENT);
	list = (const struct nvme_sgl *)(const void *)(ram.base + sqe.prp1);
	assert_int_equal(list[0].length + list[1].length + list[2].length, 8200);
	assert_int_equal(list[2].address, ram_addr(&ram, data) + list[0].length + list[1].length);
	ram_close(&ram);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message_has_header_payload_and_data),
		cmocka_unit_test(event_is_wanted_when_it_is_passed),
		cmocka_unit_test(doorbell_without_wish_writes_no_register),
		cmocka_unit_test(prp_covers_one_two_and_many_pages),
		cmocka_unit_test(prp_list_chains_at_the_last_slot),
		cmocka_unit_test(sgl_segment_adds_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

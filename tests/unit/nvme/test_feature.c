/* SPDX-License-Identifier: Apache-2.0 */
/* Get and Set Features. "Item n" as in test_identify.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <quoin/block_fault.h>

#include "host.h"

#define INVALID_FIELD 0x4002
#define INVALID_NAMESPACE 0x400B
#define SEQUENCE_ERROR 0x400C
#define NOT_SAVEABLE 0x410D
#define NOT_NS_SPECIFIC 0x410F
#define SELECT(n) ((uint32_t)(n) << 8)
#define SAVE 0x80000000

static int setup(void **state)
{
	static struct host host;

	host_start(&host, NULL);
	host_disk_add(&host, 1, "error:off:delay:us=0:null:64M");
	host_enable(&host);
	*state = &host;
	return 0;
}

static int teardown(void **state)
{
	host_stop(*state);
	return 0;
}

static void expect(struct host *h, uint32_t dw10, uint32_t dw11, uint32_t value)
{
	const struct cqe cqe = host_get_feature(h, dw10, dw11);

	assert_int_equal(cqe.status, 0);
	assert_int_equal(cqe.dw0, value);
}

struct row {
	uint8_t id;
	uint32_t get_dw11;
	uint32_t initial;
	uint32_t set;
	uint32_t result;
};

static const struct row rows[] = {
	{0x01, 0, 7, 0x01020304, 0x01020304},
	{0x02, 0, 0, 0x00000040, 0x00000040},
	{0x04, 0, 0x157, 0x00000160, 0x160},
	{0x04, 0x100000, 0, 0x00100010, 0x10},
	{0x05, 0, 0, 0x00000123, 0x123},
	{0x06, 0, 1, 0, 0},
	{0x08, 0, 0, 0x0000020A, 0x020A},
	{0x09, 2, 2, 0x00010002, 0x10002},
	{0x0A, 0, 0, 1, 1},
	{0x0B, 0, 0, 0x0000031F, 0x31F},
};

/* Items 47, 48 and 50: default, set, get back, not saveable, default again after a reset. */
static void values(void **state)
{
	struct host *h = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];

		expect(h, r->id, r->get_dw11, r->initial);
		assert_int_equal(host_set_feature(h, r->id | SAVE, r->set), NOT_SAVEABLE);
		expect(h, r->id, r->get_dw11, r->initial);
		assert_int_equal(host_set_feature(h, r->id, r->set), 0);
		expect(h, r->id, r->get_dw11, r->result);
		expect(h, r->id | SELECT(1), r->get_dw11, r->initial);
		expect(h, r->id | SELECT(2), r->get_dw11, r->initial);
		expect(h, r->id | SELECT(3), r->get_dw11, 4);
	}
	host_disable(h);
	host_enable(h);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		expect(h, rows[i].id, rows[i].get_dw11, rows[i].initial);
}

/* Item 49 and the like: what is not there, and values that are refused. */
static void refused(void **state)
{
	struct host *h = *state;
	static const uint8_t absent[] = {0x00, 0x03, 0x0C, 0x0D, 0x0F, 0x10,
					 0x11, 0x80, 0x81, 0x84, 0xD0, 0xFF};

	for (size_t i = 0; i < sizeof(absent); i++) {
		assert_int_equal(host_get_feature(h, absent[i], 0).status, INVALID_FIELD);
		assert_int_equal(host_set_feature(h, absent[i], 0), INVALID_FIELD);
	}
	assert_int_equal(host_get_feature(h, 1 | SELECT(4), 0).status, INVALID_FIELD);
	assert_int_equal(host_set_feature(h, 0x02, 1), INVALID_FIELD);
	assert_int_equal(host_set_feature(h, 0x04, 0x200000), INVALID_FIELD);
	assert_int_equal(host_get_feature(h, 0x04, 0x300000).status, INVALID_FIELD);
	expect(h, 0x04, 0x10000, 0); /* a sensor that is not there */
	assert_int_equal(host_set_feature(h, 0x05, 0x10000), INVALID_FIELD);
	assert_int_equal(host_set_feature(h, 0x09, 4), INVALID_FIELD);
	assert_int_equal(host_get_feature(h, 0x09, 0xFFFF).status, INVALID_FIELD);
}

/* H33: NSIDs in features that are the controller's. */
static void namespace_ids(void **state)
{
	struct host *h = *state;
	struct sqe set = {.opcode = 0x09, .nsid = 1, .dw10 = 0x01, .dw11 = 7};
	struct sqe get = {.opcode = 0x0A, .nsid = 1, .dw10 = 0x01};

	assert_int_equal(host_admin(h, &set), NOT_NS_SPECIFIC);
	assert_int_equal(host_admin(h, &get), 0);
	set.nsid = 5;
	get.nsid = 5;
	assert_int_equal(host_admin(h, &set), INVALID_NAMESPACE);
	assert_int_equal(host_admin(h, &get), INVALID_NAMESPACE);
	set.nsid = 0xFFFFFFFF;
	get.nsid = 0xFFFFFFFF;
	assert_int_equal(host_admin(h, &set), 0);
	assert_int_equal(host_admin(h, &get), 0);
	set = (struct sqe){.opcode = 0x09, .nsid = 1, .dw10 = 0x05, .dw11 = 9};
	assert_int_equal(host_admin(h, &set), 0);
}

/* Item 39. */
static void number_of_queues(void **state)
{
	struct host *h = *state;
	const struct sqe set = {.opcode = 0x09, .dw10 = 0x07, .dw11 = 0x003F003F};

	for (unsigned i = 0; i < 2; i++) {
		const struct cqe cqe = host_execute(h, 0, &set);

		assert_int_equal(cqe.status, 0);
		assert_int_equal(cqe.dw0, 0x00020002);
	}
	expect(h, 0x07, 0, 0x00020002);
	assert_int_equal(host_set_feature(h, 0x07, 0xFFFF0000), INVALID_FIELD);
	assert_int_equal(host_set_feature(h, 0x07, 0x0000FFFF), INVALID_FIELD);
	host_create_queues(h, 1, 4);
	assert_int_equal(host_set_feature(h, 0x07, 0), SEQUENCE_ERROR);
	host_disable(h);
	host_enable(h);
	assert_int_equal(host_execute(h, 0, &set).dw0, 0x00020002);
}

/* Write cache off: what was completed is flushed first; a flush that fails leaves it on. */
static void write_cache(void **state)
{
	struct host *h = *state;
	const struct block_error_rule fail = {
		.match = {.ops = 1U << BLOCK_FLUSH}, .result = -EIO, .every = 1};
	const struct block_error_rule off = {.match = {.ops = 0}, .result = -EIO, .every = 1};
	const struct block_delay_rule hold = {.match = {.ops = 1U << BLOCK_FLUSH}, .hold = true};
	struct block_device *device = h->disks[1].device;
	struct cqe cqe;

	assert_int_equal(block_error_set(device, &fail), 0);
	assert_int_equal(host_set_feature(h, 0x06, 0), 0x0006);
	expect(h, 0x06, 0, 1);
	assert_int_equal(block_error_set(device, &off), 0);
	assert_int_equal(block_delay_set(device, &hold), 0);
	host_submit(h, 0, &(struct sqe){.opcode = 0x09, .dw10 = 0x06, .dw11 = 0});
	assert_false(host_poll(h, 0, &cqe));
	assert_int_equal(block_delay_held(device), 1);
	assert_int_equal(block_delay_release(device), 0);
	assert_true(host_poll(h, 0, &cqe));
	assert_int_equal(cqe.status, 0);
	expect(h, 0x06, 0, 0);
	assert_int_equal(host_set_feature(h, 0x06, 1), 0);
	expect(h, 0x06, 0, 1);
}

static void timestamp(void **state)
{
	struct host *h = *state;
	uint8_t *data = host_buffer(h);
	uint64_t first;

	memset(data, 0xEE, 16);
	expect(h, 0x0E, 0, 0);
	assert_int_equal(le64_get(data), 0);
	assert_int_equal(data[8], 0xEE);
	le64_put(data, 1700000000000);
	assert_int_equal(host_set_feature(h, 0x0E, 0), 0);
	memset(data, 0xEE, 16);
	expect(h, 0x0E, 0, 0);
	first = le64_get(data) & 0xFFFFFFFFFFFF;
	assert_true(first >= 1700000000000);
	assert_int_equal(data[6], 2);
	assert_int_equal(data[8], 0xEE);
	host_disable(h);
	host_enable(h);
	expect(h, 0x0E, 0, 0);
	assert_int_equal(le64_get(data), 0);
}

static void host_behavior(void **state)
{
	struct host *h = *state;
	uint8_t *data = host_buffer(h);

	memset(data, 0xEE, 513);
	expect(h, 0x16, 0, 0);
	for (unsigned i = 0; i < 512; i++)
		assert_int_equal(data[i], 0);
	assert_int_equal(data[512], 0xEE);
	data[0] = 1;
	assert_int_equal(host_set_feature(h, 0x16, 0), 0);
	memset(data, 0xEE, 512);
	expect(h, 0x16, 0, 0);
	assert_int_equal(data[0], 1);
	data[0] = 2;
	assert_int_equal(host_set_feature(h, 0x16, 0), INVALID_FIELD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(values, setup, teardown),
		cmocka_unit_test_setup_teardown(refused, setup, teardown),
		cmocka_unit_test_setup_teardown(namespace_ids, setup, teardown),
		cmocka_unit_test_setup_teardown(number_of_queues, setup, teardown),
		cmocka_unit_test_setup_teardown(write_cache, setup, teardown),
		cmocka_unit_test_setup_teardown(timestamp, setup, teardown),
		cmocka_unit_test_setup_teardown(host_behavior, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

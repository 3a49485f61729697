/* SPDX-License-Identifier: Apache-2.0 */
/* Asynchronous events and Abort. "Item n" as in test_identify.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <quoin/block_fault.h>

#include "host.h"

#define AERS 8
#define AER_LIMIT 0x4105
#define ABORTED 0x0007
#define NOTICE_NAMESPACE 0x00040002
#define SMART_TEMPERATURE 0x00020101
#define ERROR_DOORBELL_VALUE 0x00010100
#define ERROR_DOORBELL_REGISTER 0x00010000

static int setup(void **state)
{
	static struct host host;

	host_start(&host, &(struct host_options){.namespaces = 4});
	host_file_add(&host, 1, 16 * MiB, "");
	host_enable(&host);
	*state = &host;
	return 0;
}

static int teardown(void **state)
{
	host_stop(*state);
	return 0;
}

static uint16_t park(struct host *h)
{
	return host_submit(h, 0, &(struct sqe){.opcode = 0x0C});
}

static void nothing(struct host *h)
{
	struct cqe cqe;

	assert_false(host_poll(h, 0, &cqe));
}

static void event(struct host *h, uint16_t cid, uint32_t dw0)
{
	struct cqe cqe = {0};

	assert_true(host_poll(h, 0, &cqe));
	assert_int_equal(cqe.status, 0);
	assert_int_equal(cqe.cid, cid);
	assert_int_equal(cqe.dw0, dw0);
}

static void resize(struct host *h, uint64_t size_bytes)
{
	struct err err = {0};

	assert_int_equal(block_resize(h->disks[1].device, size_bytes, &err), 0);
	nvme_namespace_resized(h->c, 1);
}

static struct cqe abort_command(struct host *h, uint16_t sq_id, uint16_t cid)
{
	return host_execute(h, 0,
			    &(struct sqe){.opcode = 0x08, .dw10 = (uint32_t)cid << 16 | sq_id});
}

/* Item 53, H21: AERL + 1 are parked in silence, one more is refused, a reset drops them. */
static void parking(void **state)
{
	struct host *h = *state;

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < AERS; i++)
			park(h);
		nothing(h);
		for (unsigned i = 0; i < 20; i++)
			assert_int_equal(host_admin(h, &(struct sqe){.opcode = 0x0C}), AER_LIMIT);
		host_disable(h);
		host_enable(h);
		nothing(h);
	}
	park(h);
	host_reset(h, NVME_RESET_FUNCTION);
	host_config_write(h, 0x04, 2, 6);
	host_enable(h);
	nothing(h);
}

/* Item 54: one notice, the list, silence until it is read; then the next. */
static void resize_notices(void **state)
{
	struct host *h = *state;
	uint16_t first, second;

	assert_int_equal(host_set_feature(h, 0x0B, 0x100), 0);
	first = park(h);
	second = park(h);
	nothing(h);
	resize(h, 32 * MiB);
	event(h, first, NOTICE_NAMESPACE);
	resize(h, 48 * MiB);
	nothing(h);
	assert_int_equal(host_log(h, 4, 4096, true), 0); /* retained: still not the next */
	assert_int_equal(le32_get(host_buffer(h)), 1);
	resize(h, 40 * MiB);
	nothing(h);
	assert_int_equal(host_log(h, 4, 4096, false), 0);
	assert_int_equal(le32_get(host_buffer(h)), 1);
	assert_int_equal(le32_get(host_buffer(h) + 4), 0);
	nothing(h); /* the read covered all of it */
	assert_int_equal(host_log(h, 4, 4096, false), 0);
	assert_int_equal(le32_get(host_buffer(h)), 0);
	assert_int_equal(host_identify(h, 0, 1), 0);
	assert_int_equal(le64_get(host_buffer(h)), 40 * MiB / 512);
	resize(h, 64 * MiB);
	event(h, second, NOTICE_NAMESPACE);
	resize(h, 64 * MiB); /* no change, no entry */
	assert_int_equal(host_log(h, 4, 4096, false), 0);
	assert_int_equal(le32_get(host_buffer(h)), 1);
}

/* A notice that finds no parked command waits for one. */
static void waits_for_command(void **state)
{
	struct host *h = *state;

	assert_int_equal(host_set_feature(h, 0x0B, 0x100), 0);
	for (unsigned i = 1; i < 100; i++)
		resize(h, (16 + i) * MiB);
	event(h, park(h), NOTICE_NAMESPACE);
	park(h);
	nothing(h);
}

/* Item 55; and nothing is remembered over a reset. */
static void masked(void **state)
{
	struct host *h = *state;

	park(h);
	resize(h, 32 * MiB);
	nothing(h);
	assert_int_equal(host_set_feature(h, 0x0B, 0x100), 0);
	nothing(h);
	host_disable(h);
	resize(h, 48 * MiB);
	host_enable(h);
	assert_int_equal(host_set_feature(h, 0x0B, 0x100), 0);
	park(h);
	nothing(h);
	assert_int_equal(host_log(h, 4, 4096, false), 0);
	assert_int_equal(le32_get(host_buffer(h)), 0);
}

/* SMART: a threshold below the temperature, told when enabled, once until read. */
static void temperature(void **state)
{
	struct host *h = *state;
	uint16_t first, second;

	first = park(h);
	second = park(h);
	assert_int_equal(host_set_feature(h, 0x04, 290), 0);
	nothing(h);
	assert_int_equal(host_set_feature(h, 0x0B, 0x02), 0);
	event(h, first, SMART_TEMPERATURE);
	assert_int_equal(host_set_feature(h, 0x04, 291), 0);
	nothing(h);
	assert_int_equal(host_log(h, 2, 512, false), 0);
	assert_int_equal(host_buffer(h)[0], 2);
	assert_int_equal(host_set_feature(h, 0x04, 292), 0);
	event(h, second, SMART_TEMPERATURE);
	assert_int_equal(host_set_feature(h, 0x04, 0x157), 0);
	assert_int_equal(host_log(h, 2, 512, false), 0);
	assert_int_equal(host_buffer(h)[0], 0);
}

/* Item 26, the event: an invalid doorbell is told once; another kind after the log was read. */
static void doorbell_errors(void **state)
{
	struct host *h = *state;
	uint16_t first, second;

	first = park(h);
	second = park(h);
	nothing(h);
	host_write32(h, NVME_BAR_DOORBELLS, 32);
	event(h, first, ERROR_DOORBELL_VALUE);
	host_write32(h, NVME_BAR_DOORBELLS + 5 * 8, 1);
	nothing(h);
	assert_int_equal(host_log(h, 1, 64, false), 0);
	event(h, second, ERROR_DOORBELL_REGISTER);
}

/* Item 56: what cannot be aborted, and a parked command, which ends before the Abort. */
static void aborts(void **state)
{
	struct host *h = *state;
	uint16_t cid, abort_cid;
	struct cqe cqe;

	cqe = abort_command(h, 0, 0x7777);
	assert_int_equal(cqe.status, 0);
	assert_int_equal(cqe.dw0, 1);
	cqe = abort_command(h, 0xFFFF, 1);
	assert_int_equal(cqe.status, 0);
	assert_int_equal(cqe.dw0, 1);
	park(h);
	cid = park(h);
	park(h);
	abort_cid = host_submit(h, 0, &(struct sqe){.opcode = 0x08, .dw10 = (uint32_t)cid << 16});
	assert_true(host_poll(h, 0, &cqe));
	assert_int_equal(cqe.cid, cid);
	assert_int_equal(cqe.status, ABORTED);
	assert_true(host_poll(h, 0, &cqe));
	assert_int_equal(cqe.cid, abort_cid);
	assert_int_equal(cqe.status, 0);
	assert_int_equal(cqe.dw0, 0);
	nothing(h);
	/* H22, and the place is free again. */
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(abort_command(h, 0, 0x7777).dw0, 1);
	park(h);
	for (unsigned i = 0; i < AERS - 3; i++)
		park(h);
	assert_int_equal(host_admin(h, &(struct sqe){.opcode = 0x0C}), AER_LIMIT);
}

/* A command that waits until a namespace is formatted has not begun: it can be aborted. */
static void abort_waiting(void **state)
{
	struct host *h = *state;
	struct cqe cqe;
	uint16_t held, waiting;

	host_disk_add(h, 2, "delay:hold:null:16M");
	host_create_queues(h, 1, 8);
	held = host_submit(h, 1, &(struct sqe){.opcode = 2, .nsid = 2, .prp1 = HOST_BUFFER});
	assert_false(host_poll(h, 1, &cqe));
	host_submit(h, 0, &(struct sqe){.opcode = 0x80, .nsid = 2});
	nothing(h);
	waiting = host_submit(h, 1, &(struct sqe){.opcode = 2, .nsid = 2, .prp1 = HOST_BUFFER});
	assert_false(host_poll(h, 1, &cqe));
	assert_int_equal(abort_command(h, 1, held).dw0, 1);
	assert_int_equal(abort_command(h, 1, waiting).dw0, 0);
	assert_true(host_poll(h, 1, &cqe));
	assert_int_equal(cqe.cid, waiting);
	assert_int_equal(cqe.status, ABORTED);
	assert_int_equal(block_delay_set(h->disks[2].device, &(struct block_delay_rule){0}), 0);
	assert_true(host_poll(h, 1, &cqe));
	assert_int_equal(cqe.cid, held);
	assert_true(host_poll(h, 0, &cqe));
	assert_int_equal(cqe.status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(parking, setup, teardown),
		cmocka_unit_test_setup_teardown(resize_notices, setup, teardown),
		cmocka_unit_test_setup_teardown(waits_for_command, setup, teardown),
		cmocka_unit_test_setup_teardown(masked, setup, teardown),
		cmocka_unit_test_setup_teardown(temperature, setup, teardown),
		cmocka_unit_test_setup_teardown(doorbell_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(aborts, setup, teardown),
		cmocka_unit_test_setup_teardown(abort_waiting, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Windows' inbox driver (stornvme) sends, as far as public reports tell it, and the traps
 * others fell into. Nothing here was recorded from Windows: the order is put together from
 * issue reports and emulators, and each step names its trap.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "host.h"

#define CC 0x14
#define CSTS 0x1C
#define AQA 0x24
#define ASQ 0x28
#define ACQ 0x30
#define ENABLED 0x00460001
#define ENTRIES 64
#define DATA 0x100000
#define SHARED_CQ 1
#define SHARING 3 /* submission queues on that completion queue */

static int setup(void **state)
{
	static struct host host;

	host_start(&host, &(struct host_options){.namespaces = 4});
	host_file_add(&host, 1, 16 * MiB, ",block=512");
	*state = &host;
	return 0;
}

static int teardown(void **state)
{
	host_stop(*state);
	return 0;
}

/* BAR0 is masked with FFFFC000h: with less than 16 KiB the base would be wrong (Code 10). */
static void bus(struct host *h)
{
	assert_int_equal(host_config_read(h, 0x08, 4) >> 8, 0x010802);
	host_config_write(h, 0x10, 4, 0xFFFFFFFF);
	assert_int_equal(host_config_read(h, 0x10, 4) & 0x3FF0, 0);
	host_config_write(h, 0x10, 4, 0xFEBF8000);
	host_config_write(h, 0x14, 4, 0);
	host_config_write(h, 0x04, 2, 0x0406);
	host_config_write(h, 0x52, 2, 0x8000);
	assert_true((host_config_read(h, 0x52, 2) & 0x7FF) < 64);
}

/* Server 2025 reads the queue registers back while enabled and wants what it wrote. */
static void enable(struct host *h)
{
	host_write32(h, CC, 0);
	for (unsigned i = 0; i < 1000000 && host_read32(h, CSTS) & 1; i++)
		loop_turn(h->loop, NS_PER_MS);
	host_enable_sized(h, ENTRIES, ENTRIES);
	assert_int_equal(host_read32(h, AQA), (ENTRIES - 1) << 16 | (ENTRIES - 1));
	assert_int_equal(host_read64(h, ASQ), HOST_ASQ);
	assert_int_equal(host_read64(h, ACQ), HOST_ACQ);
}

/* Ids that are not zero, and the same in both places, or disks collide as "offline". */
static void identities(struct host *h)
{
	static const uint8_t zero[16];
	uint8_t nguid[16];

	assert_int_equal(host_identify(h, 1, 0), 0);
	assert_int_not_equal(host_buffer(h)[4], ' ');
	assert_true(le32_get(host_buffer(h) + 516) <= 255); /* LUN = NSID - 1 */
	assert_true(host_buffer(h)[259] >= 3);		    /* AERL */
	assert_int_equal(host_identify(h, 2, 0), 0);
	assert_int_equal(host_identify(h, 0, 1), 0);
	memcpy(nguid, host_buffer(h) + 104, 16);
	assert_memory_not_equal(nguid, zero, 16);
	assert_int_equal(host_identify(h, 3, 1), 0);
	assert_memory_equal(host_buffer(h) + 4, nguid, 16);
	(void)host_identify(h, 6, 0);
}

/* Probed features must exist; the vendor's must fail cleanly, feature D0h and log C1h. */
static void probes(struct host *h)
{
	static const uint8_t features[] = {0x01, 0x02, 0x04, 0x05, 0x06, 0x08, 0x09, 0x0B};
	static const uint8_t logs[] = {1, 2, 3, 5};

	for (size_t i = 0; i < sizeof(features); i++)
		assert_int_equal(host_get_feature(h, features[i], 0).status, 0);
	assert_int_equal(host_get_feature(h, 0xD0, 0).status, 0x4002);
	assert_int_equal(host_set_feature(h, 0x08, 0x0203), 0); /* also when Get failed */
	assert_int_equal(host_set_feature(h, 0x02, 0), 0);
	assert_int_equal(host_set_feature(h, 0x0E, 0), 0);
	for (size_t i = 0; i < sizeof(logs); i++)
		assert_int_equal(host_log(h, logs[i], 512, false), 0);
	assert_int_equal(host_log(h, 0xC1, 512, false), 0x4109);
}

/* AERs must be parked: answered with an error they come again 8000 times a second. */
static void events(struct host *h)
{
	const unsigned count = host_buffer(h)[259] + 1U;
	struct cqe cqe;

	assert_int_equal(host_set_feature(h, 0x0B, 0x11F), 0);
	for (unsigned i = 0; i < count; i++)
		host_submit(h, 0, &(struct sqe){.opcode = 0x0C});
	assert_false(host_poll(h, 0, &cqe));
}

/* Several submission queues on one completion queue. */
static void queues(struct host *h)
{
	const struct sqe number = {.opcode = 9, .dw10 = 7, .dw11 = 0x000F000F};

	assert_int_equal(host_execute(h, 0, &number).status, 0);
	assert_int_equal(host_admin(h, &(struct sqe){.opcode = 5,
						     .prp1 = HOST_IOCQ(SHARED_CQ),
						     .dw10 = (ENTRIES - 1) << 16 | SHARED_CQ,
						     .dw11 = 1 << 16 | 3}),
			 0);
	for (unsigned q = 1; q <= SHARING; q++) {
		h->queues[q] = (struct host_queue){
			HOST_IOSQ(q), HOST_IOCQ(SHARED_CQ), ENTRIES, ENTRIES, 0, 0, 1};
		assert_int_equal(host_admin(h, &(struct sqe){.opcode = 1,
							     .prp1 = HOST_IOSQ(q),
							     .dw10 = (ENTRIES - 1) << 16 | q,
							     .dw11 = SHARED_CQ << 16 | 1}),
				 0);
	}
}

static void start(struct host *h)
{
	enable(h);
	identities(h);
	probes(h);
	assert_int_equal(host_identify(h, 1, 0), 0);
	events(h);
	queues(h);
}

/*
 * The completion's SQID and CID say whose command it was (a wrong SQID hung Windows); one head
 * update acknowledges many.
 */
static void shared_completions(struct host *h)
{
	const struct sqe read = host_io(2, 1, 0, 8, DATA);
	struct host_queue *cq = &h->queues[SHARED_CQ];
	uint16_t owner[65536] = {0};
	unsigned taken[SHARING + 1] = {0};

	for (unsigned n = 0; n < 5; n++)
		for (unsigned q = 1; q <= SHARING; q++)
			owner[host_submit(h, q, &read)] = (uint16_t)q;
	for (unsigned turns = 0; turns < 200; turns++)
		loop_turn(h->loop, 100 * NS_PER_US);
	for (unsigned n = 0; n < 5 * SHARING; n++) {
		const uint8_t *entry = h->ram + cq->cq_base + cq->head * 16;
		const uint16_t cid = le16_get(entry + 12);

		assert_int_equal(le16_get(entry + 14), cq->phase);
		assert_int_equal(le16_get(entry + 10), owner[cid]);
		taken[owner[cid]]++;
		owner[cid] = 0;
		cq->head = (uint16_t)((cq->head + 1) % cq->cq_size);
		cq->phase ^= cq->head == 0;
	}
	host_write32(h, NVME_BAR_DOORBELLS + (SHARED_CQ * 2 + 1) * 4, cq->head);
	for (unsigned q = 1; q <= SHARING; q++)
		assert_int_equal(taken[q], 5);
}

static void boot(void **state)
{
	struct host *h = *state;

	bus(h);
	start(h);
	for (unsigned i = 0; i < 30; i++)
		shared_completions(h);
}

/* Trim (Optimize-Volume), flush, and a write with FUA. */
static void commands(void **state)
{
	struct host *h = *state;
	struct sqe write = host_io(1, 1, 64, 8, DATA);
	struct sqe read = host_io(2, 1, 64, 8, DATA + 0x1000);
	struct sqe trim = {.opcode = 9, .nsid = 1, .prp1 = DATA + 0x2000, .dw11 = 4};
	struct sqe flush = {.opcode = 0, .nsid = 1};

	bus(h);
	start(h);
	write.dw12 |= 0x40000000;
	memset(h->ram + DATA, 0x5A, 4096);
	assert_int_equal(host_execute(h, 1, &write).status, 0);
	assert_int_equal(host_execute(h, 1, &flush).status, 0);
	le32_put(h->ram + DATA + 0x2004, 8);
	le64_put(h->ram + DATA + 0x2008, 64);
	assert_int_equal(host_execute(h, 1, &trim).status, 0);
	memset(h->ram + DATA + 0x1000, 0xEE, 4096);
	assert_int_equal(host_execute(h, 1, &read).status, 0);
	for (unsigned i = 0; i < 4096; i++)
		assert_int_equal(h->ram[DATA + 0x1000 + i], 0);
}

/* Crash dump, hibernation: a second driver resets with I/O in flight, uses one polled queue. */
static void crash_dump(void **state)
{
	struct host *h = *state;
	const struct sqe read = host_io(2, 1, 0, 8, DATA);
	struct sqe write = host_io(1, 1, 8, 8, DATA + 0x1000);

	bus(h);
	start(h);
	for (unsigned i = 0; i < 40; i++)
		host_submit(h, 1 + i % SHARING, &read);
	enable(h);
	assert_int_equal(host_identify(h, 1, 0), 0);
	host_create_queues(h, 1, 16);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(host_execute(h, 1, &write).status, 0);
	assert_int_equal(host_execute(h, 1, &(struct sqe){.opcode = 0, .nsid = 1}).status, 0);
}

/* Tools try what is not there: Invalid Opcode is the answer they cope with. */
static void tools(void **state)
{
	struct host *h = *state;
	static const uint8_t absent[] = {0x10, 0x11, 0x14, 0x18, 0x81, 0x82, 0x84, 0xC0};

	bus(h);
	start(h);
	for (size_t i = 0; i < sizeof(absent); i++)
		assert_int_equal(host_admin(h, &(struct sqe){.opcode = absent[i]}), 0x4001);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(boot, setup, teardown),
		cmocka_unit_test_setup_teardown(commands, setup, teardown),
		cmocka_unit_test_setup_teardown(crash_dump, setup, teardown),
		cmocka_unit_test_setup_teardown(tools, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

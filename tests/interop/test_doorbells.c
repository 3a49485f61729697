/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance items 73-81: Doorbell Buffer Config, lost wake-ups; and mapped doorbells. */
#include <errno.h>

#include "interop.h"
#include "model.h"

#define FLUSH ((struct nvme_sqe){.opcode = IO_FLUSH, .nsid = 1})
#define WAKEUPS_CHECK 1000000
#define WAKEUPS_CHECK_NS (100 * NS_PER_S)
#define WAKEUPS_LONG 100000000

static struct host *open_shadow(struct interop *t, const char *target, unsigned queues)
{
	struct host *host = interop_open(t, target, queues);

	assert_int_equal(host_shadow_enable(host), ST_OK);
	return host;
}

/* 73 (K, Q): pages that are misaligned, equal or unmapped are refused. */
static void config_item_73(void **state)
{
	struct host *host = interop_open(*state, "null", 1);
	const uint64_t a = ram_addr(&host->ram, ram_alloc(&host->ram, RAM_PAGE));
	const uint64_t b = ram_addr(&host->ram, ram_alloc(&host->ram, RAM_PAGE));
	const uint64_t pairs[][2] = {
		{a + 8, b}, {a, b + 64}, {a, a}, {1ULL << 44, b}, {a, 1ULL << 44}};

	for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++) {
		const int status = host_run(host, 0,
					    (struct nvme_sqe){.opcode = ADMIN_DOORBELL_BUFFER,
							      .prp1 = pairs[i][0],
							      .prp2 = pairs[i][1]},
					    NULL);

		assert_true(status == ST_INVALID_FIELD || status == ST_PRP_OFFSET ||
			    status == ST_DATA_TRANSFER);
		assert_int_equal(host_run(host, 1, FLUSH, NULL), ST_OK);
	}
}

/* 73: a target with mapped doorbells does not offer shadow doorbells. */
static void config_item_73_not_with_mapped(void **state)
{
	struct interop *t = *state;
	uint8_t *page;

	interop_open_with(t, &t->host, "mapped",
			  (struct host_options){.flavour = CLIENT_SPDK, .map_doorbells = true});
	page = ram_alloc(&t->host.ram, RAM_PAGE);
	assert_int_equal(host_identify(&t->host, 1, 0, page), ST_OK);
	assert_int_equal(page[257] & 1, 0);
	assert_int_equal(host_shadow_enable(&t->host), ST_INVALID_OPCODE);
}

/* 74 (K2147, T): the admin queue goes on by register writes with its shadow at 0. */
static void admin_queue_item_74(void **state)
{
	struct host *host = open_shadow(*state, "null", 1);
	uint8_t *page = ram_alloc(&host->ram, RAM_PAGE);

	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(host_identify(host, 1, 0, page), ST_OK);
		assert_int_equal(host_run(host, 1, FLUSH, NULL), ST_OK);
	}
}

/* Waits like a driver: polls for a while, here for ever; a lost wake-up never ends. */
static bool complete_one(struct host *host, unsigned queue, unsigned cid)
{
	struct host_queue *q = &host->queues[queue];
	struct nvme_sqe sqe = FLUSH;

	sqe.cid = (uint16_t)cid;
	*host_sq_slot(&q->sq) = sqe;
	host_sq_push(&q->sq);
	host_sq_ring(&q->sq);
	if (host_cq_wait(&q->cq, 1000) || host_cq_peek(&q->cq)->cid != cid)
		return false;
	host_cq_pop(&q->cq);
	host_cq_ring(&q->cq);
	return true;
}

/*
 * 75 (V, P973): single commands, each after a pause chosen so that it falls into the moments
 * in which the controller arms and goes to sleep. No completion later than a second.
 */
static void lost_wakeups_item_75(void **state)
{
	struct interop *t = *state;
	struct host *host = open_shadow(t, "sleepy", 2);
	const char *asked = getenv("QUOIN_WAKEUPS");
	const uint64_t end = client_now_ns() + WAKEUPS_CHECK_NS;
	uint64_t count = t->long_run ? WAKEUPS_LONG : WAKEUPS_CHECK, slept;

	if (asked)
		count = strtoull(asked, NULL, 0);
	slept = daemon_target_number(&t->daemon, "sleepy", "wakeups");
	for (uint64_t i = 0; i < count; i++) {
		const uint64_t pause = random_below(&t->random, 4000);

		/* A busy or sanitized run does what it can in its time. */
		if (!asked && !t->long_run && (i & 0xFFF) == 0 && client_now_ns() > end)
			count = i + 1;

		assert_true(complete_one(host, 1 + (unsigned)(i & 1), (unsigned)(i & 0x7FFF)));
		for (uint64_t spin = 0; spin < pause && !(i & 6); spin++)
			__asm__ volatile("" ::: "memory");
	}
	slept = daemon_target_number(&t->daemon, "sleepy", "wakeups") - slept;
	printf("%llu commands, %llu times asleep\n", (unsigned long long)count,
	       (unsigned long long)slept);
	assert_true(slept > count / 1000);
}

/* 75 with the default polling time and bursts of random depth. */
static void lost_wakeups_item_75_bursts(void **state)
{
	struct interop *t = *state;
	struct host *host = open_shadow(t, "sleepy", 1);
	struct host_queue *q = &host->queues[1];

	for (unsigned i = 0; i < 20000; i++) {
		const unsigned burst = 1 + (unsigned)random_below(&t->random, 40);

		for (unsigned k = 0; k < burst; k++) {
			*host_sq_slot(&q->sq) = FLUSH;
			host_sq_push(&q->sq);
			if (random_chance(&t->random, 1, 3))
				host_sq_ring(&q->sq);
		}
		host_sq_ring(&q->sq);
		for (unsigned k = 0; k < burst; k++) {
			assert_int_equal(host_cq_wait(&q->cq, 1000), 0);
			host_cq_pop(&q->cq);
		}
		host_cq_ring(&q->cq);
	}
}

/* 76 (V1582): a register write older than the shadow does not move the tail back. */
static void stale_register_item_76(void **state)
{
	struct host *host = open_shadow(*state, "null", 1);

	for (unsigned i = 0; i < 500; i++) {
		const uint32_t stale = (host->queues[1].sq.tail + 64U - i % 64) % 64;

		assert_int_equal(host_run(host, 1, FLUSH, NULL), ST_OK);
		assert_int_equal(host_reg32_set(host, REG_DOORBELLS + 8, stale), 0);
	}
	client_sleep_us(20000);
	assert_null(host_cq_peek(&host->queues[1].cq));
}

/* 77 (H7): garbage in the shadow page is ignored and does not keep the controller busy. */
static void shadow_garbage_item_77(void **state)
{
	static const uint32_t garbage[] = {64, 100, 0xFFFF, 0xFFFFFFFF, 0x80000000 + 64, 1000};
	struct interop *t = *state;
	struct host *host = open_shadow(t, "null", 2);
	uint64_t cpu;

	for (unsigned i = 0; i < ARRAY_SIZE(garbage); i++) {
		atomic_store(host->queues[2].sq.doorbell.shadow, garbage[i]);
		atomic_store(host->queues[2].cq.doorbell.shadow, garbage[i]);
		host_doorbell_write(&host->queues[2].sq.doorbell, garbage[i]);
		assert_int_equal(host_run(host, 1, FLUSH, NULL), ST_OK);
	}
	client_sleep_us(100000);
	cpu = daemon_cpu_ns(&t->daemon);
	client_sleep_us(500000);
	assert_true(daemon_cpu_ns(&t->daemon) - cpu < 50 * NS_PER_MS);
	atomic_store(host->queues[2].sq.doorbell.shadow, 0);
	atomic_store(host->queues[2].cq.doorbell.shadow, 0);
	assert_int_equal(host_run(host, 2, FLUSH, NULL), ST_OK);
	interop_check_alive(host);
}

/* 78 (P1008): a CQ runs full, the host drains it: it rings, and the controller goes on. */
static void full_cq_item_78(void **state)
{
	struct interop *t = *state;
	struct host *host = interop_open(t, "null", 0);
	struct host_queue *q = &host->queues[1];
	unsigned done = 0;

	assert_int_equal(host_queue_create(
				 host, 1, (struct host_queue_options){.sq_size = 64, .cq_size = 4}),
			 0);
	assert_int_equal(host_shadow_enable(host), ST_OK);
	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = 0; i < 63; i++) {
			*host_sq_slot(&q->sq) = FLUSH;
			host_sq_push(&q->sq);
		}
		host_sq_ring(&q->sq);
		if (round % 20 == 0)
			client_sleep_us(5000); /* let it fall asleep on the full CQ */
		for (done = 0; done < 63; done++) {
			assert_int_equal(host_cq_wait(&q->cq, 2000), 0);
			host_cq_pop(&q->cq);
			if (!host_cq_peek(&q->cq))
				host_cq_ring(&q->cq);
		}
		host_cq_ring(&q->cq);
	}
}

static void check_poison(struct host *host, const void *shadow, const void *event)
{
	uint8_t *pages[] = {(uint8_t *)(uintptr_t)shadow, (uint8_t *)(uintptr_t)event};

	memset(pages[0], 0xA5, RAM_PAGE);
	memset(pages[1], 0xA5, RAM_PAGE);
	assert_int_equal(host_enable(host), 0);
	interop_queues(host, 2);
	for (unsigned i = 0; i < 300; i++)
		assert_int_equal(host_run(host, 1 + (i & 1), FLUSH, NULL), ST_OK);
	client_sleep_us(20000);
	for (unsigned i = 0; i < 2 * RAM_PAGE; i++)
		assert_int_equal(pages[i / RAM_PAGE][i % RAM_PAGE], 0xA5);
}

/* 79 (V4080): after EN=0 and DEVICE_RESET nobody writes the old pages. */
static void poison_item_79(void **state)
{
	struct host *host = open_shadow(*state, "null", 2);
	const void *shadow = (const void *)host->shadow, *event = (const void *)host->event_index;
	const uint16_t command = 0x0406;

	assert_int_equal(host_run(host, 1, FLUSH, NULL), ST_OK);
	assert_int_equal(host_disable(host), 0);
	check_poison(host, shadow, event);
	assert_int_equal(host_shadow_enable(host), ST_OK);
	shadow = (const void *)host->shadow;
	event = (const void *)host->event_index;
	assert_int_equal(host_run(host, 1, FLUSH, NULL), ST_OK);
	assert_int_equal(client_reset(&host->client), 0);
	host_forget(host);
	assert_int_equal(client_config_write(&host->client, 4, &command, 2), 0);
	check_poison(host, shadow, event);
}

/* 80 (P1080): switched on while commands run on four queues. */
static void enable_under_load_item_80(void **state)
{
	struct interop *t = *state;
	const struct model_options options = {
		.block_count = 32768, .block_bytes = 512, .queues = 4};
	struct model *model = model_new(&options, random_u64(&t->random));
	char spec[160];

	interop_target(t, "fresh", interop_file(t, "fresh", 16 * MiB, spec));
	for (unsigned i = 0; i < 20; i++) {
		struct host *host = interop_open(t, "fresh", 4);

		model_attach(model, host);
		assert_true(model_run(model, 50 + random_below(&t->random, 200)));
		assert_int_equal(host_shadow_enable(host), ST_OK);
		/* What was rung by register before is in the shadow now, or the host writes it. */
		for (unsigned q = 1; q <= 4; q++) {
			host_sq_ring(&host->queues[q].sq);
			host_cq_ring(&host->queues[q].cq);
		}
		assert_true(model_run(model, 500));
		assert_true(model_drain(model));
	}
	assert_true(model_verify(model));
	model_free(model);
}

/* 81 (K): a queue made anew starts at 0 although its shadow is stale. */
static void stale_shadow_item_81(void **state)
{
	struct host *host = open_shadow(*state, "null", 1);

	for (unsigned round = 0; round < 50; round++) {
		struct host_queue *q = &host->queues[2];

		host_cq_init(host, &q->cq, 2, 64);
		host_sq_init(host, &q->sq, 2, 64);
		atomic_store(q->sq.doorbell.shadow, 33);
		atomic_store(q->cq.doorbell.shadow, 21);
		assert_admin(host, ST_OK, .opcode = ADMIN_CREATE_CQ,
			     .prp1 = ram_addr(&host->ram, q->cq.entries), .dw10 = 63 << 16 | 2,
			     .dw11 = 1);
		assert_admin(host, ST_OK, .opcode = ADMIN_CREATE_SQ,
			     .prp1 = ram_addr(&host->ram, q->sq.entries), .dw10 = 63 << 16 | 2,
			     .dw11 = 2 << 16 | 1);
		client_sleep_us(500);
		assert_null(host_cq_peek(&q->cq));
		atomic_store(q->sq.doorbell.shadow, 0);
		atomic_store(q->cq.doorbell.shadow, 0);
		for (unsigned i = 0; i < 40; i++)
			assert_int_equal(host_run(host, 2, FLUSH, NULL), ST_OK);
		assert_int_equal(host_queue_delete(host, 2), 0);
	}
}

/* At QD1 at most one doorbell write per command, at QD 4 at most one for two. */
static void doorbell_writes_are_few(void **state)
{
	struct interop *t = *state;
	struct host *host = open_shadow(t, "null", 1);
	struct host_queue *q = &host->queues[1];
	uint64_t before = host_doorbell_count(host);

	for (unsigned i = 0; i < 5000; i++)
		assert_true(complete_one(host, 1, i));
	assert_true(host_doorbell_count(host) - before <= 5000);
	before = host_doorbell_count(host);
	for (unsigned i = 0; i < 5000; i++) {
		for (unsigned k = 0; k < 4; k++) {
			*host_sq_slot(&q->sq) = FLUSH;
			host_sq_push(&q->sq);
		}
		host_sq_ring(&q->sq);
		for (unsigned k = 0; k < 4; k++) {
			assert_int_equal(host_cq_wait(&q->cq, 1000), 0);
			host_cq_pop(&q->cq);
		}
		host_cq_ring(&q->cq);
	}
	assert_true(host_doorbell_count(host) - before <= 10000);
}

/* An idle target with shadow doorbells armed costs nothing. */
static void idle_costs_nothing(void **state)
{
	struct interop *t = *state;
	struct host *host = open_shadow(t, "null", 4);
	uint64_t cpu;

	for (unsigned q = 1; q <= 4; q++)
		assert_int_equal(host_run(host, q, FLUSH, NULL), ST_OK);
	client_sleep_us(200000);
	cpu = daemon_cpu_ns(&t->daemon);
	client_sleep_us(1000000);
	assert_true(daemon_cpu_ns(&t->daemon) - cpu < NS_PER_MS);
	assert_int_equal(host_run(host, 1, FLUSH, NULL), ST_OK);
}

/* --- Mapped doorbells --------------------------------------------------------------------- */

static void open_mapped(struct interop *t, const char *name, struct model **ret_model)
{
	const struct model_options options = {
		.block_count = 16 * MiB / 512, .block_bytes = 512, .queues = 2, .rare = true};
	char spec[160];
	const struct daemon_target target = {
		.name = name,
		.volumes = {interop_file(t, name, 16 * MiB, spec)},
		.mapped = true,
	};

	interop_target_with(t, &target);
	interop_open_with(t, &t->host, name,
			  (struct host_options){.flavour = CLIENT_QEMU, .map_doorbells = true});
	assert_non_null(t->host.doorbell_page);
	interop_queues(&t->host, 2);
	*ret_model = model_new(&options, random_u64(&t->random));
	model_attach(*ret_model, &t->host);
}

/* The model's mix by mapped doorbells, with pauses in which the controller falls asleep. */
static void mapped_doorbells_carry_a_mix(void **state)
{
	struct interop *t = *state;
	struct model *model;

	open_mapped(t, "mapped-mix", &model);
	for (unsigned i = 0; i < 20; i++) {
		assert_true(model_run(model, 500));
		assert_true(model_drain(model));
		client_sleep_us(20000);
	}
	assert_true(model_verify(model));
	model_free(model);
}

/* TP 4.8: a REGION_WRITE to the mapped page counts like a store into it. */
static void mapped_doorbells_take_messages_too(void **state)
{
	struct interop *t = *state;
	struct model *model;

	open_mapped(t, "mapped-both", &model);
	for (unsigned i = 0; i < 10; i++) {
		for (unsigned q = 0; q <= 2; q++) {
			struct host_queue *queue = &t->host.queues[q];
			const unsigned offset = 8 * q;
			const bool page = i & 1;

			queue->sq.doorbell.mapped =
				page ? (_Atomic uint32_t *)(void *)(t->host.doorbell_page + offset)
				     : NULL;
			queue->cq.doorbell.mapped =
				page ? (_Atomic uint32_t *)(void *)(t->host.doorbell_page + offset +
								    4)
				     : NULL;
		}
		assert_true(model_run(model, 300));
		assert_true(model_drain(model));
	}
	assert_true(model_verify(model));
	model_free(model);
}

static int setup(void **state)
{
	const struct daemon_target sleepy = {
		.name = "sleepy", .volumes = {"null:1G"}, .poll_us = 1};
	const struct daemon_target mapped = {
		.name = "mapped", .volumes = {"null:1G"}, .mapped = true};
	struct interop *t;

	if (interop_group_setup(state))
		return -1;
	t = *state;
	interop_target_with(t, &sleepy);
	interop_target_with(t, &mapped);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		interop_test(config_item_73),
		interop_test(config_item_73_not_with_mapped),
		interop_test(admin_queue_item_74),
		interop_test(stale_register_item_76),
		interop_test(shadow_garbage_item_77),
		interop_test(full_cq_item_78),
		interop_test(poison_item_79),
		interop_test(enable_under_load_item_80),
		interop_test(stale_shadow_item_81),
		interop_test(doorbell_writes_are_few),
		interop_test(idle_costs_nothing),
		interop_test(mapped_doorbells_carry_a_mix),
		interop_test(mapped_doorbells_take_messages_too),
		interop_test(lost_wakeups_item_75_bursts),
		interop_test(lost_wakeups_item_75),
	};

	return cmocka_run_group_tests(tests, setup, interop_group_teardown);
}

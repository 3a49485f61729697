/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance items 82, 83, 95, H10, H17, H18, H27: memory that goes, comes back, or is a lie. */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "interop.h"
#include "model.h"

#define POISON 0xA5
#define REPLY_LIMIT_NS (5 * NS_PER_S)

/* Guest memory above 1 MiB only: SeaBIOS' pieces below it are not all writable. */
static struct host *open_high(struct interop *t, const char *target, unsigned queues)
{
	char path[DAEMON_PATH_MAX];
	const struct host_options options = {.path = daemon_target_path(&t->daemon, target, path),
					     .flavour = CLIENT_QEMU};

	assert_int_equal(host_attach(&t->host, &options), 0);
	t->host.ram.next = MiB;
	assert_int_equal(host_enable(&t->host), 0);
	interop_queues(&t->host, queues);
	return &t->host;
}

static void remap_like_seabios(struct host *host, unsigned round)
{
	struct client *c = &host->client;

	assert_int_equal(
		round % 2 ? client_dma_unmap_all(c) : client_dma_unmap(c, 0, host->ram.size), 0);
	assert_int_equal(ram_map_seabios(&host->ram, c), 0);
	assert_int_equal(client_dma_unmap_all(c), 0);
	assert_int_equal(ram_map(&host->ram, c), 0);
}

static void remap_under_mix(struct interop *t, const char *name, bool shadow)
{
	const struct model_options options = {
		.block_count = 16 * MiB / 512, .block_bytes = 512, .queues = 2, .rare = true};
	struct model *model = model_new(&options, random_u64(&t->random));
	struct host *host;
	char spec[160];

	interop_target(t, name, interop_file(t, name, 16 * MiB, spec));
	host = open_high(t, name, 2);
	if (shadow)
		assert_int_equal(host_shadow_enable(host), ST_OK);
	model_attach(model, host);
	for (unsigned round = 0; round < 100; round++) {
		/* Ends with commands in flight. */
		assert_true(model_run(model, 20 + random_below(&t->random, 100)));
		remap_like_seabios(host, round);
	}
	assert_true(model_run(model, 500));
	assert_true(model_verify(model));
	model_free(model);
	assert_true(host->client.slowest_reply_ns < REPLY_LIMIT_NS);
}

/*
 * 82 (T): all RAM is unmapped and mapped again in pieces while commands are in flight. Those may
 * fail if their data were away at that moment (H17), hence the queues are quiet first.
 */
static void remap_item_82(void **state)
{
	struct interop *t = *state;
	struct host *host = open_high(t, "null", 3);

	for (unsigned round = 0; round < 200; round++) {
		for (unsigned q = 1; q <= 3; q++)
			assert_int_equal(host_run(host, q,
						  (struct nvme_sqe){.opcode = IO_FLUSH, .nsid = 1},
						  NULL),
					 ST_OK);
		remap_like_seabios(host, round);
	}

	assert_int_equal(host_disable(host), 0);
}

/* 82, H17: with a random mix in flight nothing is lost or wrong. */
static void remap_under_load_item_82(void **state)
{
	remap_under_mix(*state, "remap", false);
}

static void remap_under_load_with_shadow_item_82(void **state)
{
	remap_under_mix(*state, "remap-shadow", true);
}

/* H18: doorbells rung while everything is unmapped are served when it is back. */
static void ring_while_unmapped_h18(void **state)
{
	struct host *host = open_high(*state, "null", 1);
	struct client *c = &host->client;

	for (unsigned i = 0; i < 50; i++) {
		const struct nvme_sqe flush = {.opcode = IO_FLUSH, .nsid = 1};

		assert_int_equal(client_dma_unmap_all(c), 0);
		assert_true(host_submit(host, 1, flush) >= 0);
		assert_int_equal(host_cq_wait(&host->queues[1].cq, 5), -ETIMEDOUT);
		assert_int_equal(host_reg32(host, REG_CSTS), CSTS_RDY);
		assert_int_equal(ram_map(&host->ram, c), 0);
		assert_int_equal(host_reap(host, 1, &(struct nvme_cqe){0}, 2000), 0);
	}
}

static void submit_reads(struct host *host, uint8_t *data)
{
	for (unsigned i = 0; i < 8; i++)
		assert_true(host_submit(host, 1,
					interop_rw(host, IO_READ, 8 * i, 8,
						   data + (size_t)i * RAM_PAGE)) >= 0);
	client_sleep_us(100000);
}

/* 83 (T, S): unmap with slow reads in flight waits for them: no write comes after the reply. */
static void unmap_slow_item_83(void **state)
{
	struct host *host = open_high(*state, "slow", 1);
	uint8_t *data = ram_alloc(&host->ram, 8 * RAM_PAGE);

	submit_reads(host, data);
	assert_int_equal(client_dma_unmap_all(&host->client), 0);
	memset(data, POISON, 8 * RAM_PAGE);
	client_sleep_us(1500000);
	assert_true(data[0] == POISON && memcmp(data, data + 1, 8 * RAM_PAGE - 1) == 0);
	assert_int_equal(ram_map(&host->ram, &host->client), 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(host_reap(host, 1, &(struct nvme_cqe){0}, 2000), 0);
}

/* 83: with reads that take longer than QEMU's patience the reply comes in time all the same. */
static void unmap_very_slow_item_83(void **state)
{
	struct host *host = open_high(*state, "very-slow", 1);
	uint8_t *data = ram_alloc(&host->ram, 8 * RAM_PAGE);
	struct client *c = &host->client;

	submit_reads(host, data);
	c->slowest_reply_ns = 0;
	assert_int_equal(client_dma_unmap_all(c), 0);
	host_reg32(host, REG_CSTS);
	assert_int_equal(ram_map(&host->ram, c), 0);
	assert_true(c->slowest_reply_ns < REPLY_LIMIT_NS);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(host_reap(host, 1, &(struct nvme_cqe){0}, 6000), 0);
}

/* 95 (O, B): a drive that stalls for four seconds: register reads are answered meanwhile. */
static void slow_drive_item_95(void **state)
{
	struct host *host = open_high(*state, "very-slow", 1);
	uint8_t *data = ram_alloc(&host->ram, RAM_PAGE);
	const int cid = host_submit(host, 1, interop_rw(host, IO_READ, 0, 8, data));
	const uint64_t start = client_now_ns();
	uint8_t config[4];

	assert_true(cid >= 0);
	while (!host_cq_peek(&host->queues[1].cq)) {
		assert_int_equal(host_reg32(host, REG_CSTS), CSTS_RDY);
		assert_int_equal(client_config_read(&host->client, 0, config, 4), 0);
		assert_true(client_now_ns() - start < 8 * NS_PER_S);
		client_sleep_us(10000);
	}
	assert_true(client_now_ns() - start > 3 * NS_PER_S);
	assert_true(host->client.slowest_reply_ns < NS_PER_S);
}

/* 15, 5.8: resets with slow I/O in flight answer within QEMU's patience. */
static void slow_drive_resets(void **state)
{
	struct host *host = open_high(*state, "very-slow", 1);
	uint8_t *data = ram_alloc(&host->ram, RAM_PAGE);

	assert_true(host_submit(host, 1, interop_rw(host, IO_READ, 0, 8, data)) >= 0);
	client_sleep_us(50000);
	host->client.slowest_reply_ns = 0;
	assert_int_equal(client_reset(&host->client), 0);
	assert_true(host->client.slowest_reply_ns < REPLY_LIMIT_NS);
}

/* H10: rings and data on pages that cannot be written, or on nothing. */
static void rings_on_bad_memory_h10(void **state)
{
	struct host *host = open_high(*state, "null", 1);
	const struct client_map read_only = {
		.iova = 64 * GiB, .size = MiB, .flags = WIRE_MAP_READ, .fd = host->ram.fd};
	const struct client_map without = {.iova = 65 * GiB, .size = MiB, .flags = 3, .fd = -1};
	const uint64_t bases[] = {64 * GiB, 65 * GiB, 66 * GiB, UINT64_MAX - 4095};

	assert_int_equal(client_dma_map(&host->client, &read_only), 0);
	assert_int_equal(client_dma_map(&host->client, &without), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(bases); i++) {
		const struct nvme_sqe cq = {.opcode = ADMIN_CREATE_CQ,
					    .prp1 = bases[i],
					    .dw10 = 63 << 16 | 5,
					    .dw11 = 1};
		const struct nvme_sqe sq = {.opcode = ADMIN_CREATE_SQ,
					    .prp1 = bases[i],
					    .dw10 = 63 << 16 | 5,
					    .dw11 = 5 << 16 | 1};

		if (host_run(host, 0, cq, NULL) == ST_OK) {
			if (host_run(host, 0, sq, NULL) == ST_OK) {
				assert_int_equal(host_reg32_set(host, REG_DOORBELLS + 40, 9), 0);
				assert_admin(host, ST_OK, .opcode = ADMIN_DELETE_SQ, .dw10 = 5);
			}
			assert_admin(host, ST_OK, .opcode = ADMIN_DELETE_CQ, .dw10 = 5);
		}
		assert_io(host, ST_OK, .opcode = IO_FLUSH, .nsid = 1);
	}
}

/* H27, TP T10: memory truncated under the server: this client suffers, quoind and others live. */
static void truncated_memory_h27(void **state)
{
	struct interop *t = *state;

	for (unsigned round = 0; round < 20; round++) {
		struct host *host = open_high(t, "null", 1);
		uint8_t *data = ram_alloc(&host->ram, 64 * RAM_PAGE);
		struct nvme_sqe sqe = interop_rw(host, IO_READ, 0, 512, data);

		interop_open_with(t, &t->other, "disk",
				  (struct host_options){.flavour = CLIENT_QEMU});
		interop_queues(&t->other, 1);
		*host_sq_slot(&host->queues[1].sq) = sqe;
		if (round % 2)
			assert_int_equal(ftruncate(host->ram.fd, (off_t)MiB), 0);
		else
			assert_int_equal(ftruncate(host->ram.fd, 0), 0);
		/* Rings, queues and data are gone; a read of a register shows if we are. */
		assert_int_equal(host_reg32_set(host, REG_DOORBELLS + 8, 1), 0);
		host->client.timeout_ms = 2000;
		host_reg32(host, REG_CSTS);
		assert_int_equal(host_reg32_set(host, REG_DOORBELLS, 3) == -ETIMEDOUT, 0);
		interop_check_alive(&t->other);
		host_close(&t->other);
		host_close(host);
		assert_true(daemon_alive(&t->daemon));
	}
}

/* A file that shrinks under us: errors for what is gone, data for what is left. */
static void shrinking_file(void **state)
{
	struct interop *t = *state;
	char spec[160];
	struct host *host;
	uint8_t *data;
	const char *volume = interop_file(t, "shrink", 16 * MiB, spec);

	interop_target(t, "shrink", volume);
	host = open_high(t, "shrink", 1);
	data = ram_alloc(&host->ram, RAM_PAGE);
	memset(data, 0x42, RAM_PAGE);
	assert_int_equal(host_run(host, 1, interop_rw(host, IO_WRITE, 0, 8, data), NULL), ST_OK);
	assert_int_equal(truncate(spec + strlen("file:"), 4 * MiB), 0);
	assert_int_not_equal(
		host_run(host, 1, interop_rw(host, IO_READ, 12 * MiB / 512, 8, data), NULL), ST_OK);
	memset(data, 0, RAM_PAGE);
	assert_int_equal(host_run(host, 1, interop_rw(host, IO_READ, 0, 8, data), NULL), ST_OK);
	assert_int_equal(data[4095], 0x42);
	host_close(host);
	assert_int_equal(daemon_target_destroy(&t->daemon, "shrink"), 0);
}

static int setup(void **state)
{
	char spec[160], volume[200];
	struct interop *t;

	if (interop_group_setup(state))
		return -1;
	t = *state;
	snprintf(volume, sizeof(volume), "delay:op=read,ms=4000:%s",
		 interop_file(t, "very-slow", INTEROP_FILE_SIZE, spec));
	interop_target(t, "very-slow", volume);
	snprintf(volume, sizeof(volume), "delay:op=read,ms=1000:%s",
		 interop_file(t, "slow", INTEROP_FILE_SIZE, spec));
	interop_target(t, "slow", volume);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		interop_test(remap_item_82),
		interop_test(remap_under_load_item_82),
		interop_test(remap_under_load_with_shadow_item_82),
		interop_test(ring_while_unmapped_h18),
		interop_test(unmap_slow_item_83),
		interop_test(unmap_very_slow_item_83),
		interop_test(slow_drive_item_95),
		interop_test(slow_drive_resets),
		interop_test(rings_on_bad_memory_h10),
		interop_test(truncated_memory_h27),
		interop_test(shrinking_file),
	};

	return cmocka_run_group_tests(tests, setup, interop_group_teardown);
}

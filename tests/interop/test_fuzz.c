/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance item 98: random commands, registers and doorbells; nobody else notices. */
#include <errno.h>

#include "interop.h"
#include "model.h"

#define ROUNDS 2000
#define ROUNDS_LONG 100000
#define COMMANDS 60

/* Mostly plausible numbers: wrong in one place is worth more than wrong everywhere. */
static uint64_t odd_number(struct random *r)
{
	static const uint64_t edges[] = {0,
					 1,
					 7,
					 8,
					 511,
					 512,
					 4095,
					 4096,
					 65535,
					 65536,
					 UINT32_MAX,
					 1ULL << 40,
					 UINT64_MAX - 4095,
					 UINT64_MAX};

	if (random_chance(r, 1, 4))
		return random_u64(r);
	if (random_chance(r, 1, 2))
		return edges[random_below(r, ARRAY_SIZE(edges))];
	return random_below(r, 16);
}

static uint64_t odd_address(struct interop *t)
{
	if (random_chance(&t->random, 1, 8))
		return odd_number(&t->random);
	return random_below(&t->random, t->host.ram.size / RAM_PAGE) * RAM_PAGE +
	       (random_chance(&t->random, 1, 4) ? random_below(&t->random, RAM_PAGE) : 0);
}

static struct nvme_sqe odd_command(struct interop *t, bool admin)
{
	static const uint8_t io[] = {0, 1, 2, 4, 5, 8, 9, 0xC, 0xD, 0x19, 0x7F};
	struct random *r = &t->random;
	struct nvme_sqe sqe = {
		.opcode = admin ? (uint8_t)random_below(r, 0x20) : io[random_below(r, sizeof(io))],
		.flags = random_chance(r, 3, 4) ? 0 : (uint8_t)random_u64(r),
		.cid = (uint16_t)random_u64(r),
		.nsid = random_chance(r, 7, 8) ? 1 : (uint32_t)odd_number(r),
		.mptr = odd_number(r),
		.prp1 = odd_address(t),
		.prp2 = odd_address(t),
		.dw10 = (uint32_t)odd_number(r),
		.dw11 = random_chance(r, 3, 4) ? (uint32_t)random_below(r, 4)
					       : (uint32_t)odd_number(r),
		.dw12 = (uint32_t)odd_number(r),
		.dw13 = (uint32_t)odd_number(r),
	};

	if (admin && random_chance(r, 1, 16))
		sqe.opcode = random_chance(r, 1, 2) ? ADMIN_DOORBELL_BUFFER : ADMIN_FORMAT;
	return sqe;
}

static void odd_registers(struct interop *t)
{
	static const unsigned registers[] = {0,	   8,	 0xC,  0x10, 0x14,  0x20,   0x24,  0x28,
					     0x2C, 0x30, 0x34, 0x38, 0xE00, 0x4000, 0x5000};
	struct random *r = &t->random;
	const unsigned offset = random_chance(r, 1, 2)
					? registers[random_below(r, ARRAY_SIZE(registers))]
					: 0x1000 + 4 * (unsigned)random_below(r, 8);
	const uint64_t value = odd_number(r);
	const uint32_t sizes[] = {1, 2, 4, 8};

	(void)!client_bar_write(&t->host.client, offset, &value,
				sizes[random_below(r, ARRAY_SIZE(sizes))]);
	if (random_chance(r, 1, 8))
		(void)!client_config_write(&t->host.client, random_below(r, 128), &value, 2);
}

/* One life of a lunatic guest: sane set-up, mad commands, mad registers, sudden end. */
static void lunatic_life(struct interop *t)
{
	struct host *host = interop_open(t, "victim", 2);

	host->client.timeout_ms = 4000;
	random_fill(&t->random, host->ram.base + MiB, MiB);
	if (random_chance(&t->random, 1, 2))
		assert_int_equal(host_shadow_enable(host), ST_OK);
	for (unsigned i = 0; i < COMMANDS; i++) {
		const unsigned q = (unsigned)random_below(&t->random, 3);
		struct host_sq *sq = &host->queues[q].sq;

		*host_sq_slot(sq) = odd_command(t, q == 0);
		host_sq_push(sq);
		host_sq_ring(sq);
		if (random_chance(&t->random, 1, 10))
			odd_registers(t);
		if (host->shadow && random_chance(&t->random, 1, 10))
			atomic_store(host->shadow + random_below(&t->random, 8),
				     (uint32_t)odd_number(&t->random));
	}
	/* Whatever happened, registers answer. */
	assert_true(client_bar_read(&host->client, REG_CSTS, &(uint32_t){0}, 4) == 0);
	if (random_chance(&t->random, 1, 2)) {
		assert_int_equal(client_reset(&host->client), 0);
		assert_int_equal(host_reg32(host, REG_CC), 0);
	}
	host_close(host);
}

/* Its disk is sane again: 512-byte blocks, which it may have changed by Format. */
static void lunatic_disk_works(struct interop *t)
{
	const struct nvme_sqe format = {.opcode = ADMIN_FORMAT, .nsid = 1};
	struct host *host = interop_open(t, "victim", 1);

	assert_int_equal(host_run(host, 0, format, NULL), ST_OK);
	interop_check_alive(host);
}

/* 98 (H*): lunatic lives on one target while the other's data are verified. */
static void lunatic_guest_item_98(void **state)
{
	struct interop *t = *state;
	const struct model_options options = {
		.block_count = 16384, .block_bytes = 512, .queues = 2, .rare = true};
	struct model *model = model_new(&options, random_u64(&t->random));
	char spec[160];

	interop_target(t, "victim", interop_file(t, "victim", 4 * MiB, spec));
	interop_open_with(t, &t->other, "disk", (struct host_options){.flavour = CLIENT_QEMU});
	interop_queues(&t->other, 2);
	model_attach(model, &t->other);
	for (unsigned i = 0; i < (t->long_run ? ROUNDS_LONG : ROUNDS); i++) {
		lunatic_life(t);
		assert_true(model_run(model, 50));
	}
	assert_true(model_verify(model));
	model_free(model);
	lunatic_disk_works(t);
	assert_true(interop_memory_below(t, 128 * 1024));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		interop_test(lunatic_guest_item_98),
	};

	return interop_main(tests);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance items 65-72: I/O commands one by one, then a random mix against a model. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "interop.h"
#include "model.h"

#define MIX_COMMANDS 30000
#define MIX_COMMANDS_LONG 1000000
#define MIX_COMMANDS_SHORT 2000

static int rw(struct host *host, unsigned opcode, uint64_t lba, unsigned blocks, const void *data)
{
	return host_run(host, 1, interop_rw(host, opcode, lba, blocks, data), NULL);
}

static bool all_are(const uint8_t *p, size_t size, uint8_t value)
{
	return p[0] == value && memcmp(p, p + 1, size - 1) == 0;
}

/* 65 (Q, S): Flush of one namespace, of all, of none. */
static void flush_item_65(void **state)
{
	struct host *host = interop_open(*state, "disk", 1);

	assert_io(host, ST_OK, .opcode = IO_FLUSH, .nsid = 1);
	assert_io(host, ST_OK, .opcode = IO_FLUSH, .nsid = UINT32_MAX);
	assert_io(host, ST_INVALID_NAMESPACE, .opcode = IO_FLUSH, .nsid = 0);
	assert_io(host, ST_INVALID_NAMESPACE, .opcode = IO_FLUSH, .nsid = 500);
}

/* 68 (L): Write Zeroes of 65536 blocks; the neighbours keep what they have. */
static void write_zeroes_item_68(void **state)
{
	struct host *host = interop_open(*state, "disk", 1);
	uint8_t *data = ram_alloc(&host->ram, 512 * KiB);

	for (unsigned deac = 0; deac <= 1; deac++) {
		memset(data, 0x77, 512 * KiB);
		for (unsigned lba = 0; lba < 65536 + 2048; lba += 1024)
			assert_int_equal(rw(host, IO_WRITE, lba, 1024, data), ST_OK);
		assert_io(host, ST_OK, .opcode = IO_WRITE_ZEROES, .nsid = 1, .dw10 = 3,
			  .dw12 = 0xFFFF | (deac ? IO_DEAC : 0));
		assert_int_equal(rw(host, IO_READ, 0, 16, data), ST_OK);
		assert_true(all_are(data, 3 * 512, 0x77));
		assert_true(all_are(data + 3 * 512, 13 * 512, 0));
		assert_int_equal(rw(host, IO_READ, 65536, 16, data), ST_OK);
		assert_true(all_are(data, 3 * 512, 0));
		assert_true(all_are(data + 3 * 512, 13 * 512, 0x77));
	}
}

static int dsm(struct host *host, struct nvme_dsm_range *ranges, unsigned count)
{
	struct nvme_sqe sqe = {
		.opcode = IO_DSM, .nsid = 1, .dw10 = count - 1, .dw11 = DSM_DEALLOCATE};

	prp_set(&host->ram, &sqe, ranges, count * sizeof(*ranges), 0);
	return host_run(host, 1, sqe, NULL);
}

/* 69 (L, T): ranges: many, empty, overlapping, one beyond the end (then nothing changes). */
static void dataset_management_item_69(void **state)
{
	struct host *host = interop_open(*state, "disk", 1);
	struct nvme_dsm_range *ranges = ram_alloc(&host->ram, RAM_PAGE);
	uint8_t *data = ram_alloc(&host->ram, 512 * KiB);

	memset(data, 0x66, 512 * KiB);
	assert_int_equal(rw(host, IO_WRITE, 0, 1024, data), ST_OK);
	ranges[0] = (struct nvme_dsm_range){.lba = 8, .block_count = 8};
	ranges[1] = (struct nvme_dsm_range){.lba = INTEROP_FILE_SIZE / 512, .block_count = 1};
	assert_int_equal(dsm(host, ranges, 2), ST_LBA_RANGE);
	ranges[1] = (struct nvme_dsm_range){.lba = UINT64_MAX, .block_count = UINT32_MAX};
	assert_int_equal(dsm(host, ranges, 2), ST_LBA_RANGE);
	assert_int_equal(rw(host, IO_READ, 0, 1024, data), ST_OK);
	assert_true(all_are(data, 512 * KiB, 0x66));
	ranges[1] = (struct nvme_dsm_range){.lba = 0, .block_count = 0};
	assert_int_equal(dsm(host, ranges, 2), ST_OK);
	for (unsigned i = 0; i < 256; i++)
		ranges[i] = (struct nvme_dsm_range){.lba = 64 + i * 2, .block_count = 8};
	assert_int_equal(dsm(host, ranges, 256), ST_OK);
	assert_int_equal(rw(host, IO_READ, 0, 1024, data), ST_OK);
	assert_true(all_are(data, 8 * 512, 0x66));
	assert_true(all_are(data + 582 * 512, (1024 - 582) * 512, 0x66));
	ranges[0].attributes = 0x7;
	assert_io(host, ST_OK, .opcode = IO_DSM, .nsid = 1,
		  .prp1 = ram_addr(&host->ram, ranges)); /* a hint only */
}

/* 70 (S): deallocated blocks read as DLFEAT says. */
static void deallocated_item_70(void **state)
{
	struct host *host = interop_open(*state, "disk", 1);
	struct nvme_dsm_range *ranges = ram_alloc(&host->ram, RAM_PAGE);
	uint8_t *data = ram_alloc(&host->ram, 64 * KiB);

	assert_int_equal(host_identify(host, 0, 1, data), ST_OK);
	if ((data[33] & 7) != 1)
		skip(); /* a file system that cannot punch holes */
	memset(data, 0x55, 64 * KiB);
	assert_int_equal(rw(host, IO_WRITE, 4096, 128, data), ST_OK);
	ranges[0] = (struct nvme_dsm_range){.lba = 4096 + 3, .block_count = 100};
	assert_int_equal(dsm(host, ranges, 1), ST_OK);
	assert_int_equal(rw(host, IO_READ, 4096, 128, data), ST_OK);
	assert_true(all_are(data + 3 * 512, 100 * 512, 0));
	assert_true(all_are(data, 3 * 512, 0x55));
	assert_true(all_are(data + 103 * 512, 25 * 512, 0x55));
}

/* 71 (L), H34: a read-only volume says so and takes no change. */
static void read_only_item_71(void **state)
{
	struct interop *t = *state;
	char spec[160];
	const struct daemon_target target = {
		.name = "ro",
		.volumes = {interop_file(t, "ro", 16 * MiB, spec)},
		.read_only = true,
	};
	struct nvme_dsm_range *range;
	struct host_namespace ns;
	struct host *host;
	uint8_t *data;

	interop_target_with(t, &target);
	host = interop_open(t, "ro", 1);
	data = ram_alloc(&host->ram, RAM_PAGE);
	range = ram_alloc(&host->ram, RAM_PAGE);
	range->block_count = 8;
	assert_int_equal(host_namespace_get(host, 1, &ns), ST_OK);
	assert_true(ns.read_only);
	assert_int_equal(rw(host, IO_READ, 0, 8, data), ST_OK);
	assert_int_equal(rw(host, IO_WRITE, 0, 8, data), ST_WRITE_PROTECTED);
	assert_io(host, ST_WRITE_PROTECTED, .opcode = IO_WRITE_ZEROES, .nsid = 1);
	assert_int_equal(dsm(host, range, 1), ST_WRITE_PROTECTED);
	assert_io(host, ST_OK, .opcode = IO_FLUSH, .nsid = 1);
	host_close(host);
	assert_int_equal(daemon_target_destroy(&t->daemon, "ro"), 0);
}

/* Compare, and the fused pair Compare and Write: it writes only when it matched. */
static void compare_and_write(void **state)
{
	struct host *host = interop_open(*state, "disk", 1);
	uint8_t *old = ram_alloc(&host->ram, RAM_PAGE);
	uint8_t *new = ram_alloc(&host->ram, RAM_PAGE);
	uint8_t *in = ram_alloc(&host->ram, RAM_PAGE);
	uint8_t *page = ram_alloc(&host->ram, RAM_PAGE);
	struct nvme_sqe compare = interop_rw(host, IO_COMPARE, 7, 1, old);
	struct nvme_sqe write = interop_rw(host, IO_WRITE, 7, 1, new);
	struct nvme_cqe first, second;

	memset(old, 1, 512);
	memset(new, 2, 512);
	assert_int_equal(rw(host, IO_WRITE, 7, 1, old), ST_OK);
	assert_int_equal(host_run(host, 1, compare, NULL), ST_OK);
	old[511] ^= 1;
	assert_int_equal(host_run(host, 1, compare, NULL), ST_COMPARE);
	old[511] ^= 1;
	assert_int_equal(host_identify(host, 1, 0, page), ST_OK);
	assert_int_equal(page[522] & 1, 1);
	compare.flags = 1;
	write.flags = 2;
	for (unsigned i = 0; i < 2; i++) {
		int a, b;

		/* Both entries, then one doorbell (NVMe 1.4, 4.12). */
		compare.cid = 100;
		write.cid = 101;
		*host_sq_slot(&host->queues[1].sq) = compare;
		host_sq_push(&host->queues[1].sq);
		*host_sq_slot(&host->queues[1].sq) = write;
		host_sq_push(&host->queues[1].sq);
		host_sq_ring(&host->queues[1].sq);
		a = host_wait(host, 1, 100, &first);
		b = host_wait(host, 1, 101, &second);
		assert_int_equal(a | b, 0);
		/* The second round compares with what is not there any more. */
		assert_int_equal(nvme_cqe_status(&first), i ? ST_COMPARE : ST_OK);
		assert_int_equal(nvme_cqe_status(&second), i ? ST_FUSED_FAILED : ST_OK);
	}
	assert_int_equal(rw(host, IO_READ, 7, 1, in), ST_OK);
	assert_memory_equal(in, new, 512);
}

/* 72 (S): two overlapping writes in flight never mix within a block. */
static void overlapping_writes_item_72(void **state)
{
	struct host *host = interop_open(*state, "disk", 2);
	uint8_t *a = ram_alloc(&host->ram, RAM_PAGE);
	uint8_t *b = ram_alloc(&host->ram, RAM_PAGE);
	uint8_t *in = ram_alloc(&host->ram, RAM_PAGE);

	memset(a, 0xAA, RAM_PAGE);
	memset(b, 0xBB, RAM_PAGE);
	for (unsigned i = 0; i < 300; i++) {
		struct nvme_cqe cqe;
		const int ca = host_submit(host, 1, interop_rw(host, IO_WRITE, 0, 8, a));
		const int cb = host_submit(host, 2, interop_rw(host, IO_WRITE, 0, 8, b));

		assert_int_equal(host_wait(host, 1, (uint16_t)ca, &cqe), 0);
		assert_int_equal(host_wait(host, 2, (uint16_t)cb, &cqe), 0);
		assert_int_equal(rw(host, IO_READ, 0, 8, in), ST_OK);
		for (unsigned k = 0; k < 8; k++)
			assert_true(all_are(in + 512 * k, 512, 0xAA) ||
				    all_are(in + 512 * k, 512, 0xBB));
	}
}

/* H30: a failed read leaves no stranger's bytes in the buffer. */
static void no_leak_h30(void **state)
{
	struct interop *t = *state;
	char spec[160], volume[200];
	struct host *host;
	uint8_t *data;

	snprintf(volume, sizeof(volume), "error:op=read,errno=EIO:%s",
		 interop_file(t, "bad", 16 * MiB, spec));
	interop_target(t, "bad", volume);
	host = interop_open(t, "bad", 1);
	data = ram_alloc(&host->ram, 64 * KiB);
	for (unsigned i = 0; i < 16; i++) {
		memset(data, 0xEE, 64 * KiB);
		assert_int_not_equal(rw(host, IO_READ, i, 1 + i, data + 4 * i), ST_OK);
		for (unsigned k = 0; k < 64 * KiB; k++)
			assert_true(data[k] == 0xEE || data[k] == 0);
	}
	host_close(host);
	assert_int_equal(daemon_target_destroy(&t->daemon, "bad"), 0);
}

/* --- The mix ------------------------------------------------------------------------------ */

static bool sgl_offered(struct host *host)
{
	uint8_t *page = ram_alloc(&host->ram, RAM_PAGE);

	assert_int_equal(host_identify(host, 1, 0, page), ST_OK);
	return page[536] & 3;
}

static bool deallocate_zeroes(struct host *host)
{
	uint8_t *page = ram_alloc(&host->ram, RAM_PAGE);

	assert_int_equal(host_identify(host, 0, 1, page), ST_OK);
	return (page[33] & 7) == 1;
}

static void run_mix(struct interop *t, unsigned block_bytes, bool shadow)
{
	const uint64_t seed = random_u64(&t->random);
	char spec[160];
	const struct daemon_target target = {
		.name = "mix",
		.volumes = {interop_file(t, "mix", 16 * MiB, spec)},
		.block_size = block_bytes,
	};
	struct model_options options = {
		.block_count = 16 * MiB / block_bytes,
		.block_bytes = block_bytes,
		.queues = 4,
		.rare = true,
	};
	struct model *model;

	interop_target_with(t, &target);
	interop_open(t, "mix", 4);
	if (shadow)
		assert_int_equal(host_shadow_enable(&t->host), ST_OK);
	options.sgl = sgl_offered(&t->host);
	options.deallocate = deallocate_zeroes(&t->host);
	model = model_new(&options, seed);
	model_attach(model, &t->host);
	assert_true(model_run(model, t->long_run    ? MIX_COMMANDS_LONG
				     : t->short_run ? MIX_COMMANDS_SHORT
						    : MIX_COMMANDS));
	assert_true(model_verify(model));
	model_free(model);
	host_close(&t->host);
	assert_int_equal(daemon_target_destroy(&t->daemon, "mix"), 0);
	interop_file_remove(spec);
}

/* Reads, writes, zeroes, trims, compares, copies, verifies on four queues, 512-byte blocks. */
static void mix_of_512_byte_blocks(void **state)
{
	run_mix(*state, 512, false);
}

static void mix_of_4k_blocks(void **state)
{
	run_mix(*state, 4096, false);
}

static void mix_with_shadow_doorbells(void **state)
{
	run_mix(*state, 512, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		interop_test(flush_item_65),
		interop_test(write_zeroes_item_68),
		interop_test(dataset_management_item_69),
		interop_test(deallocated_item_70),
		interop_test(read_only_item_71),
		interop_test(compare_and_write),
		interop_test(overlapping_writes_item_72),
		interop_test(no_leak_h30),
		interop_test(mix_of_512_byte_blocks),
		interop_test(mix_of_4k_blocks),
		interop_test(mix_with_shadow_doorbells),
	};

	return interop_main(tests);
}

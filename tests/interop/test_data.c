/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance items 57-64, 84, H1-H5, H24-H26: data pointers, ranges, SGLs, bad addresses. */
#include <errno.h>
#include <pthread.h>

#include "interop.h"

#define NOWHERE (1ULL << 44) /* no region is there */
#define READ_ONLY (64 * GiB)
#define WITHOUT_FD (65 * GiB)
#define LAST_PAGE_SIZE 8192

static int rw(struct host *host, unsigned opcode, uint64_t lba, unsigned blocks, const void *data)
{
	return host_run(host, 1, interop_rw(host, opcode, lba, blocks, data), NULL);
}

static void fill(uint8_t *p, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		p[i] = (uint8_t)(i * 31 + (i >> 9) + seed);
}

/* 57 (S), H24: ranges at the end of the namespace and at the end of numbers. */
static void ranges_item_57(void **state)
{
	struct host *host = interop_open(*state, "null", 1);
	const uint64_t blocks = GiB / 512;
	uint8_t *data = ram_alloc(&host->ram, 64 * KiB);

	assert_int_equal(rw(host, IO_READ, 0, 1, data), ST_OK);
	assert_int_equal(rw(host, IO_READ, blocks - 1, 1, data), ST_OK);
	assert_int_equal(rw(host, IO_READ, blocks - 8, 8, data), ST_OK);
	assert_int_equal(rw(host, IO_READ, blocks - 7, 8, data), ST_LBA_RANGE);
	assert_int_equal(rw(host, IO_WRITE, blocks, 1, data), ST_LBA_RANGE);
	assert_int_equal(rw(host, IO_WRITE, UINT64_MAX, 1, data), ST_LBA_RANGE);
	assert_int_equal(rw(host, IO_READ, UINT64_MAX - 6, 8, data), ST_LBA_RANGE);
	assert_io(host, ST_LBA_RANGE, .opcode = IO_WRITE_ZEROES, .nsid = 1,
		  .dw10 = (uint32_t)blocks - 5, .dw12 = 0xFFFF);
	assert_io(host, ST_INVALID_NAMESPACE, .opcode = IO_READ, .nsid = 0);
	assert_io(host, ST_INVALID_NAMESPACE, .opcode = IO_READ, .nsid = 1000);
	assert_io(host, ST_INVALID_NAMESPACE, .opcode = IO_READ, .nsid = UINT32_MAX);
	assert_io(host, ST_INVALID_OPCODE, .opcode = 0x7F, .nsid = 1);
}

/* 58 (S, L): MDTS is the limit. */
static void mdts_item_58(void **state)
{
	struct host *host = interop_open(*state, "null", 1);
	uint8_t *page = ram_alloc(&host->ram, RAM_PAGE);
	unsigned bytes;
	uint8_t *data;

	assert_int_equal(host_identify(host, 1, 0, page), ST_OK);
	bytes = 4096U << page[77];
	data = ram_alloc(&host->ram, bytes + RAM_PAGE);
	assert_int_equal(rw(host, IO_READ, 0, bytes / 512, data), ST_OK);
	assert_int_equal(rw(host, IO_WRITE, 0, bytes / 512, data), ST_OK);
	assert_int_equal(rw(host, IO_READ, 0, bytes / 512 + 1, data), ST_INVALID_FIELD);
	assert_int_equal(rw(host, IO_READ, 0, 65536, data), ST_INVALID_FIELD);
}

/* 59 (S, B): PRP1 at odd offsets, transfers of 1 to 128 pages; nothing beside them changes. */
static void prp_offsets_item_59(void **state)
{
	static const unsigned offsets[] = {0, 4, 512, 2048, 4092};
	static const unsigned pages[] = {1, 2, 3, 64, 127};
	struct host *host = interop_open(*state, "disk", 1);
	uint8_t *out = ram_alloc(&host->ram, MiB);
	uint8_t *in = ram_alloc(&host->ram, MiB);

	for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++) {
		for (unsigned k = 0; k < ARRAY_SIZE(pages); k++) {
			const unsigned bytes = pages[k] * RAM_PAGE;

			fill(out + offsets[i], bytes, i * 10 + k);
			memset(in, 0xEE, MiB);
			assert_int_equal(rw(host, IO_WRITE, 64, bytes / 512, out + offsets[i]),
					 ST_OK);
			assert_int_equal(rw(host, IO_READ, 64, bytes / 512, in + offsets[i]),
					 ST_OK);
			assert_memory_equal(in + offsets[i], out + offsets[i], bytes);
			assert_int_equal(in[offsets[i] + bytes], 0xEE);
			if (offsets[i])
				assert_int_equal(in[offsets[i] - 1], 0xEE);
		}
	}
}

/* 60 (S, Q): PRP lists that begin anywhere in a page and chain from its last slot. */
static void prp_list_offsets_item_60(void **state)
{
	struct host *host = interop_open(*state, "disk", 1);
	const unsigned bytes = 24 * RAM_PAGE;
	uint8_t *out = ram_alloc(&host->ram, bytes);
	uint8_t *in = ram_alloc(&host->ram, bytes);
	const uint64_t mark = ram_mark(&host->ram);

	for (unsigned offset = 0; offset < RAM_PAGE; offset += offset < 3800 ? 376 : 8) {
		struct nvme_sqe sqe = interop_rw(host, IO_WRITE, 8, bytes / 512, out);

		fill(out, bytes, offset);
		prp_set(&host->ram, &sqe, out, bytes, offset);
		assert_int_equal(host_run(host, 1, sqe, NULL), ST_OK);
		memset(in, 0, bytes);
		sqe = interop_rw(host, IO_READ, 8, bytes / 512, in);
		prp_set(&host->ram, &sqe, in, bytes, offset);
		assert_int_equal(host_run(host, 1, sqe, NULL), ST_OK);
		assert_memory_equal(in, out, bytes);
		ram_release(&host->ram, mark);
	}
}

static uint64_t *list_of(struct host *host, const struct nvme_sqe *sqe)
{
	return (uint64_t *)(void *)(host->ram.base + sqe->prp2);
}

/* 61 (Q), H2: misaligned PRP2, list entries and chain pointers. */
static void prp_misaligned_item_61(void **state)
{
	struct host *host = interop_open(*state, "null", 1);
	uint8_t *data = ram_alloc(&host->ram, 64 * RAM_PAGE);
	struct nvme_sqe sqe = interop_rw(host, IO_READ, 0, 16, data);

	sqe.prp2 += 8;
	assert_int_equal(host_run(host, 1, sqe, NULL), ST_PRP_OFFSET);
	sqe = interop_rw(host, IO_READ, 0, 32, data);
	list_of(host, &sqe)[1] += 16;
	assert_int_equal(host_run(host, 1, sqe, NULL), ST_PRP_OFFSET);
	sqe = interop_rw(host, IO_READ, 0, 32, data);
	sqe.prp2 += 4;
	assert_int_not_equal(host_run(host, 1, sqe, NULL), ST_OK);
	sqe = interop_rw(host, IO_READ, 0, 48, data);
	prp_set(&host->ram, &sqe, data, (uint64_t)48 * 512, 4080);
	list_of(host, &sqe)[1] += 8;
	assert_int_equal(host_run(host, 1, sqe, NULL), ST_PRP_OFFSET);
	sqe = interop_rw(host, IO_READ, 0, 8, data);
	sqe.prp1 += 2;
	assert_int_equal(host_run(host, 1, sqe, NULL), ST_PRP_OFFSET);
	interop_check_alive(host);
}

/* 62, H3: a list whose chain points at itself ends all the same. */
static void prp_circle_item_62(void **state)
{
	struct host *host = interop_open(*state, "null", 1);
	uint8_t *data = ram_alloc(&host->ram, 512 * KiB);
	uint8_t *list = ram_alloc(&host->ram, RAM_PAGE);
	struct nvme_sqe sqe = interop_rw(host, IO_READ, 0, 512, data);
	uint64_t *entries = (uint64_t *)(void *)list;

	for (unsigned i = 0; i < 512; i++)
		entries[i] = ram_addr(&host->ram, list);
	sqe.prp2 = ram_addr(&host->ram, list) + 4088;
	assert_true(host_run(host, 1, sqe, NULL) >= 0);
	sqe.prp2 = ram_addr(&host->ram, list);
	assert_true(host_run(host, 1, sqe, NULL) >= 0);
	interop_check_alive(host);
}

static void map_odd_regions(struct host *host)
{
	const struct client_map read_only = {
		.iova = READ_ONLY, .size = MiB, .flags = WIRE_MAP_READ, .fd = host->ram.fd};
	const struct client_map without = {.iova = WITHOUT_FD, .size = MiB, .flags = 3, .fd = -1};
	const uint64_t end = host->ram.size;
	const struct client_map last = {
		.iova = end + GiB, .size = LAST_PAGE_SIZE, .flags = 3, .fd = host->ram.fd};

	assert_int_equal(client_dma_map(&host->client, &read_only), 0);
	assert_int_equal(client_dma_map(&host->client, &without), 0);
	assert_int_equal(client_dma_map(&host->client, &last), 0);
}

/* 63 (T), 84 (T), H1, H26, TP T11: addresses where no data may go. */
static void bad_addresses_items_63_84(void **state)
{
	struct host *host = interop_open(*state, "disk", 1);
	const uint64_t last = host->ram.size + GiB + LAST_PAGE_SIZE - RAM_PAGE;
	uint8_t *data = ram_alloc(&host->ram, 64 * RAM_PAGE);
	const struct {
		uint8_t opcode;
		unsigned blocks;
		uint64_t prp1, prp2;
		int status;
	} cases[] = {
		{IO_READ, 8, NOWHERE, 0, ST_DATA_TRANSFER},
		{IO_WRITE, 8, NOWHERE, 0, ST_DATA_TRANSFER},
		{IO_READ, 8, WITHOUT_FD, 0, ST_DATA_TRANSFER},
		{IO_READ, 8, READ_ONLY, 0, ST_DATA_TRANSFER},
		{IO_WRITE, 8, READ_ONLY, 0, ST_OK}, /* the device only reads */
		{IO_READ, 16, ram_addr(&host->ram, data), NOWHERE, ST_DATA_TRANSFER},
		{IO_READ, 32, ram_addr(&host->ram, data), NOWHERE, ST_DATA_TRANSFER},
		{IO_READ, 8, last, 0, ST_OK},
		{IO_READ, 16, last, last + RAM_PAGE, ST_DATA_TRANSFER},
		{IO_READ, 8, UINT64_MAX - 4095, 0, ST_DATA_TRANSFER},
		{IO_READ, 16, ram_addr(&host->ram, data), UINT64_MAX - 4095, ST_DATA_TRANSFER},
	};

	map_odd_regions(host);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_io(host, cases[i].status, .opcode = cases[i].opcode, .nsid = 1,
			  .prp1 = cases[i].prp1, .prp2 = cases[i].prp2,
			  .dw12 = cases[i].blocks - 1);
		interop_check_alive(host);
	}
	assert_admin(host, ST_DATA_TRANSFER, .opcode = ADMIN_IDENTIFY, .dw10 = 1, .prp1 = NOWHERE);
	assert_admin(host, ST_DATA_TRANSFER, .opcode = ADMIN_IDENTIFY, .dw10 = 1,
		     .prp1 = READ_ONLY);
}

struct flipper {
	uint64_t *word;
	uint64_t a, b;
	_Atomic bool stop;
};

static void *flip(void *arg)
{
	struct flipper *f = arg;

	while (!atomic_load(&f->stop)) {
		__atomic_store_n(f->word, f->a, __ATOMIC_RELAXED);
		__atomic_store_n(f->word, f->b, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* H4, H5: lists that change while they are read; either address may be taken, nothing else. */
static void changing_list_h4(void **state)
{
	struct interop *t = *state;
	struct host *host = interop_open(t, "null", 1);
	uint8_t *data = ram_alloc(&host->ram, 64 * RAM_PAGE);
	struct nvme_sqe sqe = interop_rw(host, IO_READ, 0, 256, data);
	struct flipper f = {.word = list_of(host, &sqe) + 3, .b = NOWHERE};
	pthread_t thread;

	f.a = *f.word;
	assert_int_equal(pthread_create(&thread, NULL, flip, &f), 0);
	for (unsigned i = 0; i < 5000; i++) {
		const int status = host_run(host, 1, sqe, NULL);

		assert_true(status == ST_OK || status == ST_DATA_TRANSFER);
	}
	atomic_store(&f.stop, true);
	pthread_join(thread, NULL);
	interop_check_alive(host);
}

/* 64 (Q): fused commands that are no pair; a reserved PSDT. H32: MPTR is ignored. */
static void odd_flags_item_64(void **state)
{
	struct host *host = interop_open(*state, "null", 1);
	uint8_t *data = ram_alloc(&host->ram, RAM_PAGE);
	struct nvme_sqe sqe = interop_rw(host, IO_READ, 0, 8, data);

	sqe.mptr = NOWHERE + 3;
	assert_int_equal(host_run(host, 1, sqe, NULL), ST_OK);
	sqe.flags = 0xC0;
	assert_int_equal(host_run(host, 1, sqe, NULL), ST_INVALID_FIELD);
	sqe.flags = 0x03;
	assert_int_equal(host_run(host, 1, sqe, NULL), ST_INVALID_FIELD);
	sqe.flags = 0x02; /* a second without its first */
	assert_int_not_equal(host_run(host, 1, sqe, NULL), ST_OK);
	interop_check_alive(host);
}

/* --- SGL ---------------------------------------------------------------------------------- */

static bool offers_sgl(struct host *host)
{
	uint8_t *page = ram_alloc(&host->ram, RAM_PAGE);

	assert_int_equal(host_identify(host, 1, 0, page), ST_OK);
	return page[536] & 3;
}

/* SGLs as data block and as segments. */
static void sgl_transfers(void **state)
{
	struct host *host = interop_open(*state, "disk", 1);
	uint8_t *out = ram_alloc(&host->ram, 64 * KiB);
	uint8_t *in = ram_alloc(&host->ram, 64 * KiB);
	const uint64_t mark = ram_mark(&host->ram);
	struct nvme_sqe sqe = {.opcode = IO_WRITE, .nsid = 1, .dw10 = 8, .dw12 = 31};

	assert_true(offers_sgl(host));
	for (unsigned count = 1; count <= 100; count++) {
		ram_release(&host->ram, mark);
		fill(out, 64 * KiB, count);
		sqe.opcode = IO_WRITE;
		sqe.flags = 0;
		if (count == 1)
			sgl_set(&host->ram, &sqe, out + 12, 16384);
		else
			sgl_set_segment(&host->ram, &sqe, out + 12, 16384, count);
		assert_int_equal(host_run(host, 1, sqe, NULL), ST_OK);
		sqe.opcode = IO_READ;
		sqe.flags = 0;
		sgl_set_segment(&host->ram, &sqe, in + 512, 16384, count % 7 + 1);
		assert_int_equal(host_run(host, 1, sqe, NULL), ST_OK);
		assert_memory_equal(in + 512, out + 12, 16384);
	}
}

static void set_sgl(struct nvme_sqe *sqe, uint64_t address, uint32_t length, uint8_t type)
{
	const struct nvme_sgl sgl = {.address = address, .length = length, .type = type};

	memcpy(&sqe->prp1, &sgl, sizeof(sgl));
	sqe->flags = SQE_SGL;
}

/* SGLs with wrong lengths, types, addresses, and segments that point at themselves. */
static void sgl_hostile(void **state)
{
	struct host *host = interop_open(*state, "null", 1);
	struct nvme_sgl *list = ram_alloc(&host->ram, RAM_PAGE);
	const uint64_t data = ram_addr(&host->ram, ram_alloc(&host->ram, 64 * KiB));
	const uint64_t addr = ram_addr(&host->ram, list);
	struct nvme_sqe sqe = {.opcode = IO_READ, .nsid = 1, .dw12 = 7};

	assert_true(offers_sgl(host));
	for (unsigned type = 0; type < 256; type++) {
		set_sgl(&sqe, addr, 4096, (uint8_t)type);
		assert_true(host_run(host, 1, sqe, NULL) >= 0);
	}
	set_sgl(&sqe, data, 512, SGL_DATA);
	assert_int_equal(host_run(host, 1, sqe, NULL), ST_SGL_LENGTH);
	set_sgl(&sqe, data, 0, SGL_DATA);
	assert_int_not_equal(host_run(host, 1, sqe, NULL), ST_OK);
	set_sgl(&sqe, NOWHERE, 4096, SGL_DATA);
	assert_int_equal(host_run(host, 1, sqe, NULL), ST_DATA_TRANSFER);
	set_sgl(&sqe, UINT64_MAX - 100, 4096, SGL_DATA);
	assert_int_equal(host_run(host, 1, sqe, NULL), ST_DATA_TRANSFER);
	set_sgl(&sqe, NOWHERE, 64, SGL_LAST_SEGMENT);
	assert_int_equal(host_run(host, 1, sqe, NULL), ST_DATA_TRANSFER);
	for (unsigned i = 0; i < RAM_PAGE / 16; i++)
		list[i] =
			(struct nvme_sgl){.address = addr, .length = RAM_PAGE, .type = SGL_SEGMENT};
	set_sgl(&sqe, addr, RAM_PAGE, SGL_SEGMENT);
	assert_int_not_equal(host_run(host, 1, sqe, NULL), ST_OK);
	set_sgl(&sqe, addr, 0xFFFFFFF0, SGL_LAST_SEGMENT);
	assert_int_not_equal(host_run(host, 1, sqe, NULL), ST_OK);
	set_sgl(&sqe, addr, 17, SGL_LAST_SEGMENT);
	assert_int_not_equal(host_run(host, 1, sqe, NULL), ST_OK);
	interop_check_alive(host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		interop_test(ranges_item_57),
		interop_test(mdts_item_58),
		interop_test(prp_offsets_item_59),
		interop_test(prp_list_offsets_item_60),
		interop_test(prp_misaligned_item_61),
		interop_test(prp_circle_item_62),
		interop_test(bad_addresses_items_63_84),
		interop_test(changing_list_h4),
		interop_test(odd_flags_item_64),
		interop_test(sgl_transfers),
		interop_test(sgl_hostile),
	};

	return interop_main(tests);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance items 99-102: Copy, on a file and on a volume of a pool. */
#include "interop.h"

#define DRIVE_BYTES (256 * MiB)
#define MIB_BLOCKS 2048 /* of 512 bytes */

static int rw(struct host *host, unsigned opcode, uint64_t lba, unsigned blocks, const void *data)
{
	return host_run(host, 1, interop_rw(host, opcode, lba, blocks, data), NULL);
}

/* 99, 100 (S): several ranges, limits, a range beyond the end. */
static void copy_items_99_100(void **state)
{
	struct host *host = interop_open(*state, "disk", 1);
	struct nvme_copy_range *ranges = ram_alloc(&host->ram, RAM_PAGE);
	uint8_t *data = ram_alloc(&host->ram, 64 * KiB);
	struct nvme_sqe sqe = {.opcode = IO_COPY, .nsid = 1, .dw10 = 8000};

	sqe.prp1 = ram_addr(&host->ram, ranges);
	for (unsigned i = 0; i < 32 * 512; i++)
		data[i] = (uint8_t)(i / 512 + 1);
	assert_int_equal(rw(host, IO_WRITE, 100, 32, data), ST_OK);
	ranges[0] = (struct nvme_copy_range){.lba = 110, .block_count = 3};
	ranges[1] = (struct nvme_copy_range){.lba = 101, .block_count = 0};
	ranges[2] = (struct nvme_copy_range){.lba = 120, .block_count = 7};
	sqe.dw12 = 2;
	assert_int_equal(host_run(host, 1, sqe, NULL), ST_OK);
	assert_int_equal(rw(host, IO_READ, 8000, 13, data), ST_OK);
	assert_int_equal(data[0], 11);
	assert_int_equal(data[4 * 512], 2);
	assert_int_equal(data[5 * 512], 21);
	assert_int_equal(data[13 * 512 - 1], 28);
	ranges[1].lba = INTEROP_FILE_SIZE / 512;
	assert_int_equal(host_run(host, 1, sqe, NULL), ST_LBA_RANGE);
	sqe.dw10 = INTEROP_FILE_SIZE / 512 - 2;
	ranges[1].lba = 0;
	assert_int_equal(host_run(host, 1, sqe, NULL), ST_LBA_RANGE);
	sqe.dw12 = 0xFF;
	assert_int_not_equal(host_run(host, 1, sqe, NULL), ST_OK);
	interop_check_alive(host);
}

/* --- On a pool ---------------------------------------------------------------------------------
 */

static void api(struct interop *t, const char *request, const char *body)
{
	char answer[DAEMON_ANSWER_MAX];

	assert_in_range(daemon_call(&t->daemon, request, body, answer), 200, 299);
}

static uint64_t pool_number(struct interop *t, const char *key)
{
	char answer[DAEMON_ANSWER_MAX];
	const char *at;

	assert_int_equal(daemon_call(&t->daemon, "GET /v1/pools/tank", NULL, answer), 200);
	at = strstr(answer, key);
	assert_non_null(at);
	return strtoull(at + strlen(key), NULL, 10);
}

static struct host *pool_host(struct interop *t)
{
	char spec[160], body[256];

	snprintf(body, sizeof(body), "{\"name\":\"tank\",\"groups\":[[\"%s\"]]}",
		 interop_file(t, "tank", DRIVE_BYTES, spec) + strlen("file:"));
	api(t, "POST /v1/pools", body);
	api(t, "POST /v1/volumes", "{\"name\":\"tank/disk\",\"size\":67108864}");
	interop_target(t, "tank", "tank/disk");
	return interop_open(t, "tank", 1);
}

/* `count` blocks from `lba` on; each MiB of the disk has content of its own. */
static void fill(struct host *host, uint8_t *data, uint64_t lba, unsigned mib)
{
	for (unsigned i = 0; i < 2 * mib; i++) {
		memset(data, (int)(i + 1), 512 * KiB);
		assert_int_equal(rw(host, IO_WRITE, lba + i * 1024ULL, 1024, data), ST_OK);
	}
}

static void holds(struct host *host, uint8_t *data, uint64_t lba, unsigned half)
{
	assert_int_equal(rw(host, IO_READ, lba, 1024, data), ST_OK);
	assert_int_equal(data[0], half + 1);
	assert_memory_equal(data, data + 1, 512 * KiB - 1);
}

/* 102: whole blocks of a volume are copied by reference, the rest by data, with one result. */
static void copy_item_102_on_a_pool(void **state)
{
	struct host *host = pool_host(*state);
	struct nvme_copy_range *ranges = ram_alloc(&host->ram, RAM_PAGE);
	uint8_t *data = ram_alloc(&host->ram, 512 * KiB);
	struct nvme_sqe sqe = {.opcode = IO_COPY, .nsid = 1, .dw10 = 32 * MIB_BLOCKS, .dw12 = 1};

	sqe.prp1 = ram_addr(&host->ram, ranges);
	fill(host, data, 0, 4);
	ranges[0] = (struct nvme_copy_range){.lba = MIB_BLOCKS, .block_count = 2 * MIB_BLOCKS - 1};
	ranges[1] = (struct nvme_copy_range){.lba = 0, .block_count = MIB_BLOCKS - 1};
	assert_int_equal(host_run(host, 1, sqe, NULL), ST_OK);
	for (unsigned i = 0; i < 4; i++)
		holds(host, data, 32 * MIB_BLOCKS + i * 1024, 2 + i);
	for (unsigned i = 0; i < 2; i++)
		holds(host, data, 34 * MIB_BLOCKS + i * 1024, i);
	assert_int_equal(pool_number(*state, "\"shared_bytes\":"), 3 * MiB);
	/* One block further they are no whole ones. */
	sqe.dw10 = 40 * MIB_BLOCKS + 1;
	assert_int_equal(host_run(host, 1, sqe, NULL), ST_OK);
	holds(host, data, 40 * MIB_BLOCKS + 1, 2);
	holds(host, data, 42 * MIB_BLOCKS + 1025, 1);
	assert_int_equal(pool_number(*state, "\"shared_bytes\":"), 3 * MiB);
	interop_check_alive(host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		interop_test(copy_items_99_100),
		interop_test(copy_item_102_on_a_pool),
	};

	return interop_main(tests);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance items 40-56: Identify, features, log pages, events, Abort. */
#include <errno.h>

#include "interop.h"

#define AER ((struct nvme_sqe){.opcode = ADMIN_ASYNC_EVENT})
#define NOTICE_NAMESPACE 0x040002U /* log page 4, namespace attribute, notice */

static uint16_t le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t le32(const uint8_t *p)
{
	return le16(p) | (uint32_t)le16(p + 2) << 16;
}

/* 40 (O, P427, T): Identify at offset 0x18 of a page, with PRP2. */
static void identify_offset_item_40(void **state)
{
	struct host *host = interop_open(*state, "null", 0);
	uint8_t *whole = ram_alloc(&host->ram, RAM_PAGE);
	uint8_t *split = ram_alloc(&host->ram, 2 * RAM_PAGE);

	assert_int_equal(host_identify(host, 1, 0, whole), ST_OK);
	memset(split, 0xEE, 2 * RAM_PAGE);
	assert_admin(host, ST_OK, .opcode = ADMIN_IDENTIFY, .dw10 = 1,
		     .prp1 = ram_addr(&host->ram, split) + 0x18,
		     .prp2 = ram_addr(&host->ram, split) + RAM_PAGE);
	assert_memory_equal(split + 0x18, whole, RAM_PAGE);
	assert_int_equal(split[0x17], 0xEE);
	assert_int_equal(split[RAM_PAGE + 0x18], 0xEE);
}

/* 41 (O, Q): Identify Namespace: there, invalid, inactive. */
static void identify_namespace_item_41(void **state)
{
	struct host *host = interop_open(*state, "null", 0);
	uint8_t *page = ram_alloc(&host->ram, RAM_PAGE);
	uint32_t nn;

	assert_int_equal(host_identify(host, 1, 0, page), ST_OK);
	nn = le32(page + 516);
	assert_true(nn >= 1 && nn <= 64);
	assert_int_equal(host_identify(host, 0, 1, page), ST_OK);
	assert_int_equal(le32(page), GiB / 512);
	assert_int_equal(host_identify(host, 0, 0, page), ST_INVALID_NAMESPACE);
	assert_int_equal(host_identify(host, 0, nn + 1, page), ST_INVALID_NAMESPACE);
	memset(page, 0xEE, RAM_PAGE);
	assert_int_equal(host_identify(host, 0, nn, page), ST_OK);
	for (unsigned i = 0; i < RAM_PAGE; i++)
		assert_int_equal(page[i], 0);
}

/* 42 (Q, L): the list of active namespaces. 44: other CNS values. */
static void identify_lists_items_42_44(void **state)
{
	struct host *host = interop_open(*state, "null", 0);
	uint8_t *page = ram_alloc(&host->ram, RAM_PAGE);
	int status;

	assert_int_equal(host_identify(host, 2, 0, page), ST_OK);
	assert_int_equal(le32(page), 1);
	assert_int_equal(le32(page + 4), 0);
	assert_int_equal(host_identify(host, 2, 1, page), ST_OK);
	assert_int_equal(le32(page), 0);
	assert_int_equal(host_identify(host, 2, 0xFFFFFFFE, page), ST_INVALID_NAMESPACE);
	assert_int_equal(host_identify(host, 2, 0xFFFFFFFF, page), ST_INVALID_NAMESPACE);
	for (unsigned cns = 5; cns <= 6; cns++) {
		status = host_identify(host, cns, 1, page);
		assert_true(status == ST_OK || status == ST_INVALID_FIELD);
	}
	assert_int_equal(host_identify(host, 0x7F, 0, page), ST_INVALID_FIELD);
	assert_int_equal(host_identify(host, 0xFF, 0, page), ST_INVALID_FIELD);
}

static bool any_set(const uint8_t *p, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (p[i])
			return true;
	}
	return false;
}

/* 43 (L, W V3678): descriptors carry the same identities as Identify Namespace. */
static void identities_item_43(void **state)
{
	struct host *host = interop_open(*state, "null", 0);
	uint8_t *ns = ram_alloc(&host->ram, RAM_PAGE);
	uint8_t *list = ram_alloc(&host->ram, RAM_PAGE);
	unsigned at = 0, found = 0;

	assert_int_equal(host_identify(host, 0, 1, ns), ST_OK);
	assert_int_equal(host_identify(host, 3, 1, list), ST_OK);
	while (at < RAM_PAGE - 4 && list[at + 1] != 0) {
		const uint8_t *data = list + at + 4;

		if (list[at] == 1)
			assert_memory_equal(data, ns + 120, 8);
		if (list[at] == 2)
			assert_memory_equal(data, ns + 104, 16);
		if (list[at] <= 3) {
			assert_true(any_set(data, list[at + 1]));
			found |= 1U << list[at];
		}
		at += 4U + list[at + 1];
	}
	assert_true(found & (1U << 2));
	assert_true(any_set(ns + 104, 16));
	assert_int_equal(host_identify(host, 3, 0, list), ST_INVALID_NAMESPACE);
}

static void check_text(const uint8_t *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		assert_true(p[i] >= 0x20 && p[i] < 0x7F);
}

/* 45 (L): serial, model, firmware printable; SUBNQN ends; both differ between two targets. */
static void controller_identity_item_45(void **state)
{
	struct interop *t = *state;
	struct host *a = interop_open(t, "null", 0);
	uint8_t *pa = ram_alloc(&a->ram, RAM_PAGE);
	uint8_t *pb, before[256];

	assert_int_equal(host_identify(a, 1, 0, pa), ST_OK);
	check_text(pa + 4, 20 + 40 + 8);
	assert_int_not_equal(pa[4], ' ');
	assert_memory_equal(pa + 768, "nqn.", 4);
	assert_non_null(memchr(pa + 768, 0, 256));
	interop_open_with(t, &t->other, "disk", (struct host_options){.flavour = CLIENT_SPDK});
	pb = ram_alloc(&t->other.ram, RAM_PAGE);
	assert_int_equal(host_identify(&t->other, 1, 0, pb), ST_OK);
	assert_memory_not_equal(pa + 4, pb + 4, 20);
	assert_memory_not_equal(pa + 768, pb + 768, 256);
	memcpy(before, pa + 768, 256);
	host_close(&t->other);
	host_close(a);
	assert_int_equal(daemon_stop(&t->daemon, 15), 0);
	assert_int_equal(daemon_start(&t->daemon), 0);
	a = interop_open(t, "null", 0);
	pa = ram_alloc(&a->ram, RAM_PAGE);
	assert_int_equal(host_identify(a, 1, 0, pa), ST_OK);
	assert_memory_equal(pa + 768, before, 256);
}

/* Identify Controller agrees with itself and with what drivers need. */
static void controller_data_suits_drivers(void **state)
{
	struct host *host = interop_open(*state, "null", 0);
	uint8_t *p = ram_alloc(&host->ram, RAM_PAGE);

	assert_int_equal(host_identify(host, 1, 0, p), ST_OK);
	assert_true(p[77] >= 5 && p[77] <= 8);	     /* MDTS */
	assert_int_equal(p[111], 1);		     /* CNTRLTYPE */
	assert_true(le16(p + 256) & 0x100);	     /* OACS: doorbell buffer */
	assert_true(p[259] >= 3);		     /* AERL */
	assert_true(le16(p + 266) && le16(p + 268)); /* WCTEMP, CCTEMP */
	assert_int_equal(p[512], 0x66);
	assert_int_equal(p[513], 0x44);
	assert_int_equal(le16(p + 520) & 0xC, 0xC); /* ONCS: DSM, write zeroes */
	assert_true(le32(p + 92) & 0x100);	    /* OAES */
}

/* 47, 48 (W V3886, K): features: default, set, get back, not saveable. 50: default after reset. */
static void features_items_47_48_50(void **state)
{
	static const struct {
		uint8_t fid;
		uint32_t value;
	} settable[] = {{1, 0x07}, {4, 0x155}, {5, 0x10}, {8, 0x0102}, {0xA, 1}, {0xB, 0x100}};
	struct host *host = interop_open(*state, "null", 0);
	uint32_t before[ARRAY_SIZE(settable)], value;

	for (unsigned i = 0; i < ARRAY_SIZE(settable); i++) {
		assert_int_equal(host_get_feature(host, settable[i].fid, &before[i]), ST_OK);
		assert_int_equal(host_set_feature(host, settable[i].fid, settable[i].value, NULL),
				 ST_OK);
		assert_int_equal(host_get_feature(host, settable[i].fid, &value), ST_OK);
		assert_int_equal(value, settable[i].value);
		assert_admin(host, ST_NOT_SAVEABLE, .opcode = ADMIN_SET_FEATURES,
			     .dw10 = 1U << 31 | settable[i].fid, .dw11 = settable[i].value);
	}
	assert_int_equal(host_get_feature(host, 2, &value), ST_OK);
	assert_int_equal(host_get_feature(host, 6, &value), ST_OK);
	assert_int_equal(value, 1);
	assert_int_equal(host_get_feature(host, 9, &value), ST_OK);
	assert_int_equal(host_disable(host), 0);
	assert_int_equal(host_enable(host), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(settable); i++) {
		assert_int_equal(host_get_feature(host, settable[i].fid, &value), ST_OK);
		assert_int_equal(value, before[i]);
	}
}

/* 49 (W, K2007, K2008), H25, H33: what nobody knows is refused. */
static void unknown_things_item_49(void **state)
{
	struct host *host = interop_open(*state, "null", 0);
	const uint64_t prp1 = ram_addr(&host->ram, ram_alloc(&host->ram, RAM_PAGE));
	static const uint8_t opcodes[] = {0x03, 0x10, 0x11, 0x14, 0x18, 0x19, 0x81, 0x84, 0xC0};
	uint32_t value;
	int status;

	assert_int_equal(host_get_feature(host, 0xD0, &value), ST_INVALID_FIELD);
	assert_int_equal(host_set_feature(host, 0xD0, 0, NULL), ST_INVALID_FIELD);
	status = host_get_log(host, 0xC1, host->ram.base + prp1, 512);
	assert_true(status == ST_INVALID_LOG || status == ST_INVALID_FIELD);
	for (unsigned i = 0; i < ARRAY_SIZE(opcodes); i++)
		assert_admin(host, ST_INVALID_OPCODE, .opcode = opcodes[i], .prp1 = prp1);
	assert_admin(host, ST_INVALID_FIELD, .opcode = ADMIN_IDENTIFY, .flags = 0x40, .prp1 = prp1,
		     .dw10 = 1);
	assert_admin(host, ST_INVALID_FIELD, .opcode = ADMIN_IDENTIFY, .flags = 1, .prp1 = prp1,
		     .dw10 = 1);
}

static int get_log_at(struct host *host, unsigned lid, uint64_t prp1, uint32_t size,
		      uint64_t offset)
{
	const struct nvme_sqe sqe = {
		.opcode = ADMIN_GET_LOG,
		.nsid = UINT32_MAX,
		.prp1 = prp1,
		.dw10 = (size / 4 - 1) << 16 | lid,
		.dw12 = (uint32_t)offset,
		.dw13 = (uint32_t)(offset >> 32),
	};

	return host_run(host, 0, sqe, NULL);
}

/* 51 (F, L, W), H25: log pages in all lengths, with offsets, and never a byte beyond. */
static void log_pages_item_51(void **state)
{
	static const uint32_t sizes[] = {4, 512, 4096};
	struct host *host = interop_open(*state, "null", 0);
	uint8_t *page = ram_alloc(&host->ram, 2 * RAM_PAGE);
	const uint64_t addr = ram_addr(&host->ram, page);

	for (unsigned lid = 1; lid <= 5; lid++) {
		for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
			memset(page, 0xEE, 2 * RAM_PAGE);
			assert_int_equal(get_log_at(host, lid, addr, sizes[i], 0), ST_OK);
			assert_int_equal(page[sizes[i]], 0xEE);
		}
		assert_int_equal(get_log_at(host, lid, addr, 4, 8), ST_OK);
		assert_int_equal(get_log_at(host, lid, addr, 4, 2), ST_INVALID_FIELD);
		assert_int_equal(get_log_at(host, lid, addr, 4, 1ULL << 40), ST_INVALID_FIELD);
		assert_int_equal(get_log_at(host, lid, addr, 4, UINT64_MAX - 3), ST_INVALID_FIELD);
	}
	assert_admin(host, ST_INVALID_FIELD, .opcode = ADMIN_GET_LOG, .nsid = UINT32_MAX,
		     .prp1 = addr, .dw10 = 0xFFFF0002, .dw11 = 0xFFFF);
	assert_int_equal(get_log_at(host, 3, addr, 512, 0), ST_OK);
	assert_int_equal(page[0] & 7, 1);
}

/* 52 (W, L): S.M.A.R.T. is healthy, and counts. */
static void smart_item_52(void **state)
{
	struct host *host = interop_open(*state, "null", 1);
	uint8_t *page = ram_alloc(&host->ram, RAM_PAGE);
	uint8_t *data = ram_alloc(&host->ram, 65536);
	uint32_t reads;

	assert_int_equal(host_get_log(host, 2, page, 512), ST_OK);
	assert_int_equal(page[0], 0);
	assert_true(le16(page + 1) >= 273 && le16(page + 1) <= 340);
	assert_int_equal(page[3], 100);
	reads = le32(page + 64);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(host_run(host, 1, interop_rw(host, IO_READ, 0, 8, data), NULL),
				 ST_OK);
	assert_int_equal(host_get_log(host, 2, page, 512), ST_OK);
	assert_true(le32(page + 64) >= reads + 10);
}

/* The error log names the queue, the command and the status of what failed, newest first. */
static void error_log_names_the_command(void **state)
{
	struct host *host = interop_open(*state, "null", 1);
	uint8_t *page = ram_alloc(&host->ram, RAM_PAGE);
	int cid = host_submit(host, 1, (struct nvme_sqe){.opcode = IO_READ, .nsid = 99});
	struct nvme_cqe cqe;

	assert_true(cid >= 0);
	assert_int_equal(host_wait(host, 1, (uint16_t)cid, &cqe), 0);
	assert_int_equal(nvme_cqe_status(&cqe), ST_INVALID_NAMESPACE);
	assert_true(cqe.status & 0x8000); /* DNR */
	assert_int_equal(host_get_log(host, 1, page, 64), ST_OK);
	assert_true(le32(page) > 0);
	assert_int_equal(le16(page + 8), 1);
	assert_int_equal(le16(page + 10), cid);
	assert_int_equal(le16(page + 12) >> 1 & 0x7FF, ST_INVALID_NAMESPACE);
	assert_int_equal(le32(page + 24), 99);
}

/* 53 (W, K, Q), H21: events are parked up to the limit, and vanish with a reset. */
static void parked_events_item_53(void **state)
{
	struct host *host = interop_open(*state, "null", 0);
	uint8_t *page = ram_alloc(&host->ram, RAM_PAGE);
	struct nvme_cqe cqe;
	unsigned limit;

	assert_int_equal(host_identify(host, 1, 0, page), ST_OK);
	limit = page[259] + 1U;
	for (unsigned i = 0; i < limit; i++)
		assert_true(host_submit(host, 0, AER) >= 0);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(host_run(host, 0, AER, NULL), ST_AER_LIMIT);
	assert_int_equal(host_reap(host, 0, &cqe, 200), -ETIMEDOUT);
	assert_int_equal(host_disable(host), 0);
	assert_int_equal(host_enable(host), 0);
	assert_int_equal(host_reap(host, 0, &cqe, 200), -ETIMEDOUT);
	for (unsigned i = 0; i < limit; i++)
		assert_true(host_submit(host, 0, AER) >= 0);
	assert_int_equal(host_run(host, 0, AER, NULL), ST_AER_LIMIT);
}

static void resize(struct interop *t, const char *target, const char *size)
{
	char request[128], body[64], answer[DAEMON_ANSWER_MAX];

	snprintf(request, sizeof(request), "PATCH /v1/targets/%s/namespaces/1", target);
	snprintf(body, sizeof(body), "{\"size\":\"%s\"}", size);
	assert_int_equal(daemon_call(&t->daemon, request, body, answer), 200);
}

/* 54 (L, K2016, K2249): a resize is one notice until the log page is read. */
static void resize_notice_item_54(void **state)
{
	struct interop *t = *state;
	struct host *host = &t->host;
	uint8_t *page;
	struct host_namespace ns;
	struct nvme_cqe cqe;
	char spec[160];

	interop_target(t, "grow", interop_file(t, "grow", 16 * MiB, spec));
	interop_open(t, "grow", 1);
	page = ram_alloc(&host->ram, RAM_PAGE);
	assert_int_equal(host_set_feature(host, 0xB, 0x100, NULL), ST_OK);
	assert_true(host_submit(host, 0, AER) >= 0);
	assert_true(host_submit(host, 0, AER) >= 0);
	resize(t, "grow", "32M");
	assert_int_equal(host_reap(host, 0, &cqe, 2000), 0);
	assert_int_equal(cqe.result, NOTICE_NAMESPACE);
	resize(t, "grow", "48M");
	assert_int_equal(host_reap(host, 0, &cqe, 200), -ETIMEDOUT);
	assert_int_equal(host_get_log(host, 4, page, 4096), ST_OK);
	assert_int_equal(le32(page), 1);
	assert_int_equal(le32(page + 4), 0);
	assert_int_equal(host_get_log(host, 4, page, 4096), ST_OK);
	assert_int_equal(le32(page), 0);
	resize(t, "grow", "64M");
	assert_int_equal(host_reap(host, 0, &cqe, 2000), 0);
	assert_int_equal(cqe.result, NOTICE_NAMESPACE);
	assert_int_equal(host_namespace_get(host, 1, &ns), ST_OK);
	assert_int_equal(ns.block_count, 64 * MiB / 512);
	host_close(host);
	assert_int_equal(daemon_target_destroy(&t->daemon, "grow"), 0);
}

/* 55 (S): no notice when the host did not ask for it. */
static void notice_disabled_item_55(void **state)
{
	struct interop *t = *state;
	struct host *host = &t->host;
	struct nvme_cqe cqe;
	char spec[160];

	interop_target(t, "quiet", interop_file(t, "quiet", 16 * MiB, spec));
	interop_open(t, "quiet", 0);
	assert_int_equal(host_set_feature(host, 0xB, 0, NULL), ST_OK);
	assert_true(host_submit(host, 0, AER) >= 0);
	resize(t, "quiet", "32M");
	assert_int_equal(host_reap(host, 0, &cqe, 300), -ETIMEDOUT);
	host_close(host);
	assert_int_equal(daemon_target_destroy(&t->daemon, "quiet"), 0);
}

static uint32_t changed_namespace(struct host *host, uint8_t *page)
{
	struct nvme_cqe cqe;

	assert_int_equal(host_reap(host, 0, &cqe, 2000), 0);
	assert_int_equal(cqe.result, NOTICE_NAMESPACE);
	assert_int_equal(host_get_log(host, 4, page, 4096), ST_OK);
	assert_true(host_submit(host, 0, AER) >= 0);
	return le32(page);
}

/* A namespace comes and goes under a running host, which is told each time. */
static void namespaces_come_and_go(void **state)
{
	struct interop *t = *state;
	char answer[DAEMON_ANSWER_MAX];
	struct host_namespace ns;
	struct host *host;
	uint8_t *page;

	interop_target(t, "plug", "null:1G");
	host = interop_open(t, "plug", 1);
	page = ram_alloc(&host->ram, RAM_PAGE);
	assert_int_equal(host_set_feature(host, 0xB, 0x100, NULL), ST_OK);
	assert_true(host_submit(host, 0, AER) >= 0);
	for (unsigned round = 0; round < 10; round++) {
		assert_int_equal(daemon_call(&t->daemon, "POST /v1/targets/plug/namespaces",
					     "{\"volume\":\"null:2G\",\"nsid\":3}", answer),
				 201);
		assert_int_equal(changed_namespace(host, page), 3);
		assert_int_equal(host_namespace_get(host, 3, &ns), ST_OK);
		assert_int_equal(ns.block_count, 2 * GiB / 512);
		assert_io(host, ST_OK, .opcode = IO_FLUSH, .nsid = 3);
		assert_int_equal(daemon_call(&t->daemon, "DELETE /v1/targets/plug/namespaces/3",
					     NULL, answer),
				 204);
		assert_int_equal(changed_namespace(host, page), 3);
		assert_int_equal(host_namespace_get(host, 3, &ns), ST_OK);
		assert_int_equal(ns.block_count, 0);
	}
	host_close(host);
	assert_int_equal(daemon_target_destroy(&t->daemon, "plug"), 0);
}

/* 56 (P581, Q), H22: Abort always succeeds; a parked event is aborted before it says so. */
static void abort_item_56(void **state)
{
	struct host *host = interop_open(*state, "null", 1);
	struct nvme_cqe cqe;
	int cid;

	for (unsigned i = 0; i < 200; i++) {
		const struct nvme_sqe sqe = {.opcode = ADMIN_ABORT, .dw10 = (0x4000 + i) << 16 | 1};

		assert_int_equal(host_run(host, 0, sqe, &cqe), ST_OK);
		assert_int_equal(cqe.result & 1, 1);
	}
	cid = host_submit(host, 0, AER);
	assert_true(cid >= 0);
	assert_int_equal(
		host_run(host, 0,
			 (struct nvme_sqe){.opcode = ADMIN_ABORT, .dw10 = (uint32_t)cid << 16},
			 &cqe),
		ST_OK);
	assert_int_equal(cqe.result & 1, 0);
	assert_int_equal(host_reap(host, 0, &cqe, 100), 0);
	assert_int_equal(cqe.cid, cid);
	assert_int_equal(nvme_cqe_status(&cqe), ST_ABORTED);
}

/* H23: an admin flood on one target leaves I/O of another alone. */
static void admin_flood_h23(void **state)
{
	struct interop *t = *state;
	struct host *host = interop_open(t, "null", 0);
	uint8_t *page = ram_alloc(&host->ram, RAM_PAGE);

	interop_open_with(t, &t->other, "disk", (struct host_options){.flavour = CLIENT_QEMU});
	interop_queues(&t->other, 1);
	for (unsigned i = 0; i < 500; i++) {
		const uint64_t start = client_now_ns();

		for (unsigned k = 0; k < 20; k++)
			assert_true(host_submit(host, 0,
						(struct nvme_sqe){
							.opcode = ADMIN_IDENTIFY,
							.dw10 = 1,
							.prp1 = ram_addr(&host->ram, page)}) >= 0);
		interop_check_alive(&t->other);
		for (unsigned k = 0; k < 20; k++)
			assert_int_equal(host_reap(host, 0, &(struct nvme_cqe){0}, 2000), 0);
		assert_true(client_now_ns() - start < 2 * NS_PER_S);
	}
}

/* 94 (O, B): a controller whose namespaces have holes; several of them serve I/O. */
static void namespaces_with_holes_item_94(void **state)
{
	struct interop *t = *state;
	const struct daemon_target target = {.name = "many",
					     .volumes = {"null:1G", "null:2G", "null:3G"}};
	char answer[DAEMON_ANSWER_MAX];
	struct host *host;
	uint8_t *page;

	interop_target_with(t, &target);
	assert_int_equal(
		daemon_call(&t->daemon, "DELETE /v1/targets/many/namespaces/2", NULL, answer), 204);
	host = interop_open(t, "many", 1);
	page = ram_alloc(&host->ram, RAM_PAGE);
	assert_int_equal(host_identify(host, 2, 0, page), ST_OK);
	assert_int_equal(le32(page), 1);
	assert_int_equal(le32(page + 4), 3);
	assert_int_equal(le32(page + 8), 0);
	assert_int_equal(host_identify(host, 0, 2, page), ST_OK);
	assert_false(any_set(page, RAM_PAGE));
	assert_io(host, ST_OK, .opcode = IO_FLUSH, .nsid = 3);
	assert_int_not_equal(
		host_run(host, 1, (struct nvme_sqe){.opcode = IO_FLUSH, .nsid = 2}, NULL), ST_OK);
	host_close(host);
	assert_int_equal(daemon_target_destroy(&t->daemon, "many"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		interop_test(identify_offset_item_40),
		interop_test(identify_namespace_item_41),
		interop_test(identify_lists_items_42_44),
		interop_test(identities_item_43),
		interop_test(controller_identity_item_45),
		interop_test(controller_data_suits_drivers),
		interop_test(features_items_47_48_50),
		interop_test(unknown_things_item_49),
		interop_test(log_pages_item_51),
		interop_test(smart_item_52),
		interop_test(error_log_names_the_command),
		interop_test(parked_events_item_53),
		interop_test(resize_notice_item_54),
		interop_test(notice_disabled_item_55),
		interop_test(namespaces_come_and_go),
		interop_test(abort_item_56),
		interop_test(admin_flood_h23),
		interop_test(namespaces_with_holes_item_94),
	};

	return interop_main(tests);
}

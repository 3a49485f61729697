/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces that come and go, by the host's hand and by the guest's, and Format NVM. "Item n" as
 * in test_identify.c.
 */
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
#define OPERATION_DENIED 0x4015
#define WRITE_PROTECTED 0x4020
#define INVALID_FORMAT 0x410A
#define INSUFFICIENT_CAPACITY 0x4115
#define ALREADY_ATTACHED 0x4118
#define NOT_ATTACHED 0x411A
#define LIST_INVALID 0x411C
#define ABORTED 0x0007
#define NOTICE_NAMESPACE 0x00040002
#define ATTACH 0
#define DETACH 1
#define DATA (HOST_BUFFER + 0x4000)

static int setup(void **state)
{
	static struct host host;

	host_start(&host, &(struct host_options){.namespaces = 4, .remember_formats = true});
	host_file_add(&host, 1, 16 * MiB, ",block=512");
	host_disk_add(&host, 2, "delay:us=0:error:off:null:256M");
	host_enable(&host);
	host_create_queues(&host, 1, 16);
	*state = &host;
	return 0;
}

static int teardown(void **state)
{
	host_stop(*state);
	return 0;
}

static struct sqe io_command(uint8_t opcode, uint32_t nsid, uint64_t lba)
{
	return (struct sqe){.opcode = opcode, .nsid = nsid, .prp1 = DATA, .dw10 = (uint32_t)lba};
}

static uint16_t io(struct host *h, uint8_t opcode, uint32_t nsid, uint64_t lba)
{
	const struct sqe sqe = io_command(opcode, nsid, lba);

	return host_execute(h, 1, &sqe).status;
}

static uint16_t attachment(struct host *h, uint32_t nsid, uint32_t select)
{
	memset(host_buffer(h), 0, 4096);
	le16_put(host_buffer(h), 1);
	le16_put(host_buffer(h) + 2, 1);
	return host_admin(
		h,
		&(struct sqe){.opcode = 0x15, .nsid = nsid, .prp1 = HOST_BUFFER, .dw10 = select});
}

static void listed(struct host *h, uint32_t cns, uint32_t first, uint32_t second)
{
	assert_int_equal(host_identify(h, cns, 0), 0);
	assert_int_equal(le32_get(host_buffer(h)), first);
	assert_int_equal(le32_get(host_buffer(h) + 4), second);
}

/* What the host may not do. */
static void host_errors(void **state)
{
	struct host *h = *state;
	struct nvme_namespace_params params = {
		.nsid = 1, .channel = h->disks[1].channel, .nguid = {1}};
	struct nvme_wait wait = {0};

	assert_int_equal(nvme_namespace_attach(h->c, &params), -EEXIST);
	params.nsid = 0;
	assert_int_equal(nvme_namespace_attach(h->c, &params), -EINVAL);
	params.nsid = 5;
	assert_int_equal(nvme_namespace_attach(h->c, &params), -EINVAL);
	params.nsid = 3;
	params.block_bytes = 1024;
	assert_int_equal(nvme_namespace_attach(h->c, &params), -EINVAL);
	params.block_bytes = 0;
	params.nguid[0] = 0;
	assert_int_equal(nvme_namespace_attach(h->c, &params), -EINVAL);
	assert_int_equal(nvme_namespace_detach(h->c, 3, &wait), -ENOENT);
	assert_int_equal(nvme_namespace_detach(h->c, 0, &wait), -ENOENT);
	assert_int_equal(nvme_namespace_detach(h->c, 99, &wait), -ENOENT);
	nvme_namespace_resized(h->c, 3);
	nvme_namespace_resized(h->c, 99);
}

/* A disk is added and taken away under a running guest. */
static void host_attach_detach(void **state)
{
	struct host *h = *state;
	struct cqe cqe;
	uint16_t cid;

	assert_int_equal(host_set_feature(h, 0x0B, 0x100), 0);
	cid = host_submit(h, 0, &(struct sqe){.opcode = 0x0C});
	assert_false(host_poll(h, 0, &cqe));
	host_disk_add(h, 4, "null:32M");
	assert_true(host_poll(h, 0, &cqe));
	assert_int_equal(cqe.cid, cid);
	assert_int_equal(cqe.dw0, NOTICE_NAMESPACE);
	assert_int_equal(host_log(h, 4, 4096, false), 0);
	assert_int_equal(le32_get(host_buffer(h)), 4);
	listed(h, 2, 1, 2);
	assert_int_equal(le32_get(host_buffer(h) + 8), 4);
	assert_int_equal(io(h, 2, 4, 0), 0);
	host_submit(h, 0, &(struct sqe){.opcode = 0x0C});
	host_disk_remove(h, 4);
	assert_true(host_poll(h, 0, &cqe));
	assert_int_equal(cqe.dw0, NOTICE_NAMESPACE);
	listed(h, 0x10, 1, 2);
	assert_int_equal(le32_get(host_buffer(h) + 8), 0);
	assert_int_not_equal(io(h, 2, 4, 0), 0);
}

static void detach_done(struct nvme_wait *wait)
{
	wait->done = NULL;
}

/* Taking a disk away waits for its commands, and refuses new ones at once. */
static void host_detach_drains(void **state)
{
	struct host *h = *state;
	const struct block_delay_rule hold = {.match = {.ops = BLOCK_FAULT_OPS_ALL}, .hold = true};
	const struct sqe read = io_command(2, 2, 0);
	struct nvme_wait wait = {.done = detach_done};
	struct nvme_wait second = {.done = detach_done};
	struct cqe cqe;
	uint16_t cid;

	assert_int_equal(block_delay_set(h->disks[2].device, &hold), 0);
	cid = host_submit(h, 1, &read);
	assert_false(host_poll(h, 1, &cqe));
	assert_int_equal(nvme_namespace_detach(h->c, 2, &wait), 0);
	assert_int_equal(nvme_namespace_detach(h->c, 2, &second), -ENOENT);
	assert_non_null(wait.done);
	assert_int_not_equal(io(h, 2, 2, 0), 0);
	assert_int_equal(block_delay_set(h->disks[2].device, &(struct block_delay_rule){0}), 0);
	assert_true(host_poll(h, 1, &cqe));
	assert_int_equal(cqe.cid, cid);
	assert_int_equal(cqe.status, 0);
	assert_null(wait.done);
	block_channel_close(h->disks[2].channel);
	block_close(h->disks[2].device);
	h->disks[2].channel = NULL;
}

/* A detach that is taken back leaves all as it was, also what the guest detached by itself. */
static void host_detach_cancelled(void **state)
{
	struct host *h = *state;
	const struct block_delay_rule hold = {.match = {.ops = BLOCK_FAULT_OPS_ALL}, .hold = true};
	const struct sqe read = io_command(2, 2, 0);
	struct nvme_wait wait = {.done = detach_done};
	struct cqe cqe;
	uint16_t cid;

	assert_false(nvme_namespace_detach_cancel(h->c, 2));
	assert_int_equal(block_delay_set(h->disks[2].device, &hold), 0);
	cid = host_submit(h, 1, &read);
	assert_false(host_poll(h, 1, &cqe));
	assert_int_equal(nvme_namespace_detach(h->c, 2, &wait), 0);
	assert_true(nvme_namespace_detach_cancel(h->c, 2));
	assert_non_null(wait.done);
	host_submit(h, 0,
		    &(struct sqe){.opcode = 0x15, .nsid = 2, .prp1 = HOST_BUFFER, .dw10 = DETACH});
	memset(host_buffer(h), 0, 4096);
	le16_put(host_buffer(h), 1);
	le16_put(host_buffer(h) + 2, 1);
	assert_false(host_poll(h, 0, &cqe));
	assert_int_equal(nvme_namespace_detach(h->c, 2, &wait), 0);
	assert_true(nvme_namespace_detach_cancel(h->c, 2));
	assert_int_equal(block_delay_set(h->disks[2].device, &(struct block_delay_rule){0}), 0);
	assert_true(host_poll(h, 1, &cqe));
	assert_int_equal(cqe.cid, cid);
	assert_true(host_poll(h, 0, &cqe));
	assert_int_equal(cqe.status, 0);
	assert_int_equal(attachment(h, 2, DETACH), NOT_ATTACHED);
	assert_int_equal(attachment(h, 2, ATTACH), 0);
	assert_int_equal(io(h, 2, 2, 0), 0);
}

/* Namespace Attachment by the guest. */
static void guest_attachment(void **state)
{
	struct host *h = *state;

	assert_int_equal(attachment(h, 1, ATTACH), ALREADY_ATTACHED);
	assert_int_equal(attachment(h, 1, DETACH), 0);
	assert_int_equal(attachment(h, 1, DETACH), NOT_ATTACHED);
	listed(h, 0x02, 2, 0);
	listed(h, 0x10, 1, 2);
	assert_int_equal(host_identify(h, 0x00, 1), 0);
	assert_int_equal(le64_get(host_buffer(h)), 0);
	assert_int_equal(host_identify(h, 0x11, 1), 0);
	assert_int_equal(le64_get(host_buffer(h)), 16 * MiB / 512);
	assert_int_equal(host_identify(h, 0x12, 1), 0);
	assert_int_equal(le16_get(host_buffer(h)), 0);
	assert_int_not_equal(io(h, 2, 1, 0), 0);
	assert_int_equal(attachment(h, 1, ATTACH), 0);
	assert_int_equal(io(h, 2, 1, 0), 0);
	assert_int_equal(attachment(h, 3, ATTACH), INVALID_NAMESPACE);
	assert_int_equal(attachment(h, 0, ATTACH), INVALID_NAMESPACE);
	assert_int_equal(attachment(h, 0xFFFFFFFF, DETACH), INVALID_NAMESPACE);
	assert_int_equal(attachment(h, 1, 2), INVALID_FIELD);
	assert_int_equal(attachment(h, 1, 15), INVALID_FIELD);
	memset(host_buffer(h), 0, 4096);
	assert_int_equal(host_admin(h, &(struct sqe){.opcode = 0x15,
						     .nsid = 1,
						     .prp1 = HOST_BUFFER,
						     .dw10 = DETACH}),
			 LIST_INVALID);
	le16_put(host_buffer(h), 2); /* one more controller than there is */
	le16_put(host_buffer(h) + 2, 1);
	assert_int_equal(host_admin(h, &(struct sqe){.opcode = 0x15,
						     .nsid = 1,
						     .prp1 = HOST_BUFFER,
						     .dw10 = DETACH}),
			 LIST_INVALID);
	assert_int_equal(host_admin(h, &(struct sqe){.opcode = 0x15,
						     .nsid = 1,
						     .prp1 = 1ULL << 40,
						     .dw10 = DETACH}),
			 0x4004);
}

/* Detaching stays over a reset of the guest's, not over a new client. */
static void attachment_lasts(void **state)
{
	struct host *h = *state;

	assert_int_equal(attachment(h, 1, DETACH), 0);
	host_disable(h);
	host_enable(h);
	listed(h, 0x02, 2, 0);
	host_reset(h, NVME_RESET_DISCONNECT);
	host_config_write(h, 0x04, 2, 6);
	host_enable(h);
	listed(h, 0x02, 1, 2);
}

/* Creating and deleting are the host's. */
static void guest_management(void **state)
{
	struct host *h = *state;
	struct sqe sqe = {.opcode = 0x0D, .prp1 = HOST_BUFFER};

	assert_int_equal(host_admin(h, &sqe), INSUFFICIENT_CAPACITY);
	sqe.dw10 = 1;
	sqe.nsid = 1;
	assert_int_equal(host_admin(h, &sqe), OPERATION_DENIED);
	sqe.nsid = 3;
	assert_int_equal(host_admin(h, &sqe), INVALID_NAMESPACE);
	sqe.dw10 = 2;
	assert_int_equal(host_admin(h, &sqe), INVALID_FIELD);
	listed(h, 0x02, 1, 2);
}

/* --- Format NVM ----------------------------------------------------------------------------- */

static uint16_t format(struct host *h, uint32_t nsid, uint32_t dw10)
{
	return host_admin(h, &(struct sqe){.opcode = 0x80, .nsid = nsid, .dw10 = dw10});
}

static void fill(struct host *h, uint64_t lba)
{
	memset(h->ram + DATA, 0x5A, 512);
	assert_int_equal(io(h, 1, 1, lba), 0);
}

static void reads(struct host *h, uint64_t lba, uint8_t byte)
{
	memset(h->ram + DATA, 0xEE, 512);
	assert_int_equal(io(h, 2, 1, lba), 0);
	for (unsigned i = 0; i < 512; i++)
		assert_int_equal(h->ram[DATA + i], byte);
}

/* 512 to 4096 and back: the data is gone, sizes follow, the choice is told to who remembers. */
static void format_changes_blocks(void **state)
{
	struct host *h = *state;
	uint8_t *page = host_buffer(h);

	fill(h, 0);
	fill(h, 16 * MiB / 512 - 1);
	reads(h, 0, 0x5A);
	assert_int_equal(host_identify(h, 0, 1), 0);
	assert_int_equal(page[25], 1);
	assert_int_equal(page[26], 0);
	assert_int_equal(le32_get(page + 128), 0x02090000);
	assert_int_equal(le32_get(page + 132), 0x000C0000);
	assert_int_equal(format(h, 1, 1), 0);
	assert_int_equal(h->disks[1].formatted_count, 1);
	assert_int_equal(h->disks[1].formatted_bytes, 4096);
	assert_int_equal(host_identify(h, 0, 1), 0);
	assert_int_equal(page[26], 1);
	assert_int_equal(page[32], 0x80);
	assert_int_equal(le64_get(page), 16 * MiB / 4096);
	reads(h, 0, 0);
	reads(h, 16 * MiB / 4096 - 1, 0);
	assert_int_not_equal(io(h, 2, 1, 16 * MiB / 4096), 0);
	assert_int_equal(format(h, 1, 0 | 1 << 9), 0);
	assert_int_equal(h->disks[1].formatted_bytes, 512);
	assert_int_equal(host_identify(h, 0, 1), 0);
	assert_int_equal(le64_get(page), 16 * MiB / 512);
	fill(h, 7);
	assert_int_equal(format(h, 1, 0), 0);
	reads(h, 7, 0);
	assert_int_equal(h->disks[1].formatted_count, 2); /* no change, nothing to remember */
}

static void format_refused(void **state)
{
	struct host *h = *state;

	fill(h, 0);
	assert_int_equal(format(h, 1, 2), INVALID_FORMAT);
	assert_int_equal(format(h, 1, 15), INVALID_FORMAT);
	assert_int_equal(format(h, 1, 1 << 4), INVALID_FORMAT); /* metadata */
	assert_int_equal(format(h, 1, 1 << 5), INVALID_FORMAT); /* protection information */
	assert_int_equal(format(h, 1, 2 << 9), INVALID_FIELD);	/* cryptographic erase */
	assert_int_equal(format(h, 0, 0), INVALID_NAMESPACE);
	assert_int_equal(format(h, 5, 0), INVALID_NAMESPACE);
	assert_int_equal(format(h, 3, 0), INVALID_FIELD); /* nothing there */
	host_file_add(h, 3, 16 * MiB, ",ro");
	assert_int_equal(format(h, 3, 0), WRITE_PROTECTED);
	assert_int_equal(format(h, 0xFFFFFFFF, 0), WRITE_PROTECTED);
	reads(h, 0, 0x5A);
}

/* A 4 KiB drive has one format; nobody to remember: one format. */
static void format_single(void **state)
{
	struct host h;

	host_start(&h, NULL);
	host_disk_add(&h, 1, "null:16M,block=4096");
	host_disk_add(&h, 2, "null:16M,block=512");
	host_enable(&h);
	for (uint32_t nsid = 1; nsid <= 2; nsid++) {
		assert_int_equal(host_identify(&h, 0, nsid), 0);
		assert_int_equal(host_buffer(&h)[25], 0);
		assert_int_equal(format(&h, nsid, 1), INVALID_FORMAT);
		assert_int_equal(format(&h, nsid, 0), 0);
	}
	host_stop(&h);
}

static void format_all(void **state)
{
	struct host *h = *state;

	fill(h, 0);
	assert_int_equal(format(h, 0xFFFFFFFF, 0), 0);
	reads(h, 0, 0);
}

static void release(struct host *h)
{
	assert_int_equal(block_delay_release(h->disks[2].device), 0);
	for (unsigned i = 0; i < 10; i++)
		loop_turn(h->loop, 100 * NS_PER_US);
}

static void hold_all(struct host *h)
{
	const struct block_delay_rule hold = {.match = {.ops = BLOCK_FAULT_OPS_ALL}, .hold = true};

	assert_int_equal(block_delay_set(h->disks[2].device, &hold), 0);
}

/* The command ends at the end; progress is seen; other commands wait, other disks do not. */
static void format_progress(void **state)
{
	struct host *h = *state;
	const uint8_t left[] = {100, 75, 50, 25, 0};
	struct cqe cqe;
	uint16_t cid;

	hold_all(h);
	cid = host_submit(h, 0, &(struct sqe){.opcode = 0x80, .nsid = 2});
	for (unsigned i = 0; i < 5; i++) {
		assert_false(host_poll(h, 0, &cqe));
		assert_int_equal(host_identify(h, 0, 2), 0);
		assert_int_equal(host_buffer(h)[32], 0x80 | left[i]);
		assert_int_equal(format(h, 2, 0), 0x0084);
		assert_int_equal(io(h, 2, 1, 0), 0);
		release(h);
	}
	assert_true(host_poll(h, 0, &cqe));
	assert_int_equal(cqe.cid, cid);
	assert_int_equal(cqe.status, 0);
	assert_int_equal(host_identify(h, 0, 2), 0);
	assert_int_equal(host_buffer(h)[32], 0x80);
}

/* A drive error ends the command with it, and the old format stays. */
static void format_fails(void **state)
{
	struct host *h = *state;
	const struct block_error_rule fail = {
		.match = {.ops = BLOCK_FAULT_OPS_ALL}, .result = -EIO, .after = 2, .every = 1};

	assert_int_equal(block_error_set(h->disks[2].device, &fail), 0);
	assert_int_equal(format(h, 2, 1) & 0x7FF, 0x280);
	assert_int_equal(h->disks[2].formatted_count, 0);
	assert_int_equal(host_identify(h, 0, 2), 0);
	assert_int_equal(host_buffer(h)[26], 0);
	assert_int_equal(host_buffer(h)[32], 0x80);
}

/* What could not be remembered is not done. */
static void format_not_remembered(void **state)
{
	struct host *h = *state;

	h->note_result = -ENOSPC;
	assert_int_not_equal(format(h, 1, 1), 0);
	assert_int_equal(h->disks[1].formatted_count, 1);
	assert_int_equal(host_identify(h, 0, 1), 0);
	assert_int_equal(host_buffer(h)[26], 0);
	h->note_result = 0;
	assert_int_equal(format(h, 1, 1), 0);
	assert_int_equal(host_identify(h, 0, 1), 0);
	assert_int_equal(host_buffer(h)[26], 1);
}

/* A reset while it is being written down: what was remembered is also what is. */
static void format_reset_remembering(void **state)
{
	struct host *h = *state;

	h->hold_notes = true;
	host_submit(h, 0, &(struct sqe){.opcode = 0x80, .nsid = 1, .dw10 = 1});
	for (unsigned i = 0; i < 1000000 && !h->disks[1].note; i++)
		loop_turn(h->loop, NS_PER_MS);
	assert_non_null(h->disks[1].note);
	host_write32(h, 0x14, 0x00460000);
	assert_int_equal(host_read32(h, 0x1C) & 1, 1);
	h->disks[1].note->done(h->disks[1].note);
	assert_int_equal(host_read32(h, 0x1C) & 1, 0);
	host_enable(h);
	assert_int_equal(host_identify(h, 0, 1), 0);
	assert_int_equal(host_buffer(h)[26], 1);
	assert_int_equal(le64_get(host_buffer(h)), 16 * MiB / 4096);
}

/* A reset in the middle: it waits for the request under way, not for the disk. */
static void format_reset(void **state)
{
	struct host *h = *state;

	hold_all(h);
	host_submit(h, 0, &(struct sqe){.opcode = 0x80, .nsid = 2, .dw10 = 1});
	for (unsigned i = 0; i < 3; i++)
		loop_turn(h->loop, 0);
	assert_int_equal(block_delay_held(h->disks[2].device), 1);
	host_write32(h, 0x14, 0x00460000);
	assert_int_equal(host_read32(h, 0x1C) & 1, 1);
	release(h);
	assert_int_equal(host_read32(h, 0x1C) & 1, 0);
	assert_int_equal(block_delay_held(h->disks[2].device), 0);
	assert_int_equal(h->disks[2].formatted_count, 0);
	host_enable(h);
	assert_int_equal(host_identify(h, 0, 2), 0);
	assert_int_equal(host_buffer(h)[26], 0);
	assert_int_equal(host_buffer(h)[32], 0x80);
}

/* The disk is taken away in the middle: the command ends, then the disk is out. */
static void format_detached(void **state)
{
	struct host *h = *state;
	struct nvme_wait wait = {.done = detach_done};
	struct cqe cqe;

	hold_all(h);
	host_submit(h, 0, &(struct sqe){.opcode = 0x80, .nsid = 2});
	assert_false(host_poll(h, 0, &cqe));
	assert_int_equal(nvme_namespace_detach(h->c, 2, &wait), 0);
	assert_non_null(wait.done);
	release(h);
	assert_null(wait.done);
	assert_true(host_poll(h, 0, &cqe));
	assert_int_equal(cqe.status, ABORTED);
	block_channel_close(h->disks[2].channel);
	block_close(h->disks[2].device);
	h->disks[2].channel = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(host_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(host_attach_detach, setup, teardown),
		cmocka_unit_test_setup_teardown(host_detach_drains, setup, teardown),
		cmocka_unit_test_setup_teardown(host_detach_cancelled, setup, teardown),
		cmocka_unit_test_setup_teardown(guest_attachment, setup, teardown),
		cmocka_unit_test_setup_teardown(attachment_lasts, setup, teardown),
		cmocka_unit_test_setup_teardown(guest_management, setup, teardown),
		cmocka_unit_test_setup_teardown(format_changes_blocks, setup, teardown),
		cmocka_unit_test_setup_teardown(format_refused, setup, teardown),
		cmocka_unit_test(format_single),
		cmocka_unit_test_setup_teardown(format_all, setup, teardown),
		cmocka_unit_test_setup_teardown(format_progress, setup, teardown),
		cmocka_unit_test_setup_teardown(format_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(format_not_remembered, setup, teardown),
		cmocka_unit_test_setup_teardown(format_reset_remembering, setup, teardown),
		cmocka_unit_test_setup_teardown(format_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(format_detached, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

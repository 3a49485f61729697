/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio rings of the test client against a device that the test plays itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "client_vhost_queue.h"

#define ENTRIES 8

struct rig {
	struct ram ram;
	struct vhost_queue queue;
	uint8_t *data;
};

static void rig_open(struct rig *rig, bool indirect, bool event_index)
{
	const struct vhost_queue_options options = {
		.entries = ENTRIES, .indirect = indirect, .event_index = event_index};

	assert_int_equal(ram_open(&rig->ram, MiB), 0);
	rig->data = ram_alloc(&rig->ram, RAM_PAGE);
	vhost_queue_init(&rig->queue, &rig->ram, options);
	rig->queue.kick_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	rig->queue.call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_true(rig->queue.kick_fd >= 0 && rig->queue.call_fd >= 0);
}

static void rig_close(struct rig *rig)
{
	base_close(&rig->queue.kick_fd);
	base_close(&rig->queue.call_fd);
	ram_close(&rig->ram);
}

/* The device's half of the used ring is read only to the queue. */
static void complete(struct vhost_queue *q, uint32_t id, uint32_t length)
{
	struct vhost_used *used = (struct vhost_used *)(uintptr_t)q->used;

	used->ring[used->index % q->entries] = (struct vhost_used_entry){id, length};
	used->index++;
}

static void set_avail_event(struct vhost_queue *q, uint16_t value)
{
	*(uint16_t *)(uintptr_t)q->avail_event = value;
}

static const struct vhost_desc *table_at(struct rig *rig, uint64_t address)
{
	return (const void *)(rig->ram.base + address);
}

static void check_read_chain(struct rig *rig, const struct vhost_desc *d, unsigned first)
{
	const struct vhost_request *request = (const void *)(rig->ram.base + d[0].address);

	assert_int_equal(d[0].length, 16);
	assert_int_equal(d[0].flags, VHOST_DESC_NEXT);
	assert_int_equal(d[0].next, first + 1);
	assert_int_equal(request->type, VHOST_READ);
	assert_int_equal(request->sector, 77);
	assert_int_equal(d[1].address, ram_addr(&rig->ram, rig->data));
	assert_int_equal(d[1].length, 512);
	assert_int_equal(d[1].flags, VHOST_DESC_NEXT | VHOST_DESC_WRITE);
	assert_int_equal(d[1].next, first + 2);
	assert_int_equal(d[2].length, 1);
	assert_int_equal(d[2].flags, VHOST_DESC_WRITE);
}

static void submit_read(struct rig *rig, uint16_t tag)
{
	const struct vhost_io io = {.type = VHOST_READ,
				    .tag = tag,
				    .length = 512,
				    .sector = 77,
				    .address = ram_addr(&rig->ram, rig->data)};

	vhost_submit(&rig->queue, &io);
}

static void indirect_request_is_one_descriptor_and_a_table(void **state)
{
	struct rig rig;
	const struct vhost_desc *d;

	rig_open(&rig, true, true);
	assert_int_equal(rig.queue.tag_count, ENTRIES);
	submit_read(&rig, 5);
	assert_int_equal(rig.queue.avail->index, 0);
	vhost_kick(&rig.queue);
	assert_int_equal(rig.queue.avail->index, 1);
	assert_int_equal(rig.queue.avail->ring[0], 5);
	d = &rig.queue.desc[5];
	assert_int_equal(d->flags, VHOST_DESC_INDIRECT);
	assert_int_equal(d->length, 48);
	check_read_chain(&rig, table_at(&rig, d->address), 0);
	rig_close(&rig);
}

static void direct_request_is_three_descriptors(void **state)
{
	struct rig rig;

	rig_open(&rig, false, true);
	assert_int_equal(rig.queue.tag_count, ENTRIES / 3);
	submit_read(&rig, 1);
	assert_int_equal(rig.queue.avail->ring[0], 3);
	check_read_chain(&rig, &rig.queue.desc[3], 3);
	rig_close(&rig);
}

static void flush_has_no_data_and_a_discard_one_range(void **state)
{
	const struct vhost_io flush = {.type = VHOST_FLUSH, .tag = 0};
	const struct vhost_io discard = {.type = VHOST_DISCARD, .tag = 1, .sector = 64};
	struct rig rig;
	const struct vhost_desc *d;
	const struct vhost_range *range;

	rig_open(&rig, true, true);
	vhost_submit(&rig.queue, &flush);
	vhost_submit_range(&rig.queue, &discard, 8);
	assert_int_equal(rig.queue.desc[0].length, 32);
	d = table_at(&rig, rig.queue.desc[0].address);
	assert_int_equal(d[1].flags, VHOST_DESC_WRITE);
	assert_int_equal(d[1].length, 1);
	d = table_at(&rig, rig.queue.desc[1].address);
	assert_int_equal(d[1].flags, VHOST_DESC_NEXT);
	assert_int_equal(d[1].length, sizeof(*range));
	range = (const void *)(rig.ram.base + d[1].address);
	assert_int_equal(range->sector, 64);
	assert_int_equal(range->sectors, 8);
	rig_close(&rig);
}

static void kick_is_written_when_the_device_wants_it(void **state)
{
	struct rig rig;

	rig_open(&rig, true, true);
	vhost_kick(&rig.queue);
	assert_int_equal(rig.queue.kicks, 0); /* nothing new */
	submit_read(&rig, 0);
	vhost_kick(&rig.queue);
	assert_int_equal(rig.queue.kicks, 1); /* event 0 was passed */
	submit_read(&rig, 1);
	vhost_kick(&rig.queue);
	assert_int_equal(rig.queue.kicks, 1);
	set_avail_event(&rig.queue, 3);
	submit_read(&rig, 2);
	vhost_kick(&rig.queue);
	assert_int_equal(rig.queue.kicks, 1);
	submit_read(&rig, 3);
	submit_read(&rig, 4);
	vhost_kick(&rig.queue);
	assert_int_equal(rig.queue.kicks, 2);
	rig_close(&rig);
}

static void kick_heeds_the_flag_without_event_index(void **state)
{
	struct rig rig;

	rig_open(&rig, true, false);
	submit_read(&rig, 0);
	vhost_kick(&rig.queue);
	assert_int_equal(rig.queue.kicks, 1);
	((struct vhost_used *)(uintptr_t)rig.queue.used)->flags = VHOST_USED_NO_NOTIFY;
	submit_read(&rig, 1);
	vhost_kick(&rig.queue);
	assert_int_equal(rig.queue.kicks, 1);
	assert_int_equal(rig.queue.avail->flags, VHOST_AVAIL_NO_INTERRUPT);
	assert_false(vhost_arm(&rig.queue));
	assert_int_equal(rig.queue.avail->flags, 0);
	rig_close(&rig);
}

/* Twice the ring's size, so that the indexes pass its end, the later of two first. */
static void completions_come_in_any_order(void **state)
{
	struct rig rig;
	struct vhost_done done;

	rig_open(&rig, false, true);
	for (unsigned i = 0; i < 2 * ENTRIES; i++) {
		submit_read(&rig, 0);
		submit_read(&rig, 1);
		vhost_kick(&rig.queue);
		rig.queue.slots[1].status = VHOST_IOERR;
		complete(&rig.queue, 3, 513);
		complete(&rig.queue, 0, 1);
		assert_true(vhost_reap(&rig.queue, &done));
		assert_int_equal(done.tag, 1);
		assert_int_equal(done.status, VHOST_IOERR);
		assert_int_equal(done.length, 513);
		assert_true(vhost_reap(&rig.queue, &done));
		assert_int_equal(done.tag, 0);
		assert_int_equal(done.status, VHOST_STATUS_UNSET);
		assert_false(vhost_reap(&rig.queue, &done));
	}
	assert_int_equal(rig.queue.error, 0);
	rig_close(&rig);
}

static void completion_of_nothing_is_an_error(void **state)
{
	static const uint32_t ids[] = {3, 1, 2, 100, UINT32_MAX};

	for (unsigned i = 0; i < ARRAY_SIZE(ids); i++) {
		struct rig rig;
		struct vhost_done done;

		rig_open(&rig, false, true);
		submit_read(&rig, 0);
		vhost_kick(&rig.queue);
		complete(&rig.queue, ids[i], 1);
		assert_false(vhost_reap(&rig.queue, &done));
		assert_int_equal(rig.queue.error, -EPROTO);
		assert_int_equal(vhost_wait(&rig.queue, 0), -EPROTO);
		rig_close(&rig);
	}
}

static void waiting_arms_and_ends_with_the_time(void **state)
{
	struct rig rig;
	struct vhost_done done;

	rig_open(&rig, true, true);
	assert_int_equal(*rig.queue.used_event, 0xFFFF);
	assert_int_equal(vhost_wait(&rig.queue, 1), -ETIMEDOUT);
	submit_read(&rig, 0);
	vhost_kick(&rig.queue);
	assert_false(vhost_arm(&rig.queue));
	assert_int_equal(*rig.queue.used_event, 0);
	complete(&rig.queue, 0, 1);
	assert_true(vhost_arm(&rig.queue));
	vhost_disarm(&rig.queue);
	assert_int_equal(*rig.queue.used_event, 0xFFFF);
	assert_int_equal(vhost_wait(&rig.queue, 1), 0);
	assert_true(vhost_reap(&rig.queue, &done));
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(indirect_request_is_one_descriptor_and_a_table),
		cmocka_unit_test(direct_request_is_three_descriptors),
		cmocka_unit_test(flush_has_no_data_and_a_discard_one_range),
		cmocka_unit_test(kick_is_written_when_the_device_wants_it),
		cmocka_unit_test(kick_heeds_the_flag_without_event_index),
		cmocka_unit_test(completions_come_in_any_order),
		cmocka_unit_test(completion_of_nothing_is_an_error),
		cmocka_unit_test(waiting_arms_and_ends_with_the_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

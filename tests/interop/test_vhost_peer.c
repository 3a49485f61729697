/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vhost-user client against another program's back end, qemu-storage-daemon with a qcow2
 * image: two independent readings of the protocol agree. Skipped where there is none.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <quoin/base_random.h>

#include "client_qsd.h"
#include "client_vhost.h"

#define SKIP 77
#define DISK_SIZE (64 * MiB)
#define QUEUES 2
#define DEPTH 32
#define BLOCK 4096
#define BLOCKS (DISK_SIZE / BLOCK)
#define SECTORS (BLOCK / 512)
#define ROUNDS 4000 /* requests of the mixed load */

struct peer {
	struct qsd qsd;
	struct ram ram;
	struct vhost vhost;
	struct random random;
	char image[160];
	uint32_t versions[BLOCKS]; /* what was written last; 0 = never */
};

static int peer_setup(void **state)
{
	struct peer *p = calloc(1, sizeof(*p));
	int error;

	if (!p)
		return -1;
	*state = p;
	signal(SIGPIPE, SIG_IGN);
	random_init(&p->random, 1);
	p->vhost.client.fd = -1;
	error = qsd_init(&p->qsd);
	if (error == -ENOENT) {
		printf("skipped: there is no qemu-storage-daemon (package qemu-system-common)\n");
		exit(SKIP);
	}
	if (error)
		return -1;
	snprintf(p->image, sizeof(p->image), "%.100s/disk.qcow2", p->qsd.process.dir);
	error = qsd_image_create(&p->qsd, "qcow2", "cluster_size=64k,extended_l2=on", p->image,
				 DISK_SIZE);
	if (error == -ENOENT) {
		printf("skipped: there is no qemu-img (package qemu-utils)\n");
		qsd_fini(&p->qsd);
		exit(SKIP);
	}
	return error;
}

static int peer_teardown(void **state)
{
	struct peer *p = *state;

	if (!p)
		return 0;
	qsd_fini(&p->qsd);
	free(p);
	return 0;
}

static int peer_test_teardown(void **state)
{
	struct peer *p = *state;

	vhost_close(&p->vhost);
	ram_close(&p->ram);
	if (daemon_alive(&p->qsd.process))
		daemon_stop(&p->qsd.process, SIGKILL);
	return 0;
}

static void peer_open(struct peer *p, struct vhost_options options)
{
	options.path = p->qsd.socket;
	options.queues = QUEUES;
	assert_int_equal(ram_open(&p->ram, 4 * MiB), 0);
	assert_int_equal(vhost_open(&p->vhost, &p->ram, &options), 0);
}

/* Ends both as one that shuts a machine down does: qemu-storage-daemon flushes at its end. */
static void peer_close(struct peer *p)
{
	int stopped;

	assert_int_equal(vhost_stop(&p->vhost), 0);
	vhost_close(&p->vhost);
	ram_close(&p->ram);
	stopped = daemon_stop(&p->qsd.process, SIGTERM);
	/* Beside other work version 7.2 may hang there for good, when a client just went. */
	if (stopped == -ETIMEDOUT)
		stopped = daemon_stop(&p->qsd.process, SIGKILL) == SIGKILL ? 0 : -EIO;
	assert_int_equal(stopped, 0);
}

static void peer_start(struct peer *p)
{
	const struct qsd_disk disk = {.path = p->image, .format = "qcow2", .queues = QUEUES};

	assert_int_equal(qsd_start(&p->qsd, &disk), 0);
}

/* --- A load that knows what it wrote ------------------------------------------------------ */

struct load {
	struct peer *peer;
	uint8_t *data; /* a block for each tag of each queue */
	struct {
		uint32_t block;
		bool write, busy;
	} jobs[QUEUES][DEPTH];
	unsigned in_flight;
	unsigned char taken[BLOCKS]; /* a job works on it */
};

static void fill(uint8_t *block, uint32_t number, uint32_t version)
{
	struct random random;

	memset(block, 0, BLOCK);
	if (!version)
		return;
	random_init(&random, (uint64_t)number << 32 | version);
	for (unsigned i = 0; i < BLOCK; i += 8) {
		const uint64_t word = random_u64(&random);

		memcpy(block + i, &word, sizeof(word));
	}
}

static uint8_t *block_of(const struct load *load, unsigned queue, unsigned tag)
{
	return load->data + (uint64_t)(queue * DEPTH + tag) * BLOCK;
}

static void load_submit(struct load *load, unsigned queue, uint16_t tag, bool write)
{
	struct peer *p = load->peer;
	uint8_t *data = block_of(load, queue, tag);
	uint32_t block;

	do
		block = (uint32_t)(random_u64(&p->random) % BLOCKS);
	while (load->taken[block]);
	load->taken[block] = 1;
	load->jobs[queue][tag].block = block;
	load->jobs[queue][tag].write = write;
	load->in_flight++;
	if (write)
		fill(data, block, ++p->versions[block]);
	else
		memset(data, 0xA5, BLOCK);
	vhost_submit(&p->vhost.queues[queue], &(struct vhost_io){
						      .type = write ? VHOST_WRITE : VHOST_READ,
						      .tag = tag,
						      .length = BLOCK,
						      .sector = (uint64_t)block * SECTORS,
						      .address = ram_addr(&p->ram, data),
					      });
}

static void load_complete(struct load *load, unsigned queue, struct vhost_done done)
{
	const uint32_t block = load->jobs[queue][done.tag].block;
	uint8_t expected[BLOCK];

	assert_int_equal(done.status, VHOST_OK);
	assert_in_range(done.length, 1, BLOCK + 1);
	if (!load->jobs[queue][done.tag].write) {
		fill(expected, block, load->peer->versions[block]);
		assert_memory_equal(block_of(load, queue, done.tag), expected, BLOCK);
	}
	load->taken[block] = 0;
	load->in_flight--;
}

/* Half writes, half reads, DEPTH in flight on each queue; what is read is what was written. */
static void run_load(struct peer *p)
{
	struct load *load = calloc(1, sizeof(*load));
	unsigned left = ROUNDS;

	assert_non_null(load);
	load->peer = p;
	load->data = ram_alloc(&p->ram, (uint64_t)QUEUES * DEPTH * BLOCK);
	for (unsigned i = 0; i < QUEUES; i++) {
		for (uint16_t tag = 0; tag < DEPTH; tag++)
			load_submit(load, i, tag, random_u64(&p->random) & 1);
		vhost_kick(&p->vhost.queues[i]);
	}
	while (load->in_flight) {
		for (unsigned i = 0; i < QUEUES; i++) {
			struct vhost_queue *q = &p->vhost.queues[i];
			struct vhost_done done;

			if (q->used_next != q->avail_shown)
				assert_int_equal(vhost_wait(q, VHOST_TIMEOUT_MS), 0);
			while (vhost_reap(q, &done)) {
				load_complete(load, i, done);
				if (left && left--)
					load_submit(load, i, done.tag, random_u64(&p->random) & 1);
			}
			assert_int_equal(q->error, 0);
			vhost_kick(q);
		}
	}
	free(load);
}

/* All of the disk, through queue 1. */
static void check_disk(struct peer *p)
{
	const uint64_t mark = ram_mark(&p->ram);
	const uint32_t at_once = 32;
	uint8_t *data = ram_alloc(&p->ram, (uint64_t)at_once * BLOCK);
	uint8_t expected[BLOCK];

	for (uint32_t block = 0; block < BLOCKS; block += at_once) {
		const struct vhost_io io = {.type = VHOST_READ,
					    .length = at_once * BLOCK,
					    .sector = (uint64_t)block * SECTORS,
					    .address = ram_addr(&p->ram, data)};

		assert_int_equal(vhost_run(&p->vhost, 1, &io), VHOST_OK);
		for (uint32_t i = 0; i < at_once; i++) {
			fill(expected, block + i, p->versions[block + i]);
			assert_memory_equal(data + (uint64_t)i * BLOCK, expected, BLOCK);
		}
	}
	ram_release(&p->ram, mark);
}

static void flush(struct peer *p)
{
	assert_true(vhost_has(&p->vhost, VHOST_F_FLUSH));
	assert_int_equal(vhost_run(&p->vhost, 0, &(struct vhost_io){.type = VHOST_FLUSH}),
			 VHOST_OK);
}

/* --- Tests -------------------------------------------------------------------------------- */

static void config_says_size_and_queues(void **state)
{
	struct peer *p = *state;

	peer_start(p);
	peer_open(p, (struct vhost_options){0});
	assert_int_equal(p->vhost.config.capacity, DISK_SIZE / 512);
	assert_int_equal(p->vhost.config.num_queues, QUEUES);
	assert_true(vhost_has(&p->vhost, VHOST_F_MQ));
	assert_true(vhost_has(&p->vhost, VHOST_F_INDIRECT));
	assert_true(vhost_has(&p->vhost, VHOST_F_EVENT_IDX));
	peer_close(p);
}

/* Each way of the rings and of memory; what an earlier one wrote is there for the next. */
static void data_survives_flush_and_reopening(void **state)
{
	const uint64_t indirect = UINT64_C(1) << VHOST_F_INDIRECT;
	const uint64_t event = UINT64_C(1) << VHOST_F_EVENT_IDX;
	const struct vhost_options ways[] = {
		{.entries = 64},
		{.refuse = indirect},
		{.refuse = event, .entries = 256},
		{.refuse = indirect | event, .memory_slots = true},
	};
	struct peer *p = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
		peer_start(p);
		peer_open(p, ways[i]);
		check_disk(p);
		run_load(p);
		flush(p);
		peer_close(p);
	}
	peer_start(p);
	peer_open(p, ways[0]);
	check_disk(p);
	peer_close(p);
}

static void written_data_survives_a_kill_after_a_flush(void **state)
{
	struct peer *p = *state;

	peer_start(p);
	peer_open(p, (struct vhost_options){0});
	run_load(p);
	flush(p);
	daemon_stop(&p->qsd.process, SIGKILL);
	vhost_close(&p->vhost);
	ram_close(&p->ram);
	peer_start(p);
	peer_open(p, (struct vhost_options){0});
	check_disk(p);
	peer_close(p);
}

static void discard_and_zeroes_read_as_zeroes(void **state)
{
	static const enum vhost_type types[] = {VHOST_DISCARD, VHOST_ZERO};
	struct peer *p = *state;
	struct vhost_done done;

	peer_start(p);
	peer_open(p, (struct vhost_options){0});
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		const struct vhost_io io = {.type = types[i], .sector = i * MiB / 512};

		vhost_submit_range(&p->vhost.queues[0], &io, MiB / 512);
		vhost_kick(&p->vhost.queues[0]);
		assert_int_equal(vhost_wait(&p->vhost.queues[0], VHOST_TIMEOUT_MS), 0);
		assert_true(vhost_reap(&p->vhost.queues[0], &done));
		assert_int_equal(done.status, VHOST_OK);
	}
	memset(p->versions, 0, 2 * MiB / BLOCK * sizeof(p->versions[0]));
	check_disk(p);
	peer_close(p);
}

static void bad_requests_get_a_status(void **state)
{
	struct peer *p = *state;
	struct vhost_io io = {.type = VHOST_READ, .length = BLOCK, .sector = DISK_SIZE / 512};

	peer_start(p);
	peer_open(p, (struct vhost_options){0});
	io.address = ram_addr(&p->ram, ram_alloc(&p->ram, BLOCK));
	assert_int_equal(vhost_run(&p->vhost, 0, &io), VHOST_IOERR);
	io.type = 77;
	assert_int_equal(vhost_run(&p->vhost, 0, &io), VHOST_UNSUPPORTED);
	check_disk(p);
	peer_close(p);
}

static void more_queues_than_there_are_is_refused(void **state)
{
	struct peer *p = *state;
	const struct vhost_options options = {.path = p->qsd.socket, .queues = QUEUES + 1};

	peer_start(p);
	assert_int_equal(ram_open(&p->ram, 4 * MiB), 0);
	assert_int_equal(vhost_open(&p->vhost, &p->ram, &options), -EOPNOTSUPP);
}

#define peer_test(f) cmocka_unit_test_setup_teardown(f, NULL, peer_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		peer_test(config_says_size_and_queues),
		peer_test(data_survives_flush_and_reopening),
		peer_test(written_data_survives_a_kill_after_a_flush),
		peer_test(discard_and_zeroes_read_as_zeroes),
		peer_test(bad_requests_get_a_status),
		peer_test(more_queues_than_there_are_is_refused),
	};

	return cmocka_run_group_tests(tests, peer_setup, peer_teardown);
}

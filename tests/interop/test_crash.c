/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance items 66, 67, 87: either side is killed at any moment; what was promised is there. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "interop.h"
#include "model.h"

#define CLIENT_KILLS 100
#define SERVER_KILLS 15
#define SERVER_KILLS_LONG 200
#define BLOCKS (8 * MiB / 512)

static const struct model_options model_options = {
	.block_count = BLOCKS, .block_bytes = 512, .queues = 2, .rare = true};

static void open_disk(struct interop *t, const char *name, struct model *model)
{
	struct host *host = interop_open(t, name, 2);

	assert_int_equal(host_shadow_enable(host), ST_OK);
	model_attach(model, host);
}

/*
 * 87 (S), TP T9: the client vanishes with commands in flight, a hundred times. The next one gets
 * in and finds each block old or new. Closing the socket without a word is what the server sees
 * of a kill -9; the next test does the real thing.
 */
static void client_killed_item_87(void **state)
{
	struct interop *t = *state;
	struct model *model = model_new(&model_options, random_u64(&t->random));

	for (unsigned i = 0; i < CLIENT_KILLS; i++) {
		open_disk(t, "disk", model);
		if (i)
			assert_true(model_verify(model));
		assert_true(model_run(model, 1 + random_below(&t->random, 300)));
		host_close(&t->host);
		model_forget_in_flight(model);
	}
	open_disk(t, "disk", model);
	assert_true(model_verify(model));
	model_free(model);
}

/* Writes as fast as it can, sleeping on interrupts, until somebody kills it. */
NO_RETURN static void be_a_client(struct interop *t)
{
	char path[DAEMON_PATH_MAX];
	const struct host_options options = {
		.path = daemon_target_path(&t->daemon, "killed", path),
		.flavour = CLIENT_QEMU,
		.interrupts = true,
	};
	struct nvme_sqe sqe;
	uint8_t *data;

	if (host_open(&t->host, &options) ||
	    host_queue_create(&t->host, 1, (struct host_queue_options){.interrupts = true}))
		_exit(1);
	data = ram_alloc(&t->host.ram, 64 * KiB);
	for (uint64_t lba = 0;; lba = (lba + 128) % 16384) {
		struct nvme_cqe cqe;

		sqe = interop_rw(&t->host, IO_WRITE, lba, 8 + (unsigned)(lba % 3) * 56, data);
		while (host_submit(&t->host, 1, sqe) < 0)
			if (host_reap(&t->host, 1, &cqe, 5000))
				_exit(1);
		t->host.ram.next = ram_addr(&t->host.ram, data) + 64 * KiB;
	}
}

/* 87: a client process is killed at a random time; the next connects at once. */
static void client_process_killed_item_87(void **state)
{
	struct interop *t = *state;
	const unsigned fds = daemon_fd_count(&t->daemon);
	char spec[160];

	interop_target(t, "killed", interop_file(t, "killed", 16 * MiB, spec));
	for (unsigned i = 0; i < 30; i++) {
		pid_t pid;
		int status;

		fflush(NULL);
		pid = fork();
		if (pid == 0)
			be_a_client(t);
		assert_true(pid > 0);
		client_sleep_us((unsigned)random_below(&t->random, 40000));
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		random_u64(&t->random);
	}
	interop_check_alive(interop_open(t, "killed", 1));
	host_close(&t->host);
	assert_int_equal(daemon_target_destroy(&t->daemon, "killed"), 0);
	client_sleep_us(100000);
	assert_true(daemon_fd_count(&t->daemon) <= fds + 2);
}

/*
 * 66 (S, O), 67: quoind is killed under load and started again. Everything acknowledged is there
 * (the drive did not lose power), commands in flight are old or new per block.
 */
static void server_killed_item_66(void **state)
{
	struct interop *t = *state;
	const unsigned rounds = t->long_run ? SERVER_KILLS_LONG : SERVER_KILLS;
	struct model *model = model_new(&model_options, random_u64(&t->random));
	char spec[160];

	interop_target(t, "crash", interop_file(t, "crash", 16 * MiB, spec));
	for (unsigned i = 0; i < rounds; i++) {
		open_disk(t, "crash", model);
		if (i)
			assert_true(model_verify(model));
		assert_true(model_run(model, 1 + random_below(&t->random, 2000)));
		assert_true(model_flush(model));
		daemon_stop(&t->daemon, SIGKILL);
		host_close(&t->host);
		model_forget_in_flight(model);
		assert_int_equal(daemon_start(&t->daemon), 0);
	}
	open_disk(t, "crash", model);
	assert_true(model_verify(model));
	model_free(model);
}

/* A stop by SIGTERM under load loses nothing either, and takes no more than seconds. */
static void server_stopped_under_load(void **state)
{
	struct interop *t = *state;
	struct model *model = model_new(&model_options, random_u64(&t->random));
	char spec[160];

	interop_target(t, "stop", interop_file(t, "stop", 16 * MiB, spec));
	for (unsigned i = 0; i < 5; i++) {
		uint64_t start;

		open_disk(t, "stop", model);
		if (i)
			assert_true(model_verify(model));
		assert_true(model_run(model, 500));
		start = client_now_ns();
		assert_int_equal(daemon_stop(&t->daemon, SIGTERM), 0);
		assert_true(client_now_ns() - start < 5 * NS_PER_S);
		host_close(&t->host);
		model_forget_in_flight(model);
		assert_int_equal(daemon_start(&t->daemon), 0);
	}
	model_free(model);
}

/* A target is destroyed under a running client: the client sees its end, nobody else does. */
static void target_destroyed_under_load(void **state)
{
	struct interop *t = *state;

	for (unsigned i = 0; i < 10; i++) {
		struct model *model = model_new(&model_options, random_u64(&t->random));
		char spec[160], name[32];

		snprintf(name, sizeof(name), "gone%u", i);
		interop_target(t, name, interop_file(t, name, 16 * MiB, spec));
		open_disk(t, name, model);
		assert_true(model_run(model, 200));
		assert_int_equal(daemon_target_destroy(&t->daemon, name), 0);
		assert_true(client_wait_closed(&t->host.client, 2000));
		host_close(&t->host);
		model_free(model);
		interop_file_remove(spec);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		interop_test(client_killed_item_87),
		interop_test(client_process_killed_item_87),
		interop_test(server_killed_item_66),
		interop_test(server_stopped_under_load),
		interop_test(target_destroyed_under_load),
	};

	return interop_main(tests);
}

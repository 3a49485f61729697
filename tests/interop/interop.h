/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the interop tests share: one quoind per test program, targets on it, hosts attached to
 * them, commands in one line. Tests are named after the conformance item they hold the server
 * against; the comment above each names the item's number and origin (S specification, L Linux,
 * W Windows, O OVMF, B SeaBIOS, F FreeBSD, Q QEMU, K SPDK, P propolis, V openvmm, T trace,
 * H hostile, TP transport).
 */
#ifndef INTEROP_H
#define INTEROP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <quoin/base_random.h>

#include "client.h"

#define INTEROP_FILE_SIZE (64 * MiB)

struct interop {
	struct daemon daemon;
	struct host host;  /* of the running test; its client.fd is -1 between tests */
	struct host other; /* a second one, for tests about two clients */
	struct random random;
	bool long_run;	/* $QUOIN_INTEROP_LONG is set */
	bool short_run; /* $QUOIN_INTEROP_SHORT is set */
};

/* Group fixtures: a quoind with the targets "null" (null:1G) and "disk" (a file). */
int interop_group_setup(void **state);
int interop_group_teardown(void **state);

/* Per test: closes what the test left open and checks that quoind lives. */
int interop_test_teardown(void **state);

#define interop_test(f) cmocka_unit_test_setup_teardown(f, NULL, interop_test_teardown)
#define interop_main(tests) \
	cmocka_run_group_tests(tests, interop_group_setup, interop_group_teardown)

/*
 * A file of the daemon's directory or of $QUOIN_INTEROP_DIR, `size` bytes, zero. A block device
 * that is linked there as NAME.img takes the file's place. Returns the volume spec in `spec`.
 */
const char *interop_file(struct interop *t, const char *name, uint64_t size, char spec[160]);
void interop_file_remove(const char *spec);

/* Creates a target with one volume. */
void interop_target(struct interop *t, const char *name, const char *volume);
void interop_target_with(struct interop *t, const struct daemon_target *target);

/* t->host, connected to target `name` and enabled; with queue pairs 1..queues. */
struct host *interop_open(struct interop *t, const char *name, unsigned queues);

/* The same for any host and any options but the path. */
void interop_open_with(struct interop *t, struct host *host, const char *name,
		       struct host_options options);
void interop_queues(struct host *host, unsigned queues);

/* Runs a command on the admin queue or on queue 1 and compares the status. */
#define assert_admin(host, status, ...) \
	assert_int_equal(host_run(host, 0, (struct nvme_sqe){__VA_ARGS__}, NULL), status)
#define assert_io(host, status, ...) \
	assert_int_equal(host_run(host, 1, (struct nvme_sqe){__VA_ARGS__}, NULL), status)

/* Read or write of namespace 1 at `lba` with PRPs for `data`. */
struct nvme_sqe interop_rw(struct host *host, unsigned opcode, uint64_t lba, unsigned blocks,
			   const void *data);

/* Write a pattern and read it back on queue 1 (null volumes keep nothing): it works. */
void interop_check_alive(struct host *host);

/* True once quoind's memory of its own is below `kib`; prints it otherwise. */
bool interop_memory_below(struct interop *t, uint64_t kib);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory and files registered with the ring: I/O means the same with and without, uses them where
 * it can (the loop counts), and goes on where the kernel refuses. Skips what the kernel or the
 * limit of locked memory does not allow here.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <quoin/loop_sim.h>

#include "real.h"

#define REGION_BYTES (64 * KiB)
#define BLOCK 4096

struct fixture {
	struct loop *loop;
	int fd;
	char *region; /* REGION_BYTES, and as much again behind it */
};

struct test_io {
	struct loop_io io;
	bool done;
};

static int setup(void **state)
{
	char path[] = "/tmp/quoin-loop-XXXXXX";
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	f->loop = test_loop_new();
	f->fd = mkstemp(path);
	unlink(path);
	f->region = mmap(NULL, 2 * REGION_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return f->fd < 0 || f->region == MAP_FAILED ? -1 : 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	loop_free(f->loop);
	munmap(f->region, 2 * REGION_BYTES);
	close(f->fd);
	free(f);
	return 0;
}

static void io_done(struct loop_io *io)
{
	container_of(io, struct test_io, io)->done = true;
}

static int run(const struct fixture *f, struct loop_io io)
{
	struct test_io t = {.io = io};

	t.io.done = io_done;
	if (t.io.fd == 0)
		t.io.fd = f->fd;
	loop_io_submit(f->loop, &t.io);
	test_turn_until(f->loop, &t.done);
	return t.io.result;
}

static int transfer(const struct fixture *f, enum loop_io_op op, void *data, size_t length)
{
	const struct iovec iov = {data, length};

	return run(f, (struct loop_io){.op = op, .iov = &iov, .iov_count = 1});
}

static void registers(const struct fixture *f, void *base, size_t length)
{
	const int r = loop_buffers_register(f->loop, base, length);

	if (r == -EINVAL || r == -ENOMEM) {
		print_message("memory cannot be registered here (%d): not tried\n", r);
		skip();
	}
	assert_int_equal(r, 0);
}

/* How many of the I/O since the last call went with registered memory. */
static uint64_t fixed_since(const struct fixture *f, uint64_t *before)
{
	const uint64_t now = loop_stats_get(f->loop).io_fixed_buffers;
	const uint64_t count = now - *before;

	*before = now;
	return count;
}

/* --- Memory -------------------------------------------------------------------------------- */

static void memory_goes_round(void **state)
{
	const struct fixture *f = *state;
	const struct iovec all = {f->region, REGION_BYTES};
	char *in = f->region + REGION_BYTES - BLOCK;
	char *out = f->region;
	uint64_t before = 0;

	registers(f, f->region, REGION_BYTES);
	memset(out, 'a', BLOCK);
	assert_int_equal(transfer(f, LOOP_IO_WRITEV, out, BLOCK), BLOCK);
	assert_int_equal(transfer(f, LOOP_IO_READV, in, BLOCK), BLOCK);
	assert_memory_equal(in, out, BLOCK);
	assert_int_equal(fixed_since(f, &before), 2);
	/* Durable writes are the same operation. */
	assert_int_equal(run(f, (struct loop_io){.op = LOOP_IO_WRITEV,
						 .flags = RWF_DSYNC,
						 .iov = &all,
						 .iov_count = 1,
						 .offset = BLOCK}),
			 REGION_BYTES);
	assert_int_equal(fixed_since(f, &before), 1);
	/* Fewer bytes there than asked for. */
	assert_int_equal(ftruncate(f->fd, 100), 0);
	assert_int_equal(transfer(f, LOOP_IO_READV, in, BLOCK), 100);
}

static void what_lies_partly_outside_goes_without(void **state)
{
	const struct fixture *f = *state;
	char *half = f->region + REGION_BYTES - BLOCK / 2;
	char *back = f->region + REGION_BYTES;
	const struct iovec two[] = {{f->region, BLOCK / 2}, {f->region + BLOCK, BLOCK / 2}};
	uint64_t before = 0;

	registers(f, f->region, REGION_BYTES);
	memset(half, 'b', BLOCK);
	assert_int_equal(transfer(f, LOOP_IO_WRITEV, half, BLOCK), BLOCK);
	assert_int_equal(transfer(f, LOOP_IO_READV, back, BLOCK), BLOCK);
	assert_memory_equal(back, half, BLOCK / 2);
	/* Two pieces are a vector, which has no such operation; nothing at all needs none. */
	assert_int_equal(run(f, (struct loop_io){.op = LOOP_IO_READV, .iov = two, .iov_count = 2}),
			 BLOCK);
	assert_memory_equal(f->region + BLOCK, "bbbb", 4);
	assert_int_equal(transfer(f, LOOP_IO_READV, f->region, 0), 0);
	assert_int_equal(fixed_since(f, &before), 0);
	/* Up to the last byte is inside. */
	assert_int_equal(transfer(f, LOOP_IO_READV, half, BLOCK / 2), BLOCK / 2);
	assert_int_equal(fixed_since(f, &before), 1);
}

static void refused_memory_goes_without(void **state)
{
	const struct fixture *f = *state;
	uint64_t before = 0;

	memset(f->region, 'c', BLOCK);
	/* The kernel would have to write there. */
	assert_int_equal(mprotect(f->region, REGION_BYTES, PROT_READ), 0);
	assert_true(loop_buffers_register(f->loop, f->region, REGION_BYTES) < 0);
	assert_int_equal(transfer(f, LOOP_IO_WRITEV, f->region, BLOCK), BLOCK);
	loop_buffers_unregister(f->loop, f->region, REGION_BYTES);
	assert_int_equal(transfer(f, LOOP_IO_READV, f->region + REGION_BYTES, BLOCK), BLOCK);
	assert_memory_equal(f->region + REGION_BYTES, f->region, BLOCK);
	assert_int_equal(fixed_since(f, &before), 0);
	assert_int_equal(loop_buffers_register(f->loop, f->region, 0), -EINVAL);
	assert_int_equal(loop_buffers_register(f->loop, f->region, SIZE_MAX), -EINVAL);
}

static void registered_twice_is_unregistered_twice(void **state)
{
	const struct fixture *f = *state;
	uint64_t before = 0;

	registers(f, f->region, REGION_BYTES);
	registers(f, f->region, REGION_BYTES);
	loop_buffers_unregister(f->loop, f->region, REGION_BYTES);
	assert_int_equal(transfer(f, LOOP_IO_WRITEV, f->region, BLOCK), BLOCK);
	assert_int_equal(fixed_since(f, &before), 1);
	/* A part of the region is another region. */
	loop_buffers_unregister(f->loop, f->region, BLOCK);
	assert_int_equal(transfer(f, LOOP_IO_WRITEV, f->region, BLOCK), BLOCK);
	assert_int_equal(fixed_since(f, &before), 1);
	loop_buffers_unregister(f->loop, f->region, REGION_BYTES);
	loop_buffers_unregister(f->loop, f->region, REGION_BYTES);
	assert_int_equal(transfer(f, LOOP_IO_WRITEV, f->region, BLOCK), BLOCK);
	assert_int_equal(fixed_since(f, &before), 0);
}

static void new_memory_at_an_old_address_is_seen(void **state)
{
	const struct fixture *f = *state;
	uint64_t before = 0;
	char *back = f->region + REGION_BYTES;

	registers(f, f->region, REGION_BYTES);
	memset(f->region, 'd', BLOCK);
	loop_buffers_unregister(f->loop, f->region, REGION_BYTES);
	assert_ptr_equal(mmap(f->region, REGION_BYTES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
			 f->region);
	for (unsigned i = 0; i < 2; i++) {
		memset(f->region, 'e' + (int)i, BLOCK);
		assert_int_equal(transfer(f, LOOP_IO_WRITEV, f->region, BLOCK), BLOCK);
		assert_int_equal(transfer(f, LOOP_IO_READV, back, BLOCK), BLOCK);
		assert_memory_equal(back, f->region, BLOCK);
		assert_int_equal(fixed_since(f, &before), i);
		registers(f, f->region, REGION_BYTES);
	}
}

static void regions_have_a_limit(void **state)
{
	const struct fixture *f = *state;
	uint64_t before = 0;
	char *more = mmap(NULL, (LOOP_BUFFERS_MAX + 1) * BLOCK, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *last = more + LOOP_BUFFERS_MAX * BLOCK;

	assert_true(more != MAP_FAILED);
	for (size_t i = 0; i < LOOP_BUFFERS_MAX; i++)
		registers(f, more + i * BLOCK, BLOCK);
	assert_int_equal(loop_buffers_register(f->loop, last, BLOCK), -ENOSPC);
	assert_int_equal(transfer(f, LOOP_IO_WRITEV, last, BLOCK), BLOCK);
	assert_int_equal(fixed_since(f, &before), 0);
	loop_buffers_unregister(f->loop, more + 7 * BLOCK, BLOCK);
	registers(f, last, BLOCK);
	for (size_t i = 0; i <= LOOP_BUFFERS_MAX; i++) {
		memset(more + i * BLOCK, (int)i, BLOCK);
		assert_int_equal(transfer(f, LOOP_IO_WRITEV, more + i * BLOCK, BLOCK), BLOCK);
		assert_int_equal(transfer(f, LOOP_IO_READV, f->region, BLOCK), BLOCK);
		assert_memory_equal(more + i * BLOCK, f->region, BLOCK);
	}
	assert_int_equal(fixed_since(f, &before), LOOP_BUFFERS_MAX);
	for (size_t i = 0; i <= LOOP_BUFFERS_MAX; i++)
		loop_buffers_unregister(f->loop, more + i * BLOCK, BLOCK);
	munmap(more, (LOOP_BUFFERS_MAX + 1) * BLOCK);
}

static void simulated_loops_have_none(void **state)
{
	struct loop_sim *world = loop_sim_new(1);
	struct loop *loop = loop_sim_add(world);
	char memory[64];

	assert_int_equal(loop_buffers_register(loop, memory, sizeof(memory)), -ENOTSUP);
	loop_buffers_unregister(loop, memory, sizeof(memory));
	assert_int_equal(loop_file_register(loop, STDIN_FILENO), 0);
	loop_file_unregister(loop, 0);
	loop_sim_free(world);
}

/* --- Files --------------------------------------------------------------------------------- */

static unsigned file_registers(const struct fixture *f, int fd)
{
	const unsigned file = loop_file_register(f->loop, fd);

	if (file == 0) {
		print_message("files cannot be registered here: not tried\n");
		skip();
	}
	return file;
}

static void files_do_all_operations(void **state)
{
	const struct fixture *f = *state;
	const struct iovec two[] = {{f->region, BLOCK}, {f->region + REGION_BYTES, BLOCK}};
	/* A wrong descriptor beside it shows that the file is used. */
	struct loop_io io = {
		.fd = -1, .file = file_registers(f, f->fd), .iov = two, .iov_count = 2};
	const unsigned file = io.file;

	registers(f, f->region, REGION_BYTES);
	memset(f->region, 'f', 2 * REGION_BYTES);
	io.op = LOOP_IO_FALLOCATE;
	io.length_bytes = REGION_BYTES;
	assert_int_equal(run(f, io), 0);
	io.op = LOOP_IO_WRITEV;
	io.flags = RWF_DSYNC;
	assert_int_equal(run(f, io), 2 * BLOCK);
	io.iov_count = 1;
	assert_int_equal(run(f, io), BLOCK);
	io.op = LOOP_IO_READV;
	io.flags = 0;
	memset(f->region, 0, BLOCK);
	assert_int_equal(run(f, io), BLOCK);
	assert_memory_equal(f->region, f->region + REGION_BYTES, BLOCK);
	io.op = LOOP_IO_FDATASYNC;
	assert_int_equal(run(f, io), 0);
	assert_int_equal(loop_stats_get(f->loop).io_fixed_files, 5);
	assert_int_equal(loop_stats_get(f->loop).io_fixed_buffers, 2);
	loop_file_unregister(f->loop, file);
}

static void files_are_let_go(void **state)
{
	const struct fixture *f = *state;

	for (unsigned round = 0; round < 2; round++) {
		struct pollfd end = {.events = POLLIN};
		unsigned file;
		int ends[2];

		assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
		end.fd = ends[0];
		file = file_registers(f, ends[1]);
		close(ends[1]);
		/* The loop keeps it open. */
		assert_int_equal(poll(&end, 1, 0), 0);
		loop_file_unregister(f->loop, file);
		assert_int_equal(poll(&end, 1, -1), 1);
		assert_true(end.revents & POLLHUP);
		close(ends[0]);
	}
}

static void files_have_a_limit(void **state)
{
	const struct fixture *f = *state;
	unsigned files[LOOP_FILES_MAX];

	for (unsigned i = 0; i < LOOP_FILES_MAX; i++)
		files[i] = file_registers(f, f->fd);
	assert_int_equal(loop_file_register(f->loop, f->fd), 0);
	assert_int_equal(loop_file_register(f->loop, -1), 0);
	loop_file_unregister(f->loop, files[5]);
	assert_int_equal(loop_file_register(f->loop, f->fd), files[5]);
	assert_int_equal(run(f, (struct loop_io){.op = LOOP_IO_FDATASYNC,
						 .fd = -1,
						 .file = files[LOOP_FILES_MAX - 1]}),
			 0);
	/* What is left goes with the loop. */
	for (unsigned i = 0; i < LOOP_FILES_MAX / 2; i++)
		loop_file_unregister(f->loop, files[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(memory_goes_round, setup, teardown),
		cmocka_unit_test_setup_teardown(what_lies_partly_outside_goes_without, setup,
						teardown),
		cmocka_unit_test_setup_teardown(refused_memory_goes_without, setup, teardown),
		cmocka_unit_test_setup_teardown(registered_twice_is_unregistered_twice, setup,
						teardown),
		cmocka_unit_test_setup_teardown(new_memory_at_an_old_address_is_seen, setup,
						teardown),
		cmocka_unit_test_setup_teardown(regions_have_a_limit, setup, teardown),
		cmocka_unit_test(simulated_loops_have_none),
		cmocka_unit_test_setup_teardown(files_do_all_operations, setup, teardown),
		cmocka_unit_test_setup_teardown(files_are_let_go, setup, teardown),
		cmocka_unit_test_setup_teardown(files_have_a_limit, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

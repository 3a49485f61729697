/* SPDX-License-Identifier: Apache-2.0 */
/* T4 DMA_MAP, T5 DMA_UNMAP, T10 memory that is truncated; private guest memory. */
#include "peer.h"

#define RW 3

static struct message reply;

static uint32_t unmap(struct fixture *fixture, int fd, uint32_t flags, uint64_t address,
		      uint64_t size)
{
	const struct unmap_payload payload = {24, flags, address, size};
	uint32_t error = peer_call(fixture, VFIO_DMA_UNMAP, &payload, sizeof(payload), &reply);

	if (error)
		return error;
	assert_int_equal(reply.payload_bytes, sizeof(payload));
	assert_memory_equal(reply.payload, &payload, sizeof(payload));
	return 0;
}

static void *resolve(struct fixture *fixture, uint64_t address, unsigned prot)
{
	return guest_resolve(fixture->memory, (struct guest_addr){address}, PAGE, prot);
}

static void t4_map(void **state)
{
	struct fixture *fixture = fixture_new();
	int fd = peer_open(fixture), file = memory_file(0x10000), two[2] = {file, file};
	struct map_payload map = {32, RW, 0x3000, 0x40000, 0x2000};

	assert_int_equal(peer_map(fixture, 0x10000, 0x10000, RW, file), 0);
	assert_int_equal(peer_map(fixture, 0x10000, 0x10000, RW, file), 0);
	assert_int_equal(guest_memory_region_count(fixture->memory), 1);
	assert_int_equal(fixture->fake.memory_changes, 1);
	assert_int_equal(peer_map(fixture, 0x11000, 0x1000, RW, file), EEXIST);
	assert_int_equal(peer_map(fixture, 0x30000, 0, RW, file), EINVAL);
	assert_int_equal(peer_map(fixture, 0x30000, 0x800, RW, file), EINVAL);
	assert_int_equal(peer_map(fixture, 0xFFFFFFFFFFFFF000, 0x2000, RW, file), EINVAL);
	assert_int_equal(peer_map(fixture, 0x30000, 0x1000, 0, file), EINVAL);
	assert_int_equal(peer_map(fixture, 0x30000, 0x1000, 0x11, file), EINVAL);
	assert_int_equal(
		peer_call(peer_attach(fixture, two, 2), VFIO_DMA_MAP, &map, sizeof(map), &reply),
		EINVAL);
	assert_int_equal(
		peer_call(peer_attach(fixture, two, 1), VFIO_DMA_MAP, &map, sizeof(map), &reply),
		0);
	memset(resolve(fixture, 0x41000, RW), 0xAB, PAGE);
	assert_int_equal(*(uint8_t *)resolve(fixture, 0x14000, RW), 0xAB);
	assert_int_equal(peer_map(fixture, 0x50000, 0x1000, 1, file), 0);
	assert_non_null(resolve(fixture, 0x50000, GUEST_READ));
	assert_null(resolve(fixture, 0x50000, GUEST_WRITE));
	assert_int_equal(peer_map(fixture, 0x60000, 0x1000, RW, -1), 0);
	assert_null(resolve(fixture, 0x60000, GUEST_READ));
	close(file);
	close(fd);
	fixture_await(fixture, VFIO_STATE_IDLE);
	assert_int_equal(guest_memory_region_count(fixture->memory), 0);
	fixture_free(fixture);
}

static void t5_unmap(void **state)
{
	struct fixture *fixture = fixture_new();
	int fd = peer_open(fixture), file = memory_file(0x10000);
	const struct unmap_payload again = {24, 0, 0x40000, 0x1000};

	assert_int_equal(peer_map(fixture, 0x10000, 0x10000, RW, file), 0);
	assert_int_equal(peer_map(fixture, 0x20000, 0x10000, RW, file), 0);
	assert_int_equal(unmap(fixture, fd, 0, 0x10000, 0x1000), EINVAL);
	assert_int_equal(unmap(fixture, fd, 0, 0x50000, 0x1000), ENOENT);
	assert_int_equal(unmap(fixture, fd, 0, 0x10000, 0), EINVAL);
	assert_int_equal(unmap(fixture, fd, 1, 0x10000, 0x10000), EINVAL);
	assert_int_equal(unmap(fixture, fd, VFIO_UNMAP_ALL, 0x10000, 0x10000), EINVAL);
	/* The device is told before anything else happens: it holds addresses of that memory. */
	assert_int_equal(fixture->fake.memory_changes, 2);
	assert_int_equal(unmap(fixture, fd, 0, 0x10000, 0x10000), 0);
	assert_int_equal(fixture->fake.memory_changes, 3);
	assert_null(resolve(fixture, 0x10000, GUEST_READ));
	assert_non_null(resolve(fixture, 0x20000, GUEST_READ));
	assert_int_equal(unmap(fixture, fd, VFIO_UNMAP_ALL, 0, 0), 0);
	assert_int_equal(fixture->fake.memory_changes, 4);
	assert_int_equal(unmap(fixture, fd, VFIO_UNMAP_ALL, 0, 0), 0);
	assert_int_equal(guest_memory_region_count(fixture->memory), 0);

	/* SPDK's host sends the descriptor again. */
	assert_int_equal(peer_map(fixture, 0x40000, 0x1000, RW, file), 0);
	assert_int_equal(
		peer_call(peer_attach(fixture, &file, 1), VFIO_DMA_UNMAP, &again, 24, &reply), 0);
	close(file);
	close(fd);
	fixture_free(fixture);
}

static void t5_unmap_waits_for_holds(void **state)
{
	struct fixture *fixture = fixture_new();
	int fd = peer_open(fixture), file = memory_file(0x1000);
	const struct unmap_payload payload = {24, VFIO_UNMAP_ALL, 0, 0};
	struct guest_hold hold;

	assert_int_equal(peer_map(fixture, 0, 0x1000, RW, file), 0);
	hold = guest_hold_take(fixture->memory);
	peer_send(fixture, fd, VFIO_DMA_UNMAP, &payload, sizeof(payload));
	peer_send(fixture, fd, VFIO_RESET, NULL, 0);
	fixture_await(fixture, VFIO_STATE_UNMAPPING);
	assert_true(peer_silent(fixture, fd));
	assert_int_equal(fixture->fake.resets, 0);
	guest_hold_drop(fixture->memory, &hold);
	assert_true(peer_receive(fixture, fd, &reply));
	assert_int_equal(reply.header.command, VFIO_DMA_UNMAP);
	assert_int_equal(reply.payload_bytes, 24);
	assert_true(peer_receive(fixture, fd, &reply));
	assert_int_equal(reply.header.command, VFIO_RESET);
	close(file);
	close(fd);
	fixture_free(fixture);
}

static void t5_unmap_gives_up_after_two_seconds(void **state)
{
	struct fixture *fixture = fixture_new();
	int fd = peer_open(fixture), file = memory_file(0x1000);
	struct guest_hold hold;
	uint64_t before, waited;
	char *page;

	assert_int_equal(peer_map(fixture, 0, 0x1000, RW, file), 0);
	page = resolve(fixture, 0, RW);
	hold = guest_hold_take(fixture->memory);
	before = loop_clock_ns(fixture->loop);
	assert_int_equal(unmap(fixture, fd, 0, 0, 0x1000), 0);
	waited = loop_clock_ns(fixture->loop) - before;
	assert_in_range(waited, VFIO_UNMAP_WAIT_NS, 4 * NS_PER_S);
	page[0] = 1;				      /* The straggler's page is still there, */
	assert_null(resolve(fixture, 0, GUEST_READ)); /* for nobody else. */
	guest_hold_drop(fixture->memory, &hold);
	close(file);
	close(fd);
	fixture_free(fixture);
}

/* The client leaves while an unmap waits: the next client waits for the last hold. */
static void t9_client_dies_during_unmap(void **state)
{
	struct fixture *fixture = fixture_new();
	int fd = peer_open(fixture), file = memory_file(0x1000);
	const struct unmap_payload payload = {24, VFIO_UNMAP_ALL, 0, 0};
	struct guest_hold hold;

	assert_int_equal(peer_map(fixture, 0, 0x1000, RW, file), 0);
	hold = guest_hold_take(fixture->memory);
	fixture->fake.hold_reset = true;
	peer_send(fixture, fd, VFIO_DMA_UNMAP, &payload, sizeof(payload));
	fixture_await(fixture, VFIO_STATE_UNMAPPING);
	close(fd);
	fixture_turn(fixture, 20);
	assert_int_equal(fixture->server.state, VFIO_STATE_UNMAPPING);
	/* The end of the wait finds nobody to tell. */
	fixture_await(fixture, VFIO_STATE_LEAVING);
	assert_int_equal(fixture->fake.disconnects, 1);
	guest_hold_drop(fixture->memory, &hold);
	fake_reset_release(fixture);
	assert_int_equal(fixture->server.state, VFIO_STATE_IDLE);
	close(file);
	close(peer_open(fixture));
	fixture_free(fixture);
}

static void t10_truncated_memory_drops_its_client(void **state)
{
	struct fixture *fixture = fixture_new();
	int fd = peer_open(fixture), file = memory_file(0x10000);
	char *page;

	assert_int_equal(peer_map(fixture, 0, 0x10000, RW, file), 0);
	assert_int_equal(ftruncate(file, 0), 0);
	page = resolve(fixture, 0x1000, RW);
	page[0] = 1; /* The device writes: SIGBUS. */
	assert_false(peer_receive(fixture, fd, &reply));
	fixture_await(fixture, VFIO_STATE_IDLE);
	assert_string_equal(fixture->server.why, "the client truncated memory that it had mapped");
	close(fd);

	/* The next client starts with memory that is whole. */
	fd = peer_open(fixture);
	assert_int_equal(ftruncate(file, 0x10000), 0);
	assert_int_equal(peer_map(fixture, 0, 0x10000, RW, file), 0);
	assert_false(guest_memory_lost(fixture->memory));
	*(char *)resolve(fixture, 0x1000, RW) = 1;
	assert_int_equal(peer_read(fixture, fd, 0, 0), 0);
	close(file);
	close(fd);
	fixture_free(fixture);
}

/* The client is dropped while one of its unmaps waits: that unmap is given up, not answered. */
static void t10_truncated_while_an_unmap_waits(void **state)
{
	struct fixture *fixture = fixture_new();
	int fd = peer_open(fixture), file = memory_file(0x2000);
	const struct unmap_payload payload = {24, 0, 0, 0x1000};
	struct guest_hold hold;
	char *page;

	assert_int_equal(peer_map(fixture, 0, 0x1000, RW, file), 0);
	assert_int_equal(peer_map(fixture, 0x1000, 0x1000, RW, file), 0);
	hold = guest_hold_take(fixture->memory);
	peer_send(fixture, fd, VFIO_DMA_UNMAP, &payload, sizeof(payload));
	fixture_await(fixture, VFIO_STATE_UNMAPPING);
	page = resolve(fixture, 0x1000, RW);
	assert_int_equal(ftruncate(file, 0), 0);
	page[0] = 1;
	fixture_turn(fixture, 20);
	assert_int_equal(fixture->server.state, VFIO_STATE_LEAVING);
	assert_false(peer_receive(fixture, fd, &reply));
	guest_hold_drop(fixture->memory, &hold);
	fixture_await(fixture, VFIO_STATE_IDLE);
	close(fd);
	close(file);
	close(peer_open(fixture));
	fixture_free(fixture);
}

static void private_memory_is_told(void **state)
{
	struct fixture *fixture = fixture_new();
	int fd = peer_open(fixture);

	assert_int_equal(peer_map(fixture, 0, 64 * MiB, RW, -1), 0);
	assert_true(guest_memory_is_private(fixture->memory));
	assert_int_equal(peer_write(fixture, fd, VFIO_REGION_CONFIG, 4, 0), 0);
	assert_false(fixture->server.private_told);
	assert_int_equal(peer_write(fixture, fd, 0, 0x14, 1), 0);
	assert_true(fixture->server.private_told);
	close(fd);
	fixture_free(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t4_map),
		cmocka_unit_test(t5_unmap),
		cmocka_unit_test(t5_unmap_waits_for_holds),
		cmocka_unit_test(t5_unmap_gives_up_after_two_seconds),
		cmocka_unit_test(t9_client_dies_during_unmap),
		cmocka_unit_test(t10_truncated_memory_drops_its_client),
		cmocka_unit_test(t10_truncated_while_an_unmap_waits),
		cmocka_unit_test(private_memory_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

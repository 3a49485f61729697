/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole target: the NVMe controller behind the server, a real loop in its thread, a block
 * device that can hold requests back, and the project's NVMe client on the other side.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <unistd.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include <quoin/block_fault.h>
#include <quoin/vfio_user.h>

#include "client.h"

struct setup {
	struct loop *loop;
	struct block_device *device;
	struct vfio_user_target *target;
	struct host host;
	char path[64];
	char image[64]; /* a sparse file: reads as zeroes */
};

static struct setup *setup_new(enum nvme_doorbell_mode doorbells)
{
	static struct setup setup;
	const struct loop_params loop = {.name = "target", .cpu = -1};
	struct vfio_user_target_params params = {
		.name = "test",
		.queue_pairs = 4,
		.queue_entries = 64,
		.namespaces = 4,
		.doorbells = doorbells,
		.intx = true,
		.serial = "S1",
		.model = "Quoin test",
		.uuid = {1},
		.patience_ms = 300,
	};
	struct vfio_user_namespace ns = {.nsid = 1, .nguid = {1}, .uuid = {2}};
	struct err err = {0};
	char spec[96];
	int fd;

	memset(&setup, 0, sizeof(setup));
	host_init(&setup.host);
	snprintf(setup.path, sizeof(setup.path), "/tmp/quoin-target-%d.sock", getpid());
	snprintf(setup.image, sizeof(setup.image), "/tmp/quoin-target-%d.img", getpid());
	snprintf(spec, sizeof(spec), "delay:us=0:file:%s", setup.image);
	fd = open(setup.image, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, 64 * MiB), 0);
	close(fd);
	assert_int_equal(loop_new(&loop, &setup.loop), 0);
	assert_int_equal(loop_start_thread(setup.loop), 0);
	if (block_open(spec, &setup.device, &err) < 0)
		fail_msg("%s", err.text);
	params.loop = setup.loop;
	params.socket_path = setup.path;
	ns.device = setup.device;
	if (vfio_user_target_new(&params, &setup.target, &err) < 0 ||
	    vfio_user_target_attach(setup.target, &ns, &err) < 0)
		fail_msg("%s", err.text);
	return &setup;
}

static void setup_free(struct setup *setup)
{
	vfio_user_target_free(setup->target);
	assert_int_equal(access(setup->path, F_OK), -1);
	block_close(setup->device);
	unlink(setup->image);
	loop_stop(setup->loop);
	loop_join(setup->loop);
	loop_free(setup->loop);
	host_close(&setup->host);
}

static void setup_open(struct setup *setup, struct host_options options)
{
	options.path = setup->path;
	assert_int_equal(host_open(&setup->host, &options), 0);
	assert_int_equal(host_queue_create(&setup->host, 1, (struct host_queue_options){0}), 0);
}

static struct vfio_user_target_info info_get(struct setup *setup)
{
	struct vfio_user_target_info info;

	vfio_user_target_info(setup->target, &info);
	return info;
}

static struct nvme_sqe command_read(struct setup *setup, uint64_t address)
{
	return (struct nvme_sqe){.opcode = 2, .nsid = 1, .prp1 = address, .dw12 = 0};
}

static void hold_requests(struct setup *setup)
{
	const struct block_delay_rule rule = {.match = {.ops = BLOCK_FAULT_OPS_ALL}, .hold = true};

	assert_int_equal(block_delay_set(setup->device, &rule), 0);
}

/* Submits `count` reads and waits until the device holds them. */
static void reads_in_flight(struct setup *setup, unsigned count)
{
	void *page = ram_alloc(&setup->host.ram, 4096);

	hold_requests(setup);
	for (unsigned i = 0; i < count; i++)
		assert_true(host_submit(&setup->host, 1,
					command_read(setup, ram_addr(&setup->host.ram, page))) >=
			    0);
	for (unsigned i = 0; i < 2000 && block_delay_held(setup->device) < count; i++)
		client_sleep_us(1000);
	assert_int_equal(block_delay_held(setup->device), count);
}

static void reads_work(struct setup *setup, unsigned count)
{
	uint8_t *page = ram_alloc(&setup->host.ram, 4096);

	for (unsigned i = 0; i < count; i++) {
		memset(page, 0xEE, 4096);
		assert_int_equal(host_run(&setup->host, 1,
					  command_read(setup, ram_addr(&setup->host.ram, page)),
					  NULL),
				 0);
		assert_int_equal(page[0], 0);
		assert_int_equal(page[511], 0);
		assert_int_equal(page[512], 0xEE);
	}
}

static void reads_of_all_clients(void **state)
{
	static const enum client_flavour flavours[] = {CLIENT_QEMU, CLIENT_CLOUD_HYPERVISOR,
						       CLIENT_SPDK};
	struct setup *setup = setup_new(NVME_DOORBELLS_SHADOW);
	struct vfio_user_target_info info;

	for (unsigned i = 0; i < ARRAY_SIZE(flavours); i++) {
		for (unsigned interrupts = 0; interrupts < 2; interrupts++) {
			setup_open(setup, (struct host_options){.flavour = flavours[i],
								.interrupts = interrupts});
			reads_work(setup, 50);
			info = info_get(setup);
			assert_true(info.connected);
			assert_int_equal(info.client_pid, getpid());
			assert_int_equal(info.memory_regions, 1);
			assert_false(info.memory_private);
			assert_int_equal(info.protocol_errors, 0);
			host_close(&setup->host);
		}
	}
	info = info_get(setup);
	assert_int_equal(info.connections, 6);
	setup_free(setup);
}

static void mapped_doorbells(void **state)
{
	struct setup *setup = setup_new(NVME_DOORBELLS_MAPPED);

	/* Mapped, then the same target by messages, then mapped again. */
	for (unsigned i = 0; i < 3; i++) {
		setup_open(setup, (struct host_options){.map_doorbells = i != 1});
		assert_int_equal(setup->host.doorbell_page != NULL, i != 1);
		reads_work(setup, 50);
		host_close(&setup->host);
	}
	setup_free(setup);
}

/* A client that left but kept the page mapped rings for nobody. */
static void mapped_doorbells_of_a_former_client(void **state)
{
	struct setup *setup = setup_new(NVME_DOORBELLS_MAPPED);
	volatile uint8_t *kept;

	setup_open(setup, (struct host_options){.map_doorbells = true});
	/* A length of zero: a second mapping of the same shared page. */
	kept = mremap(setup->host.doorbell_page, 0, 4096, MREMAP_MAYMOVE);
	assert_true((const void *)(uintptr_t)kept != MAP_FAILED);
	host_close(&setup->host);
	setup_open(setup, (struct host_options){.map_doorbells = true});
	kept[4095] = 0x5A;
	reads_work(setup, 50);
	assert_int_equal(setup->host.doorbell_page[4095], 0);
	host_close(&setup->host);
	munmap((void *)(uintptr_t)kept, 4096);
	setup_free(setup);
}

static void free_with_commands_in_flight(void **state)
{
	struct setup *setup = setup_new(NVME_DOORBELLS_SHADOW);

	const struct block_delay_rule late = {.match = {.ops = BLOCK_FAULT_OPS_ALL},
					      .delay_ns = 200 * NS_PER_MS};

	setup_open(setup, (struct host_options){0});
	reads_in_flight(setup, 8);
	/* Those that are held go on, those still in the queue are late: the free waits. */

	assert_int_equal(block_delay_set(setup->device, &late), 0);
	setup_free(setup);
}

static void killed_with_commands_in_flight(void **state)
{
	struct setup *setup = setup_new(NVME_DOORBELLS_SHADOW);

	for (unsigned i = 0; i < 5; i++) {
		setup_open(setup, (struct host_options){0});
		reads_in_flight(setup, 8);
		host_close(&setup->host);
		for (unsigned wait = 0; wait < 1000 && info_get(setup).connected; wait++)
			client_sleep_us(1000);
		assert_false(info_get(setup).connected);
		assert_int_equal(info_get(setup).memory_regions, 1); /* The drive has it still. */
		assert_int_equal(
			block_delay_set(setup->device, &(struct block_delay_rule){{0}, 0, 0, 0}),
			0);
		assert_int_equal(block_delay_release(setup->device), 0);
	}
	setup_open(setup, (struct host_options){0});
	reads_work(setup, 10);
	assert_int_equal(info_get(setup).nvme.in_flight, 0);
	setup_free(setup);
}

/* T5, T8: the drive holds commands while memory goes, and while the device is reset. */
static void t5_unmap_and_t8_reset_with_commands_in_flight(void **state)
{
	struct setup *setup = setup_new(NVME_DOORBELLS_SHADOW);
	struct client *client = &setup->host.client;
	uint64_t before;

	setup_open(setup, (struct host_options){0});
	reads_in_flight(setup, 4);
	before = client_now_ns();
	assert_int_equal(client_dma_unmap_all(client), 0);
	assert_in_range(client_now_ns() - before, 2 * NS_PER_S, 4 * NS_PER_S);
	assert_int_equal(
		block_delay_set(setup->device, &(struct block_delay_rule){.match = {.ops = 1}}), 0);
	assert_int_equal(block_delay_release(setup->device), 0);
	assert_int_equal(ram_map(&setup->host.ram, client), 0);
	before = client_now_ns();
	assert_int_equal(client_reset(client), 0);
	assert_in_range(client_now_ns() - before, 0, NS_PER_S);
	host_forget(&setup->host);
	host_close(&setup->host);
	setup_open(setup, (struct host_options){0});
	reads_work(setup, 10);
	setup_free(setup);
}

static void t8_function_level_reset_by_config_write(void **state)
{
	struct setup *setup = setup_new(NVME_DOORBELLS_SHADOW);
	struct client *client = &setup->host.client;
	uint8_t capability = 0, id = 0;
	uint32_t bar = 0xFFFFFFFF;
	uint16_t control;

	setup_open(setup, (struct host_options){0});
	/* BAR0 sizes to 32 KiB, 64 bits wide. */
	assert_int_equal(client_config_write(client, 0x10, &bar, 4), 0);
	assert_int_equal(client_config_read(client, 0x10, &bar, 4), 0);
	assert_int_equal(bar, 0xFFFF8004);
	for (unsigned offset = 0; offset < 4096; offset++) {
		const uint8_t byte = 0;

		assert_int_equal(client_config_write(client, offset, &byte, 1), 0);
	}
	assert_int_equal(client_config_read(client, 0x34, &capability, 1), 0);
	for (unsigned i = 0; i < 16 && capability != 0; i++) {
		assert_int_equal(client_config_read(client, capability, &id, 1), 0);
		if (id == 0x10)
			break;
		assert_int_equal(client_config_read(client, capability + 1, &capability, 1), 0);
	}
	assert_int_equal(id, 0x10);
	control = 0x8000;
	assert_int_equal(client_config_write(client, capability + 8, &control, 2), 0);
	assert_int_equal(client_config_read(client, capability + 8, &control, 2), 0);
	assert_int_equal(control & 0x8000, 0);
	assert_int_equal(host_reg32(&setup->host, REG_CC), 0);
	host_close(&setup->host);
	setup_open(setup, (struct host_options){0});
	reads_work(setup, 10);
	setup_free(setup);
}

static void t10_truncated_while_the_device_works(void **state)
{
	struct setup *setup = setup_new(NVME_DOORBELLS_SHADOW);
	struct vfio_user_target_info info;

	for (unsigned i = 0; i < 3; i++) {
		setup_open(setup, (struct host_options){0});
		assert_int_equal(ftruncate(setup->host.ram.fd, 0), 0);
		/* Not host_submit(): our own view of the ring is gone as well. */
		host_doorbell_write(&setup->host.queues[1].sq.doorbell, 1);
		assert_true(client_wait_closed(&setup->host.client, 5000));
		host_close(&setup->host);
		info = info_get(setup);
		assert_false(info.connected);
		assert_string_not_equal(info.last_error, "");
	}
	setup_open(setup, (struct host_options){0});
	reads_work(setup, 10);
	setup_free(setup);
}

/* The device's own doorbell page as guest memory, and memory nobody gave us: errors, no harm. */
static void t11_memory_without_descriptor(void **state)
{
	struct setup *setup = setup_new(NVME_DOORBELLS_MAPPED);
	const struct client_map own_bar = {
		.iova = UINT64_C(0x100000000), .size = 4096, .flags = 3, .fd = -1};
	int status;

	setup_open(setup, (struct host_options){.map_doorbells = true});
	assert_int_equal(client_dma_map(&setup->host.client, &own_bar), 0);
	status = host_run(&setup->host, 1, command_read(setup, own_bar.iova), NULL);
	assert_int_equal(status, 0x04);
	status = host_run(&setup->host, 1, command_read(setup, UINT64_C(0x200000000)), NULL);
	assert_int_equal(status, 0x04);
	reads_work(setup, 10);
	setup_free(setup);
}

static void let_go(struct setup *setup)
{
	const struct block_delay_rule none = {0};

	assert_int_equal(block_delay_set(setup->device, &none), 0);
	assert_int_equal(block_delay_release(setup->device), 0);
}

/* A drive that does not answer: who asks for the end is told so, and may ask again. */
static void drive_that_hangs(void **state)
{
	struct setup *setup = setup_new(NVME_DOORBELLS_SHADOW);
	struct err err = {0};

	setup_open(setup, (struct host_options){0});
	reads_in_flight(setup, 2);
	assert_int_equal(vfio_user_target_detach(setup->target, 1, &err), -ETIMEDOUT);
	assert_int_equal(info_get(setup).nvme.in_flight, 2);
	let_go(setup);
	reads_work(setup, 10);
	reads_in_flight(setup, 2);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(vfio_user_target_stop(setup->target, &err), -ETIMEDOUT);
	assert_false(info_get(setup).connected);
	let_go(setup);
	assert_int_equal(vfio_user_target_stop(setup->target, &err), 0);
	setup_free(setup);
}

static void attach_and_detach(void **state)
{
	struct setup *setup = setup_new(NVME_DOORBELLS_SHADOW);
	struct vfio_user_namespace ns = {
		.nsid = 1, .nguid = {3}, .uuid = {4}, .device = setup->device};
	struct err err = {0};

	assert_int_equal(vfio_user_target_attach(setup->target, &ns, &err), -EEXIST);
	ns.nsid = 5; /* NN is 4. */
	assert_int_equal(vfio_user_target_attach(setup->target, &ns, &err), -EINVAL);
	ns.nsid = 0;
	assert_int_equal(vfio_user_target_attach(setup->target, &ns, &err), -EINVAL);
	assert_int_equal(vfio_user_target_detach(setup->target, 2, &err), -ENOENT);
	assert_string_not_equal(err.text, "");
	ns.nsid = 2;
	assert_int_equal(vfio_user_target_attach(setup->target, &ns, &err), 0);
	setup_open(setup, (struct host_options){0});
	assert_int_equal(vfio_user_target_detach(setup->target, 2, &err), 0);
	vfio_user_target_resized(setup->target, 1);
	reads_work(setup, 10);
	setup_free(setup);
}

static void a_target_on_a_path_in_use(void **state)
{
	struct setup *setup = setup_new(NVME_DOORBELLS_SHADOW);
	struct vfio_user_target_params params = {
		.loop = setup->loop,
		.name = "second",
		.socket_path = setup->path,
		.queue_pairs = 1,
		.queue_entries = 2,
		.namespaces = 1,
		.serial = "S2",
		.model = "M",
	};
	struct vfio_user_target *target = NULL;
	struct err err = {0};

	assert_int_equal(vfio_user_target_new(&params, &target, &err), -EADDRINUSE);
	assert_null(target);
	assert_non_null(strstr(err.text, setup->path));
	params.socket_path = "/nonexistent/x.sock";
	assert_int_equal(vfio_user_target_new(&params, &target, &err), -ENOENT);
	params.queue_pairs = 0;
	assert_int_equal(vfio_user_target_new(&params, &target, &err), -EINVAL);
	vfio_user_target_free(NULL);
	setup_free(setup);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_of_all_clients),
		cmocka_unit_test(mapped_doorbells),
		cmocka_unit_test(mapped_doorbells_of_a_former_client),
		cmocka_unit_test(free_with_commands_in_flight),
		cmocka_unit_test(killed_with_commands_in_flight),
		cmocka_unit_test(t5_unmap_and_t8_reset_with_commands_in_flight),
		cmocka_unit_test(t8_function_level_reset_by_config_write),
		cmocka_unit_test(t10_truncated_while_the_device_works),
		cmocka_unit_test(t11_memory_without_descriptor),
		cmocka_unit_test(drive_that_hangs),
		cmocka_unit_test(attach_and_detach),
		cmocka_unit_test(a_target_on_a_path_in_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on the socket and on one of two targets: bounded memory, and the other one's I/O. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "interop.h"
#include "model.h"

#define MEMORY_BOUND_KIB (96 * 1024)
#define FLOOD_WRITES 200000
#define FLOOD_WRITES_LONG 1000000
#define GARBAGE_ROUNDS 60
#define GARBAGE_BYTES 65536

static struct client *connect_client(struct interop *t, const char *target)
{
	char path[DAEMON_PATH_MAX];
	struct client *c = &t->host.client;

	if (c->fd >= 0)
		client_close(c);
	assert_int_equal(client_connect(c, daemon_target_path(&t->daemon, target, path)), 0);
	assert_int_equal(client_negotiate(c, CLIENT_QEMU), 0);
	return c;
}

/* TP T12: a million posted writes without a pause; order is kept and memory bounded. */
static void flood_t12_of_posted_writes(void **state)
{
	struct interop *t = *state;
	struct client *c = connect_client(t, "null");
	const uint32_t count = t->long_run ? FLOOD_WRITES_LONG : FLOOD_WRITES;
	uint32_t aqa;

	for (uint32_t i = 0; i <= count; i++) {
		aqa = i & 0xFFF;
		assert_int_equal(client_bar_write(c, REG_AQA, &aqa, 4), 0);
	}
	assert_int_equal(client_bar_read(c, REG_AQA, &aqa, 4), 0);
	assert_int_equal(aqa, count & 0xFFF);
	assert_true(interop_memory_below(t, MEMORY_BOUND_KIB));
}

/* TP T12: requests whose replies nobody reads: the server stops reading or hangs up. */
static void flood_t12_without_reading_replies(void **state)
{
	struct interop *t = *state;
	struct client *c = connect_client(t, "null");
	const struct wire_region_access at = {0, WIRE_REGION_CONFIG, 4096};
	const struct client_message m = {
		.command = WIRE_REGION_READ, .payload = &at, .payload_size = sizeof(at)};
	uint8_t bytes[64];
	const size_t size = client_encode(&m, 1, 0, bytes);
	int error = 0;

	c->timeout_ms = 300;
	for (unsigned i = 0; i < 100000 && !error; i++)
		error = client_send_bytes(c, bytes, size, NULL, 0);
	assert_true(error < 0);
	assert_true(interop_memory_below(t, MEMORY_BOUND_KIB));
	client_close(c);
	interop_check_alive(interop_open(t, "disk", 1));
	host_close(&t->host);
	interop_open(t, "null", 1);
}

/* H98: bytes without meaning, with and without a valid VERSION before them. */
static void garbage_streams_end_the_connection(void **state)
{
	struct interop *t = *state;
	CLEANUP_FREE uint8_t *bytes = malloc(GARBAGE_BYTES);
	char path[DAEMON_PATH_MAX];

	for (unsigned i = 0; i < GARBAGE_ROUNDS; i++) {
		struct client *c = &t->host.client;

		client_close(c);
		assert_int_equal(client_connect(c, daemon_target_path(&t->daemon, "null", path)),
				 0);
		if (i % 2)
			assert_int_equal(client_negotiate(c, CLIENT_QEMU), 0);
		random_fill(&t->random, bytes, GARBAGE_BYTES);
		c->timeout_ms = 200;
		if (client_send_bytes(c, bytes, 1 + random_below(&t->random, GARBAGE_BYTES), NULL,
				      0))
			continue;
	}
	client_close(&t->host.client);
	assert_true(interop_memory_below(t, MEMORY_BOUND_KIB));
	interop_open(t, "null", 1);
}

/* Messages with a true header and a false body. */
static size_t half_true_message(struct interop *t, uint8_t *bytes)
{
	const uint32_t size = 16 + 4 * (uint32_t)random_below(&t->random, 24);
	const struct wire_header header = {
		.id = (uint16_t)random_u64(&t->random),
		.command = (uint16_t)random_below(&t->random, 20),
		.size = size,
		.flags = random_chance(&t->random, 1, 4) ? WIRE_FLAG_NO_REPLY : 0,
	};

	random_fill(&t->random, bytes, size);
	memcpy(bytes, &header, sizeof(header));
	for (uint32_t i = 16; i < size; i += 4) {
		if (random_chance(&t->random, 2, 3))
			memset(bytes + i, 0, 4);
		if (random_chance(&t->random, 1, 3))
			bytes[i] = (uint8_t)random_below(&t->random, 64);
	}
	return size;
}

static void drop_replies(struct client *c)
{
	uint8_t drop[4096];

	while (recv(c->fd, drop, sizeof(drop), MSG_DONTWAIT) > 0)
		;
}

/* H98: well-formed headers, random bodies, descriptors where none belong. */
static void garbage_messages_do_no_harm(void **state)
{
	struct interop *t = *state;
	const unsigned rounds = t->long_run ? 200000 : 20000;
	struct client *c = connect_client(t, "null");
	CLEANUP_FD int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	const unsigned fds_before = daemon_fd_count(&t->daemon);

	for (unsigned i = 0; i < rounds; i++) {
		uint8_t bytes[256];
		const size_t size = half_true_message(t, bytes);
		const unsigned fd_count = random_chance(&t->random, 1, 8) ? 1 : 0;

		if (client_send_bytes(c, bytes, size, &fd, fd_count))
			c = connect_client(t, "null");
		drop_replies(c);
	}
	client_close(c);
	assert_true(interop_memory_below(t, MEMORY_BOUND_KIB));
	interop_open(t, "null", 1);
	host_close(&t->host);
	client_sleep_us(200000);
	assert_true(daemon_fd_count(&t->daemon) <= fds_before + 2);
}

/* H29, T9: while one target is attacked, the other's data stay right and come at once. */
static void attack_on_one_leaves_the_other_alone(void **state)
{
	struct interop *t = *state;
	const struct model_options options = {
		.block_count = 16384, .block_bytes = 512, .queues = 2, .rare = true};
	struct model *model = model_new(&options, random_u64(&t->random));
	struct client *c = connect_client(t, "null");
	char path[DAEMON_PATH_MAX];

	interop_open_with(t, &t->other, "disk", (struct host_options){.flavour = CLIENT_QEMU});
	interop_queues(&t->other, 2);
	model_attach(model, &t->other);
	for (unsigned i = 0; i < 100; i++) {
		uint8_t bytes[256];

		for (unsigned k = 0; k < 100; k++) {
			const size_t size = half_true_message(t, bytes);

			if (client_send_bytes(c, bytes, size, NULL, 0))
				break;
			drop_replies(c);
		}
		client_close(c);
		assert_int_equal(client_connect(c, daemon_target_path(&t->daemon, "null", path)),
				 0);
		assert_int_equal(client_negotiate(c, CLIENT_QEMU), 0);
		assert_true(model_run(model, 100));
	}
	assert_true(model_verify(model));
	model_free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		interop_test(attack_on_one_leaves_the_other_alone),
		interop_test(flood_t12_of_posted_writes),
		interop_test(flood_t12_without_reading_replies),
		interop_test(garbage_streams_end_the_connection),
		interop_test(garbage_messages_do_no_harm),
	};

	return interop_main(tests);
}

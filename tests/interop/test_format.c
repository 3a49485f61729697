/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Format NVM against the real thing: the block size a guest chose is there after quoind was
 * killed, and gone with the target.
 */
#include <signal.h>

#include "interop.h"

#define SIZE (16 * MiB)
#define LBA 77

static unsigned lba_shift(struct host *host)
{
	struct host_namespace ns = {0};

	assert_int_equal(host_namespace_get(host, 1, &ns), ST_OK);
	assert_int_equal(ns.block_count << ns.lba_shift, SIZE);
	return ns.lba_shift;
}

static void format_survives(void **state)
{
	struct interop *t = *state;
	char spec[160];
	struct host *host;
	uint8_t *data;

	interop_target(t, "formatted", interop_file(t, "formatted", SIZE, spec));
	host = interop_open(t, "formatted", 1);
	assert_int_equal(lba_shift(host), 9);
	assert_admin(host, ST_OK, .opcode = ADMIN_FORMAT, .nsid = 1, .dw10 = 1);
	assert_int_equal(lba_shift(host), 12);
	data = ram_alloc(&host->ram, RAM_PAGE);
	memset(data, 0x5A, RAM_PAGE);
	assert_int_equal(host_run(host, 1, interop_rw(host, IO_WRITE, LBA, 1, data), NULL), ST_OK);
	assert_io(host, ST_OK, .opcode = IO_FLUSH, .nsid = 1);
	host_close(host);

	assert_int_equal(daemon_stop(&t->daemon, SIGKILL), SIGKILL);
	assert_int_equal(daemon_start(&t->daemon), 0);
	host = interop_open(t, "formatted", 1);
	assert_int_equal(lba_shift(host), 12);
	data = ram_alloc(&host->ram, RAM_PAGE);
	assert_int_equal(host_run(host, 1, interop_rw(host, IO_READ, LBA, 1, data), NULL), ST_OK);
	for (unsigned i = 0; i < RAM_PAGE; i++)
		assert_int_equal(data[i], 0x5A);
	host_close(host);

	assert_int_equal(daemon_target_destroy(&t->daemon, "formatted"), 0);
	interop_target(t, "formatted", spec);
	host = interop_open(t, "formatted", 1);
	assert_int_equal(lba_shift(host), 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		interop_test(format_survives),
	};

	return interop_main(tests);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a controller takes that no guest uses: pages that were written to, as the kernel has them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <quoin/guest.h>
#include <quoin/loop_sim.h>
#include <quoin/nvme.h>

#define CONTROLLERS 64
#define EACH_KIB 20

static const struct nvme_transport_ops transport_ops;

/* gcc and clang say it each in its own way. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

static unsigned anonymous_kib(void)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	char line[256];
	unsigned kib = 0;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Anonymous: %u kB", &kib) == 1)
			break;
	}
	fclose(file);
	return kib;
}

static void idle_controllers_are_small(void **state)
{
	struct nvme_controller *controllers[CONTROLLERS];
	struct loop_sim *sim = loop_sim_new(1);
	struct nvme_params params = {
		.loop = loop_sim_add(sim),
		.transport = &transport_ops,
		.queue_pairs = 4,
		.queue_entries = 1024,
		.namespaces = 1,
		.commands_max = 1024,
		.serial = "serial",
		.model = "model",
	};
	unsigned before, took;

	assert_int_equal(guest_memory_new(&params.memory), 0);
	before = anonymous_kib();
	for (unsigned i = 0; i < CONTROLLERS; i++)
		assert_int_equal(nvme_controller_new(&params, &controllers[i]), 0);
	took = anonymous_kib() - before;
	print_message("%u KiB each\n", took / CONTROLLERS);
#ifndef SANITIZED
	assert_in_range(took, 0, CONTROLLERS * EACH_KIB);
#endif
	for (unsigned i = 0; i < CONTROLLERS; i++)
		nvme_controller_free(controllers[i]);
	guest_memory_free(params.memory);
	loop_sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(idle_controllers_are_small)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Resolving and copying: within a region, across regions, and where it must be refused. */
#include "memory_util.h"

#define RW (GUEST_READ | GUEST_WRITE)

static void resolve_bounds(void **state)
{
	struct guest_memory *memory = memory_new();
	int fd = file_new(4);
	uint8_t *base;

	assert_null(guest_resolve(memory, at(0), 1, GUEST_READ));
	assert_int_equal(guest_memory_map(memory, at(PAGE), 2 * PAGE, RW, fd, PAGE), 0);
	base = guest_resolve(memory, at(PAGE), 2 * PAGE, RW);
	assert_non_null(base);
	for (unsigned pass = 0; pass < 2; pass++) {
		assert_ptr_equal(guest_resolve(memory, at(3 * PAGE - 1), 1, RW),
				 base + 2 * PAGE - 1);
		assert_null(guest_resolve(memory, at(3 * PAGE - 1), 2, RW));
		assert_null(guest_resolve(memory, at(PAGE - 1), 2, RW));
		assert_null(guest_resolve(memory, at(3 * PAGE), 1, RW));
		assert_null(guest_resolve(memory, at(PAGE), UINT64_MAX, RW));
	}
	assert_int_equal(base[0], 1);
	guest_memory_free(memory);
	close(fd);
}

static void protection_is_enforced(void **state)
{
	struct guest_memory *memory = memory_new();
	int fd = file_new(4);
	uint8_t byte = 9;

	assert_int_equal(guest_memory_map(memory, at(0), PAGE, GUEST_READ, fd, 0), 0);
	assert_int_equal(guest_memory_map(memory, at(PAGE), PAGE, GUEST_WRITE, fd, PAGE), 0);
	assert_int_equal(guest_memory_map(memory, at(2 * PAGE), PAGE, RW, -1, 0), 0);
	assert_non_null(guest_resolve(memory, at(0), 1, GUEST_READ));
	assert_null(guest_resolve(memory, at(0), 1, GUEST_WRITE));
	assert_null(guest_resolve(memory, at(0), 1, RW));
	assert_non_null(guest_resolve(memory, at(PAGE), 1, GUEST_WRITE));
	assert_null(guest_resolve(memory, at(PAGE), 1, GUEST_READ));
	assert_null(guest_resolve(memory, at(2 * PAGE), 1, GUEST_READ));
	assert_int_equal(guest_copy_to(memory, at(0), &byte, 1), -EFAULT);
	assert_int_equal(guest_copy_to(memory, at(PAGE), &byte, 1), 0);
	assert_int_equal(guest_copy_from(memory, &byte, at(PAGE), 1), -EFAULT);
	assert_int_equal(guest_copy_from(memory, &byte, at(2 * PAGE), 1), -EFAULT);
	assert_int_equal(byte, 9);
	guest_memory_free(memory);
	close(fd);
}

static void copies_cross_regions(void **state)
{
	struct guest_memory *memory = memory_new();
	int fd = file_new(8);
	uint8_t in[3 * PAGE], out[3 * PAGE];

	/* Pages 5, 1 and 3 of the file, side by side for the guest. */
	assert_int_equal(guest_memory_map(memory, at(0), PAGE, RW, fd, 5 * PAGE), 0);
	assert_int_equal(guest_memory_map(memory, at(PAGE), PAGE, RW, fd, PAGE), 0);
	assert_int_equal(guest_memory_map(memory, at(2 * PAGE), PAGE, RW, fd, 3 * PAGE), 0);
	for (unsigned i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 7 + i / 256);
	assert_int_equal(guest_copy_to(memory, at(100), in, sizeof(in) - 200), 0);
	assert_int_equal(guest_copy_from(memory, out, at(100), sizeof(out) - 200), 0);
	assert_memory_equal(in, out, sizeof(in) - 200);
	assert_int_equal(pread(fd, out, PAGE - 100, 5 * PAGE + 100), PAGE - 100);
	assert_memory_equal(in, out, PAGE - 100);
	assert_int_equal(guest_copy_to(memory, at(2 * PAGE), in, PAGE + 1), -EFAULT);
	assert_int_equal(guest_copy_from(memory, out, at(0), 0), 0);
	guest_memory_free(memory);
	close(fd);
}

static void iov_merges_and_bounds(void **state)
{
	struct guest_memory *memory = memory_new();
	int fd = file_new(4), gap = file_new(4);
	struct iovec iov[4];
	unsigned count = 0;

	assert_int_equal(guest_memory_map(memory, at(0), 2 * PAGE, RW, fd, 0), 0);
	assert_int_equal(guest_memory_map(memory, at(4 * PAGE), 2 * PAGE, RW, gap, 0), 0);
	assert_int_equal(guest_resolve_iov(memory, at(0), 100, GUEST_READ, iov, &count, 2), 0);
	assert_int_equal(count, 1);
	assert_int_equal(guest_resolve_iov(memory, at(100), 100, GUEST_READ, iov, &count, 2), 0);
	assert_int_equal(count, 1);
	assert_int_equal(iov[0].iov_len, 200);
	assert_int_equal(guest_resolve_iov(memory, at(4 * PAGE), 1, GUEST_READ, iov, &count, 2), 0);
	assert_int_equal(count, 2);
	assert_int_equal(guest_resolve_iov(memory, at(0), 1, GUEST_READ, iov, &count, 2), -E2BIG);
	assert_int_equal(count, 2);

	/* A failure behind a merge takes the merge back. */
	assert_int_equal(
		guest_resolve_iov(memory, at(4 * PAGE + 1), 2 * PAGE, GUEST_READ, iov, &count, 4),
		-EFAULT);
	assert_int_equal(count, 2);
	assert_int_equal(iov[1].iov_len, 1);
	guest_memory_free(memory);
	close(fd);
	close(gap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resolve_bounds),
		cmocka_unit_test(protection_is_enforced),
		cmocka_unit_test(copies_cross_regions),
		cmocka_unit_test(iov_merges_and_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

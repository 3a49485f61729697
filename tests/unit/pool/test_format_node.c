/* SPDX-License-Identifier: Apache-2.0 */
/* Pointers to pages, map entries, and their checks. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "format/node.h"
#include "golden.h"

static const struct node_ptr sample_ptr = {
	.vaddr = UINT64_C(0x0a0b0c010203),
	.live = UINT64_C(0x1122334455667788),
	.ckpt = UINT64_C(0x665544332211),
	.epoch = 0xdeadbeef,
	.level = 3,
	.kind = NODE_MAP,
	.check = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
};

static const struct golden ptr_golden[] = {
	{0, "0302010c0b0a 03 01 efbeadde 8877665544332211 0102030405060708090a0b0c0d0e0f10"},
	{56, "112233445566"},
};

static void pointer_is_golden_and_comes_back(void **state)
{
	struct node_ptr ptr;
	uint8_t raw[NODE_PTR_BYTES];
	uint8_t again[NODE_PTR_BYTES];

	node_ptr_encode(&sample_ptr, raw);
	golden_compare(raw, sizeof(raw), ptr_golden, 2);
	assert_int_equal(node_ptr_decode(raw, &ptr), 0);
	assert_int_equal(ptr.ckpt, sample_ptr.ckpt);
	node_ptr_encode(&ptr, again);
	assert_memory_equal(raw, again, sizeof(raw));
}

static void pointer_to_nothing_is_all_zero(void **state)
{
	struct node_ptr ptr = {.level = 3, .kind = NODE_MAP, .epoch = 9};
	uint8_t raw[NODE_PTR_BYTES];

	node_ptr_encode(&ptr, raw);
	golden_compare(raw, sizeof(raw), NULL, 0);
	assert_int_equal(node_ptr_decode(raw, &ptr), 0);
	assert_int_equal(ptr.kind, NODE_NONE);
	raw[63] = 1;
	assert_int_equal(node_ptr_decode(raw, &ptr), -EUCLEAN);
}

static void pointer_that_no_writer_makes(void **state)
{
	static const struct damage damages[] = {
		{"level", 6, "08"},
		{"no kind", 7, "00"},
		{"unknown kind", 7, "09"},
		{"segment 0", 0, "010203000000"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		struct node_ptr ptr = {.vaddr = 77};
		uint8_t raw[NODE_PTR_BYTES];

		node_ptr_encode(&sample_ptr, raw);
		golden_put(raw + damages[i].at, damages[i].hex);
		if (node_ptr_decode(raw, &ptr) != -EUCLEAN || ptr.vaddr != 77)
			fail_msg("%s", damages[i].what);
	}
}

static void references_have_their_places(void **state)
{
	const uint64_t vaddr = vaddr_make(7, 3 * 4096 + 21);

	assert_int_equal(shares_leaf_index(vaddr), 7 * 64 + 3);
	assert_int_equal(shares_leaf_slot(vaddr), 21);
	assert_int_equal(shares_vaddr(7 * 64 + 3, 21), vaddr);
}

static void entry_is_golden_and_comes_back(void **state)
{
	static const struct golden golden[] = {
		{0, "0302010c0b0a 665544332211 efbeadde 2211 4433 0102030405060708090a0b0c"},
	};
	const struct entry entry = {
		.vaddr = UINT64_C(0x0a0b0c010203),
		.seq = UINT64_C(0x112233445566),
		.epoch = 0xdeadbeef,
		.salt = 0x1122,
		.prop = 0x3344,
		.check = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
	};
	struct entry back;
	uint8_t raw[ENTRY_BYTES];
	uint8_t again[ENTRY_BYTES];

	entry_encode(&entry, raw);
	golden_compare(raw, sizeof(raw), golden, 1);
	assert_int_equal(entry_vaddr(raw), entry.vaddr);
	assert_int_equal(entry_seq(raw), entry.seq);
	assert_int_equal(entry_epoch(raw), entry.epoch);
	entry_decode(raw, &back);
	entry_encode(&back, again);
	assert_memory_equal(raw, again, sizeof(raw));
}

/* Values of another implementation of XXH3. */
static void checks_are_golden_and_seeded(void **state)
{
	uint8_t page[PAGE_BYTES];
	uint8_t want[16], check[16];
	uint8_t raw[ENTRY_BYTES] = {0};

	for (size_t i = 0; i < sizeof(page); i++)
		page[i] = (uint8_t)(i * 7 + i / 256);
	assert_int_equal(node_seed(NODE_MAP, 2, 5), UINT64_C(0x0102000000000005));
	assert_int_equal(node_seed(NODE_DEADLIST, 0, 5), UINT64_C(0x0500000000000000));
	assert_int_equal(node_seed(NODE_DEADLIST, 1, 5), UINT64_C(0x0501000000000005));
	golden_put(want, "d82407fa4d3e6e57063e26647fb58958");
	node_check_make(page, node_seed(NODE_MAP, 2, 5), check);
	assert_memory_equal(check, want, 16);
	assert_true(node_check_matches(page, node_seed(NODE_MAP, 2, 5), want));
	assert_false(node_check_matches(page, node_seed(NODE_MAP, 2, 6), want));
	golden_put(raw + 6, "070000000000");
	golden_put(raw + 20, "d77dfaf9f0885bf7ad00b9c7");
	assert_true(entry_check_matches(page, raw));
	raw[6] = 8;
	assert_false(entry_check_matches(page, raw));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pointer_is_golden_and_comes_back),
		cmocka_unit_test(pointer_to_nothing_is_all_zero),
		cmocka_unit_test(pointer_that_no_writer_makes),
		cmocka_unit_test(references_have_their_places),
		cmocka_unit_test(entry_is_golden_and_comes_back),
		cmocka_unit_test(checks_are_golden_and_seeded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The intrusive list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <quoin/base_list.h>

struct item {
	struct list node;
	unsigned number;
};

/* The numbers in the list as decimal digits, first one first; checks the links back as well. */
static unsigned digits(const struct list *head)
{
	unsigned value = 0;

	list_for_each (node, head) {
		assert_ptr_equal(node->next->prev, node);
		assert_ptr_equal(node->prev->next, node);
		value = value * 10 + container_of(node, struct item, node)->number;
	}
	return value;
}

static void items_init(struct item items[10])
{
	for (unsigned i = 0; i < 10; i++) {
		list_init(&items[i].node);
		items[i].number = i;
	}
}

static void both_ends(void **state)
{
	struct item items[10];
	struct list head;

	items_init(items);
	list_init(&head);
	assert_true(list_empty(&head));
	assert_null(list_pop(&head));
	assert_false(list_linked(&items[1].node));
	list_append(&head, &items[2].node);
	list_append(&head, &items[3].node);
	list_prepend(&head, &items[1].node);
	assert_int_equal(digits(&head), 123);
	assert_true(list_linked(&items[1].node));
	assert_ptr_equal(list_pop(&head), &items[1].node);
	assert_false(list_linked(&items[1].node));
	assert_int_equal(digits(&head), 23);
}

static void removal_is_harmless_twice(void **state)
{
	struct item items[10];
	struct list head;

	items_init(items);
	list_init(&head);
	for (unsigned i = 1; i <= 3; i++)
		list_append(&head, &items[i].node);
	list_remove(&items[2].node);
	list_remove(&items[2].node);
	assert_int_equal(digits(&head), 13);
	list_remove(&items[1].node);
	list_remove(&items[3].node);
	assert_true(list_empty(&head));
}

static void splice_moves_all(void **state)
{
	struct item items[10];
	struct list a;
	struct list b;

	items_init(items);
	list_init(&a);
	list_init(&b);
	list_splice(&a, &b);
	assert_true(list_empty(&a));
	list_append(&b, &items[3].node);
	list_append(&b, &items[4].node);
	list_splice(&a, &b);
	assert_int_equal(digits(&a), 34);
	assert_true(list_empty(&b));
	list_append(&b, &items[5].node);
	list_splice(&a, &b);
	assert_int_equal(digits(&a), 345);
}

static void removal_while_walking(void **state)
{
	struct item items[10];
	struct list head;

	items_init(items);
	list_init(&head);
	for (unsigned i = 1; i < 10; i++)
		list_append(&head, &items[i].node);
	list_for_each_safe (node, next, &head) {
		if (container_of(node, struct item, node)->number % 2 == 0)
			list_remove(node);
	}
	assert_int_equal(digits(&head), 13579);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ends),
		cmocka_unit_test(removal_is_harmless_twice),
		cmocka_unit_test(splice_moves_all),
		cmocka_unit_test(removal_while_walking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

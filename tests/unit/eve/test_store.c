/* SPDX-License-Identifier: Apache-2.0 */
/* Who has heard what: consumers that take, refuse, fail, come late, ask again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_text.h>

#include "store.h"

static struct eve_bytes bytes_of(const char *text)
{
	return (struct eve_bytes){.data = (uint8_t *)xstrdup(text), .length = strlen(text)};
}

static void put(struct eve_store *store, struct eve_object *object, const char *text)
{
	struct eve_bytes bytes = bytes_of(text);

	eve_store_put(store, object, &bytes);
}

static struct eve_object *volume(struct eve_store *store, uint8_t number)
{
	const uint8_t guid[16] = {number};
	struct eve_object *object = eve_store_volume(store, guid);

	put(store, object, "v");
	return object;
}

/* The next one, dealt with; its text, or NULL. Valid until the next call. */
static const char *next(struct eve_store *store, unsigned consumer, enum eve_outcome outcome,
			uint64_t now_ms)
{
	static char text[32];
	struct eve_item item;
	uint64_t wait;

	if (!eve_store_next(store, consumer, now_ms, &item, &wait))
		return NULL;
	memset(text, 0, sizeof(text));
	memcpy(text, item.message.data, item.message.length);
	eve_store_done(store, consumer, &item, outcome, now_ms);
	return text;
}

static unsigned attach(struct eve_store *store)
{
	const int consumer = eve_store_attach(store, 0);

	assert_true(consumer >= 0);
	return (unsigned)consumer;
}

static void newer_state_replaces_older(void **state)
{
	struct eve_store store;
	unsigned a;

	eve_store_init(&store);
	a = attach(&store);
	assert_null(next(&store, a, EVE_TAKEN, 0));
	put(&store, &store.device, "one");
	put(&store, &store.device, "two");
	assert_int_equal(eve_store_pending(&store, a), 1);
	assert_string_equal(next(&store, a, EVE_TAKEN, 0), "two");
	assert_null(next(&store, a, EVE_TAKEN, 0));
	assert_int_equal(eve_store_pending(&store, a), 0);
	eve_store_fini(&store);
}

/* State until it is taken, counters once. */
static void what_fails_is_tried_again(void **state)
{
	struct eve_store store;
	unsigned a;

	eve_store_init(&store);
	a = attach(&store);
	put(&store, &store.device, "state");
	assert_string_equal(next(&store, a, EVE_FAILED, 0), "state");
	assert_string_equal(next(&store, a, EVE_FAILED, 0), "state");
	assert_string_equal(next(&store, a, EVE_TAKEN, 0), "state");
	put(&store, &store.metrics, "counters");
	put(&store, &store.hardware, "drives");
	assert_string_equal(next(&store, a, EVE_FAILED, 0), "counters");
	assert_string_equal(next(&store, a, EVE_FAILED, 0), "drives");
	assert_null(next(&store, a, EVE_TAKEN, 0));
	eve_store_fini(&store);
}

/* A state that came while the one before was handed on. */
static void changed_meanwhile(void **state)
{
	struct eve_store store;
	struct eve_item item;
	uint64_t wait;
	unsigned a;

	eve_store_init(&store);
	a = attach(&store);
	put(&store, &store.device, "one");
	assert_true(eve_store_next(&store, a, 0, &item, &wait));
	put(&store, &store.device, "two");
	eve_store_done(&store, a, &item, EVE_TAKEN, 0);
	assert_string_equal(next(&store, a, EVE_TAKEN, 0), "two");
	eve_store_fini(&store);
}

static void one_that_is_refused(void **state)
{
	struct eve_store store;
	struct eve_object *bad;
	struct eve_item item;
	uint64_t wait;
	unsigned a;

	eve_store_init(&store);
	a = attach(&store);
	bad = volume(&store, 1);
	put(&store, bad, "bad");
	assert_string_equal(next(&store, a, EVE_REFUSED, 0), "bad");
	/* Others go on. */
	volume(&store, 2);
	assert_string_equal(next(&store, a, EVE_TAKEN, 0), "v");
	assert_false(eve_store_next(&store, a, 1, &item, &wait));
	assert_int_equal(wait, EVE_REFUSED_MS - 1);
	assert_string_equal(next(&store, a, EVE_REFUSED, EVE_REFUSED_MS), "bad");
	assert_false(eve_store_next(&store, a, EVE_REFUSED_MS, &item, &wait));
	assert_int_equal(wait, 2 * EVE_REFUSED_MS);
	for (unsigned i = 0; i < 40; i++) {
		const uint64_t now = (uint64_t)EVE_REFUSED_MAX_MS * (i + 2);

		assert_string_equal(next(&store, a, EVE_REFUSED, now), "bad");
		assert_false(eve_store_next(&store, a, now, &item, &wait));
		assert_in_range(wait, EVE_REFUSED_MS, EVE_REFUSED_MAX_MS);
	}
	/* Another state is another message. */
	put(&store, bad, "good");
	assert_string_equal(next(&store, a, EVE_TAKEN, 0), "good");
	eve_store_fini(&store);
}

static void consumers_do_not_share(void **state)
{
	struct eve_store store;
	unsigned a, b;

	eve_store_init(&store);
	a = attach(&store);
	put(&store, &store.device, "one");
	assert_string_equal(next(&store, a, EVE_TAKEN, 0), "one");
	/* Who comes late gets all; who asks again too. */
	b = attach(&store);
	assert_int_not_equal(a, b);
	assert_string_equal(next(&store, b, EVE_TAKEN, 0), "one");
	assert_null(next(&store, a, EVE_TAKEN, 0));
	eve_store_again(&store, b);
	assert_string_equal(next(&store, b, EVE_TAKEN, 0), "one");
	assert_null(next(&store, a, EVE_TAKEN, 0));
	eve_store_detach(&store, a);
	assert_int_equal(attach(&store), a);
	assert_string_equal(next(&store, a, EVE_TAKEN, 0), "one");
	for (unsigned i = 2; i < EVE_CONSUMERS_MAX; i++)
		attach(&store);
	assert_int_equal(eve_store_attach(&store, 0), -ENOSPC);
	eve_store_fini(&store);
}

/* All of many, each once, while one of them is refused. */
static void all_have_their_turn(void **state)
{
	struct eve_store store;
	struct eve_item item;
	unsigned heard[256] = {0};
	uint64_t wait;
	unsigned a;

	eve_store_init(&store);
	a = attach(&store);
	for (unsigned i = 0; i < ARRAY_SIZE(heard); i++)
		volume(&store, (uint8_t)i);
	while (eve_store_next(&store, a, 0, &item, &wait)) {
		const uint8_t number = item.object->guid[0];

		heard[number]++;
		eve_store_done(&store, a, &item, number == 7 ? EVE_REFUSED : EVE_TAKEN, 0);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(heard); i++)
		assert_int_equal(heard[i], 1);
	assert_int_equal(eve_store_pending(&store, a), 1);
	eve_store_fini(&store);
}

/* Neither too early for who has not heard, nor while it is being handed on. */
static void when_it_is_over(void **state)
{
	struct eve_store store;
	struct eve_object *object;
	struct eve_item item;
	uint64_t wait;
	unsigned a;

	eve_store_init(&store);
	a = attach(&store);
	object = volume(&store, 1);
	assert_false(eve_store_is_over(&store, object, EVE_GONE_KEPT_MS));
	object->gone = true;
	assert_false(eve_store_is_over(&store, object, EVE_GONE_KEPT_MS));
	assert_true(eve_store_next(&store, a, 0, &item, &wait));
	assert_false(eve_store_is_over(&store, object, EVE_GONE_KEPT_MS));
	eve_store_done(&store, a, &item, EVE_TAKEN, 0);
	assert_false(eve_store_is_over(&store, object, EVE_GONE_KEPT_MS - 1));
	assert_true(eve_store_is_over(&store, object, EVE_GONE_KEPT_MS));
	eve_store_fini(&store);
}

static void waits_are_drawn(void **state)
{
	struct random random;
	uint64_t least = UINT64_MAX, most = 0;

	random_init(&random, 1);
	for (unsigned i = 0; i < 10000; i++) {
		const uint64_t wait = eve_jitter_ms(&random, 60);

		least = MIN(least, wait);
		most = MAX(most, wait);
	}
	assert_int_equal(least, 18000);
	assert_int_equal(most, 60000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(newer_state_replaces_older),
		cmocka_unit_test(what_fails_is_tried_again),
		cmocka_unit_test(changed_meanwhile),
		cmocka_unit_test(one_that_is_refused),
		cmocka_unit_test(consumers_do_not_share),
		cmocka_unit_test(all_have_their_turn),
		cmocka_unit_test(when_it_is_over),
		cmocka_unit_test(waits_are_drawn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

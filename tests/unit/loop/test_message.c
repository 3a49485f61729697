/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between threads: order per sender, and no lost wake-up. $QUOIN_LOOP_MESSAGES is the
 * number of them per sender, for slow machines.
 */
#include <pthread.h>
#include <stdlib.h>

#include <quoin/base_text.h>

#include "real.h"

#define SENDERS 4
#define MESSAGES 100000
#define MESSAGES_MIN 2000
#define BURST_MAX 40

struct numbered {
	struct loop_message message;
	unsigned sender;
	unsigned number;
};

struct exchange {
	struct loop *loop;
	pthread_t threads[SENDERS];
	struct sender {
		struct exchange *exchange;
		unsigned index;
		struct numbered *messages;
	} senders[SENDERS];
	unsigned count; /* of each sender */
	unsigned next[SENDERS];
	_Atomic unsigned received;
	bool disordered;
};

static struct exchange exchange;

static void receive(struct loop_message *message)
{
	struct numbered *numbered = container_of(message, struct numbered, message);

	/* Judged in the main thread: cmocka's assertions belong there. */
	if (numbered->number != exchange.next[numbered->sender])
		exchange.disordered = true;
	exchange.next[numbered->sender]++;
	atomic_fetch_add(&exchange.received, 1);
}

static unsigned message_count(void)
{
	const char *text = getenv("QUOIN_LOOP_MESSAGES");
	const unsigned count = text ? (unsigned)strtoul(text, NULL, 10) : MESSAGES;

	assert_true(count >= MESSAGES_MIN);
	return count;
}

/* Bursts, each waited for, and now and then until the receiver has fallen asleep. */
static void *send_bursts(void *arg)
{
	struct sender *sender = arg;
	struct random random;
	unsigned bursts = 0;
	unsigned sent = 0;

	random_init(&random, sender->index);
	while (sent < exchange.count) {
		const unsigned burst = 1 + (unsigned)random_below(&random, BURST_MAX);
		const unsigned received = atomic_load(&exchange.received);
		const uint64_t sleeps = loop_stats_get(exchange.loop).sleeps;

		for (unsigned i = 0; i < burst && sent < exchange.count; i++, sent++) {
			sender->messages[sent] = (struct numbered){
				.message.deliver = receive,
				.sender = sender->index,
				.number = sent,
			};
			loop_message_send(exchange.loop, &sender->messages[sent].message);
		}
		/* A lost wake-up would hang here, and the test would run into its time limit. */
		while (atomic_load(&exchange.received) == received)
			sched_yield();
		bursts++;
		while (bursts % 64 == 0 && loop_stats_get(exchange.loop).sleeps == sleeps)
			sched_yield();
	}
	return NULL;
}

static void messages_keep_order_and_wake(void **state)
{
	struct loop_stats stats;

	exchange = (struct exchange){.loop = test_loop_new(), .count = message_count()};
	assert_int_equal(loop_start_thread(exchange.loop), 0);
	for (unsigned i = 0; i < SENDERS; i++) {
		struct sender *sender = &exchange.senders[i];

		*sender = (struct sender){&exchange, i,
					  xcalloc(exchange.count, sizeof(struct numbered))};
		assert_int_equal(pthread_create(&exchange.threads[i], NULL, send_bursts, sender),
				 0);
	}
	for (unsigned i = 0; i < SENDERS; i++)
		pthread_join(exchange.threads[i], NULL);
	while (atomic_load(&exchange.received) < SENDERS * exchange.count)
		sched_yield();
	loop_stop(exchange.loop);
	loop_join(exchange.loop);
	stats = loop_stats_get(exchange.loop);
	loop_free(exchange.loop);
	assert_false(exchange.disordered);
	assert_int_equal(stats.messages, SENDERS * exchange.count);
	assert_true(stats.sleeps > exchange.count / BURST_MAX / 64);
	for (unsigned i = 0; i < SENDERS; i++)
		free(exchange.senders[i].messages);
}

struct ping {
	struct loop_message message;
	struct loop *loops[2];
	unsigned left;
	bool done;
	unsigned at;
};

static void bounce(struct loop_message *message)
{
	struct ping *ping = container_of(message, struct ping, message);

	ping->done = !loop_is_current(ping->loops[ping->at]) || --ping->left == 0;
	if (ping->done) {
		loop_stop(ping->loops[0]);
		loop_stop(ping->loops[1]);
		return;
	}
	ping->at ^= 1;
	loop_message_send(ping->loops[ping->at], message);
}

static void ping_pong_between_sleeping_loops(void **state)
{
	struct ping ping = {.message.deliver = bounce, .left = message_count() / 5};

	for (unsigned i = 0; i < 2; i++) {
		ping.loops[i] = test_loop_new();
		assert_int_equal(loop_start_thread(ping.loops[i]), 0);
	}
	loop_message_send(ping.loops[0], &ping.message);
	for (unsigned i = 0; i < 2; i++)
		loop_join(ping.loops[i]);
	assert_int_equal(ping.left, 0);
	for (unsigned i = 0; i < 2; i++)
		loop_free(ping.loops[i]);
}

struct asked {
	struct loop *loop;
	pthread_t thread;
	bool current;
};

static void answer(void *arg)
{
	struct asked *asked = arg;

	asked->thread = pthread_self();
	asked->current = loop_is_current(asked->loop);
}

static void call_runs_in_the_loop(void **state)
{
	struct asked asked = {.loop = test_loop_new()};

	assert_int_equal(loop_start_thread(asked.loop), 0);
	loop_call(asked.loop, answer, &asked);
	assert_true(asked.current);
	assert_false(pthread_equal(asked.thread, pthread_self()));
	assert_false(loop_is_current(asked.loop));
	loop_stop(asked.loop);
	loop_join(asked.loop);
	loop_free(asked.loop);
}

struct order {
	struct loop *loop;
	struct loop_message message;
	char seen[4];
	unsigned count;
	bool at_once;
};

static void second(void *arg)
{
	struct order *order = arg;

	order->seen[order->count++] = '2';
	loop_stop(order->loop);
}

static void at_once(void *arg)
{
	struct order *order = arg;

	order->seen[order->count++] = '1';
}

/* In the loop itself it has run when the call returns. */
static void first(struct loop_message *message)
{
	struct order *order = container_of(message, struct order, message);

	loop_post(order->loop, at_once, order);
	order->at_once = order->count == 1;
}

static void posts_keep_order(void **state)
{
	struct order order = {.loop = test_loop_new(), .message.deliver = first};

	assert_int_equal(loop_start_thread(order.loop), 0);
	loop_message_send(order.loop, &order.message);
	loop_post(order.loop, second, &order);
	loop_join(order.loop);
	assert_string_equal(order.seen, "12");
	assert_true(order.at_once);
	loop_free(order.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_keep_order_and_wake),
		cmocka_unit_test(ping_pong_between_sleeping_loops),
		cmocka_unit_test(call_runs_in_the_loop),
		cmocka_unit_test(posts_keep_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

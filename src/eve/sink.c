/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all ways out have in common: one message after the other, and what happens when one is not
 * taken. A way that fails waits 1 s, then twice as long each time up to a minute, with some chance
 * in it so that many devices do not come back at once. Meanwhile newer states replace those that
 * wait, and counters are lost, as they are cumulative.
 */
#include <stdio.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_clock.h>
#include <quoin/control.h>
#include <quoin/health_events.h>

#include "private.h"

#define RETRY_MS 1000
#define RETRY_MAX_MS (60 * 1000)

const char *eve_way_word(enum eve_way way)
{
	static const char *const words[EVE_WAYS] = {[EVE_SOCKET] = "socket",
						    [EVE_DIRECTORY] = "directory",
						    [EVE_CONTROLLER] = "controller"};

	return words[way];
}

void eve_sink_problem(struct eve_sink *sink, const char *problem)
{
	struct health_events *events = control_events(sink->eve->control);
	struct eve_way_status *status = &sink->status;
	const bool was = status->problem[0] != '\0';

	health_text_copy(status->problem, sizeof(status->problem), problem);
	if (!was && problem[0] != '\0')
		health_events_add(events, HEALTH_REPORT_FAILED, "quoind", "%s", status->problem);
	else if (was && problem[0] == '\0')
		health_events_add(events, HEALTH_REPORT_WORKS, "quoind", "EVE's %s is told again",
				  eve_way_word(sink->way));
}

void eve_sink_note(struct eve_sink *sink, unsigned consumer, enum eve_outcome outcome,
		   const char *why)
{
	struct eve_way_status *status = &sink->status;

	if (outcome == EVE_TAKEN) {
		status->delivered++;
		status->last_ms = clock_now_ms(CLOCK_REALTIME);
		/* One that is refused stays a problem while others are taken. */
		if (sink->refusing && eve_store_pending(&sink->eve->look.store, consumer) > 0)
			return;
		sink->refusing = false;
		eve_sink_problem(sink, "");
		return;
	}
	sink->refusing = outcome == EVE_REFUSED;
	if (outcome == EVE_REFUSED)
		status->refused++;
	else
		status->failed++;
	eve_sink_problem(sink, why);
}

bool eve_sink_heard(struct eve_sink *sink, const struct eve_request *request)
{
	const bool other = request->has_epoch && sink->has_epoch && sink->epoch != request->epoch;

	if (request->has_epoch) {
		sink->has_epoch = true;
		sink->epoch = request->epoch;
	}
	return other || request->send;
}

/* Unlocks and locks again. */
static enum eve_outcome hand_on(struct eve_sink *sink, const struct eve_delivery *delivery,
				const struct eve_item *item, struct err *err)
{
	enum eve_outcome outcome;

	pthread_mutex_unlock(&sink->eve->lock);
	outcome = delivery->deliver(delivery->data, item, err);
	pthread_mutex_lock(&sink->eve->lock);
	return outcome;
}

static void back_off(struct eve_sink *sink, unsigned failures)
{
	const uint64_t whole =
		MIN((uint64_t)RETRY_MS << MIN(failures - 1, 10U), (uint64_t)RETRY_MAX_MS);
	const uint64_t until = clock_now_ms(CLOCK_MONOTONIC) + whole / 2 +
			       random_below(&sink->eve->random, whole / 2);

	while (!atomic_load(&sink->stop) && !sink->hurry && clock_now_ms(CLOCK_MONOTONIC) < until)
		eve_wait(sink->eve, until);
	sink->hurry = false;
}

/* With the lock. One message, or a wait for one. */
static void turn(struct eve_sink *sink, const struct eve_delivery *delivery, unsigned consumer,
		 unsigned *failures)
{
	struct eve_store *store = &sink->eve->look.store;
	const uint64_t now = clock_now_ms(CLOCK_MONOTONIC);
	enum eve_outcome outcome;
	struct err err = {.code = 0};
	struct eve_item item;
	bool hardware;
	uint64_t wait_ms;

	if (!eve_store_next(store, consumer, now, &item, &wait_ms)) {
		eve_wait(sink->eve, wait_ms == UINT64_MAX ? UINT64_MAX : now + wait_ms);
		return;
	}
	hardware = item.kind == EVE_KIND_HARDWARE;
	outcome = hand_on(sink, delivery, &item, &err);
	/* First: who asked for all has just heard this one. */
	if (sink->again)
		eve_store_again(store, consumer);
	sink->again = false;
	eve_store_done(store, consumer, &item, outcome, clock_now_ms(CLOCK_MONOTONIC));
	if (atomic_load(&sink->stop))
		return;
	eve_sink_note(sink, consumer, outcome, err.text);
	sink->hardware_told = sink->hardware_told || (hardware && outcome == EVE_TAKEN);
	*failures = outcome == EVE_FAILED ? *failures + 1 : 0;
	if (*failures > 0)
		back_off(sink, *failures);
}

void eve_sink_run(struct eve_sink *sink, const struct eve_delivery *delivery)
{
	unsigned failures = 0;
	int consumer;

	pthread_mutex_lock(&sink->eve->lock);
	consumer = eve_store_attach(&sink->eve->look.store, sink->way);
	ASSERT(consumer >= 0);
	sink->status.pending = 0;
	while (!atomic_load(&sink->stop))
		turn(sink, delivery, (unsigned)consumer, &failures);
	eve_store_detach(&sink->eve->look.store, (unsigned)consumer);
	pthread_mutex_unlock(&sink->eve->lock);
}

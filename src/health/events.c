/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal: a ring in memory, and the thread that writes it down.
 *
 * Positions count events since the journal was opened, those read from the files included; the ring
 * has the newest. `saved` is the position up to which they are in the file. A file that cannot be
 * written stops nothing: events stay in the ring until there is room, or until newer ones push them
 * out, which is counted and told.
 */
#include <quoin/health_events.h>

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <quoin/base_assert.h>
#include <quoin/base_clock.h>
#include <quoin/base_text.h>

#include "events_file.h"
#include "fold.h"

#define BATCH 32
#define TICK_MS 1000

/* An event in memory, where there are many: its words take as much as they are long. */
struct kept {
	uint64_t number, time_ms;
	enum health_event_type type;
	unsigned count;
	char *words; /* the object, a NUL, the text; owned */
};

struct health_events {
	struct health_events_params params;
	pthread_t thread;
	pthread_mutex_t lock;	/* of all below, but the file and the batch */
	pthread_cond_t work;	/* the thread has something to do */
	pthread_cond_t changed; /* there are more, or a flush is done */
	bool stopping;
	uint64_t flush_wanted, flush_done;
	uint64_t next_number;
	uint64_t tail, saved; /* positions */
	uint64_t retry_ms;    /* monotonic; the file is not tried before */
	uint64_t lost, lost_told, skipped;
	bool unclean;
	char problem[160];
	struct folds folds;
	struct kept *ring;	 /* HEALTH_EVENTS_KEPT */
	struct events_file file; /* the thread's, as is `batch` */
	struct health_event batch[BATCH];
};

static uint64_t wall_ms(const struct health_events *events)
{
	/* 0 is no time. */
	const uint64_t now = events->params.clock_ms ? events->params.clock_ms(events->params.data)
						     : clock_now_ms(CLOCK_REALTIME);

	return MAX(now, UINT64_C(1));
}

/* --- The ring: with the lock -------------------------------------------------------------------
 */

static uint64_t oldest(const struct health_events *events)
{
	return events->tail > HEALTH_EVENTS_KEPT ? events->tail - HEALTH_EVENTS_KEPT : 0;
}

static struct kept *at(const struct health_events *events, uint64_t position)
{
	return &events->ring[position % HEALTH_EVENTS_KEPT];
}

/* In place of the oldest one. */
static void keep(struct health_events *events, const struct health_event *event, uint64_t number)
{
	struct kept *slot = at(events, events->tail++);
	const size_t object = strlen(event->object) + 1;
	const size_t text = strlen(event->text) + 1;

	free(slot->words);
	*slot = (struct kept){.number = number,
			      .time_ms = event->time_ms,
			      .type = event->type,
			      .count = event->count,
			      .words = xmalloc(object + text)};
	memcpy(slot->words, event->object, object);
	memcpy(slot->words + object, event->text, text);
}

static void kept_get(const struct kept *slot, struct health_event *ret_event)
{
	const size_t object = strlen(slot->words) + 1;

	*ret_event = (struct health_event){.number = slot->number,
					   .time_ms = slot->time_ms,
					   .type = slot->type,
					   .count = slot->count};
	memcpy(ret_event->object, slot->words, object);
	memcpy(ret_event->text, slot->words + object, strlen(slot->words + object) + 1);
}

static void publish(struct health_events *events, const struct health_event *event)
{
	keep(events, event, events->next_number++);
	if (events->saved < oldest(events)) {
		events->lost += oldest(events) - events->saved;
		events->saved = oldest(events);
	}
	pthread_cond_broadcast(&events->changed);
}

static void event_make(const struct health_events *events, struct health_event *ret_event,
		       enum health_event_type type, const char *object)
{
	*ret_event = (struct health_event){.type = type, .count = 1, .time_ms = wall_ms(events)};
	health_text_copy(ret_event->object, sizeof(ret_event->object), object);
}

void health_events_add(struct health_events *events, enum health_event_type type,
		       const char *object, const char *format, ...)
{
	char text[2 * HEALTH_TEXT_MAX];
	struct health_event event;
	struct health_event other;
	va_list args;
	bool pass;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	event_make(events, &event, type, object);
	health_text_copy(event.text, sizeof(event.text), text);
	pthread_mutex_lock(&events->lock);
	pass = fold_pass(&events->folds, &event, &other);
	if (other.count > 0)
		publish(events, &other);
	if (pass)
		publish(events, &event);
	pthread_cond_signal(&events->work);
	pthread_mutex_unlock(&events->lock);
}

/* --- The thread --------------------------------------------------------------------------------
 */

static void windows_end(struct health_events *events, bool all)
{
	struct health_event event;

	while (fold_take(&events->folds, wall_ms(events), all, &event))
		publish(events, &event);
}

static void lost_tell(struct health_events *events)
{
	struct health_event event;

	if (events->lost == events->lost_told)
		return;
	event_make(events, &event, HEALTH_EVENTS_LOST, "quoind");
	snprintf(event.text, sizeof(event.text), "%llu events could not be saved in time",
		 (unsigned long long)(events->lost - events->lost_told));
	events->lost_told = events->lost;
	publish(events, &event);
}

/* Without the lock. */
static int batch_write(struct health_events *events, unsigned count)
{
	struct text lines;
	int r;

	text_init(&lines);
	for (unsigned i = 0; i < count; i++) {
		json_t *json = health_event_encode(&events->batch[i]);
		CLEANUP_FREE char *line = json_dumps(json, JSON_COMPACT);

		json_decref(json);
		ASSERT(line != NULL);
		text_printf(&lines, "%s\n", line);
	}
	r = events_file_write(&events->file, lines.data, lines.length);
	text_fini(&lines);
	return r;
}

/* Told where it changes. */
static void problem_set(struct health_events *events, int error)
{
	char text[sizeof(events->problem)] = "";

	if (error < 0)
		snprintf(text, sizeof(text), "events are not saved: %s", strerror(-error));
	if (strcmp(text, events->problem) == 0)
		return;
	memcpy(events->problem, text, sizeof(text));
	if (!events->params.problem)
		return;
	pthread_mutex_unlock(&events->lock);
	events->params.problem(events->params.data, error < 0 ? text : NULL);
	pthread_mutex_lock(&events->lock);
}

/* With the lock, which is let go meanwhile. */
static void save(struct health_events *events)
{
	int r = 0;

	while (r == 0 && events->saved < events->tail) {
		const uint64_t from = events->saved;
		const unsigned count = (unsigned)MIN(events->tail - from, (uint64_t)BATCH);

		for (unsigned i = 0; i < count; i++)
			kept_get(at(events, from + i), &events->batch[i]);
		pthread_mutex_unlock(&events->lock);
		r = batch_write(events, count);
		pthread_mutex_lock(&events->lock);
		if (r == 0)
			events->saved = MAX(events->saved, from + count);
		if (r == 0)
			lost_tell(events);
	}
	if (r < 0)
		events->retry_ms = clock_now_ms(CLOCK_MONOTONIC) + HEALTH_RETRY_MS;
	problem_set(events, r);
}

static bool save_wanted(const struct health_events *events)
{
	if (events->saved == events->tail)
		return false;
	return events->problem[0] == '\0' || events->stopping ||
	       events->flush_done < events->flush_wanted ||
	       clock_now_ms(CLOCK_MONOTONIC) >= events->retry_ms;
}

static void until(struct timespec *ret_time, unsigned ms)
{
	clock_gettime(CLOCK_MONOTONIC, ret_time);
	ret_time->tv_sec += ms / 1000;
	ret_time->tv_nsec += (long)(ms % 1000) * 1000000;
	if (ret_time->tv_nsec >= 1000000000) {
		ret_time->tv_sec++;
		ret_time->tv_nsec -= 1000000000;
	}
}

/* Sleeps for good when nothing is held and nothing waits for a file. */
static void sleep_a_while(struct health_events *events)
{
	struct timespec deadline;

	if (!fold_any(&events->folds) && events->saved == events->tail) {
		pthread_cond_wait(&events->work, &events->lock);
		return;
	}
	until(&deadline, TICK_MS);
	pthread_cond_timedwait(&events->work, &events->lock, &deadline);
}

static void *thread_main(void *arg)
{
	struct health_events *events = arg;
	bool last = false;

	pthread_mutex_lock(&events->lock);
	while (!last) {
		const uint64_t flush = events->flush_wanted;

		last = events->stopping;
		windows_end(events, last);
		if (save_wanted(events))
			save(events);
		if (events->flush_done < flush) {
			events->flush_done = flush;
			pthread_cond_broadcast(&events->changed);
		}
		if (!last && !events->stopping && events->flush_wanted == flush &&
		    !save_wanted(events))
			sleep_a_while(events);
	}
	pthread_mutex_unlock(&events->lock);
	return NULL;
}

/* --- Life ---------------------------------------------------------------------------------------
 */

static void loaded_take(void *data, const struct health_event *event)
{
	struct health_events *events = data;

	/* Numbers that do not grow are not those of one journal: what comes later counts. */
	keep(events, event, event->number);
	events->next_number = MAX(events->next_number, event->number + 1);
	events->unclean = event->type != HEALTH_DAEMON_STOPPED;
}

static void conditions_init(struct health_events *events)
{
	pthread_condattr_t attributes;

	pthread_mutex_init(&events->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&events->work, &attributes);
	pthread_cond_init(&events->changed, &attributes);
	pthread_condattr_destroy(&attributes);
}

static void let_go(struct health_events *events)
{
	events_file_close(&events->file);
	for (unsigned i = 0; i < HEALTH_EVENTS_KEPT; i++)
		free(events->ring[i].words);
	pthread_cond_destroy(&events->work);
	pthread_cond_destroy(&events->changed);
	pthread_mutex_destroy(&events->lock);
	free(events->ring);
	free(events);
}

int health_events_new(const struct health_events_params *params, struct health_events **ret_events)
{
	struct health_events *events = xcalloc(1, sizeof(*events));
	int r;

	events->params = *params;
	events->ring = xcalloc(HEALTH_EVENTS_KEPT, sizeof(*events->ring));
	events->next_number = 1;
	events->file = (struct events_file){
		.directory_fd = params->directory_fd,
		.fd = -1,
		.bytes_max = params->file_bytes ? params->file_bytes : HEALTH_EVENTS_FILE_BYTES,
	};
	conditions_init(events);
	events->skipped = events_file_load(&events->file, loaded_take, events);
	events->saved = events->tail;
	if (events->unclean)
		events->next_number += HEALTH_NUMBER_GAP;
	r = pthread_create(&events->thread, NULL, thread_main, events);
	if (r != 0) {
		let_go(events);
		return -r;
	}
	pthread_setname_np(events->thread, "events");
	*ret_events = events;
	return 0;
}

void health_events_free(struct health_events *events)
{
	if (!events)
		return;
	pthread_mutex_lock(&events->lock);
	events->stopping = true;
	pthread_cond_signal(&events->work);
	pthread_mutex_unlock(&events->lock);
	pthread_join(events->thread, NULL);
	let_go(events);
}

/* --- For others ----------------------------------------------------------------------------------
 */

void health_events_flush(struct health_events *events)
{
	uint64_t mine;

	pthread_mutex_lock(&events->lock);
	mine = ++events->flush_wanted;
	pthread_cond_signal(&events->work);
	while (events->flush_done < mine)
		pthread_cond_wait(&events->changed, &events->lock);
	pthread_mutex_unlock(&events->lock);
}

/* `object` itself, or in it. */
static bool is_in(const char *object, const char *wanted)
{
	const size_t length = strlen(wanted);

	return strncmp(object, wanted, length) == 0 &&
	       (object[length] == '\0' || strchr("/@:", object[length]));
}

unsigned health_events_read(struct health_events *events, const struct health_events_query *query,
			    struct health_event *ret_found, unsigned max)
{
	unsigned count = 0;

	pthread_mutex_lock(&events->lock);
	for (uint64_t p = oldest(events); p < events->tail && count < max; p++) {
		const struct kept *event = at(events, p);

		if (event->number <= query->since ||
		    health_event_severity(event->type) < query->severity ||
		    (query->object && !is_in(event->words, query->object)))
			continue;
		kept_get(event, &ret_found[count++]);
	}
	pthread_mutex_unlock(&events->lock);
	return count;
}

void health_events_status(struct health_events *events, struct health_events_status *ret_status)
{
	struct health_events_status status = {.oldest = 0};

	pthread_mutex_lock(&events->lock);
	if (events->tail > 0) {
		status.oldest = at(events, oldest(events))->number;
		status.newest = at(events, events->tail - 1)->number;
	}
	status.folded = events->folds.folded;
	status.unsaved = events->tail - events->saved;
	status.lost = events->lost;
	status.skipped = events->skipped;
	status.unclean = events->unclean;
	memcpy(status.problem, events->problem, sizeof(status.problem));
	pthread_mutex_unlock(&events->lock);
	*ret_status = status;
}

void health_events_wait(struct health_events *events, uint64_t since, const atomic_bool *stop,
			unsigned timeout_ms)
{
	struct timespec deadline;
	int r = 0;

	until(&deadline, timeout_ms);
	pthread_mutex_lock(&events->lock);
	while (r == 0 && !atomic_load(stop) &&
	       (events->tail == 0 || at(events, events->tail - 1)->number <= since))
		r = pthread_cond_timedwait(&events->changed, &events->lock, &deadline);
	pthread_mutex_unlock(&events->lock);
}

void health_events_wake(struct health_events *events)
{
	pthread_mutex_lock(&events->lock);
	pthread_cond_broadcast(&events->changed);
	pthread_mutex_unlock(&events->lock);
}

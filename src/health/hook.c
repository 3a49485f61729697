/* SPDX-License-Identifier: Apache-2.0 */
/* The thread of a hook: which event is next, tries, and how far it came. */
#include <quoin/health_hook.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>

#include <quoin/base_assert.h>
#include <quoin/base_text.h>

#include "hook_run.h"

#define IDLE_MS (60 * 1000)

struct health_hook {
	struct health_hook_params params;
	char *where;
	pthread_t thread;
	atomic_bool stop;
	pthread_mutex_t lock; /* of the status */
	struct health_hook_status status;
};

/* --- How far it came ------------------------------------------------------------------------- */

static const char *file_of(const struct health_hook *hook)
{
	return hook->params.program ? "hook-program" : "hook-url";
}

/* False: there is no number in it, or no file. */
static bool place_load(const struct health_hook *hook, uint64_t *ret_at)
{
	CLEANUP_FD int fd = openat(hook->params.directory_fd, file_of(hook),
				   O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char text[32] = "";
	char *end;

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0 || text[0] < '0' || text[0] > '9')
		return false;
	*ret_at = strtoull(text, &end, 10);
	return *end == '\n';
}

/* An event that is handed on twice is no harm: nothing waits until the number is durable. */
static void place_save(const struct health_hook *hook, uint64_t at)
{
	char temporary[32];
	char text[32];
	CLEANUP_FD int fd = -1;
	int length;

	snprintf(temporary, sizeof(temporary), "%s.new", file_of(hook));
	length = snprintf(text, sizeof(text), "%" PRIu64 "\n", at);
	fd = openat(hook->params.directory_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
		    0600);
	if (fd < 0 || write(fd, text, (size_t)length) != length ||
	    renameat(hook->params.directory_fd, temporary, hook->params.directory_fd,
		     file_of(hook)) < 0)
		unlinkat(hook->params.directory_fd, temporary, 0);
}

/* A hook that is new begins with what happens from now on. */
static uint64_t place_first(const struct health_hook *hook)
{
	struct health_events_status status;
	uint64_t at = 0;

	health_events_status(hook->params.events, &status);
	if (!place_load(hook, &at) || at > status.newest)
		return status.newest;
	return at;
}

static void done_with(struct health_hook *hook, uint64_t number)
{
	pthread_mutex_lock(&hook->lock);
	hook->status.at = number;
	pthread_mutex_unlock(&hook->lock);
	place_save(hook, number);
}

/* --- Tries --------------------------------------------------------------------------------------
 */

/* Told where it changes. */
static void problem_set(struct health_hook *hook, const char *text)
{
	bool same;

	pthread_mutex_lock(&hook->lock);
	same = strncmp(hook->status.problem, text, sizeof(hook->status.problem) - 1) == 0;
	snprintf(hook->status.problem, sizeof(hook->status.problem), "%s", text);
	pthread_mutex_unlock(&hook->lock);
	if (!same && hook->params.problem)
		hook->params.problem(hook->params.data, text[0] != '\0' ? text : NULL);
}

static int try_once(struct health_hook *hook, const struct health_event *event)
{
	json_t *json = health_event_encode(event);
	CLEANUP_FREE char *text = json_dumps(json, JSON_COMPACT);
	const struct hook_try try = {.where = hook->where,
				     .event = event,
				     .json = text,
				     .timeout_ms = hook->params.timeout_ms,
				     .stop = &hook->stop};
	struct err err = {.code = 0};
	int r;

	ASSERT(text != NULL);
	r = hook->params.program ? hook_program_run(&try, &err) : hook_url_post(&try, &err);
	json_decref(json);
	if (r != -ECANCELED)
		problem_set(hook, r < 0 ? err.text : "");
	return r;
}

static void count(struct health_hook *hook, uint64_t *counter)
{
	pthread_mutex_lock(&hook->lock);
	(*counter)++;
	pthread_mutex_unlock(&hook->lock);
}

static void deliver(struct health_hook *hook, const struct health_event *event)
{
	unsigned pause_ms = hook->params.retry_ms;

	for (unsigned i = 1; !atomic_load(&hook->stop); i++) {
		if (try_once(hook, event) == 0) {
			count(hook, &hook->status.delivered);
			done_with(hook, event->number);
			return;
		}
		if (i == HEALTH_HOOK_TRIES) {
			count(hook, &hook->status.failed);
			done_with(hook, event->number);
			return;
		}
		health_events_wait(hook->params.events, UINT64_MAX, &hook->stop, pause_ms);
		count(hook, &hook->status.retries);
		pause_ms = MIN(2 * pause_ms, (unsigned)HEALTH_HOOK_RETRY_MAX_MS);
	}
}

static void *thread_main(void *arg)
{
	struct health_hook *hook = arg;
	uint64_t at = hook->status.at;

	while (!atomic_load(&hook->stop)) {
		const struct health_events_query query = {.since = at,
							  .severity = hook->params.severity};
		struct health_events_status status;
		struct health_event event;

		/* First what there is: none of it may come between the two. */
		health_events_status(hook->params.events, &status);
		if (health_events_read(hook->params.events, &query, &event, 1) == 1) {
			deliver(hook, &event);
			at = event.number;
			continue;
		}
		at = MAX(at, status.newest);
		health_events_wait(hook->params.events, at, &hook->stop, IDLE_MS);
	}
	return NULL;
}

/* --- Life ---------------------------------------------------------------------------------------
 */

static int params_check(const struct health_hook_params *params, struct err *err)
{
	if (params->program && params->program[0] != '/')
		return err_set(err, -EINVAL,
			       "\"%.200s\": a program for events must be an absolute path",
			       params->program);
	if (!params->program && strncmp(params->url, "http://", 7) != 0 &&
	    strncmp(params->url, "https://", 8) != 0)
		return err_set(err, -EINVAL,
			       "\"%.200s\": an address for events begins with http:// or https://",
			       params->url);
	return 0;
}

int health_hook_new(const struct health_hook_params *params, struct health_hook **ret_hook,
		    struct err *err)
{
	struct health_hook *hook;
	int r = params_check(params, err);

	if (r < 0)
		return r;
	/* Here, and not by the first use: that would be in a thread. */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, -ENOMEM, "libcurl does not start");
	hook = xcalloc(1, sizeof(*hook));
	hook->params = *params;
	hook->where = xstrdup(params->program ? params->program : params->url);
	if (hook->params.timeout_ms == 0)
		hook->params.timeout_ms = HEALTH_HOOK_TIMEOUT_MS;
	if (hook->params.retry_ms == 0)
		hook->params.retry_ms = HEALTH_HOOK_RETRY_MS;
	hook->status.at = place_first(hook);
	/* What comes now is not lost if there is a restart before the first is done with. */
	place_save(hook, hook->status.at);
	pthread_mutex_init(&hook->lock, NULL);
	r = pthread_create(&hook->thread, NULL, thread_main, hook);
	if (r != 0) {
		pthread_mutex_destroy(&hook->lock);
		free(hook->where);
		free(hook);
		return err_set(err, -r, "cannot start a thread for events: %s", strerror(r));
	}
	pthread_setname_np(hook->thread, "event-hook");
	*ret_hook = hook;
	return 0;
}

void health_hook_free(struct health_hook *hook)
{
	if (!hook)
		return;
	atomic_store(&hook->stop, true);
	health_events_wake(hook->params.events);
	pthread_join(hook->thread, NULL);
	pthread_mutex_destroy(&hook->lock);
	free(hook->where);
	free(hook);
}

void health_hook_status(struct health_hook *hook, struct health_hook_status *ret_status)
{
	pthread_mutex_lock(&hook->lock);
	*ret_status = hook->status;
	pthread_mutex_unlock(&hook->lock);
}

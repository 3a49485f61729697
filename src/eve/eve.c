/* SPDX-License-Identifier: Apache-2.0 */
/* The watcher, and how it and the ways out come and go; see private.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <curl/curl.h>

#include <quoin/base_assert.h>
#include <quoin/base_clock.h>
#include <quoin/base_text.h>
#include <quoin/control_file.h>

#include "private.h"
#include "state.h"

#define LOOK_MS 1000
#define FIRST_METRICS_MS 3000 /* pools are looked at until then */
#define FIRST_HARDWARE_MS 5000
#define HARDWARE_RETRY_MS (120 * 1000) /* until a controller took it once */

/* --- With the lock -------------------------------------------------------------------------- */

void eve_changed(struct eve *eve)
{
	const uint64_t one = 1;

	pthread_cond_broadcast(&eve->changed);
	for (unsigned i = 0; i < EVE_WAYS; i++) {
		/* It can only be full: then it is awake anyway. */
		if (eve->sinks[i].wake_fd >= 0 &&
		    write(eve->sinks[i].wake_fd, &one, sizeof(one)) < 0)
			continue;
	}
}

void eve_wait(struct eve *eve, uint64_t until_ms)
{
	const struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
				       .tv_nsec = (long)(until_ms % 1000) * 1000000};

	if (until_ms == UINT64_MAX)
		pthread_cond_wait(&eve->changed, &eve->lock);
	else
		pthread_cond_timedwait(&eve->changed, &eve->lock, &until);
}

static void send_again(struct eve *eve, uint64_t now_ms)
{
	if (!eve->send)
		return;
	eve->send = false;
	for (unsigned i = 0; i < EVE_CONSUMERS_MAX; i++)
		eve_store_again(&eve->look.store, i);
	for (unsigned i = 0; i < EVE_WAYS; i++)
		eve->sinks[i].hurry = true;
	eve->metrics_due_ms = eve->hardware_due_ms = now_ms;
}

/* Counters that cannot be saved are told all the same: they only may fall at a restart. */
static void metrics_look(struct eve *eve, const struct eve_view *view, struct eve_moment moment)
{
	struct eve_bytes message = eve_look_metrics(&eve->look, view, moment);
	CLEANUP_FREE char *text =
		eve->look.totals.changed ? eve_totals_encode(&eve->look.totals) : NULL;
	const unsigned renewals = eve->look.renewals;
	int r = 0;

	eve->look.totals.changed = false;
	if (text) {
		pthread_mutex_unlock(&eve->lock);
		r = control_file_replace(eve->directory_fd, EVE_TOTALS_FILE, text);
		pthread_mutex_lock(&eve->lock);
		eve->counters_problem[0] = '\0';
	}
	if (r < 0) {
		eve->look.totals.changed = true;
		snprintf(eve->counters_problem, sizeof(eve->counters_problem),
			 "cannot save counters in the state directory: %s", strerror(-r));
	}
	/* Somebody configured meanwhile: it may be of another format. */
	if (renewals == eve->look.renewals)
		eve_store_put(&eve->look.store, &eve->look.store.metrics, &message);
	eve_bytes_fini(&message);
}

static uint64_t hardware_wait_ms(struct eve *eve)
{
	const struct eve_sink *controller = &eve->sinks[EVE_CONTROLLER];

	if (controller->status.on && !controller->hardware_told)
		return HARDWARE_RETRY_MS;
	return eve_jitter_ms(&eve->random, eve->look.config.hardware_s);
}

static void look(struct eve *eve, const struct eve_view *view)
{
	const struct eve_moment moment = {.now_ms = clock_now_ms(CLOCK_MONOTONIC),
					  .wall_ms = clock_now_ms(CLOCK_REALTIME)};
	const struct eve_config *config = &eve->look.config;
	bool news;

	send_again(eve, moment.now_ms);
	news = eve_look_state(&eve->look, view, moment);
	if (moment.now_ms >= eve->info_due_ms) {
		eve_look_heartbeat(&eve->look, view, moment);
		eve->info_due_ms = moment.now_ms + eve_jitter_ms(&eve->random, config->info_s);
		news = true;
	}
	if (moment.now_ms >= eve->hardware_due_ms) {
		eve_look_hardware(&eve->look, view, moment);
		eve->hardware_due_ms = moment.now_ms + hardware_wait_ms(eve);
		news = true;
	}
	/* Else with the next view. */
	if (view->all && moment.now_ms >= eve->metrics_due_ms) {
		metrics_look(eve, view, moment);
		eve->metrics_due_ms =
			moment.now_ms + eve_jitter_ms(&eve->random, config->metrics_s);
		news = true;
	}
	if (news)
		eve_changed(eve);
}

/* --- The watcher ---------------------------------------------------------------------------- */

static void *watcher_main(void *arg)
{
	struct eve *eve = arg;

	pthread_mutex_lock(&eve->lock);
	while (!eve->stopping) {
		uint64_t next_ms = UINT64_MAX;
		struct eve_known known;
		struct eve_view view;
		bool all;

		if (eve_config_is_on(&eve->look.config)) {
			eve_look_known(&eve->look, &known);
			all = eve->send || clock_now_ms(CLOCK_MONOTONIC) >= eve->metrics_due_ms;
			pthread_mutex_unlock(&eve->lock);
			eve_view_take(&view, eve->control, all ? NULL : &known);
			pthread_mutex_lock(&eve->lock);
			look(eve, &view);
			eve_view_fini(&view);
			next_ms = clock_now_ms(CLOCK_MONOTONIC) + LOOK_MS;
		}
		while (!eve->stopping && !eve->send && clock_now_ms(CLOCK_MONOTONIC) < next_ms &&
		       (next_ms != UINT64_MAX || !eve_config_is_on(&eve->look.config)))
			eve_wait(eve, next_ms);
	}
	pthread_mutex_unlock(&eve->lock);
	return NULL;
}

static int watcher_start(struct eve *eve, struct err *err)
{
	const int r = pthread_create(&eve->thread, NULL, watcher_main, eve);

	if (r != 0)
		return err_set(err, -r, "cannot start a thread for EVE: %s", strerror(r));
	pthread_setname_np(eve->thread, "eve");
	eve->running = true;
	return 0;
}

/* --- Ways out ------------------------------------------------------------------------------- */

static bool way_is_on(const struct eve_config *config, enum eve_way way)
{
	switch (way) {
	case EVE_SOCKET:
		return config->socket[0] != '\0';
	case EVE_DIRECTORY:
		return config->directory[0] != '\0';
	case EVE_CONTROLLER:
		return config->controller[0] != '\0';
	case EVE_WAYS:
		break;
	}
	UNREACHABLE();
}

static void sink_start(struct eve *eve, enum eve_way way)
{
	static void *(*const mains[EVE_WAYS])(void *) = {[EVE_SOCKET] = eve_socket_main,
							 [EVE_DIRECTORY] = eve_directory_main,
							 [EVE_CONTROLLER] = eve_controller_main};
	struct eve_sink *sink = &eve->sinks[way];
	char name[16];
	int r;

	sink->config = eve->look.config;
	sink->status = (struct eve_way_status){.on = way_is_on(&sink->config, way)};
	sink->hurry = sink->refusing = sink->again = sink->hardware_told = false;
	atomic_store(&sink->stop, false);
	if (!sink->status.on)
		return;
	if (way == EVE_SOCKET)
		sink->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = pthread_create(&sink->thread, NULL, mains[way], sink);
	sink->running = r == 0;
	if (r != 0) {
		eve_sink_problem(sink, "there is no thread for it");
		return;
	}
	snprintf(name, sizeof(name), "eve-%s", eve_way_word(way));
	pthread_setname_np(sink->thread, name);
}

static void sinks_start(struct eve *eve)
{
	const uint64_t now_ms = clock_now_ms(CLOCK_MONOTONIC);

	pthread_mutex_lock(&eve->lock);
	eve->info_due_ms = now_ms + eve_jitter_ms(&eve->random, eve->look.config.info_s);
	eve->metrics_due_ms = now_ms + FIRST_METRICS_MS;
	eve->hardware_due_ms = now_ms + FIRST_HARDWARE_MS;
	for (unsigned i = 0; i < EVE_WAYS; i++)
		sink_start(eve, (enum eve_way)i);
	eve_changed(eve);
	pthread_mutex_unlock(&eve->lock);
}

static void sinks_stop(struct eve *eve)
{
	pthread_mutex_lock(&eve->lock);
	for (unsigned i = 0; i < EVE_WAYS; i++)
		atomic_store(&eve->sinks[i].stop, true);
	eve_changed(eve);
	pthread_mutex_unlock(&eve->lock);
	for (unsigned i = 0; i < EVE_WAYS; i++) {
		if (eve->sinks[i].running)
			pthread_join(eve->sinks[i].thread, NULL);
		eve->sinks[i].running = false;
	}
	pthread_mutex_lock(&eve->lock);
	for (unsigned i = 0; i < EVE_WAYS; i++)
		base_close(&eve->sinks[i].wake_fd);
	pthread_mutex_unlock(&eve->lock);
}

/* --- The door ------------------------------------------------------------------------------- */

static struct eve *eve_alloc(const struct eve_params *params)
{
	struct eve *eve = xcalloc(1, sizeof(*eve));
	pthread_condattr_t attributes;
	uint64_t seed;

	random_system_fill(&seed, sizeof(seed));
	random_init(&eve->random, seed);
	eve->control = params->control;
	eve->version = xstrdup(params->version);
	eve->directory_fd = -1;
	pthread_mutex_init(&eve->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&eve->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	for (unsigned i = 0; i < EVE_WAYS; i++) {
		eve->sinks[i].eve = eve;
		eve->sinks[i].way = (enum eve_way)i;
		eve->sinks[i].wake_fd = -1;
	}
	return eve;
}

int eve_new(const struct eve_params *params, struct eve **ret_eve, struct err *err)
{
	struct eve *eve = eve_alloc(params);
	struct eve_config config;
	int r = 0;

	eve_config_init(&config);
	eve_look_init(&eve->look, &config, eve->version);
	/* Here, and not by the first use: that would be in a thread. */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		r = err_set(err, -ENOMEM, "libcurl does not start");
	if (r == 0)
		eve->directory_fd = open(params->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r == 0 && eve->directory_fd < 0)
		r = err_set(err, -errno, "cannot open %s: %s", params->state_dir, strerror(errno));
	if (r == 0)
		r = eve_state_load(eve->directory_fd, &config, err);
	if (r == 0) {
		eve_state_load_totals(eve->directory_fd, &eve->look.totals, eve->counters_problem,
				      sizeof(eve->counters_problem));
		eve->look.config = config;
		r = watcher_start(eve, err);
	}
	if (r < 0) {
		eve_free(eve);
		return r;
	}
	sinks_start(eve);
	*ret_eve = eve;
	return 0;
}

void eve_free(struct eve *eve)
{
	if (!eve)
		return;
	sinks_stop(eve);
	pthread_mutex_lock(&eve->lock);
	eve->stopping = true;
	eve_changed(eve);
	pthread_mutex_unlock(&eve->lock);
	if (eve->running)
		pthread_join(eve->thread, NULL);
	eve_look_fini(&eve->look);
	pthread_cond_destroy(&eve->changed);
	pthread_mutex_destroy(&eve->lock);
	base_close(&eve->directory_fd);
	free(eve->version);
	free(eve);
}

void eve_config_get(struct eve *eve, struct eve_config *ret_config)
{
	pthread_mutex_lock(&eve->lock);
	*ret_config = eve->look.config;
	pthread_mutex_unlock(&eve->lock);
}

int eve_configure(struct eve *eve, const struct eve_config *config, struct err *err)
{
	int r = eve_state_store(eve->directory_fd, config, err);

	if (r < 0)
		return r;
	sinks_stop(eve);
	pthread_mutex_lock(&eve->lock);
	eve_look_renew(&eve->look, config);
	pthread_mutex_unlock(&eve->lock);
	sinks_start(eve);
	return 0;
}

void eve_send(struct eve *eve)
{
	pthread_mutex_lock(&eve->lock);
	eve->send = eve_config_is_on(&eve->look.config);
	eve_changed(eve);
	pthread_mutex_unlock(&eve->lock);
}

void eve_status(struct eve *eve, struct eve_status *ret_status)
{
	struct eve_store *store = &eve->look.store;

	memset(ret_status, 0, sizeof(*ret_status));
	pthread_mutex_lock(&eve->lock);
	for (unsigned i = 0; i < EVE_WAYS; i++)
		ret_status->ways[i] = eve->sinks[i].status;
	for (unsigned i = 0; i < EVE_CONSUMERS_MAX; i++) {
		struct eve_way_status *way = &ret_status->ways[store->ways[i]];

		if (store->attached[i])
			way->pending += eve_store_pending(store, i);
	}
	ret_status->objects = store->count + (store->device.version > 0);
	ret_status->looks = eve->look.number;
	ret_status->changes = store->changes;
	memcpy(ret_status->counters_problem, eve->counters_problem, sizeof(eve->counters_problem));
	pthread_mutex_unlock(&eve->lock);
}

static void print(struct eve *eve, const struct eve_printer *to)
{
	struct eve_view view;

	eve_view_take(&view, eve->control, NULL);
	pthread_mutex_lock(&eve->lock);
	eve_look_print(&eve->look, &view, clock_now_ms(CLOCK_REALTIME), to);
	pthread_mutex_unlock(&eve->lock);
	eve_view_fini(&view);
}

json_t *eve_messages(struct eve *eve)
{
	const struct eve_printer to = {.json = json_object()};

	print(eve, &to);
	return to.json;
}

void eve_frames(struct eve *eve, struct text *ret_frames)
{
	const struct eve_printer to = {.frames = ret_frames};

	text_init(ret_frames);
	print(eve, &to);
}

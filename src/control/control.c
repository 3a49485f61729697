/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of targets, and its life with the daemon: restored at start, saved after each change,
 * freed at the end.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <quoin/base_assert.h>
#include <quoin/base_child.h>
#include <quoin/base_log.h>
#include <quoin/base_size.h>
#include <quoin/base_text.h>
#include <quoin/control_json.h>

#include "events.h"
#include "pool_life.h"
#include "pool_use.h"
#include "private.h"
#include "volume.h"

#define TEST_TICK_MS 100 /* of schedules, with recorded drives */

/* --- The list ------------------------------------------------------------------------------- */

struct control_target *control_find(struct control *control, const char *name)
{
	for (unsigned i = 0; i < control->target_count; i++) {
		if (strcmp(control->targets[i]->spec.name, name) == 0)
			return control->targets[i];
	}
	return NULL;
}

int control_get(struct control *control, const char *name, struct control_target **ret,
		struct err *err)
{
	struct control_target *target = control_find(control, name);

	if (!target)
		return err_set(err, -ENOENT, "there is no target \"%s\": see quoin target list",
			       name);
	*ret = target;
	return 0;
}

void control_append(struct control *control, struct control_target *target)
{
	ASSERT(control->target_count < CONTROL_TARGETS_MAX);
	control->targets[control->target_count++] = target;
}

unsigned control_take(struct control *control, const struct control_target *target)
{
	unsigned i = 0;

	while (i < control->target_count && control->targets[i] != target)
		i++;
	ASSERT(i < control->target_count);
	control->target_count--;
	memmove(&control->targets[i], &control->targets[i + 1],
		(control->target_count - i) * sizeof(*control->targets));
	return i;
}

void control_put_back(struct control *control, struct control_target *target, unsigned index)
{
	ASSERT(control->target_count < CONTROL_TARGETS_MAX);
	memmove(&control->targets[index + 1], &control->targets[index],
		(control->target_count - index) * sizeof(*control->targets));
	control->targets[index] = target;
	control->target_count++;
}

int control_save(struct control *control, struct err *err)
{
	json_t *targets = json_array();
	int r;

	ASSERT(targets != NULL);
	for (unsigned i = 0; i < control->target_count; i++)
		ASSERT(json_array_append_new(targets, control_target_spec_to_json(
							      &control->targets[i]->spec)) == 0);
	r = control_state_save(&control->state, CONTROL_STATE_TARGETS, targets, err);
	json_decref(targets);
	return r;
}

/* --- Running a target ----------------------------------------------------------------------- */

/* Two disks on one file would destroy each other; this names the one that has it. */
int control_volume_free(struct control *control, const struct control_namespace_spec *wanted,
			const struct control_target *but, struct err *err)
{
	for (unsigned i = 0; i < control->target_count; i++) {
		const struct control_target *target = control->targets[i];

		for (unsigned n = 0; target != but && n < target->spec.namespace_count; n++) {
			const struct control_namespace_spec *ns = &target->spec.namespaces[n];

			if (control_volume_clash(ns, wanted))
				return err_set(err, -EBUSY,
					       "%s is in use by target \"%s\" as namespace %u",
					       wanted->volume, target->spec.name, ns->nsid);
		}
	}
	return 0;
}

static int volumes_free(struct control *control, const struct control_target *target,
			struct err *err)
{
	const struct control_target_spec *spec = &target->spec;

	for (unsigned i = 0; i < spec->namespace_count; i++) {
		const char *volume = spec->namespaces[i].volume;
		int r = control_volume_check(volume, control->test_volumes, err);

		if (r == 0)
			r = control_volume_free(control, &spec->namespaces[i], target, err);
		if (r < 0)
			return r;
		for (unsigned j = 0; j < i; j++) {
			if (control_volume_clash(&spec->namespaces[i], &spec->namespaces[j]))
				return err_set(err, -EBUSY, "%s is given twice", volume);
		}
	}
	return 0;
}

int control_run(struct control *control, struct control_target *target, struct err *err)
{
	/* Where its pool is at home, requests need no message to another thread. */
	const int home = control_pool_worker(&control->pools, &target->spec);
	const unsigned index =
		home >= 0 ? (unsigned)home : control_workers_choose(&control->workers);
	struct control_worker *worker = &control->workers.workers[index];
	struct err why = {.code = 0};
	int r = volumes_free(control, target, &why);

	target->pools = &control->pools;
	target->state_fd = control->state.directory_fd;
	if (r < 0)
		control_target_halt(target, why.text);
	else
		r = control_target_run(target, worker->loop, &why);
	if (r < 0)
		return err_set(err, r, "%s", why.text);
	target->worker = index;
	worker->targets++;
	return 0;
}

void control_halt(struct control *control, struct control_target *target, const char *why)
{
	if (target->transport)
		control->workers.workers[target->worker].targets--;
	control_target_halt(target, why);
}

/* --- Life ------------------------------------------------------------------------------------ */

static int restore_one(struct control *control, const json_t *json, size_t index, struct err *err)
{
	struct control_target_spec spec;
	struct control_target *target;
	int r = control_target_spec_from_json(json, &spec, err);

	if (r == 0) {
		r = control_target_spec_check(&spec, true, err);
		if (r == 0 && control_find(control, spec.name))
			r = err_set(err, -EEXIST, "\"%s\" is there twice", spec.name);
		if (r < 0)
			control_target_spec_fini(&spec);
	}
	if (r < 0) {
		err_prefix(err,
			   "%s/targets.json is damaged (repair it, or move it away), target %zu",
			   control->state.directory, index + 1);
		return -EUCLEAN;
	}
	control_target_spec_identify(&spec);
	target = control_target_new(&spec, control->runtime_dir);
	control_target_spec_fini(&spec);
	control_append(control, target);
	return 0;
}

static int restore(struct control *control, struct err *err)
{
	json_t *targets = NULL;
	int r = control_state_load(&control->state, CONTROL_STATE_TARGETS, &targets, err);

	if (r < 0)
		return r;
	if (json_array_size(targets) > CONTROL_TARGETS_MAX)
		r = err_set(err, -EUCLEAN, "%s/targets.json has more than %d targets",
			    control->state.directory, CONTROL_TARGETS_MAX);
	for (size_t i = 0; r == 0 && i < json_array_size(targets); i++)
		r = restore_one(control, json_array_get(targets, i), i, err);
	json_decref(targets);
	return r;
}

static void run_all(struct control *control)
{
	for (unsigned i = 0; i < control->target_count; i++) {
		struct control_target *target = control->targets[i];
		struct err why;

		if (control_run(control, target, &why) == 0) {
			log_info("target \"%s\" listens on %s", target->spec.name,
				 target->socket_path);
			continue;
		}
		log_warning("target \"%s\" is not running: %s", target->spec.name, why.text);
		health_events_add(control->events, HEALTH_TARGET_FAILED, target->spec.name, "%s",
				  why.text);
	}
}

static int memory_check(uint64_t bytes, struct err *err)
{
	char text[SIZE_TEXT_MAX];

	if (bytes == 0 || bytes >= CONTROL_MEMORY_MIN)
		return 0;
	return err_set(err, -EINVAL, "memory must be at least 96M, not %s",
		       size_format(bytes, text));
}

/* What a daemon that was killed left there is of no use to anybody. */
static int staging_make(const char *path, struct err *err)
{
	const int r = control_directory_make(path, err);
	DIR *dir = r == 0 ? opendir(path) : NULL;
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)) != NULL) {
		if (strncmp(entry->d_name, "image-", 6) == 0 &&
		    unlinkat(dirfd(dir), entry->d_name, 0) == 0)
			log_info("%s/%s, half of an image, is gone", path, entry->d_name);
	}
	if (dir)
		closedir(dir);
	return r;
}

static int open_all(struct control *control, const struct control_params *params, struct err *err)
{
	int r = memory_check(params->memory_bytes, err);

	if (r == 0)
		r = control_state_open(&control->state, params->state_dir, err);
	if (r == 0)
		r = control_events_open(control, params, err);
	if (r == 0)
		r = control_directory_make(params->runtime_dir, err);
	if (r == 0)
		r = staging_make(control->staging_dir, err);
	if (r == 0)
		r = restore(control, err);
	if (r == 0)
		r = control_pools_restore(control, err);
	if (r == 0)
		r = control_host_read(control->state.directory_fd, &control->pools.host, err);
	if (r == 0)
		r = control_workers_start(&control->workers, params->workers, params->cpus, err);
	return r;
}

static void sandbox_look(void)
{
	const char *missing = child_sandbox_missing();

	if (missing)
		log_warning(
			"programs that read images run without %s: this kernel does not offer it, "
			"or forbids it to us",
			missing);
}

int control_new(const struct control_params *params, struct control **ret_control, struct err *err)
{
	struct control *control = xcalloc(1, sizeof(*control));
	struct image_opener outside;
	int r;

	control->state.directory_fd = -1;
	control->state.lock_fd = -1;
	control->pools.workers = &control->workers;
	control->pools.board = &control->board;
	control_board_init(&control->board);
	control->runtime_dir = xstrdup(params->runtime_dir);
	control->staging_dir = xasprintf("%s/staging", params->state_dir);
	image_opener_nbd(&outside, control->runtime_dir, control->staging_dir);
	control_errand_init(&control->errand);
	control_sources_init(&control->sources, &control->errand, &outside, &control->pools.opener);
	control->pools.errand = &control->errand;
	sandbox_look();
	control->test_volumes = params->test_volumes;
	control->memory_bytes =
		params->memory_bytes ? params->memory_bytes : CONTROL_MEMORY_DEFAULT;
	r = open_all(control, params, err);
	if (r < 0) {
		control_free(control);
		return r;
	}
	control_events_started(control);
	control_pools_start(control);
	control_sources_tend(control);
	run_all(control);
	r = control_scheduler_start(&control->scheduler, control,
				    params->test_smart ? TEST_TICK_MS : 0, err);
	if (r < 0) {
		control_free(control);
		return r;
	}
	*ret_control = control;
	return 0;
}

int control_stop(struct control *control, struct err *err)
{
	int worst = control_exports_stop(&control->exports, err);

	control_scheduler_stop(&control->scheduler);
	for (unsigned i = 0; i < control->target_count; i++) {
		const int r = control_target_stop(control->targets[i], err);

		worst = r < 0 ? r : worst;
	}
	if (worst < 0)
		return worst;
	while (control->target_count > 0)
		control_target_free(control->targets[--control->target_count]);
	control_pools_stop(control);
	health_events_add(control->events, HEALTH_DAEMON_STOPPED, "quoind", "it was told to");
	return 0;
}

void control_free(struct control *control)
{
	struct err why;

	if (!control)
		return;
	control_scheduler_stop(&control->scheduler);
	if (control_exports_stop(&control->exports, &why) < 0)
		log_error("%s", why.text);
	while (control->target_count > 0)
		control_target_free(control->targets[--control->target_count]);
	control_pools_stop(control);
	control_workers_stop(&control->workers);
	control_events_close(control);
	control_board_fini(&control->board);
	control_state_close(&control->state);
	control_sources_fini(&control->sources);
	control_errand_fini(&control->errand);
	free(control->staging_dir);
	free(control->runtime_dir);
	free(control);
}

unsigned control_worker_count(const struct control *control)
{
	return control->workers.count;
}

void control_worker_info(const struct control *control, unsigned index,
			 struct control_worker_info *ret_info)
{
	const struct control_worker *worker = &control->workers.workers[index];
	struct loop_stats stats;

	ASSERT_U64(index, <, control->workers.count);
	stats = loop_stats_get(worker->loop);
	ret_info->cpu = worker->cpu;
	ret_info->targets = worker->targets;
	ret_info->pools = worker->pools;
	ret_info->turns = stats.turns;
	ret_info->sleeps = stats.sleeps;
	ret_info->io_submitted = stats.io_submitted;
	ret_info->io_batches = stats.io_batches;
	ret_info->messages = stats.messages;
}

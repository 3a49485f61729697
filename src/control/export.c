/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of exports: begun by a verb, run by a thread each, looked at and cancelled by others.
 * What can be refused is refused before the thread begins.
 */
#include "export.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <quoin/base_assert.h>
#include <quoin/base_clock.h>
#include <quoin/base_log.h>
#include <quoin/base_text.h>

#include "pool_use.h"
#include "volume.h"

#define STOP_S 20 /* for the end of one that was cancelled */

/* --- May it begin ------------------------------------------------------------------------------
 */

static bool same_file(const char *path, const struct stat *st)
{
	struct stat other;

	return stat(path, &other) == 0 && other.st_dev == st->st_dev && other.st_ino == st->st_ino;
}

/* A file that pools or targets live on would be replaced under them. */
static int path_check(struct control *control, const char *path, struct err *err)
{
	const struct control_pools *pools = &control->pools;
	struct stat st;

	if (stat(path, &st) < 0)
		return 0;
	for (unsigned i = 0; i < pools->count; i++) {
		const struct control_pool *pool = pools->pools[i];

		for (unsigned n = 0; n < pool->path_count; n++) {
			if (same_file(pool->paths[n], &st))
				return err_set(err, -EBUSY, "%s is a drive of pool \"%s\"", path,
					       pool->name);
		}
	}
	for (unsigned i = 0; i < control->target_count; i++) {
		const struct control_target *target = control->targets[i];

		for (unsigned n = 0; n < target->spec.namespace_count; n++) {
			if (control_volume_is_file(target->spec.namespaces[n].volume, &st))
				return err_set(err, -EBUSY, "%s is a volume of target \"%s\"", path,
					       target->spec.name);
		}
	}
	return 0;
}

static void forget(struct control_exports *exports, unsigned index)
{
	struct control_export *job = exports->items[index];

	ASSERT(job->ended);
	if (!job->joined)
		pthread_join(job->thread, NULL);
	free(job);
	exports->count--;
	memmove(&exports->items[index], &exports->items[index + 1],
		(exports->count - index) * sizeof(*exports->items));
}

/* A place on the list. */
static int room_make(struct control_exports *exports, struct err *err)
{
	unsigned running = 0;
	unsigned oldest = CONTROL_EXPORTS_MAX;

	for (unsigned i = exports->count; i > 0; i--) {
		if (exports->items[i - 1]->ended)
			oldest = i - 1;
		else
			running++;
	}
	if (running >= CONTROL_EXPORTS_RUNNING_MAX)
		return err_set(err, -EBUSY,
			       "%u exports are under way: wait for one, or cancel it with quoin "
			       "export cancel",
			       running);
	if (exports->count == CONTROL_EXPORTS_MAX)
		forget(exports, oldest);
	return 0;
}

/* --- Begin -------------------------------------------------------------------------------------
 */

static void *thread_main(void *arg)
{
	struct control_export *job = arg;

	job->result = control_export_copy(job, &job->err);
	control_export_close(job);
	if (job->result == 0)
		log_info("%s is exported to %s", job->name, job->path);
	else
		log_warning("%s is not exported to %s: %s", job->name, job->path, job->err.text);
	job->ended_ns = clock_now_ns(CLOCK_MONOTONIC);
	job->ended = true;
	return NULL;
}

/* The file first: what is wrong with it costs no snapshot then. */
static int begin(struct control_export *job, bool force, struct err *err)
{
	struct pool_args args = {.verb = control_size_find, .name = job->object, .err = err};
	struct image_export_params file = {
		.path = job->path, .format = job->format, .replace = force};
	int r = control_pool_call(job->pool, &args);

	file.size_bytes = args.value;
	if (r == 0)
		r = image_export_begin(&file, &job->file, err);
	if (r == 0)
		r = control_export_open(job, err);
	if (r == 0 && job->size_bytes != file.size_bytes)
		r = err_set(err, -EAGAIN, "its size changes: try again");
	if (r == 0 && strchr(job->object, '@'))
		r = image_export_room(job->file, job->data_bytes, err);
	if (r < 0)
		return r;
	job->started_ns = clock_now_ns(CLOCK_MONOTONIC);
	if (pthread_create(&job->thread, NULL, thread_main, job) != 0)
		return err_set(err, -EAGAIN, "no thread can be made");
	return 0;
}

static int prepare(struct control *control, const struct control_export_params *params,
		   struct control_export *job, struct err *err)
{
	struct pool_object object;
	int r = control_pool_object(&control->pools, params->name, OBJECT_ANY, &object, err);

	if (r == 0)
		r = image_format_parse(params->format, &job->format, err);
	if (r == 0 && strlen(params->path) > CONTROL_PATH_MAX)
		r = err_set(err, -ENAMETOOLONG, "the path is too long");
	if (r == 0)
		r = path_check(control, params->path, err);
	if (r == 0)
		r = room_make(&control->exports, err);
	if (r < 0)
		return r;
	job->pool = object.pool;
	snprintf(job->object, sizeof(job->object), "%s", object.name);
	snprintf(job->name, sizeof(job->name), "%s", params->name);
	snprintf(job->path, sizeof(job->path), "%s", params->path);
	return 0;
}

int control_export_start(struct control *control, const struct control_export_params *params,
			 unsigned *ret_id, struct err *err)
{
	struct control_exports *exports = &control->exports;
	struct control_export *job = xcalloc(1, sizeof(*job));
	int r = prepare(control, params, job, err);

	job->id = exports->last_id + 1;
	if (r == 0) {
		r = begin(job, params->force, err);
		if (r < 0)
			control_export_close(job);
	}
	if (r < 0) {
		free(job);
		return err_prefix(err, "%s is not exported", params->name);
	}
	log_info("export %u of %s to %s begins", job->id, job->name, job->path);
	exports->last_id = job->id;
	exports->items[exports->count++] = job;
	*ret_id = job->id;
	return 0;
}

/* --- Looking -----------------------------------------------------------------------------------
 */

unsigned control_export_count(const struct control *control)
{
	return control->exports.count;
}

static const char *state_word(const struct control_export *job, bool ended)
{
	if (!ended)
		return "running";
	if (job->result == -ECANCELED)
		return "cancelled";
	return job->result < 0 ? "failed" : "done";
}

void control_export_at(struct control *control, unsigned index,
		       struct control_export_info *ret_info)
{
	const struct control_export *job = control->exports.items[index];
	const bool ended = job->ended;

	ASSERT_U64(index, <, control->exports.count);
	memset(ret_info, 0, sizeof(*ret_info));
	ret_info->id = job->id;
	ret_info->name = job->name;
	ret_info->path = job->path;
	ret_info->format = job->format == IMAGE_QCOW2 ? "qcow2" : "raw";
	ret_info->state = state_word(job, ended);
	if (ended && job->result < 0 && job->result != -ECANCELED)
		snprintf(ret_info->problem, sizeof(ret_info->problem), "%s", job->err.text);
	ret_info->size_bytes = job->size_bytes;
	ret_info->data_bytes = job->data_bytes;
	ret_info->done_bytes = job->done_bytes;
	ret_info->elapsed_ms =
		((ended ? job->ended_ns : clock_now_ns(CLOCK_MONOTONIC)) - job->started_ns) /
		NS_PER_MS;
}

static int index_find(const struct control *control, unsigned id, unsigned *ret_index,
		      struct err *err)
{
	for (unsigned i = 0; i < control->exports.count; i++) {
		if (control->exports.items[i]->id == id) {
			*ret_index = i;
			return 0;
		}
	}
	return err_set(err, -ENOENT, "there is no export %u: see quoin export list", id);
}

int control_export_info(struct control *control, unsigned id, struct control_export_info *ret_info,
			struct err *err)
{
	unsigned index = 0;
	const int r = index_find(control, id, &index, err);

	if (r == 0)
		control_export_at(control, index, ret_info);
	return r;
}

/* --- Ending ------------------------------------------------------------------------------------
 */

int control_export_cancel(struct control *control, unsigned id, struct err *err)
{
	unsigned index = 0;
	const int r = index_find(control, id, &index, err);

	if (r < 0)
		return r;
	if (control->exports.items[index]->ended)
		forget(&control->exports, index);
	else
		control->exports.items[index]->cancelled = true;
	return 0;
}

int control_exports_unused(const struct control_exports *exports, const char *pool, struct err *err)
{
	for (unsigned i = 0; i < exports->count; i++) {
		const struct control_export *job = exports->items[i];

		if (!job->ended && strcmp(job->pool->name, pool) == 0)
			return err_set(err, -EBUSY,
				       "%s is being exported to %s: wait, or cancel it with quoin "
				       "export cancel %u",
				       job->name, job->path, job->id);
	}
	return 0;
}

int control_exports_stop(struct control_exports *exports, struct err *err)
{
	struct timespec until;

	for (unsigned i = 0; i < exports->count; i++)
		exports->items[i]->cancelled = true;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STOP_S;
	while (exports->count > 0) {
		struct control_export *job = exports->items[exports->count - 1];

		if (pthread_timedjoin_np(job->thread, NULL, &until) != 0)
			return err_set(err, -ETIMEDOUT, "the export of %s to %s does not end",
				       job->name, job->path);
		job->joined = true;
		forget(exports, exports->count - 1);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs on images that arrive, and their list in the pool. */
#include "pool_deploy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <quoin/base_log.h>
#include <quoin/base_text.h>

#include "pool_copy.h"
#include "pool_use.h"
#include "sources.h"

#define DIGEST_LIST_MAX (512 * MiB) /* bytes of text: 8 TiB of image */

_Static_assert(CONTROL_SOURCE_MAX == IMAGE_SOURCE_MAX, "sources");

/* --- The list ----------------------------------------------------------------------------------
 */

static enum image_state state_of(const struct image_deploy *deploy)
{
	struct image_info info;

	image_deploy_info(deploy, &info);
	return info.state;
}

static struct image_deploy **slot_of(struct control_pool *pool, const char *name)
{
	for (unsigned i = 0; i < CONTROL_DEPLOYS_MAX; i++) {
		if (pool->deploys[i] && strcmp(image_deploy_name(pool->deploys[i]), name) == 0)
			return &pool->deploys[i];
	}
	return NULL;
}

static void slot_clear(struct image_deploy **slot)
{
	struct image_deploy *deploy = *slot;

	/* First: freeing takes a while, and others look. */
	*slot = NULL;
	image_deploy_free(deploy);
}

void control_deploys_sweep(struct control_pool *pool)
{
	for (unsigned i = 0; i < CONTROL_DEPLOYS_MAX; i++) {
		if (pool->deploys[i] && image_deploy_idle(pool->deploys[i]))
			slot_clear(&pool->deploys[i]);
	}
}

void control_deploys_stop(struct control_pool *pool)
{
	for (unsigned i = 0; i < CONTROL_DEPLOYS_MAX; i++) {
		if (pool->deploys[i])
			slot_clear(&pool->deploys[i]);
	}
}

/* In the home loop. What it means is found out by the thread of the verbs. */
static void on_changed(void *data)
{
	struct control_pool *pool = data;

	atomic_store(&pool->deploys_changed, true);
	control_errand_ask(pool->errand);
}

void control_deploys_resume(struct control_pool *pool, const struct image_opener *opener)
{
	struct image_resume resume = {
		.pool = pool->pool, .opener = opener, .watcher = &pool->watcher};
	unsigned count = 0;
	int r = 0;

	pool->watcher = (struct image_watcher){.changed = on_changed, .data = pool};

	while (r != -ENOENT && count < CONTROL_DEPLOYS_MAX) {
		struct err err = {.code = 0};

		r = image_deploy_resume(&resume, &pool->deploys[count], &err);
		if (r == 0)
			log_info("the image of %s/%s goes on arriving", pool->name,
				 image_deploy_name(pool->deploys[count++]));
		else if (r != -ENOENT)
			log_warning("pool \"%s\": %s", pool->name, err.text);
	}
}

void control_deploys_retry(struct control_pool *pool)
{
	for (unsigned i = 0; i < CONTROL_DEPLOYS_MAX; i++) {
		if (pool->deploys[i])
			image_deploy_retry(pool->deploys[i]);
	}
}

unsigned control_deploys_sources(const struct control_pool *pool,
				 const char *ret_sources[CONTROL_DEPLOYS_MAX])
{
	unsigned count = 0;

	for (unsigned i = 0; i < CONTROL_DEPLOYS_MAX; i++) {
		const struct image_deploy *deploy = pool->deploys[i];
		const enum image_state state = deploy ? state_of(deploy) : IMAGE_DONE;

		if (state != IMAGE_DONE && state != IMAGE_REFUSED && state != IMAGE_FAILED)
			ret_sources[count++] = image_deploy_source(deploy);
	}
	return count;
}

struct image_deploy *control_deploys_active(const struct control_pool *pool, const char *name)
{
	struct image_deploy **slot = slot_of((struct control_pool *)pool, name);
	const enum image_state state = slot ? state_of(*slot) : IMAGE_DONE;

	return state == IMAGE_DONE || state == IMAGE_REFUSED ? NULL : *slot;
}

int control_deploys_check(const struct pool_args *args)
{
	if (!control_deploys_active(args->owner, args->name))
		return 0;
	return err_set(args->err, -EBUSY,
		       "its image is still arriving: wait for that, or give it up with quoin "
		       "volume cancel");
}

int control_deploys_cancel(const struct pool_args *args)
{
	struct image_deploy **slot = slot_of(args->owner, args->name);
	struct image_deploy *deploy = slot ? *slot : NULL;

	if (!deploy)
		return err_set(args->err, -ENOENT, "no image arrives in it");
	*slot = NULL;
	return image_deploy_cancel(deploy, args->err);
}

static const char *state_word(enum image_state state)
{
	static const char *const words[] = {
		[IMAGE_OPENING] = "opening",   [IMAGE_REFUSED] = "refused",
		[IMAGE_ARRIVING] = "arriving", [IMAGE_WAITING] = "waiting",
		[IMAGE_PAUSED] = "paused",     [IMAGE_VERIFYING] = "verifying",
		[IMAGE_DONE] = "done",	       [IMAGE_FAILED] = "failed",
	};

	return words[state];
}

static const char *access_word(enum image_access access)
{
	static const char *const words[] = {[IMAGE_RANDOM] = "random",
					    [IMAGE_SEQUENTIAL] = "sequential",
					    [IMAGE_STAGED] = "staged"};

	return words[access];
}

bool control_deploys_has(const struct control_pool *pool, const char *name)
{
	return slot_of((struct control_pool *)pool, name) != NULL;
}

void control_deploys_info(const struct control_pool *pool, const char *name,
			  struct control_deploy_info *ret_info)
{
	struct image_deploy **slot = slot_of((struct control_pool *)pool, name);
	struct image_info info;

	memset(ret_info, 0, sizeof(*ret_info));
	ret_info->state = "";
	if (!slot)
		return;
	image_deploy_info(*slot, &info);
	ret_info->state = state_word(info.state);
	ret_info->first = info.first;
	snprintf(ret_info->problem, sizeof(ret_info->problem), "%s", info.problem);
	snprintf(ret_info->source, sizeof(ret_info->source), "%s", info.source);
	ret_info->image_bytes = info.image_bytes;
	ret_info->here_bytes = info.here_bytes;
	ret_info->fetched_bytes = info.fetched_bytes;
	ret_info->verified_bytes = info.verified_bytes;
	ret_info->verify_bytes = info.verify_bytes;
	ret_info->rate_limit = info.rate_limit;
	ret_info->rate_now = info.rate_now;
	ret_info->access = info.open ? access_word(info.access) : NULL;
	ret_info->original_bytes = info.original_bytes;
	ret_info->passed_bytes = info.passed_bytes;
	ret_info->again = info.again;
}

unsigned control_deploys_look(const struct control_pool *pool,
			      struct control_deploy_health ret[CONTROL_DEPLOYS_MAX])
{
	unsigned count = 0;

	for (unsigned i = 0; i < CONTROL_DEPLOYS_MAX; i++) {
		const struct image_deploy *deploy = pool->deploys[i];
		struct image_info info;

		if (!deploy)
			continue;
		image_deploy_info(deploy, &info);
		ret[count] = (struct control_deploy_health){
			.state = state_word(info.state),
			.image_bytes = info.image_bytes,
			.here_bytes = info.here_bytes,
			.fetched_bytes = info.fetched_bytes,
			.verified_bytes = info.verified_bytes,
			.verify_bytes = info.verify_bytes,
			.rate = info.rate_now,
		};
		snprintf(ret[count].name, sizeof(ret[count].name), "%s", image_deploy_name(deploy));
		count++;
	}
	return count;
}

/* --- Beginning -----------------------------------------------------------------------------------
 */

/* A free slot, or that of one that was refused: it has been asked for long enough. */
static struct image_deploy **slot_new(struct pool_args *args)
{
	struct image_deploy **refused = NULL;

	for (unsigned i = 0; i < CONTROL_DEPLOYS_MAX; i++) {
		struct image_deploy **slot = &args->owner->deploys[i];

		if (!*slot)
			return slot;
		if (state_of(*slot) == IMAGE_REFUSED)
			refused = slot;
	}
	if (refused)
		slot_clear(refused);
	return refused;
}

static int start(struct pool_args *args)
{
	struct image_deploy_params *params = args->out;
	struct image_deploy **slot = slot_of(args->owner, args->name);
	struct pool_volume_info info;

	if (slot && state_of(*slot) == IMAGE_REFUSED) {
		slot_clear(slot);
		slot = NULL;
	}
	if (slot || pool_volume_find(args->pool, args->name, &info) == 0)
		return err_set(args->err, -EEXIST, "there is a volume of that name already");
	slot = slot_new(args);
	if (!slot)
		return err_set(args->err, -EBUSY,
			       "%d images arrive in this pool, which is the most at a time: wait "
			       "for one",
			       CONTROL_DEPLOYS_MAX);
	params->pool = args->pool;
	params->name = args->name;
	params->watcher = &args->owner->watcher;
	return image_deploy_new(params, slot);
}

static int list_read(const char *path, struct image_digests *ret_digests, struct err *err)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	CLEANUP_FREE char *text = NULL;
	struct stat st;
	size_t length = 0;
	ssize_t got = 1;
	int r;

	if (path[0] != '/')
		return err_set(err, -EINVAL, "the path of the list must be absolute: %.200s", path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(err, -errno, "%.200s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > DIGEST_LIST_MAX)
		return err_set(err, -EINVAL, "%.200s is no list of digests", path);
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return err_set(err, -ENOMEM, "%.200s: out of memory", path);
	while (got > 0 && length < (size_t)st.st_size) {
		got = read(fd, text + length, (size_t)st.st_size - length);
		length += got > 0 ? (size_t)got : 0;
	}
	if (got < 0)
		return err_set(err, -errno, "%.200s: %s", path, strerror(errno));
	r = image_digests_parse(text, length, ret_digests, err);
	if (r < 0)
		err_prefix(err, "%.200s", path);
	return r;
}

static int trust_read(const struct control_deploy_params *params, struct image_deploy_params *to,
		      struct err *err)
{
	to->has_sha256 = params->sha256 != NULL;
	if (params->sha256 && image_digest_parse(params->sha256, to->sha256) < 0)
		return err_set(err, -EINVAL,
			       "the SHA-256 must be 64 hexadecimal digits, not \"%.80s\"",
			       params->sha256);
	return params->digest_list ? list_read(params->digest_list, &to->digests, err) : 0;
}

static int deploy(struct control *control, const struct control_deploy_params *params,
		  struct pool_object *object, const char *source, struct err *err)
{
	struct image_deploy_params to = {.opener = &control->pools.opener,
					 .source = source,
					 .size_bytes = params->size_bytes,
					 .first = params->first,
					 .rate_bytes = params->rate_bytes};
	struct pool_args args = {.verb = start, .name = object->name, .out = &to, .err = err};
	CLEANUP_FREE char *history =
		xasprintf("volume deploy %s --from %.300s", params->name, params->source);
	int r = trust_read(params, &to, err);

	if (r < 0)
		return r;
	args.history = history;
	r = control_pool_call(object->pool, &args);
	if (r < 0)
		image_digests_fini(&to.digests);
	return r;
}

/* --- From pools --------------------------------------------------------------------------------
 */

/*
 * From the pool itself nothing need arrive: a snapshot is cloned, a volume copied by reference, so
 * that neither is bound to the other.
 */
static int same_pool(struct control *control, const struct control_deploy_params *params,
		     const struct pool_object *from, struct err *err)
{
	const struct control_volume_copy copy = {.from = params->source, .to = params->name};
	struct pool_args args = {.verb = control_size_find, .name = from->name, .err = err};
	int r;

	if (params->sha256 || params->digest_list || params->rate_bytes)
		return err_set(err, -EINVAL,
			       "what comes from the same pool takes no digests and no rate: it is "
			       "here at once");
	r = control_pool_call(from->pool, &args);
	if (r < 0)
		err_prefix(err, "%.150s", params->source);
	if (r == 0 && params->size_bytes > 0 && params->size_bytes < args.value)
		r = err_set(err, -EFBIG, "%s has %" PRIu64 " bytes: give a larger --size, or none",
			    params->source, args.value);
	if (r < 0)
		return r;
	r = from->object.snapshot[0] != '\0'
		    ? control_volume_clone(control, params->source, params->name, err)
		    : control_volume_copy(control, &copy, err);
	if (r == 0 && params->size_bytes > args.value)
		r = control_volume_resize(control, params->name, params->size_bytes, false, err);
	return r;
}

static int other_pool(struct control *control, const struct control_deploy_params *params,
		      const struct pool_object *from, struct pool_object *to, struct err *err)
{
	struct pool_args args = {.verb = control_size_find, .name = from->name, .err = err};
	CLEANUP_FREE char *source = NULL;
	/* Also, that it is there. */
	int r = control_pool_call(from->pool, &args);

	if (r < 0)
		return err_prefix(err, "%.150s", params->source);
	r = control_source_ready(control, from, to->pool, &source, err);
	if (r >= 0)
		r = deploy(control, params, to, source, err);
	/* A snapshot that was made for it is of no use. */
	if (r < 0)
		control_sources_tend(control);
	return r;
}

static int object_deploy(struct control *control, const struct control_deploy_params *params,
			 struct pool_object *target, struct err *err)
{
	struct pool_object from;
	int r = control_pool_object(&control->pools, params->source, OBJECT_ANY, &from, err);

	if (r < 0)
		return err_prefix(
			err,
			"\"%.100s\" is no source (a path from /, http://, https://, nbd:// "
			"or POOL/NAME[@SNAP])",
			params->source);
	return from.pool == target->pool ? same_pool(control, params, &from, err)
					 : other_pool(control, params, &from, target, err);
}

int control_deploy_start(struct control *control, const struct control_deploy_params *params,
			 struct err *err)
{
	struct pool_object object;
	int r = control_pool_object(&control->pools, params->name, OBJECT_VOLUME, &object, err);

	if (r == 0)
		r = control_copy_name_check(&object.object, err);
	if (r == 0 && strlen(params->source) > CONTROL_SOURCE_MAX)
		r = err_set(err, -ENAMETOOLONG, "the source is longer than %d characters",
			    CONTROL_SOURCE_MAX);
	if (r == 0 && params->size_bytes % 4096 != 0)
		r = err_set(err, -EINVAL, "the size must be a multiple of 4096 bytes, not %" PRIu64,
			    params->size_bytes);
	if (r == 0)
		r = control_source_is_object(params->source)
			    ? object_deploy(control, params, &object, err)
			    : deploy(control, params, &object, params->source, err);
	if (r < 0)
		err_prefix(err, "%.150s is not deployed", params->name);
	return r;
}

/* --- On the way
 * ------------------------------------------------------------------------------------ */

static int look(struct pool_args *args)
{
	struct control_deploy_info *info = args->out;
	struct pool_volume_info volume;

	control_deploys_info(args->owner, args->name, info);
	if (info->state[0] != '\0')
		return 0;
	info->state = "none";
	if (pool_volume_find(args->pool, args->name, &volume) == 0)
		return 0;
	return err_set(args->err, -ENOENT, "there is no such volume: see quoin volume list");
}

int control_deploy_info(struct control *control, const char *name,
			struct control_deploy_info *ret_info, struct err *err)
{
	struct pool_args args = {.verb = look, .name = name, .out = ret_info, .err = err};

	return control_pool_ask(&control->pools, OBJECT_VOLUME, &args);
}

static int change(struct pool_args *args)
{
	const struct control_deploy_change *change = args->in;
	struct image_deploy *deploy = control_deploys_active(args->owner, args->name);
	int r = 0;

	if (!deploy)
		return err_set(args->err, -ENOENT, "no image arrives in it");
	if (change->has_rate)
		r = image_deploy_rate(deploy, change->rate_bytes);
	if (r == 0 && change->has_paused)
		r = image_deploy_pause(deploy, change->paused);
	if (r == 0 && change->has_paused && !change->paused)
		image_deploy_retry(deploy);
	return r < 0 ? err_set(args->err, r, "that cannot be kept in the pool: %s", strerror(-r))
		     : 0;
}

int control_deploy_change(struct control *control, const char *name,
			  const struct control_deploy_change *ask, struct err *err)
{
	struct pool_args args = {.verb = change, .name = name, .in = ask, .err = err};

	return control_pool_ask(&control->pools, OBJECT_VOLUME, &args);
}

static int cancel(struct pool_args *args)
{
	return control_deploys_cancel(args);
}

int control_deploy_cancel(struct control *control, const char *name, struct err *err)
{
	struct pool_object object;
	struct pool_args args = {.verb = cancel, .err = err};
	CLEANUP_FREE char *history = xasprintf("volume cancel %.150s", name);
	int r = control_pool_object(&control->pools, name, OBJECT_VOLUME, &object, err);

	if (r == 0)
		r = control_object_free(control, &object.object, err);
	if (r == 0) {
		args.name = object.name;
		args.history = history;
		r = control_pool_call(object.pool, &args);
	}
	return r < 0 ? err_prefix(err, "%.150s is not given up", name) : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The shelf of snapshots that images come from; see sources.h. */
#include "sources.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_log.h>
#include <quoin/base_random.h>
#include <quoin/base_text.h>
#include <quoin/image_snapshot.h>

#include "pool_deploy.h"
#include "private.h"

#define TO_DIGITS 16 /* of the pool that reads it, in the name of a snapshot of ours */

struct control_source {
	char name[CONTROL_OBJECT_MAX + 1];
	struct control_sources *sources;
	struct control_pool *pool;
	struct loop *home;
	struct block_device *device;
	char identity[IMAGE_IDENTITY_MAX + 1];
	uint64_t data_bytes;
	unsigned users;
};

/* Names of what is needed: of all deployments that may still read. */
struct needs {
	unsigned count;
	char (*names)[CONTROL_OBJECT_MAX + 1];
};

bool control_source_is_object(const char *source)
{
	return source[0] != '/' && !strstr(source, "://");
}

/* --- The fibers that read --------------------------------------------------------------------- */

static struct control_source *find(const struct control_sources *sources, const char *name)
{
	for (unsigned i = 0; i < sources->count; i++) {
		if (strcmp(sources->items[i]->name, name) == 0)
			return sources->items[i];
	}
	return NULL;
}

static void give_back(void *data)
{
	struct control_source *item = data;
	struct control_sources *sources = item->sources;

	pthread_mutex_lock(&sources->lock);
	item->users--;
	pthread_mutex_unlock(&sources->lock);
	control_errand_ask(sources->errand);
}

static int open_source(const struct image_opener *opener, struct loop *loop,
		       const struct image_ask *ask, struct image_source **ret_source,
		       struct err *err)
{
	struct control_sources *sources = opener->data;
	struct image_snapshot snapshot = {.closed = give_back};
	struct control_source *item;
	int r;

	if (!control_source_is_object(ask->source))
		return sources->outside.open(&sources->outside, loop, ask, ret_source, err);
	pthread_mutex_lock(&sources->lock);
	item = find(sources, ask->source);
	if (item)
		item->users++;
	pthread_mutex_unlock(&sources->lock);
	if (!item)
		return err_set(err, -ENODEV,
			       "%s is not there: its pool is not imported, or the snapshot is gone",
			       ask->source);
	snapshot.device = item->device;
	snapshot.home = item->home;
	snapshot.name = item->name;
	snapshot.identity = item->identity;
	snapshot.data_bytes = item->data_bytes;
	snapshot.data = item;
	r = image_snapshot_open(&snapshot, loop, ret_source, err);
	if (r < 0)
		give_back(item);
	return r;
}

void control_sources_init(struct control_sources *sources, struct control_errand *errand,
			  const struct image_opener *outside, struct image_opener *ret_opener)
{
	memset(sources, 0, sizeof(*sources));
	pthread_mutex_init(&sources->lock, NULL);
	sources->errand = errand;
	sources->outside = *outside;
	*ret_opener = (struct image_opener){.open = open_source, .data = sources};
}

void control_sources_fini(struct control_sources *sources)
{
	ASSERT_U64(sources->count, ==, 0);
	pthread_mutex_destroy(&sources->lock);
}

/* --- On the shelf, and off it ------------------------------------------------------------------
 */

/* Of a snapshot that is too new to be counted, what its volume has is not less. */
static uint64_t volume_data(const struct pool_args *args)
{
	CLEANUP_FREE char *name = xstrdup(args->name);
	struct pool_volume_info info;

	name[strcspn(name, "@")] = '\0';
	if (pool_volume_find(args->pool, name, &info) < 0)
		return 0;
	return info.referenced_bytes + info.pending_blocks * 4096;
}

static int device_open(struct pool_args *args)
{
	struct control_source *item = args->out;
	struct pool_snapshot_info info;
	size_t at;
	int r = pool_snapshot_find(args->pool, args->name, &info);

	if (r < 0)
		return err_set(args->err, r, "there is no such snapshot: see quoin snapshot list");
	at = (size_t)snprintf(item->identity, sizeof(item->identity), "snapshot ");
	for (size_t i = 0; i < sizeof(info.guid); i++, at += 2)
		snprintf(item->identity + at, sizeof(item->identity) - at, "%02x", info.guid[i]);
	item->data_bytes = info.counted ? info.referenced_bytes : volume_data(args);
	return pool_device_open(args->pool, args->name, true, &item->device, args->err);
}

/* 1: it was not there before. */
static int put(struct control *control, const char *name, struct err *err)
{
	struct control_sources *sources = &control->sources;
	struct control_source *item;
	struct pool_object object;
	struct pool_args args = {.verb = device_open, .err = err};
	int r = 0;

	/* Only this thread changes the list. */
	if (find(sources, name))
		return 0;
	r = control_pool_object(&control->pools, name, OBJECT_SNAPSHOT, &object, err);
	if (r == 0 && sources->count == CONTROL_SOURCES_MAX)
		r = err_set(err, -EBUSY, "too many images arrive from pools");
	if (r < 0)
		return r;
	item = xcalloc(1, sizeof(*item));
	snprintf(item->name, sizeof(item->name), "%s", name);
	item->sources = sources;
	item->pool = object.pool;
	item->home = object.pool->loop;
	args.name = object.name;
	args.out = item;
	r = control_pool_call(object.pool, &args);
	if (r < 0) {
		free(item);
		return r;
	}
	pthread_mutex_lock(&sources->lock);
	sources->items[sources->count++] = item;
	pthread_mutex_unlock(&sources->lock);
	return 1;
}

/* Unless somebody reads it: then its last user asks for this again. */
static bool take_off(struct control_sources *sources, unsigned index)
{
	struct control_source *item = sources->items[index];
	bool free_now;

	pthread_mutex_lock(&sources->lock);
	free_now = item->users == 0;
	if (free_now)
		sources->items[index] = sources->items[--sources->count];
	pthread_mutex_unlock(&sources->lock);
	if (!free_now)
		return false;
	block_close(item->device);
	free(item);
	return true;
}

void control_sources_close(struct control_sources *sources)
{
	while (sources->count > 0)
		ASSERT(take_off(sources, sources->count - 1));
}

/* --- What is needed ----------------------------------------------------------------------------
 */

static int gather(struct pool_args *args)
{
	struct needs *needs = args->out;
	const char *names[CONTROL_DEPLOYS_MAX];
	const unsigned count = control_deploys_sources(args->owner, names);

	for (unsigned i = 0; i < count; i++) {
		if (control_source_is_object(names[i]))
			snprintf(needs->names[needs->count++], sizeof(needs->names[0]), "%s",
				 names[i]);
	}
	return 0;
}

static void needs_find(struct control *control, struct needs *needs)
{
	struct pool_args args = {.verb = gather, .out = needs};

	needs->count = 0;
	needs->names = xcalloc(CONTROL_SOURCES_MAX, sizeof(*needs->names));
	for (unsigned i = 0; i < control->pools.count; i++) {
		struct control_pool *pool = control->pools.pools[i];

		if (pool->pool && control_pool_call(pool, &args) < 0)
			log_debug("what arrives in pool \"%s\" is not known", pool->name);
	}
}

static bool needed(const struct needs *needs, const char *name)
{
	for (unsigned i = 0; i < needs->count; i++) {
		if (strcmp(needs->names[i], name) == 0)
			return true;
	}
	return false;
}

/* --- Snapshots of ours -------------------------------------------------------------------------
 */

static void to_print(const uint8_t guid[16], char text[TO_DIGITS + 1])
{
	for (size_t i = 0; i < TO_DIGITS / 2; i++)
		snprintf(text + 2 * i, 3, "%02x", guid[i]);
}

struct sweep {
	const struct control *control;
	const struct needs *needs;
	const uint8_t *gone; /* guid of a pool that there is no more; NULL */
};

/* Of ours, and its reader's pool is here: then `needs` has all that may still want it. */
static bool judged(const struct sweep *sweep, const char *name)
{
	const struct control_pools *pools = &sweep->control->pools;
	const char *at = strchr(name, '@');
	char to[TO_DIGITS + 1];

	if (!at || strncmp(at + 1, CONTROL_SOURCE_SNAPSHOT, strlen(CONTROL_SOURCE_SNAPSHOT)) != 0)
		return false;
	at += 1 + strlen(CONTROL_SOURCE_SNAPSHOT);
	if (sweep->gone) {
		to_print(sweep->gone, to);
		return strncmp(at, to, TO_DIGITS) == 0;
	}
	for (unsigned i = 0; i < pools->count; i++) {
		const struct control_pool *pool = pools->pools[i];

		to_print(pool->guid, to);
		if (pool->pool && !pool->read_only && strncmp(at, to, TO_DIGITS) == 0)
			return true;
	}
	return false;
}

static int sweep_pool(struct pool_args *args)
{
	const struct sweep *sweep = args->in;
	struct pool_snapshot_info info;
	struct err why;
	unsigned cursor = 0;

	while (pool_snapshot_next(args->pool, &cursor, &info) == 0) {
		char name[CONTROL_OBJECT_MAX + 1];

		snprintf(name, sizeof(name), "%s/%s", args->owner->name, info.name);
		if (judged(sweep, info.name) && !needed(sweep->needs, name) &&
		    pool_snapshot_destroy(args->pool, info.name, &why) < 0)
			log_warning("%s, made to be read by another pool, is not destroyed: %s",
				    name, why.text);
	}
	return 0;
}

static void snapshots_sweep(struct control *control, const struct needs *needs, const uint8_t *gone)
{
	const struct sweep sweep = {.control = control, .needs = needs, .gone = gone};
	struct pool_args args = {.verb = sweep_pool, .in = &sweep};

	for (unsigned i = 0; i < control->pools.count; i++) {
		struct control_pool *pool = control->pools.pools[i];

		if (pool->pool && !pool->read_only && control_pool_call(pool, &args) < 0)
			log_debug("snapshots of pool \"%s\" are not looked through", pool->name);
	}
}

/* --- For the verbs -----------------------------------------------------------------------------
 */

static int wake(struct pool_args *args)
{
	control_deploys_retry(args->owner);
	return 0;
}

/* What waited for a source need not wait for its next try. */
static void readers_wake(struct control *control)
{
	struct pool_args args = {.verb = wake};

	for (unsigned i = 0; i < control->pools.count; i++) {
		struct control_pool *pool = control->pools.pools[i];

		if (pool->pool && control_pool_call(pool, &args) < 0)
			log_debug("what arrives in pool \"%s\" is not told", pool->name);
	}
}

static void tend(struct control *control, const uint8_t *gone)
{
	struct control_sources *sources = &control->sources;
	struct needs needs;
	struct err why;
	bool more = false;

	needs_find(control, &needs);
	for (unsigned i = 0; i < needs.count; i++) {
		const int r = put(control, needs.names[i], &why);

		if (r < 0)
			log_debug("%s cannot be read yet: %s", needs.names[i], why.text);
		more = more || r == 1;
	}
	if (more)
		readers_wake(control);
	for (unsigned i = sources->count; i > 0; i--) {
		if (!needed(&needs, sources->items[i - 1]->name))
			take_off(sources, i - 1);
	}
	snapshots_sweep(control, &needs, gone);
	free(needs.names);
}

void control_sources_tend(struct control *control)
{
	tend(control, NULL);
}

void control_sources_forget(struct control *control, const uint8_t guid[16])
{
	tend(control, guid);
}

static int snapshot_make(struct pool_args *args)
{
	return pool_snapshot_create(args->pool, &args->other, 1, args->err);
}

int control_source_ready(struct control *control, const struct pool_object *from,
			 const struct control_pool *to, char **ret_name, struct err *err)
{
	CLEANUP_FREE char *inner = NULL;
	struct pool_args args = {.verb = snapshot_make, .err = err};
	char reader[TO_DIGITS + 1];
	uint32_t number;
	char *name;
	int r = 0;

	random_system_fill(&number, sizeof(number));
	to_print(to->guid, reader);
	if (from->object.snapshot[0] != '\0')
		inner = xstrdup(from->name);
	else
		inner = xasprintf("%s@" CONTROL_SOURCE_SNAPSHOT "%s.%08x", from->name, reader,
				  number);
	args.other = inner;
	if (from->object.snapshot[0] == '\0')
		r = control_pool_call(from->pool, &args);
	name = xasprintf("%s/%s", from->pool->name, inner);
	if (r == 0)
		r = put(control, name, err);
	if (r < 0)
		free(name);
	else
		*ret_name = name;
	return r;
}

int control_sources_unused(struct control *control, const char *pool, struct err *err)
{
	struct control_sources *sources = &control->sources;

	control_sources_tend(control);
	for (unsigned i = 0; i < sources->count; i++) {
		if (strcmp(sources->items[i]->pool->name, pool) == 0)
			return err_set(err, -EBUSY,
				       "%s is being copied to a volume of another pool: wait, or "
				       "give that up with quoin volume cancel",
				       sources->items[i]->name);
	}
	return 0;
}

int control_source_name_check(const char *snapshot, struct err *err)
{
	if (strncmp(snapshot, CONTROL_SOURCE_SNAPSHOT, strlen(CONTROL_SOURCE_SNAPSHOT)) != 0)
		return 0;
	return err_set(err, -EINVAL,
		       "names that begin with \"" CONTROL_SOURCE_SNAPSHOT
		       "\" are for snapshots that other pools read");
}

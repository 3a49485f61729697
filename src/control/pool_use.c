/* SPDX-License-Identifier: Apache-2.0 */
/* Pools and targets; see pool_use.h. */
#include "pool_use.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <quoin/base_log.h>

#include "object.h"
#include "pool_deploy.h"

struct device_out {
	bool read_only;
	struct block_device *device;
};

static int device_open(struct pool_args *args)
{
	struct device_out *out = args->out;
	struct image_deploy *deploy = control_deploys_active(args->owner, args->name);

	if (deploy)
		return image_deploy_device(deploy, out->read_only, &out->device, args->err);
	return pool_device_open(args->pool, args->name, out->read_only, &out->device, args->err);
}

int control_pool_device(struct control_pools *pools, const struct control_namespace_spec *ns,
			struct block_device **ret_device, struct err *err)
{
	struct device_out out = {.device = NULL};
	struct control_object object;
	struct control_pool *pool = NULL;
	struct pool_args args = {.verb = device_open, .out = &out, .err = err};
	char name[CONTROL_OBJECT_MAX + 1];
	int r = control_object_of_volume(ns->volume, &object, &out.read_only, err);

	if (r == 0)
		r = control_pools_get(pools, object.pool, &pool, err);
	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "%s%s%s", object.volume, object.snapshot[0] ? "@" : "",
		 object.snapshot);
	args.name = name;
	out.read_only = out.read_only || ns->read_only || pool->read_only;
	r = control_pool_call(pool, &args);
	if (r == 0)
		*ret_device = out.device;
	return r;
}

/* The object of a namespace; false when its volume is not in a pool. */
static bool object_of(const struct control_namespace_spec *ns, struct control_object *ret_object)
{
	bool read_only;

	return control_object_of_volume(ns->volume, ret_object, &read_only, NULL) == 0;
}

int control_pool_worker(struct control_pools *pools, const struct control_target_spec *spec)
{
	int worker = -1;

	for (unsigned i = 0; i < spec->namespace_count; i++) {
		struct control_object object;
		const struct control_pool *pool;

		if (!object_of(&spec->namespaces[i], &object))
			continue;
		pool = control_pools_find(pools, object.pool);
		if (!pool || !pool->pool || (worker >= 0 && worker != (int)pool->worker))
			return -1;
		worker = (int)pool->worker;
	}
	return worker;
}

/* --- Who has it --------------------------------------------------------------------------------
 */

enum match { MATCH_SAME, MATCH_SNAPSHOTS, MATCH_POOL };

static bool matches(const struct control_object *a, const struct control_object *b,
		    enum match match)
{
	if (strcmp(a->pool, b->pool) != 0)
		return false;
	if (match == MATCH_POOL)
		return true;
	if (strcmp(a->volume, b->volume) != 0)
		return false;
	return match == MATCH_SNAPSHOTS ? a->snapshot[0] != '\0'
					: strcmp(a->snapshot, b->snapshot) == 0;
}

struct user {
	const struct control_target *target;
	const struct control_namespace_spec *ns;
};

static struct user user_find(const struct control *control, const struct control_object *object,
			     enum match match, bool running)
{
	for (unsigned i = 0; i < control->target_count; i++) {
		const struct control_target *target = control->targets[i];

		for (unsigned n = 0; n < target->spec.namespace_count; n++) {
			const struct control_namespace_spec *ns = &target->spec.namespaces[n];
			struct control_object other;

			if ((target->transport || !running) && object_of(ns, &other) &&
			    matches(&other, object, match))
				return (struct user){target, ns};
		}
	}
	return (struct user){NULL, NULL};
}

static int unused(struct user user, struct err *err)
{
	if (!user.target)
		return 0;
	return err_set(err, -EBUSY,
		       "%s is in use by target \"%s\" as namespace %u: see quoin target detach and "
		       "destroy",
		       user.ns->volume, user.target->spec.name, user.ns->nsid);
}

const struct control_target *control_pool_user_next(const struct control *control, const char *pool,
						    unsigned *cursor,
						    struct control_object *ret_object)
{
	unsigned index = 0;

	for (unsigned i = 0; i < control->target_count; i++) {
		const struct control_target *target = control->targets[i];

		for (unsigned n = 0; n < target->spec.namespace_count; n++) {
			if (index++ < *cursor ||
			    !object_of(&target->spec.namespaces[n], ret_object) ||
			    strcmp(ret_object->pool, pool) != 0)
				continue;
			*cursor = index;
			return target;
		}
	}
	return NULL;
}

const struct control_target *control_object_user(const struct control *control,
						 const struct control_object *object,
						 unsigned *ret_nsid)
{
	const struct user user = user_find(control, object, MATCH_SAME, false);

	if (user.target && ret_nsid)
		*ret_nsid = user.ns->nsid;
	return user.target;
}

int control_object_free(const struct control *control, const struct control_object *object,
			struct err *err)
{
	return unused(user_find(control, object, MATCH_SAME, false), err);
}

int control_object_snapshots_free(const struct control *control,
				  const struct control_object *object, struct err *err)
{
	return unused(user_find(control, object, MATCH_SNAPSHOTS, false), err);
}

int control_pool_unused(const struct control *control, const char *pool, bool running,
			struct err *err)
{
	struct control_object object = {.volume = ""};

	int r = control_exports_unused(&control->exports, pool, err);

	if (r < 0)
		return r;
	snprintf(object.pool, sizeof(object.pool), "%s", pool);
	return unused(user_find(control, &object, MATCH_POOL, running), err);
}

/* --- Telling targets ----------------------------------------------------------------------------
 */

static bool has_pool(const struct control_target *target, const char *pool)
{
	for (unsigned n = 0; n < target->spec.namespace_count; n++) {
		struct control_object object;

		if (object_of(&target->spec.namespaces[n], &object) &&
		    strcmp(object.pool, pool) == 0)
			return true;
	}
	return false;
}

void control_pool_wake_targets(struct control *control, const char *pool)
{
	for (unsigned i = 0; i < control->target_count; i++) {
		struct control_target *target = control->targets[i];
		struct err why;

		if (target->transport || target->stopping || !has_pool(target, pool))
			continue;
		if (control_run(control, target, &why) < 0)
			log_warning("target \"%s\" is not running: %s", target->spec.name,
				    why.text);
		else
			log_info("target \"%s\" listens on %s", target->spec.name,
				 target->socket_path);
	}
}

void control_object_resized(struct control *control, const struct control_object *object)
{
	for (unsigned i = 0; i < control->target_count; i++) {
		const struct control_target *target = control->targets[i];

		for (unsigned n = 0; target->transport && n < target->spec.namespace_count; n++) {
			const struct control_namespace_spec *ns = &target->spec.namespaces[n];
			struct control_object other;
			struct err why;

			if (object_of(ns, &other) && matches(&other, object, MATCH_SAME) &&
			    control_namespace_rescan(control, target->spec.name, ns->nsid, &why) <
				    0)
				log_warning("%s", why.text);
		}
	}
}

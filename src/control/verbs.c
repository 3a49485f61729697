/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs. Each one checks, does, saves, and undoes itself when it cannot save; where undoing
 * would be harder than not beginning, it saves first.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_log.h>
#include <quoin/base_size.h>
#include <quoin/base_text.h>

#include "private.h"
#include "volume.h"

/* --- Looking --------------------------------------------------------------------------------- */

unsigned control_target_count(const struct control *control)
{
	return control->target_count;
}

const char *control_target_name(const struct control *control, unsigned index)
{
	ASSERT_U64(index, <, control->target_count);
	return control->targets[index]->spec.name;
}

int control_target_info(struct control *control, const char *name,
			struct control_target_info *ret_info, struct err *err)
{
	struct control_target *target = NULL;
	int r = control_get(control, name, &target, err);

	if (r < 0)
		return r;
	control_target_look(target, ret_info);
	return 0;
}

void control_namespace_info(struct control *control, const char *name, unsigned index,
			    struct control_namespace_info *ret_info)
{
	struct control_target *target = control_find(control, name);
	const struct control_namespace_spec *ns;
	struct block_device *device;

	ASSERT(target != NULL);
	ASSERT_U64(index, <, target->spec.namespace_count);
	ns = &target->spec.namespaces[index];
	device = target->devices[ns->nsid - 1];
	ret_info->capacity_bytes = device ? block_capacity(device) : 0;
	ret_info->block_size = device ? device->limits.logical_block_bytes : ns->block_size;
	/* A pool's device has smaller blocks than it was asked for. */
	ret_info->block_size = MAX(ret_info->block_size, ns->block_size);
	/* The guest may have formatted it to another one. */
	if (device && target->state_fd >= 0)
		ret_info->block_size =
			MAX(ret_info->block_size, control_format_load(target->state_fd, ns->nguid));
	ret_info->read_only = ns->read_only || (device && device->limits.read_only);
}

/* --- Targets --------------------------------------------------------------------------------- */

/* Room in the list and in the memory. */
static int room_check(const struct control *control, struct err *err)
{
	const uint64_t cost_bytes = (control->target_count + 1) * CONTROL_TARGET_COST_BYTES +
				    control_pools_memory(&control->pools);
	char limit[SIZE_TEXT_MAX];

	if (control->target_count == CONTROL_TARGETS_MAX)
		return err_set(err, -ENOSPC, "there are %d targets, which is the most this has",
			       CONTROL_TARGETS_MAX);
	if (cost_bytes > control->memory_bytes)
		return err_set(err, -ENOSPC,
			       "%u targets%s are the most for a memory of %s: start quoind with "
			       "more --memory",
			       control->target_count,
			       control->pools.count > 0 ? " beside the pools" : "",
			       size_format(control->memory_bytes, limit));
	return 0;
}

/* A guest that sees two disks with one NGUID takes them for two paths to one disk. */
static int nguid_check(const struct control *control, const uint8_t nguid[16], struct err *err)
{
	for (unsigned i = 0; i < control->target_count; i++) {
		const struct control_target_spec *spec = &control->targets[i]->spec;

		for (unsigned n = 0; n < spec->namespace_count; n++) {
			if (memcmp(spec->namespaces[n].nguid, nguid, 16) == 0)
				return err_set(err, -EEXIST,
					       "its NGUID is that of target \"%s\", namespace %u",
					       spec->name, spec->namespaces[n].nsid);
		}
	}
	return 0;
}

static int nguids_check(const struct control *control, const struct control_target_spec *spec,
			struct err *err)
{
	for (unsigned i = 0; i < spec->namespace_count; i++) {
		int r = nguid_check(control, spec->namespaces[i].nguid, err);

		if (r < 0)
			return r;
		for (unsigned j = 0; j < i; j++) {
			if (memcmp(spec->namespaces[i].nguid, spec->namespaces[j].nguid, 16) == 0)
				return err_set(err, -EINVAL, "two namespaces have one NGUID");
		}
	}
	return 0;
}

/* Names, sockets and identities are this target's alone. */
static int unique_check(struct control *control, const struct control_target *target,
			struct err *err)
{
	for (unsigned i = 0; i < control->target_count; i++) {
		const struct control_target *other = control->targets[i];

		if (strcmp(other->spec.name, target->spec.name) == 0)
			return err_set(err, -EEXIST, "it exists already");
		if (strcmp(other->socket_path, target->socket_path) == 0)
			return err_set(err, -EEXIST, "%s is the socket of target \"%s\"",
				       target->socket_path, other->spec.name);
		if (memcmp(other->spec.uuid, target->spec.uuid, sizeof(other->spec.uuid)) == 0)
			return err_set(err, -EEXIST, "its UUID is that of target \"%s\"",
				       other->spec.name);
	}
	return 0;
}

static int create(struct control *control, struct control_target *target, struct err *err)
{
	int r = unique_check(control, target, err);

	if (r == 0)
		r = nguids_check(control, &target->spec, err);
	if (r == 0)
		r = room_check(control, err);
	if (r == 0)
		r = control_run(control, target, err);
	if (r < 0)
		return r;
	control_append(control, target);
	r = control_save(control, err);
	if (r == 0)
		return 0;
	control_take(control, target);
	control_halt(control, target, "not saved");
	return r;
}

int control_target_create(struct control *control, const struct control_target_spec *wanted,
			  struct err *err)
{
	struct control_target_spec spec;
	struct control_target *target = NULL;
	int r;

	control_target_spec_copy(&spec, wanted);
	r = control_target_spec_check(&spec, control->test_volumes, err);
	if (r == 0) {
		control_target_spec_identify(&spec);
		target = control_target_new(&spec, control->runtime_dir);
		r = create(control, target, err);
	}
	control_target_spec_fini(&spec);
	if (r < 0) {
		control_target_free(target);
		err_prefix(err, "target \"%s\" is not created", wanted->name);
		return r;
	}
	log_info("target \"%s\" created, listens on %s", target->spec.name, target->socket_path);
	health_events_add(control->events, HEALTH_TARGET_CREATED, target->spec.name,
			  "it listens on %s", target->socket_path);
	return 0;
}

int control_target_destroy(struct control *control, const char *name, struct err *err)
{
	struct control_target *target = NULL;
	unsigned index;
	int r = control_get(control, name, &target, err);

	if (r < 0)
		return r;
	index = control_take(control, target);
	r = control_save(control, err);
	if (r == 0)
		r = control_target_stop(target, err);
	if (r < 0) {
		control_put_back(control, target, index);
		if (target->stopping && control_save(control, NULL) < 0)
			log_error("target \"%s\" is missing after a restart", name);
		err_prefix(err, "target \"%s\" is not destroyed", name);
		return r;
	}
	log_info("target \"%s\" destroyed", target->spec.name);
	health_events_add(control->events, HEALTH_TARGET_DESTROYED, target->spec.name,
			  "its client is disconnected");
	control_halt(control, target, "destroyed");
	for (unsigned i = 0; i < target->spec.namespace_count; i++)
		control_format_forget(control->state.directory_fd,
				      target->spec.namespaces[i].nguid);
	control_target_free(target);
	return 0;
}

int control_target_start(struct control *control, const char *name, struct err *err)
{
	struct control_target *target = NULL;
	int r = control_get(control, name, &target, err);

	if (r == 0 && target->stopping)
		return err_set(err, -EBUSY,
			       "target \"%s\" is being destroyed, and waits for a volume that does "
			       "not answer",
			       name);
	if (r < 0 || target->transport)
		return r;
	r = control_run(control, target, err);
	if (r < 0) {
		err_prefix(err, "target \"%s\" is not started", name);
		return r;
	}
	log_info("target \"%s\" started", name);
	return 0;
}

/* --- Namespaces ------------------------------------------------------------------------------ */

/* Fills nsid, checks that it and the volume are free. */
static int attach_check(struct control *control, struct control_target *target,
			struct control_namespace_spec *ns, struct err *err)
{
	int r = control_namespace_spec_check(ns, control->test_volumes, err);

	if (r < 0)
		return r;
	if (!target->transport)
		return err_set(err, -ENODEV, "the target is not running (%s)", target->failure);
	for (unsigned nsid = 1; ns->nsid == 0 && nsid <= target->spec.max_namespaces; nsid++) {
		if (!control_target_spec_find(&target->spec, nsid))
			ns->nsid = nsid;
	}
	if (ns->nsid == 0)
		return err_set(err, -ENOSPC, "all its %u namespaces are taken",
			       target->spec.max_namespaces);
	if (ns->nsid > target->spec.max_namespaces)
		return err_set(err, -EINVAL, "the target has namespaces 1 to %u only",
			       target->spec.max_namespaces);
	if (control_target_spec_find(&target->spec, ns->nsid))
		return err_set(err, -EEXIST, "namespace %u is there already", ns->nsid);
	return control_volume_free(control, ns, NULL, err);
}

static int attach(struct control *control, struct control_target *target,
		  struct control_namespace_spec *ns, struct err *err)
{
	struct control_namespace_spec *slot;
	int r = attach_check(control, target, ns, err);

	if (r < 0)
		return r;
	control_namespace_spec_identify(ns);
	r = nguid_check(control, ns->nguid, err);
	if (r == 0)
		r = control_target_open_namespace(target, ns, err);
	if (r < 0)
		return r;
	slot = control_target_spec_add(&target->spec);
	ASSERT(slot != NULL);
	*slot = *ns;
	r = control_save(control, err);
	if (r == 0)
		return 0;
	control_target_spec_remove(&target->spec, ns->nsid);
	if (control_target_close_namespace(target, ns->nsid, NULL) < 0)
		log_error("target \"%s\": namespace %u stays until restart", target->spec.name,
			  ns->nsid);
	return r;
}

int control_namespace_attach(struct control *control, const char *name,
			     const struct control_namespace_spec *wanted, unsigned *ret_nsid,
			     struct err *err)
{
	struct control_namespace_spec ns = *wanted;
	struct control_target *target = NULL;
	int r = control_get(control, name, &target, err);

	if (r < 0)
		return r;
	r = attach(control, target, &ns, err);
	if (r < 0) {
		err_prefix(err, "target \"%s\": the volume is not attached", name);
		return r;
	}
	log_info("target \"%s\": %s attached as namespace %u", name, ns.volume, ns.nsid);
	*ret_nsid = ns.nsid;
	return 0;
}

/* -ENOENT with a sentence. */
static int namespace_get(struct control *control, const char *name, unsigned nsid,
			 struct control_target **ret, struct err *err)
{
	struct control_target *target = NULL;
	int r = control_get(control, name, &target, err);

	if (r < 0)
		return r;
	if (!control_target_spec_find(&target->spec, nsid))
		return err_set(err, -ENOENT,
			       "target \"%s\" has no namespace %u: see quoin target info %s", name,
			       nsid, name);
	*ret = target;
	return 0;
}

int control_namespace_detach(struct control *control, const char *name, unsigned nsid,
			     struct err *err)
{
	struct control_target_spec before;
	struct control_target *target = NULL;
	int r = namespace_get(control, name, nsid, &target, err);

	if (r < 0)
		return r;
	control_target_spec_copy(&before, &target->spec);
	control_target_spec_remove(&target->spec, nsid);
	r = control_save(control, err);
	if (r == 0 && target->transport)
		r = control_target_close_namespace(target, nsid, err);
	if (r < 0) {
		control_target_spec_fini(&target->spec);
		target->spec = before;
		if (control_save(control, NULL) < 0)
			log_error("target \"%s\": namespace %u is missing after a restart", name,
				  nsid);
		err_prefix(err, "target \"%s\": namespace %u is not detached", name, nsid);
		return r;
	}
	control_format_forget(control->state.directory_fd,
			      control_target_spec_find(&before, nsid)->nguid);
	control_target_spec_fini(&before);
	log_info("target \"%s\": namespace %u detached", name, nsid);
	return 0;
}

/* The open device of a namespace, or -ENODEV. */
static int device_get(struct control_target *target, unsigned nsid, struct block_device **ret,
		      struct err *err)
{
	if (!target->transport)
		return err_set(err, -ENODEV, "target \"%s\" is not running (%s)", target->spec.name,
			       target->failure);
	*ret = target->devices[nsid - 1];
	return 0;
}

static int size_check(const struct block_device *device, const struct control_namespace_spec *ns,
		      uint64_t size_bytes, struct err *err)
{
	char volume[CONTROL_VOLUME_MAX + 1];
	char now[SIZE_TEXT_MAX];

	if (size_bytes == 0 || size_bytes % device->limits.logical_block_bytes != 0)
		return err_set(err, -EINVAL, "the size must be a multiple of %u bytes, not %llu",
			       device->limits.logical_block_bytes, (unsigned long long)size_bytes);
	if (size_bytes > INT64_MAX)
		return err_set(err, -EINVAL, "the size is beyond 8 EiB");
	memcpy(volume, ns->volume, sizeof(volume));
	if (size_bytes < block_capacity(device) && !control_volume_set_size(volume, size_bytes))
		return err_set(err, -ENOTSUP,
			       "it has %s, and making it smaller would cut data off: detach it "
			       "and shorten the file by hand",
			       size_format(block_capacity(device), now));
	return 0;
}

static int resize(struct control *control, struct control_target *target, unsigned nsid,
		  uint64_t size_bytes, struct err *err)
{
	struct control_namespace_spec *ns = control_target_spec_find(&target->spec, nsid);
	struct block_device *device = NULL;
	char volume[CONTROL_VOLUME_MAX + 1];
	int r = device_get(target, nsid, &device, err);

	/* The pool has the size, and whoever has the volume is told. */
	if (r == 0 && control_volume_in_pool(ns->volume)) {
		memcpy(volume, ns->volume, sizeof(volume));
		volume[strcspn(volume, ",")] = '\0';
		return control_volume_resize(control, volume, size_bytes, false, err);
	}
	if (r == 0)
		r = size_check(device, ns, size_bytes, err);
	if (r < 0)
		return r;
	/* A null volume's size is in its specification, a file's is in the file. */
	memcpy(volume, ns->volume, sizeof(volume));
	if (control_volume_set_size(ns->volume, size_bytes))
		r = control_save(control, err);
	if (r == 0)
		r = block_resize(device, size_bytes, err);
	if (r < 0) {
		memcpy(ns->volume, volume, sizeof(volume));
		return r;
	}
	vfio_user_target_resized(target->transport, nsid);
	return 0;
}

int control_namespace_resize(struct control *control, const char *name, unsigned nsid,
			     uint64_t size_bytes, struct err *err)
{
	char text[SIZE_TEXT_MAX];
	struct control_target *target = NULL;
	int r = namespace_get(control, name, nsid, &target, err);

	if (r < 0)
		return r;
	r = resize(control, target, nsid, size_bytes, err);
	if (r < 0) {
		err_prefix(err, "target \"%s\", namespace %u: not resized", name, nsid);
		return r;
	}
	log_info("target \"%s\": namespace %u has %s now", name, nsid,
		 size_format(size_bytes, text));
	return 0;
}

int control_namespace_rescan(struct control *control, const char *name, unsigned nsid,
			     struct err *err)
{
	struct control_target *target = NULL;
	struct block_device *device = NULL;
	uint64_t before;
	int r = namespace_get(control, name, nsid, &target, err);

	if (r == 0)
		r = device_get(target, nsid, &device, err);
	if (r < 0)
		return r;
	before = block_capacity(device);
	r = block_refresh(device, err);
	if (r < 0) {
		err_prefix(err, "target \"%s\", namespace %u: not rescanned", name, nsid);
		return r;
	}
	if (block_capacity(device) != before)
		vfio_user_target_resized(target->transport, nsid);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* One target: from its specification to a listening controller with open volumes, and back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_text.h>

#include "pool_use.h"
#include "target.h"
#include "volume.h"

/* The room's door names its own limits, so that its users need not know the controller. */
_Static_assert(CONTROL_QUEUES_MAX == NVME_QUEUE_PAIRS_MAX, "queue pairs");
_Static_assert(CONTROL_QUEUE_ENTRIES_MAX == NVME_QUEUE_ENTRIES_MAX, "queue entries");
_Static_assert(CONTROL_NAMESPACES_MAX == NVME_NAMESPACES_MAX, "namespaces");

struct control_target *control_target_new(const struct control_target_spec *spec,
					  const char *runtime_dir)
{
	struct control_target *target = xcalloc(1, sizeof(*target));

	control_target_spec_copy(&target->spec, spec);
	if (spec->listen[0] != '\0')
		target->socket_path = xstrdup(spec->listen);
	else
		target->socket_path = xasprintf("%s/%s.sock", runtime_dir, spec->name);
	target->failure = xstrdup("not started");
	target->state_fd = -1;
	return target;
}

void control_target_free(struct control_target *target)
{
	if (!target)
		return;
	control_target_halt(target, "freed");
	control_target_spec_fini(&target->spec);
	free(target->socket_path);
	free(target->failure);
	free(target);
}

int control_target_stop(struct control_target *target, struct err *err)
{
	const int r = target->transport ? vfio_user_target_stop(target->transport, err) : 0;

	target->stopping = r < 0;
	return r;
}

void control_target_halt(struct control_target *target, const char *why)
{
	/* Freeing the transport detaches its namespaces; only then may their devices go. */
	vfio_user_target_free(target->transport);
	target->transport = NULL;
	target->stopping = false;
	for (unsigned i = 0; i < ARRAY_SIZE(target->devices); i++) {
		block_close(target->devices[i]);
		target->devices[i] = NULL;
	}
	free(target->failure);
	target->failure = xstrdup(why);
}

/* The block size the guest chose last time, and who remembers the next one. */
static void format_prepare(struct control_target *target, struct vfio_user_namespace *attach)
{
	struct control_format *format = &target->formats[attach->nsid - 1];
	uint32_t block_bytes;

	if (target->state_fd < 0)
		return;
	format->loop = target->loop;
	format->directory_fd = target->state_fd;
	memcpy(format->nguid, attach->nguid, sizeof(format->nguid));
	attach->remember_format = control_format_remember;
	attach->remember_data = format;
	block_bytes = control_format_load(target->state_fd, attach->nguid);
	/* The volume may have been given another block size since. */
	if (block_bytes >= MAX(attach->device->limits.logical_block_bytes, attach->block_bytes))
		attach->block_bytes = block_bytes;
}

/* A volume of a pool, or what the room below opens. */
static int device_open(struct control_target *target, const struct control_namespace_spec *ns,
		       struct block_device **ret_device, struct err *err)
{
	CLEANUP_FREE char *words = NULL;

	if (control_volume_in_pool(ns->volume) && !target->pools)
		return err_set(err, -ENODEV, "there are no pools");
	if (control_volume_in_pool(ns->volume))
		return control_pool_device(target->pools, ns, ret_device, err);
	words = control_volume_spec(ns);
	return block_open(words, ret_device, err);
}

int control_target_open_namespace(struct control_target *target,
				  const struct control_namespace_spec *ns, struct err *err)
{
	struct vfio_user_namespace attach = {.nsid = ns->nsid, .read_only = ns->read_only};
	int r;

	ASSERT(target->transport != NULL);
	ASSERT(target->devices[ns->nsid - 1] == NULL);
	r = device_open(target, ns, &attach.device, err);
	if (r < 0)
		return r;
	if (attach.device->limits.read_only)
		attach.read_only = true;
	memcpy(attach.nguid, ns->nguid, sizeof(attach.nguid));
	memcpy(attach.uuid, ns->uuid, sizeof(attach.uuid));
	/* A pool's device has 512-byte blocks; larger ones are made of them. */
	if (ns->block_size > attach.device->limits.logical_block_bytes)
		attach.block_bytes = ns->block_size;
	format_prepare(target, &attach);
	r = vfio_user_target_attach(target->transport, &attach, err);
	if (r < 0) {
		block_close(attach.device);
		return r;
	}
	target->devices[ns->nsid - 1] = attach.device;
	return 0;
}

int control_target_close_namespace(struct control_target *target, unsigned nsid, struct err *err)
{
	int r = vfio_user_target_detach(target->transport, nsid, err);

	if (r < 0)
		return r;
	block_close(target->devices[nsid - 1]);
	target->devices[nsid - 1] = NULL;
	return 0;
}

static int transport_new(struct control_target *target, struct loop *loop, struct err *err)
{
	const struct control_target_spec *spec = &target->spec;
	struct vfio_user_target_params params = {
		.loop = loop,
		.name = spec->name,
		.socket_path = target->socket_path,
		.queue_pairs = spec->queues,
		.queue_entries = spec->queue_entries,
		.namespaces = spec->max_namespaces,
		.poll_us = spec->poll_us,
		.doorbells = spec->doorbells == CONTROL_DOORBELLS_MAPPED ? NVME_DOORBELLS_MAPPED
									 : NVME_DOORBELLS_SHADOW,
		.intx = spec->intx,
		.serial = spec->serial,
		.model = spec->model,
	};

	memcpy(params.uuid, spec->uuid, sizeof(params.uuid));
	return vfio_user_target_new(&params, &target->transport, err);
}

int control_target_run(struct control_target *target, struct loop *loop, struct err *err)
{
	struct err why = {.code = 0};
	int r;

	ASSERT(target->transport == NULL);
	target->loop = loop;
	r = transport_new(target, loop, &why);
	for (unsigned i = 0; r == 0 && i < target->spec.namespace_count; i++)
		r = control_target_open_namespace(target, &target->spec.namespaces[i], &why);
	if (r < 0) {
		control_target_halt(target, why.text);
		return err_set(err, r, "%s", why.text);
	}
	free(target->failure);
	target->failure = NULL;
	return 0;
}

static void client_copy(const struct vfio_user_target_info *from, struct control_client_info *to)
{
	to->connected = from->connected;
	to->pid = from->client_pid;
	to->connections = from->connections;
	to->protocol_errors = from->protocol_errors;
	to->memory_regions = from->memory_regions;
	to->memory_private = from->memory_private;
	snprintf(to->last_error, sizeof(to->last_error), "%s", from->last_error);
}

static void stats_copy(const struct nvme_stats *from, struct control_stats *to)
{
	to->reads = from->reads;
	to->writes = from->writes;
	to->flushes = from->flushes;
	to->others = from->others;
	to->read_bytes = from->read_bytes;
	to->written_bytes = from->written_bytes;
	to->errors = from->errors;
	to->mmio_doorbells = from->mmio_doorbells;
	to->interrupts = from->interrupts;
	to->polls_idle = from->polls_idle;
	to->wakeups = from->wakeups;
	to->in_flight = from->in_flight;
	to->io_queues = from->io_queues;
	to->enabled = from->enabled;
	to->fatal = from->fatal;
	to->shadow_active = from->shadow_active;
}

void control_target_look(struct control_target *target, struct control_target_info *ret_info)
{
	struct vfio_user_target_info info;

	memset(ret_info, 0, sizeof(*ret_info));
	ret_info->spec = &target->spec;
	ret_info->socket_path = target->socket_path;
	ret_info->failure = target->failure;
	ret_info->worker = target->worker;
	if (!target->transport)
		return;
	vfio_user_target_info(target->transport, &info);
	client_copy(&info, &ret_info->client);
	stats_copy(&info.nvme, &ret_info->stats);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door: an NVMe controller behind a vfio-user server, driven from the control thread.
 *
 * Threads: everything but the struct's parameters is touched in the loop's thread only. A door
 * function sends a step to the loop with loop_call(); where the loop must wait for the guest's
 * I/O it posts a semaphore when it is through.
 */
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <fcntl.h>

#include <quoin/base_assert.h>
#include <quoin/base_text.h>
#include <quoin/vfio_user.h>

#include "server.h"

#define COMMANDS_MAX 1024 /* in flight per target: bounds the controller's memory */

struct vfio_user_target {
	struct loop *loop;
	char *name;
	char *serial;
	char *model;
	struct guest_memory *memory;
	struct nvme_controller *controller;
	struct vfio_server server;
	bool serving; /* the server was initialised */
	unsigned vectors;
	int doorbell_fd; /* mapped mode: the memory file behind BAR0's mappable page; else -1 */
	uint32_t *doorbell_page;
	bool disconnected; /* the reset under way is for a client that left */
	struct nvme_wait reset_wait;
	struct block_channel *channels[NVME_NAMESPACES_MAX + 1]; /* by nsid */
	unsigned patience_ms;
	sem_t detached;
	sem_t stopped;
	bool is_stopped; /* `stopped` was posted and taken */
	struct nvme_wait detach_wait;
};

static void wait_for(sem_t *semaphore)
{
	while (sem_wait(semaphore) < 0)
		ASSERT(errno == EINTR);
}

/* False when patience ended first. */
static bool wait_patiently(const struct vfio_user_target *target, sem_t *semaphore)
{
	const uint64_t patience_ns = target->patience_ms * NS_PER_MS;
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += (time_t)((patience_ns + (uint64_t)end.tv_nsec) / NS_PER_S);
	end.tv_nsec = (long)((patience_ns + (uint64_t)end.tv_nsec) % NS_PER_S);
	while (sem_clockwait(semaphore, CLOCK_MONOTONIC, &end) < 0) {
		if (errno == ETIMEDOUT)
			return false;
		ASSERT(errno == EINTR);
	}
	return true;
}

/* --- The device, as the server sees it ----------------------------------------------------- */

static void device_read(void *device, unsigned region, uint64_t offset, void *data, unsigned length)
{
	struct vfio_user_target *target = device;

	if (region == VFIO_REGION_CONFIG)
		nvme_config_read(target->controller, (unsigned)offset, data, length);
	else
		nvme_bar_read(target->controller, (unsigned)offset, data, length);
}

static void device_write(void *device, unsigned region, uint64_t offset, const void *data,
			 unsigned length)
{
	struct vfio_user_target *target = device;

	if (region == VFIO_REGION_CONFIG)
		nvme_config_write(target->controller, (unsigned)offset, data, length);
	else
		nvme_bar_write(target->controller, (unsigned)offset, data, length);
}

static void device_memory_changed(void *device)
{
	nvme_controller_memory_changed(((struct vfio_user_target *)device)->controller);
}

/* --- Mapped doorbells --------------------------------------------------------------------- */

/* A memory file of BAR0's size, sealed: a client must not be able to take the page from us. */
static int doorbell_file(void)
{
	CLEANUP_FD int fd = memfd_create("quoin-doorbells", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int result;

	if (fd < 0 || ftruncate(fd, NVME_BAR_SIZE) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	result = fd;
	fd = -1;
	return result;
}

static int doorbells_map(struct vfio_user_target *target)
{
	void *page;
	const int fd = doorbell_file();

	if (fd < 0)
		return fd;
	target->doorbell_fd = fd;
	page = mmap(NULL, GUEST_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    NVME_BAR_DOORBELLS);
	if (page == MAP_FAILED)
		return -errno;
	target->doorbell_page = page;
	return 0;
}

/*
 * A client that left may have kept its mapping: the next one gets a page of its own, at the same
 * address for the controller. When there is no file to be had, the page is ours alone and the next
 * client rings by messages.
 */
static void doorbells_renew(struct vfio_user_target *target)
{
	struct vfio_region *bar = &target->server.regions[0];
	const int fd = doorbell_file();
	const void *page = MAP_FAILED;

	base_close(&target->doorbell_fd);
	if (fd >= 0)
		page = mmap(target->doorbell_page, GUEST_PAGE_SIZE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_FIXED, fd, NVME_BAR_DOORBELLS);
	if (page == MAP_FAILED)
		page = mmap(target->doorbell_page, GUEST_PAGE_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	ASSERT(page != MAP_FAILED);
	target->doorbell_fd = fd;
	bar->fd = fd;
	if (fd >= 0)
		bar->flags |= VFIO_REGION_MMAP;
	else
		bar->flags &= ~(uint32_t)VFIO_REGION_MMAP;
}

static void device_reset_done(struct nvme_wait *wait)
{
	struct vfio_user_target *target = container_of(wait, struct vfio_user_target, reset_wait);

	if (target->disconnected && target->doorbell_page)
		doorbells_renew(target);
	vfio_server_reset_done(&target->server);
}

static void device_reset(void *device, bool disconnected)
{
	struct vfio_user_target *target = device;

	target->disconnected = disconnected;
	target->reset_wait.done = device_reset_done;
	nvme_controller_reset(target->controller,
			      disconnected ? NVME_RESET_DISCONNECT : NVME_RESET_FUNCTION,
			      &target->reset_wait);
}

static const struct vfio_device_ops device_ops = {
	.region_read = device_read,
	.region_write = device_write,
	.memory_changed = device_memory_changed,
	.reset = device_reset,
};

static bool transport_msix_pending(void *transport, unsigned vector)
{
	return bitmap_test(((struct vfio_user_target *)transport)->server.irqs.pending, vector);
}

static void transport_msix_fire(void *transport, unsigned vector)
{
	vfio_irqs_fire(&((struct vfio_user_target *)transport)->server.irqs, vector);
}

static void transport_intx_set(void *transport, bool level)
{
	vfio_irqs_intx(&((struct vfio_user_target *)transport)->server.irqs, level);
}

static const struct nvme_transport_ops transport_ops = {
	.msix_fire = transport_msix_fire,
	.msix_pending = transport_msix_pending,
	.intx_set = transport_intx_set,
};

/* --- Making ------------------------------------------------------------------------------- */

static void regions_fill(struct vfio_user_target *target)
{
	struct vfio_region *bar = &target->server.regions[0];
	struct vfio_region *config = &target->server.regions[VFIO_REGION_CONFIG];

	bar->size_bytes = NVME_BAR_SIZE;
	bar->flags = VFIO_REGION_R | VFIO_REGION_W;
	config->size_bytes = NVME_CONFIG_SIZE;
	config->flags = VFIO_REGION_R | VFIO_REGION_W;
	if (!target->doorbell_page)
		return;
	bar->flags |= VFIO_REGION_MMAP;
	bar->fd = target->doorbell_fd;
	bar->area_offset = NVME_BAR_DOORBELLS;
	bar->area_bytes = GUEST_PAGE_SIZE;
}

struct target_start {
	struct vfio_user_target *target;
	const struct vfio_user_target_params *params;
	struct err *err;
	int result;
};

static int controller_start(struct vfio_user_target *target,
			    const struct vfio_user_target_params *params, struct err *err)
{
	struct nvme_params nvme = {
		.loop = target->loop,
		.memory = target->memory,
		.transport = &transport_ops,
		.transport_data = target,
		.queue_pairs = params->queue_pairs,
		.queue_entries = params->queue_entries,
		.namespaces = params->namespaces,
		.commands_max = COMMANDS_MAX,
		.poll_us = params->poll_us,
		.doorbells = params->doorbells,
		.doorbell_page = target->doorbell_page,
		.intx = params->intx,
		.serial = target->serial,
		.model = target->model,
	};
	int r;

	memcpy(nvme.uuid, params->uuid, sizeof(nvme.uuid));
	r = nvme_controller_new(&nvme, &target->controller);
	if (r < 0)
		return err_set(err, r, "target %s: cannot make an NVMe controller: %s",
			       target->name, strerror(-r));
	return 0;
}

/* In the loop. */
static void target_start(void *arg)
{
	struct target_start *start = arg;
	struct vfio_user_target *target = start->target;
	struct vfio_server_params server = {
		.loop = target->loop,
		.name = target->name,
		.socket_path = start->params->socket_path,
		.ops = &device_ops,
		.device = target,
		.memory = target->memory,
		.vectors = target->vectors,
		.intx = start->params->intx,
	};

	start->result = controller_start(target, start->params, start->err);
	if (start->result < 0)
		return;
	start->result = vfio_server_init(&target->server, &server, start->err);
	if (start->result < 0)
		return;
	target->serving = true;
	regions_fill(target);
}

/* In the loop: the server is stopped, or was never there. */
static void target_fini(void *arg)
{
	struct vfio_user_target *target = arg;

	if (target->serving)
		vfio_server_fini(&target->server);
	nvme_controller_free(target->controller);
	for (unsigned nsid = 1; nsid <= NVME_NAMESPACES_MAX; nsid++)
		if (target->channels[nsid])
			block_channel_close(target->channels[nsid]);
	guest_memory_free(target->memory);
}

static void target_release(struct vfio_user_target *target)
{
	loop_call(target->loop, target_fini, target);
	if (target->doorbell_page)
		munmap(target->doorbell_page, GUEST_PAGE_SIZE);
	base_close(&target->doorbell_fd);
	sem_destroy(&target->detached);
	sem_destroy(&target->stopped);
	free(target->name);
	free(target->serial);
	free(target->model);
	free(target);
}

int vfio_user_target_new(const struct vfio_user_target_params *params,
			 struct vfio_user_target **ret_target, struct err *err)
{
	struct vfio_user_target *target = xcalloc(1, sizeof(*target));
	struct target_start start = {.target = target, .params = params, .err = err};

	target->loop = params->loop;
	target->name = xstrdup(params->name);
	target->serial = xstrdup(params->serial);
	target->model = xstrdup(params->model);
	target->vectors = params->queue_pairs + 1;
	target->doorbell_fd = -1;
	target->patience_ms = params->patience_ms ? params->patience_ms : VFIO_USER_PATIENCE_MS;
	if (sem_init(&target->detached, 0, 0) < 0 || sem_init(&target->stopped, 0, 0) < 0)
		UNREACHABLE();
	guest_sigbus_install();
	start.result = guest_memory_new(&target->memory);
	if (start.result == 0 && params->doorbells == NVME_DOORBELLS_MAPPED)
		start.result = doorbells_map(target);
	if (start.result < 0)
		err_set(err, start.result, "target %s: cannot get memory: %s", params->name,
			strerror(-start.result));
	else
		loop_call(target->loop, target_start, &start);
	if (start.result < 0) {
		target_release(target);
		return start.result;
	}
	*ret_target = target;
	return 0;
}

/* --- Namespaces --------------------------------------------------------------------------- */

struct target_call {
	struct vfio_user_target *target;
	const struct vfio_user_namespace *ns;
	unsigned nsid;
	int result;
};

static void target_attach(void *arg)
{
	struct target_call *call = arg;
	const struct vfio_user_namespace *ns = call->ns;
	struct nvme_namespace_params params = {
		.nsid = ns->nsid,
		.read_only = ns->read_only,
		.block_bytes = ns->block_bytes,
		.remember_format = ns->remember_format,
		.remember_data = ns->remember_data,
	};

	memcpy(params.nguid, ns->nguid, sizeof(params.nguid));
	memcpy(params.uuid, ns->uuid, sizeof(params.uuid));
	call->result = block_channel_open(ns->device, call->target->loop, &params.channel);
	if (call->result < 0)
		return;
	call->result = nvme_namespace_attach(call->target->controller, &params);
	if (call->result < 0)
		block_channel_close(params.channel);
	else
		call->target->channels[ns->nsid] = params.channel;
}

int vfio_user_target_attach(struct vfio_user_target *target, const struct vfio_user_namespace *ns,
			    struct err *err)
{
	struct target_call call = {.target = target, .ns = ns};

	if (ns->nsid == 0 || ns->nsid > NVME_NAMESPACES_MAX)
		return err_set(err, -EINVAL, "target %s: namespace %u is not in 1..%u",
			       target->name, ns->nsid, NVME_NAMESPACES_MAX);
	loop_call(target->loop, target_attach, &call);
	if (call.result < 0)
		return err_set(err, call.result, "target %s: cannot attach %s as namespace %u: %s",
			       target->name, ns->device->spec, ns->nsid, strerror(-call.result));
	return 0;
}

static void target_detached(struct nvme_wait *wait)
{
	sem_post(&container_of(wait, struct vfio_user_target, detach_wait)->detached);
}

static void target_detach(void *arg)
{
	struct target_call *call = arg;
	struct vfio_user_target *target = call->target;

	target->detach_wait.done = target_detached;
	call->result = nvme_namespace_detach(target->controller, call->nsid, &target->detach_wait);
}

/* result: true when the namespace is there again. */
static void target_detach_cancel(void *arg)
{
	struct target_call *call = arg;

	call->result = nvme_namespace_detach_cancel(call->target->controller, call->nsid);
}

static void target_channel_close(void *arg)
{
	struct target_call *call = arg;

	block_channel_close(call->target->channels[call->nsid]);
	call->target->channels[call->nsid] = NULL;
}

int vfio_user_target_detach(struct vfio_user_target *target, unsigned nsid, struct err *err)
{
	struct target_call call = {.target = target, .nsid = nsid};

	if (nsid == 0 || nsid > NVME_NAMESPACES_MAX)
		return err_set(err, -ENOENT, "target %s has no namespace %u", target->name, nsid);
	loop_call(target->loop, target_detach, &call);
	if (call.result < 0)
		return err_set(err, call.result, "target %s: cannot detach namespace %u: %s",
			       target->name, nsid, strerror(-call.result));
	if (!wait_patiently(target, &target->detached)) {
		loop_call(target->loop, target_detach_cancel, &call);
		if (call.result)
			return err_set(err, -ETIMEDOUT,
				       "target %s: namespace %u has commands in flight, and its "
				       "volume does not answer; try again when it does",
				       target->name, nsid);
		wait_for(&target->detached);
	}
	loop_call(target->loop, target_channel_close, &call);
	return 0;
}

static void target_resized(void *arg)
{
	struct target_call *call = arg;

	nvme_namespace_resized(call->target->controller, call->nsid);
}

void vfio_user_target_resized(struct vfio_user_target *target, unsigned nsid)
{
	struct target_call call = {.target = target, .nsid = nsid};

	loop_call(target->loop, target_resized, &call);
}

/* --- Looking, ending ----------------------------------------------------------------------- */

struct target_look {
	struct vfio_user_target *target;
	struct vfio_user_target_info *info;
};

static void target_look(void *arg)
{
	struct target_look *look = arg;
	const struct vfio_user_target *target = look->target;
	const struct vfio_server *server = &target->server;
	struct vfio_user_target_info *info = look->info;

	*info = (struct vfio_user_target_info){
		.connected = vfio_connection_is_open(&server->connection),
		.client_pid = server->client_pid,
		.connections = server->connections,
		.protocol_errors = server->errors,
		.memory_regions = guest_memory_region_count(target->memory),
		.memory_private = guest_memory_is_private(target->memory),
	};
	_Static_assert(sizeof(info->last_error) == sizeof(server->why), "the same text");
	memcpy(info->last_error, server->why, sizeof(info->last_error));
	nvme_controller_stats(target->controller, &info->nvme);
}

void vfio_user_target_info(struct vfio_user_target *target, struct vfio_user_target_info *ret_info)
{
	struct target_look look = {.target = target, .info = ret_info};

	loop_call(target->loop, target_look, &look);
}

static void server_stopped(struct vfio_server *server)
{
	sem_post(&container_of(server, struct vfio_user_target, server)->stopped);
}

static void target_stop(void *arg)
{
	struct vfio_server *server = &((struct vfio_user_target *)arg)->server;

	if (!server->stopping)
		vfio_server_stop(server, server_stopped);
}

int vfio_user_target_stop(struct vfio_user_target *target, struct err *err)
{
	if (target->is_stopped)
		return 0;
	loop_call(target->loop, target_stop, target);
	if (!wait_patiently(target, &target->stopped))
		return err_set(err, -ETIMEDOUT,
			       "target %s has commands in flight, and a volume does not answer; "
			       "try again when it does",
			       target->name);
	target->is_stopped = true;
	return 0;
}

void vfio_user_target_free(struct vfio_user_target *target)
{
	struct err ignored;

	if (!target)
		return;
	if (vfio_user_target_stop(target, &ignored) < 0)
		wait_for(&target->stopped);
	for (unsigned nsid = 1; nsid <= NVME_NAMESPACES_MAX; nsid++)
		if (target->channels[nsid] && vfio_user_target_detach(target, nsid, &ignored) < 0)
			UNREACHABLE();
	target_release(target);
}

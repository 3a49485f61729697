/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces come, go, grow and shrink while the guest runs.
 *
 * The host puts a disk into a slot (attach) and takes it out (detach). The guest may detach a
 * namespace that is there, and attach it again (Namespace Attachment, NVMe 1.4, 5.20): the slot
 * keeps its disk. Both kinds of detaching stop new commands first, then wait until none is in
 * flight. Every change goes to the changed namespace log and raises a notice.
 *
 * The guest cannot create or delete namespaces: the volumes are the host's. OACS bit 3 offers
 * management and attachment together, so creation ends with Namespace Insufficient Capacity
 * (UNVMCAP is 0) and deletion with Operation Denied.
 *
 * What the guest detached stays so over its resets, as the specification wants; a new client
 * starts with everything attached.
 */
#include "namespace.h"
#include "controller.h"
#include "identify.h"

#include <errno.h>
#include <string.h>

#define SELECT_ATTACH 0
#define SELECT_DETACH 1
#define SELECT_CREATE 0
#define SELECT_DELETE 1

struct nvme_namespace *nvme_namespace_allocated(const struct nvme_controller *c, uint32_t nsid)
{
	const struct nvme_namespace *ns;

	if (nsid == 0 || nsid > c->params.namespaces)
		return NULL;
	ns = &c->namespaces[nsid - 1];
	return ns->channel && !ns->detaching ? (struct nvme_namespace *)ns : NULL;
}

struct nvme_namespace *nvme_namespace_find(struct nvme_controller *c, uint32_t nsid)
{
	struct nvme_namespace *ns = nvme_namespace_allocated(c, nsid);

	return ns && ns->attached ? ns : NULL;
}

void nvme_namespaces_reattach(struct nvme_controller *c)
{
	for (uint32_t nsid = 1; nsid <= c->params.namespaces; nsid++) {
		struct nvme_namespace *ns = nvme_namespace_allocated(c, nsid);

		if (ns)
			ns->attached = true;
	}
}

/* --- The host's side ------------------------------------------------------------------------ */

static bool is_block_size(uint32_t bytes)
{
	return bytes == 512 || bytes == 4096;
}

static bool is_zero(const uint8_t id[16])
{
	static const uint8_t zero[16];

	return memcmp(id, zero, sizeof(zero)) == 0;
}

/* The block size the guest is to see, or 0 when the device cannot serve it. */
static uint32_t choose_block_bytes(const struct nvme_namespace_params *params)
{
	const struct block_limits *limits = &params->channel->device->limits;
	const uint32_t bytes =
		params->block_bytes ? params->block_bytes : limits->logical_block_bytes;

	if (!is_block_size(bytes) || bytes < limits->logical_block_bytes)
		return 0;
	return block_capacity(params->channel->device) >= bytes ? bytes : 0;
}

int nvme_namespace_attach(struct nvme_controller *c, const struct nvme_namespace_params *params)
{
	struct nvme_namespace *ns;
	uint32_t block_bytes;

	if (params->nsid < 1 || params->nsid > c->params.namespaces || !params->channel ||
	    is_zero(params->nguid))
		return -EINVAL;
	block_bytes = choose_block_bytes(params);
	if (block_bytes == 0)
		return -EINVAL;
	ns = &c->namespaces[params->nsid - 1];
	if (ns->channel)
		return -EEXIST;
	ns->channel = params->channel;
	ns->lba_shift = log2_u64(block_bytes);
	ns->block_count = block_capacity(params->channel->device) >> ns->lba_shift;
	ns->read_only = params->read_only || params->channel->device->limits.read_only;
	ns->remember_format = params->remember_format;
	ns->remember_data = params->remember_data;
	memcpy(ns->nguid, params->nguid, sizeof(ns->nguid));
	memcpy(ns->uuid, params->uuid, sizeof(ns->uuid));
	ns->attached = true;
	nvme_log_namespace_changed(c, ns->nsid);
	return 0;
}

static void host_detach_idle(struct nvme_wait *gate)
{
	struct nvme_namespace *ns = container_of(gate, struct nvme_namespace, detach_gate);
	struct nvme_wait *wait = ns->detaching;

	ns->channel = NULL;
	ns->detaching = NULL;
	nvme_gate_leave(ns, gate);
	nvme_log_namespace_changed(ns->controller, ns->nsid);
	wait->done(wait);
}

int nvme_namespace_detach(struct nvme_controller *c, unsigned nsid, struct nvme_wait *wait)
{
	struct nvme_namespace *ns = nvme_namespace_allocated(c, nsid);

	if (!ns)
		return -ENOENT;
	ns->was_attached = ns->attached;
	ns->attached = false;
	ns->detaching = wait;
	ns->detach_gate.done = host_detach_idle;
	block_hurry(ns->channel, true);
	nvme_gate_enter(ns, &ns->detach_gate);
	return 0;
}

bool nvme_namespace_detach_cancel(struct nvme_controller *c, unsigned nsid)
{
	struct nvme_namespace *ns = &c->namespaces[nsid - 1];

	ASSERT(nsid >= 1 && nsid <= c->params.namespaces);
	if (!ns->detaching)
		return false;
	ns->detaching = NULL;
	ns->attached = ns->was_attached;
	block_hurry(ns->channel, false);
	nvme_gate_cancel(ns, &ns->detach_gate);
	return true;
}

void nvme_namespace_resized(struct nvme_controller *c, unsigned nsid)
{
	struct nvme_namespace *ns = nvme_namespace_allocated(c, nsid);
	uint64_t block_count;

	if (!ns)
		return;
	block_count = block_capacity(ns->channel->device) >> ns->lba_shift;
	if (block_count == ns->block_count)
		return;
	ns->block_count = block_count;
	nvme_log_namespace_changed(c, nsid);
}

/* --- The guest's side ----------------------------------------------------------------------- */

void nvme_ns_management(struct nvme_request *req)
{
	const unsigned select = req->command.dw10 & 0xF;
	const uint32_t nsid = req->command.nsid;
	uint16_t status = NVME_INVALID_FIELD;

	if (select == SELECT_CREATE)
		status = NVME_NS_INSUFFICIENT_CAPACITY;
	else if (select == SELECT_DELETE && nvme_namespace_allocated(req->controller, nsid))
		status = NVME_OPERATION_DENIED;
	else if (select == SELECT_DELETE)
		status = NVME_INVALID_NAMESPACE;
	nvme_request_complete(req, status | NVME_DNR, 0);
}

static void guest_detach_idle(struct nvme_wait *wait)
{
	struct nvme_request *req = container_of(wait, struct nvme_request, wait);
	struct nvme_controller *c = req->controller;
	const unsigned nsid = req->command.nsid;

	nvme_gate_leave(&c->namespaces[nsid - 1], wait);
	nvme_request_complete(req, NVME_SUCCESS, 0);
	nvme_log_namespace_changed(c, nsid);
}

static void guest_attach(struct nvme_request *req, struct nvme_namespace *ns)
{
	struct nvme_controller *c = req->controller;

	if (ns->attached) {
		nvme_request_complete(req, NVME_NS_ALREADY_ATTACHED | NVME_DNR, 0);
		return;
	}
	ns->attached = true;
	nvme_request_complete(req, NVME_SUCCESS, 0);
	nvme_log_namespace_changed(c, ns->nsid);
}

static void guest_detach(struct nvme_request *req, struct nvme_namespace *ns)
{
	if (!ns->attached) {
		nvme_request_complete(req, NVME_NS_NOT_ATTACHED | NVME_DNR, 0);
		return;
	}
	ns->attached = false;
	req->wait.done = guest_detach_idle;
	nvme_gate_enter(ns, &req->wait);
}

/* The list must name this controller, the only one there is. */
static uint16_t read_controller_list(struct nvme_request *req)
{
	uint8_t page[NVME_IDENTIFY_SIZE];
	const uint16_t status = nvme_data_from_guest(req, page, sizeof(page));

	if (status != NVME_SUCCESS)
		return status;
	if (le16_get(page) != 1 || le16_get(page + 2) != NVME_CONTROLLER_ID)
		return NVME_CONTROLLER_LIST_INVALID | NVME_DNR;
	return NVME_SUCCESS;
}

void nvme_ns_attachment(struct nvme_request *req)
{
	struct nvme_namespace *ns = nvme_namespace_allocated(req->controller, req->command.nsid);
	const unsigned select = req->command.dw10 & 0xF;
	uint16_t status = NVME_SUCCESS;

	if (select > SELECT_DETACH)
		status = NVME_INVALID_FIELD | NVME_DNR;
	else if (!ns)
		status = NVME_INVALID_NAMESPACE | NVME_DNR;
	else
		status = read_controller_list(req);
	if (status != NVME_SUCCESS)
		nvme_request_complete(req, status, 0);
	else if (select == SELECT_ATTACH)
		guest_attach(req, ns);
	else
		guest_detach(req, ns);
}

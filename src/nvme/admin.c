/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Admin commands: one table of opcode, handler and effects, which also is log page 05h; and Abort.
 *
 * A command that is not in the table, or belongs to an option that is off, ends with Invalid
 * Opcode. Fused operations and SGLs do not exist for admin commands on PCIe (NVMe 1.4, 4.2).
 */
#include "controller.h"
#include "admin_table.h"
#include "format.h"
#include "identify.h"
#include "namespace.h"

#define EFFECT_SUPPORTED 0x00000001U
#define EFFECT_DATA 0x00000002U	     /* LBCC: logical block content changes */
#define EFFECT_NAMESPACE 0x00000004U /* NCC: namespace capability changes */
#define EFFECT_INVENTORY 0x00000008U /* NIC: namespace inventory changes */
#define EFFECT_EXCLUSIVE 0x00010000U /* CSE: no other command to this namespace meanwhile */

#define ABORT_NOTHING 1 /* CQE DW0: the command was not aborted */

static void admin_abort(struct nvme_request *req);

struct admin_command {
	uint8_t opcode;
	void (*execute)(struct nvme_request *req);
	uint32_t effects;
};

static const struct admin_command commands[] = {
	{NVME_ADMIN_DELETE_SQ, nvme_queue_delete_sq, EFFECT_SUPPORTED},
	{NVME_ADMIN_CREATE_SQ, nvme_queue_create_sq, EFFECT_SUPPORTED},
	{NVME_ADMIN_GET_LOG_PAGE, nvme_get_log_page, EFFECT_SUPPORTED},
	{NVME_ADMIN_DELETE_CQ, nvme_queue_delete_cq, EFFECT_SUPPORTED},
	{NVME_ADMIN_CREATE_CQ, nvme_queue_create_cq, EFFECT_SUPPORTED},
	{NVME_ADMIN_IDENTIFY, nvme_identify, EFFECT_SUPPORTED},
	{NVME_ADMIN_ABORT, admin_abort, EFFECT_SUPPORTED},
	{NVME_ADMIN_SET_FEATURES, nvme_set_features, EFFECT_SUPPORTED},
	{NVME_ADMIN_GET_FEATURES, nvme_get_features, EFFECT_SUPPORTED},
	{NVME_ADMIN_ASYNC_EVENT, nvme_async_event, EFFECT_SUPPORTED},
	{NVME_ADMIN_NS_MANAGEMENT, nvme_ns_management, EFFECT_SUPPORTED},
	{NVME_ADMIN_NS_ATTACHMENT, nvme_ns_attachment, EFFECT_SUPPORTED | EFFECT_INVENTORY},
	{NVME_ADMIN_DOORBELL_BUFFER, nvme_doorbell_buffer_config, EFFECT_SUPPORTED},
	{NVME_ADMIN_FORMAT, nvme_format,
	 EFFECT_SUPPORTED | EFFECT_DATA | EFFECT_NAMESPACE | EFFECT_EXCLUSIVE},
};

struct io_effect {
	uint8_t opcode;
	uint32_t effects;
};

static const struct io_effect io_effects[] = {
	{NVME_IO_FLUSH, EFFECT_SUPPORTED},
	{NVME_IO_WRITE, EFFECT_SUPPORTED | EFFECT_DATA},
	{NVME_IO_READ, EFFECT_SUPPORTED},
	{NVME_IO_COMPARE, EFFECT_SUPPORTED},
	{NVME_IO_WRITE_ZEROES, EFFECT_SUPPORTED | EFFECT_DATA},
	{NVME_IO_DSM, EFFECT_SUPPORTED | EFFECT_DATA},
	{NVME_IO_VERIFY, EFFECT_SUPPORTED},
	{NVME_IO_COPY, EFFECT_SUPPORTED | EFFECT_DATA},
};

static bool offered(const struct nvme_controller *c, uint8_t opcode)
{
	return opcode != NVME_ADMIN_DOORBELL_BUFFER || c->params.doorbells == NVME_DOORBELLS_SHADOW;
}

static const struct admin_command *find(const struct nvme_controller *c, uint8_t opcode)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].opcode == opcode && offered(c, opcode))
			return &commands[i];
	return NULL;
}

void nvme_admin_execute(struct nvme_request *req)
{
	const struct nvme_command *cmd = &req->command;
	const struct admin_command *command = find(req->controller, cmd->opcode);

	if (!command)
		nvme_request_complete(req, NVME_INVALID_OPCODE | NVME_DNR, 0);
	else if (cmd->fuse || cmd->psdt)
		nvme_request_complete(req, NVME_INVALID_FIELD | NVME_DNR, 0);
	else
		command->execute(req);
}

void nvme_admin_effects(const struct nvme_controller *c, uint8_t *page)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (offered(c, commands[i].opcode))
			le32_put(page + 4 * commands[i].opcode, commands[i].effects);
	for (size_t i = 0; i < ARRAY_SIZE(io_effects); i++)
		le32_put(page + 1024 + 4 * io_effects[i].opcode, io_effects[i].effects);
}

void nvme_admin_client_left(struct nvme_controller *c)
{
	nvme_log_power_cycle(c);
	nvme_namespaces_reattach(c);
}

/* --- Abort ---------------------------------------------------------------------------------- */

static struct nvme_request *find_gated(struct nvme_namespace *ns, uint16_t sq_id, uint16_t cid)
{
	list_for_each (node, &ns->gated_requests) {
		struct nvme_request *req = container_of(node, struct nvme_request, node);

		if (req->sq_id == sq_id && req->command.cid == cid)
			return req;
	}
	return NULL;
}

/* Commands that wait for exclusive use of a namespace to end have not begun: they can go. */
static bool abort_gated(struct nvme_controller *c, uint16_t sq_id, uint16_t cid)
{
	for (unsigned i = 0; i < c->params.namespaces; i++) {
		struct nvme_request *victim = find_gated(&c->namespaces[i], sq_id, cid);

		if (!victim)
			continue;
		nvme_gate_abort(victim);
		return true;
	}
	return false;
}

/*
 * Best effort (NVMe 1.4, 5.1): what is parked or has not begun ends as aborted, before the Abort
 * itself. What a drive works on cannot be called back; an unknown queue or command is no error.
 */
static void admin_abort(struct nvme_request *req)
{
	struct nvme_controller *c = req->controller;
	const uint16_t sq_id = (uint16_t)req->command.dw10;
	const uint16_t cid = (uint16_t)(req->command.dw10 >> 16);
	const bool done = (sq_id == 0 && nvme_event_abort(c, cid)) || abort_gated(c, sq_id, cid);

	nvme_request_complete(req, NVME_SUCCESS, done ? 0 : ABORT_NOTHING);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller's life: checks of its parameters, all memory at the start, and its counters.
 *
 * After nvme_controller_new() nothing is allocated any more: requests, bounce buffers, queues and
 * namespaces are parts of the controller.
 */
#include "controller.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COMMANDS_MIN 1
#define COMMANDS_MAX 65536

static bool text_is_printable(const char *text, size_t length_max)
{
	const size_t length = strlen(text);

	if (length == 0 || length > length_max)
		return false;
	for (size_t i = 0; i < length; i++)
		if (text[i] < 0x20 || text[i] > 0x7E)
			return false;
	return true;
}

static bool params_valid(const struct nvme_params *p)
{
	return p->queue_pairs >= 1 && p->queue_pairs <= NVME_QUEUE_PAIRS_MAX &&
	       p->queue_entries >= 2 && p->queue_entries <= NVME_QUEUE_ENTRIES_MAX &&
	       is_power_of_two(p->queue_entries) && p->namespaces >= 1 &&
	       p->namespaces <= NVME_NAMESPACES_MAX && p->commands_max >= COMMANDS_MIN &&
	       p->commands_max <= COMMANDS_MAX && text_is_printable(p->serial, 20) &&
	       text_is_printable(p->model, 40) &&
	       (p->doorbells == NVME_DOORBELLS_SHADOW || p->doorbell_page != NULL);
}

static void parts_init(struct nvme_controller *c)
{
	for (unsigned i = 0; i < NVME_QUEUES_MAX; i++) {
		c->sqs[i].id = (uint16_t)i;
		c->cqs[i].id = (uint16_t)i;
		list_init(&c->cqs[i].finished);
	}
	for (unsigned i = 0; i < NVME_NAMESPACES_MAX; i++) {
		c->namespaces[i].controller = c;
		c->namespaces[i].nsid = i + 1;
		nvme_gate_init(&c->namespaces[i]);
	}
	c->stopped = true;
	nvme_registers_init(c);
	nvme_doorbells_init(c);
	nvme_interrupts_init(c);
	nvme_pci_init(c);
	nvme_log_init(c);
	nvme_features_reset(c);
}

int nvme_controller_new(const struct nvme_params *params, struct nvme_controller **ret)
{
	struct nvme_controller *c;

	if (!params_valid(params))
		return -EINVAL;
	c = aligned_alloc(64, align_up(sizeof(*c), 64));
	if (!c)
		return -ENOMEM;
	memset(c, 0, sizeof(*c));
	c->loop = params->loop;
	c->memory = params->memory;
	c->params = *params;
	memcpy(c->serial, params->serial, strlen(params->serial));
	memcpy(c->model, params->model, strlen(params->model));
	c->params.serial = c->serial;
	c->params.model = c->model;
	if (nvme_requests_init(c, params->commands_max + NVME_ADMIN_REQUESTS) < 0 ||
	    nvme_bounce_init(c) < 0) {
		nvme_requests_fini(c);
		free(c);
		return -ENOMEM;
	}
	parts_init(c);
	*ret = c;
	return 0;
}

void nvme_controller_free(struct nvme_controller *c)
{
	if (!c)
		return;
	ASSERT(c->registers.state == NVME_LIFE_DISABLED);
	ASSERT_U64(c->in_flight, ==, 0);
	for (unsigned i = 0; i < NVME_NAMESPACES_MAX; i++)
		ASSERT(!c->namespaces[i].channel);
	nvme_interrupts_fini(c);
	nvme_bounce_fini(c);
	nvme_requests_fini(c);
	free(c);
}

void nvme_controller_stats(const struct nvme_controller *c, struct nvme_stats *ret_stats)
{
	*ret_stats = c->stats;
	ret_stats->in_flight = c->in_flight;
	ret_stats->io_queues = c->live_count - (c->sqs[0].state == NVME_QUEUE_LIVE);
	ret_stats->enabled = c->registers.state != NVME_LIFE_DISABLED && !c->registers.fatal;
	ret_stats->fatal = c->registers.fatal;
	ret_stats->shadow_active = c->doorbells.configured;
}

void nvme_controller_memory_changed(struct nvme_controller *c)
{
	if (guest_memory_lost(c->memory))
		nvme_controller_fail(c);
	nvme_doorbells_memory_changed(c);
	for (unsigned i = 0; i < NVME_QUEUES_MAX; i++)
		nvme_cq_post_finished(c, &c->cqs[i]);
	nvme_interrupts_decide(c);
}

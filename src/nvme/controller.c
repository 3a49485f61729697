/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller's life: checks of its parameters, all memory at the start, and its counters.
 *
 * After nvme_controller_new() nothing is allocated any more: requests, bounce buffers, queues and
 * namespaces are there. Requests and bounce buffers are many, and a guest uses few: their memory is
 * mapped, and is the system's until it is written to.
 */
#include "controller.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

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
	for (unsigned i = 0; i <= c->params.queue_pairs; i++) {
		c->sqs[i].id = (uint16_t)i;
		c->cqs[i].id = (uint16_t)i;
		list_init(&c->cqs[i].finished);
	}
	for (unsigned i = 0; i < c->params.namespaces; i++) {
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

/* The controller, its queues and namespaces, zeroed. NULL: there is no memory. */
static struct nvme_controller *memory_take(const struct nvme_params *params)
{
	const unsigned queues = params->queue_pairs + 1;
	const size_t bytes = sizeof(struct nvme_controller) + queues * sizeof(struct nvme_sq) +
			     queues * sizeof(struct nvme_cq) +
			     params->namespaces * sizeof(struct nvme_namespace);
	struct nvme_controller *c =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (c == MAP_FAILED)
		return NULL;
	c->memory_bytes = bytes;
	c->sqs = (void *)(c + 1);
	c->cqs = (void *)(c->sqs + queues);
	c->namespaces = (void *)(c->cqs + queues);
	return c;
}

int nvme_controller_new(const struct nvme_params *params, struct nvme_controller **ret)
{
	struct nvme_controller *c;

	if (!params_valid(params))
		return -EINVAL;
	c = memory_take(params);
	if (!c)
		return -ENOMEM;
	c->loop = params->loop;
	c->memory = params->memory;
	c->params = *params;
	memcpy(c->serial, params->serial, strlen(params->serial));
	memcpy(c->model, params->model, strlen(params->model));
	c->params.serial = c->serial;
	c->params.model = c->model;
	if (nvme_requests_init(c, params->commands_max + NVME_ADMIN_REQUESTS) < 0) {
		munmap(c, c->memory_bytes);
		return -ENOMEM;
	}
	if (nvme_bounce_init(c) < 0) {
		nvme_requests_fini(c);
		munmap(c, c->memory_bytes);
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
	for (unsigned i = 0; i < c->params.namespaces; i++)
		ASSERT(!c->namespaces[i].channel);
	nvme_interrupts_fini(c);
	nvme_bounce_fini(c);
	nvme_requests_fini(c);
	munmap(c, c->memory_bytes);
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
	for (unsigned i = 0; i <= c->params.queue_pairs; i++)
		nvme_cq_post_finished(c, &c->cqs[i]);
	nvme_interrupts_decide(c);
}

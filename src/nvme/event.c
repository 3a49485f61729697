/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asynchronous events (NVMe 1.4, 5.2): parked commands on one side, things to tell on the other.
 *
 * What is to tell is a bit per type and info, so a flood of events needs no memory. An event of a
 * type is told once; further ones of that type wait until the guest has read the type's log page
 * (SMART, notices: that read also covers what happened meanwhile, so nothing waits then).
 */
#include "controller.h"

#include <string.h>

static const uint8_t log_page[NVME_EVENT_TYPES] = {
	[NVME_EVENT_ERROR] = 0x01,
	[NVME_EVENT_SMART] = 0x02,
	[NVME_EVENT_NOTICE] = 0x04,
};

/* The bit of feature 0Bh that allows an event. SMART: those of the critical warning byte. */
static uint32_t enable_bit(enum nvme_event_type type, unsigned info)
{
	static const uint32_t smart[] = {0x04, 0x02, 0x01}; /* reliability, temperature, spare */

	if (type == NVME_EVENT_SMART)
		return info < ARRAY_SIZE(smart) ? smart[info] : 0;
	return UINT32_C(0x100) << info;
}

static bool enabled(const struct nvme_controller *c, enum nvme_event_type type, unsigned info)
{
	return type == NVME_EVENT_ERROR || (c->features.async_events & enable_bit(type, info)) != 0;
}

static struct nvme_request *take_oldest(struct nvme_events *e)
{
	struct nvme_request *req = e->parked[0];

	e->parked_count--;
	memmove(&e->parked[0], &e->parked[1], e->parked_count * sizeof(e->parked[0]));
	return req;
}

static void tell(struct nvme_controller *c, enum nvme_event_type type)
{
	struct nvme_events *e = &c->events;
	unsigned info;

	while (e->pending[type] && !e->told[type] && e->parked_count) {
		info = (unsigned)__builtin_ctz(e->pending[type]);
		e->pending[type] &= e->pending[type] - 1;
		if (!enabled(c, type, info))
			continue;
		e->told[type] = true;
		nvme_request_complete(take_oldest(e), NVME_SUCCESS,
				      (uint32_t)type | info << 8 | (uint32_t)log_page[type] << 16);
	}
}

static void tell_all(struct nvme_controller *c)
{
	tell(c, NVME_EVENT_ERROR);
	tell(c, NVME_EVENT_SMART);
	tell(c, NVME_EVENT_NOTICE);
}

void nvme_event_raise(struct nvme_controller *c, enum nvme_event_type type, unsigned info)
{
	ASSERT_U64(info, <, 32);
	if (!enabled(c, type, info))
		return;
	c->events.pending[type] |= UINT32_C(1) << info;
	tell(c, type);
}

void nvme_event_clear(struct nvme_controller *c, enum nvme_event_type type)
{
	c->events.told[type] = false;
	if (type != NVME_EVENT_ERROR)
		c->events.pending[type] = 0;
	tell(c, type);
}

void nvme_async_event(struct nvme_request *req)
{
	struct nvme_controller *c = req->controller;
	struct nvme_events *e = &c->events;

	if (e->parked_count == NVME_AER_MAX) {
		nvme_request_complete(req, NVME_AER_LIMIT | NVME_DNR, 0);
		return;
	}
	nvme_request_park(req);
	e->parked[e->parked_count++] = req;
	tell_all(c);
}

bool nvme_event_abort(struct nvme_controller *c, uint16_t cid)
{
	struct nvme_events *e = &c->events;
	struct nvme_request *req;

	for (unsigned i = 0; i < e->parked_count; i++) {
		req = e->parked[i];
		if (req->command.cid != cid)
			continue;
		e->parked_count--;
		memmove(&e->parked[i], &e->parked[i + 1],
			(e->parked_count - i) * sizeof(e->parked[0]));
		nvme_request_complete(req, NVME_ABORTED_REQUEST, 0);
		return true;
	}
	return false;
}

void nvme_events_reset(struct nvme_controller *c)
{
	struct nvme_events *e = &c->events;

	memset(e->pending, 0, sizeof(e->pending));
	memset(e->told, 0, sizeof(e->told));
	nvme_log_reset(c);
	while (e->parked_count)
		nvme_request_complete(take_oldest(e), NVME_ABORTED_REQUEST, 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Asynchronous events (NVMe 1.4, 5.2). */
#ifndef NVME_EVENT_H
#define NVME_EVENT_H

#include <quoin/nvme.h>

#define NVME_AER_MAX 8 /* AERL is this minus one */

struct nvme_request;

enum nvme_event_type {
	NVME_EVENT_ERROR = 0,
	NVME_EVENT_SMART = 1,
	NVME_EVENT_NOTICE = 2,
};

#define NVME_EVENT_TYPES 3

enum nvme_event_error_info {
	NVME_EVENT_INVALID_DOORBELL_REGISTER = 0,
	NVME_EVENT_INVALID_DOORBELL_VALUE = 1,
};

struct nvme_events {
	struct nvme_request *parked[NVME_AER_MAX]; /* oldest first */
	unsigned parked_count;
	uint32_t pending[NVME_EVENT_TYPES]; /* a bit per info: not told yet */
	bool told[NVME_EVENT_TYPES];	    /* told, and its log page not read since */
};

/* Controller reset: parked commands end (nothing is posted), nothing is pending. */
void nvme_events_reset(struct nvme_controller *c);

/* Tells the guest, now or when it asks. `info` < 32. */
void nvme_event_raise(struct nvme_controller *c, enum nvme_event_type type, unsigned info);

/* The guest read the log page of this type: the next event may be told. */
void nvme_event_clear(struct nvme_controller *c, enum nvme_event_type type);

/* Ends the parked command `cid` as aborted; false when there is none. */
bool nvme_event_abort(struct nvme_controller *c, uint16_t cid);

/* Admin command 0Ch. */
void nvme_async_event(struct nvme_request *req);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Asynchronous events. */
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

enum nvme_event_error_info {
	NVME_EVENT_INVALID_DOORBELL_REGISTER = 0,
	NVME_EVENT_INVALID_DOORBELL_VALUE = 1,
};

struct nvme_events {
	struct nvme_request *parked[NVME_AER_MAX];
	unsigned parked_count;
};

/* Controller reset: parked commands end (nothing is posted), nothing is pending. */
void nvme_events_reset(struct nvme_controller *c);

/* Tells the guest, now or when it asks. */
void nvme_event_raise(struct nvme_controller *c, enum nvme_event_type type, unsigned info);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The slow parts of the rings: register doorbells and waiting. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "client_device.h"
#include "client_queue.h"

#define SPIN_NS (20 * NS_PER_US)
#define NAP_MIN_US 20
#define NAP_MAX_US 1000

void host_doorbell_write(struct host_doorbell *doorbell, uint32_t value)
{
	const int error =
		client_bar_write(doorbell->client, doorbell->offset, &value, sizeof(value));

	doorbell->register_writes++;
	if (error && !doorbell->error)
		doorbell->error = error;
}

/* Naps until the next look; with interrupts, until one comes or the time is over. */
static void nap(struct host_cq *cq, unsigned us, int left_ms)
{
	struct pollfd p = {.fd = cq->event_fd, .events = POLLIN};
	uint64_t count;

	if (cq->event_fd < 0) {
		client_sleep_us(us);
		return;
	}
	if (poll(&p, 1, left_ms) > 0 && read(cq->event_fd, &count, sizeof(count)) < 0)
		return;
}

int host_cq_wait(struct host_cq *cq, int timeout_ms)
{
	const uint64_t start = client_now_ns();
	const uint64_t end = start + (uint64_t)timeout_ms * NS_PER_MS;
	unsigned us = NAP_MIN_US;

	while (!host_cq_peek(cq)) {
		const uint64_t now = client_now_ns();

		if (now >= end)
			return -ETIMEDOUT;
		if (now - start < SPIN_NS)
			continue;
		nap(cq, us, (int)((end - now) / NS_PER_MS) + 1);
		us = MIN(us * 2, NAP_MAX_US);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Features (Get and Set Features, NVMe 1.4, 5.14 and 5.21). */
#ifndef NVME_FEATURE_H
#define NVME_FEATURE_H

#include <quoin/nvme.h>

struct nvme_request;

#define NVME_HOST_BEHAVIOR_SIZE 512

struct nvme_features {
	bool write_cache; /* feature 06h: false makes every write durable */
	uint32_t arbitration;
	uint32_t power;
	uint16_t over_kelvin;
	uint16_t under_kelvin;
	uint32_t error_recovery;
	uint32_t atomicity;
	uint32_t async_events;
	uint64_t timestamp_ms;	  /* what the host set, */
	uint64_t timestamp_at_ns; /* and when, on the loop's clock */
	bool timestamp_set;
	uint8_t host_behavior[NVME_HOST_BEHAVIOR_SIZE];
};

/* Controller reset: all features back to their defaults. */
void nvme_features_reset(struct nvme_controller *c);

/* Admin commands 0Ah and 09h. */
void nvme_get_features(struct nvme_request *req);
void nvme_set_features(struct nvme_request *req);

#endif

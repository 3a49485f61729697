/* SPDX-License-Identifier: Apache-2.0 */
/* Features (Get and Set Features) that are not kept by the part they steer. */
#ifndef NVME_FEATURE_H
#define NVME_FEATURE_H

#include <quoin/nvme.h>

struct nvme_features {
	bool write_cache; /* feature 06h: false makes every write durable */
};

/* Controller reset: all features back to their defaults. */
void nvme_features_reset(struct nvme_controller *c);

#endif

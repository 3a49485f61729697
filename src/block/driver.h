/* SPDX-License-Identifier: Apache-2.0 */
/* How the core opens each driver of this room. `text` is the spec it was opened from; borrowed. */
#ifndef BLOCK_DRIVER_H
#define BLOCK_DRIVER_H

#include <quoin/block.h>
#include <quoin/block_spec.h>

MUST_CHECK int block_null_open(const struct block_spec *spec, const char *text,
			       struct block_device **ret_device, struct err *err);
MUST_CHECK int block_file_open(const struct block_spec *spec, const char *text,
			       struct block_device **ret_device, struct err *err);

/* Take `lower`, which they close. They do not fail. */
struct block_device *block_error_wrap(struct block_device *lower,
				      const struct block_error_rule *rule, const char *text);
struct block_device *block_delay_wrap(struct block_device *lower,
				      const struct block_delay_rule *rule, const char *text);

#endif

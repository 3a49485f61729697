/* SPDX-License-Identifier: Apache-2.0 */
/* quoind's configuration file. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <quoin/base_assert.h>

#include "options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct options options;
	struct err err = {.code = 0};

	options_init(&options);
	if (options_parse_config(&options, "fuzz", (const char *)data, size, &err) < 0)
		ASSERT(strncmp(err.text, "fuzz", 4) == 0);
	else
		ASSERT(!options.config && !options.help && !options.version);
	options_fini(&options);
	return 0;
}

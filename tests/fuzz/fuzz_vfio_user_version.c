/* SPDX-License-Identifier: Apache-2.0 */
/* The payload of a VERSION message: two numbers and JSON from the client. */
#include <quoin/base_assert.h>

#include "version.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t reply[VFIO_VERSION_REPLY_MAX];
	size_t reply_bytes = 0;

	if (vfio_version_negotiate(data, size, reply, &reply_bytes) == 0)
		ASSERT(reply_bytes > 4 && reply[reply_bytes - 1] == '\0');
	return 0;
}

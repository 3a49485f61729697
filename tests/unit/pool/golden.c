/* SPDX-License-Identifier: Apache-2.0 */
/* Golden bytes: see the header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "golden.h"

#include <cmocka.h>

size_t golden_put(uint8_t *to, const char *hex)
{
	size_t count = 0;

	for (; *hex != '\0'; hex++) {
		char digits[3] = {hex[0], hex[1], '\0'};
		char *end;

		if (*hex == ' ')
			continue;
		to[count++] = (uint8_t)strtoul(digits, &end, 16);
		assert_ptr_equal(end, digits + 2);
		hex++;
	}
	return count;
}

void golden_fill(uint8_t *to, size_t size_bytes, const struct golden *parts, size_t count)
{
	memset(to, 0, size_bytes);
	for (size_t i = 0; i < count; i++) {
		size_t put = golden_put(to + parts[i].at, parts[i].hex);

		assert_true(parts[i].at + put <= size_bytes);
	}
}

void golden_compare(const uint8_t *bytes, size_t size_bytes, const struct golden *parts,
		    size_t count)
{
	uint8_t want[4096];

	assert_true(size_bytes <= sizeof(want));
	golden_fill(want, size_bytes, parts, count);
	for (size_t i = 0; i < size_bytes; i++)
		if (bytes[i] != want[i])
			fail_msg("byte %zu is %02x, not %02x", i, bytes[i], want[i]);
}

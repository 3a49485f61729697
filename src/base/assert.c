/* SPDX-License-Identifier: Apache-2.0 */
/* Ends the process on a bug of ours, saying where and with which values. */
#include <stdio.h>
#include <stdlib.h>

#include <quoin/base_assert.h>

void base_assert_fail(const char *file, int line, const char *expression)
{
	fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expression);
	abort();
}

void base_assert_fail_u64(const char *file, int line, const char *expression, uint64_t a,
			  uint64_t b)
{
	fprintf(stderr, "%s:%d: assertion failed: %s (%llu, %llu; %#llx, %#llx)\n", file, line,
		expression, (unsigned long long)a, (unsigned long long)b, (unsigned long long)a,
		(unsigned long long)b);
	abort();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Golden bytes: a structure on disk as text. What no part names is zero. The texts were written
 * from docs/FORMAT.md, not by the encoders, and pools in the field hold bytes like these: a test
 * that fails here tells of a changed format, and is not mended by changing the text.
 */
#ifndef TESTS_POOL_GOLDEN_H
#define TESTS_POOL_GOLDEN_H

#include <stddef.h>
#include <stdint.h>

struct golden {
	size_t at;
	const char *hex; /* blanks are skipped */
};

/* Writes the bytes of the text at `to`; returns how many. */
size_t golden_put(uint8_t *to, const char *hex);

void golden_fill(uint8_t *to, size_t size_bytes, const struct golden *parts, size_t count);

/* Fails the running test, with the offset, when the bytes are others. */
void golden_compare(const uint8_t *bytes, size_t size_bytes, const struct golden *parts,
		    size_t count);

/* One thing made wrong in a good structure. */
struct damage {
	const char *what;
	size_t at;
	const char *hex;
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes and times as people write and read them. K, M, G, T, P are binary (1024). */
#ifndef QUOIN_BASE_SIZE_H
#define QUOIN_BASE_SIZE_H

#include <quoin/base.h>

/*
 * Parses "4096", "64K", "1.5G", "2TiB", "10gb" (all binary). -EINVAL when it is not a size,
 * -ERANGE when it does not fit in 64 bits; *ret_bytes is untouched then.
 */
MUST_CHECK int size_parse(const char *text, uint64_t *ret_bytes);

#define SIZE_TEXT_MAX 24

/* Writes "512 B", "4.0 KiB", "1.5 GiB" ... into `text` and returns it. */
char *size_format(uint64_t bytes, char text[SIZE_TEXT_MAX]);

/* Writes "850 ns", "12.3 us", "4.1 ms", "2.0 s" into `text` and returns it. */
char *duration_format(uint64_t ns, char text[SIZE_TEXT_MAX]);

#endif

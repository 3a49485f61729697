/* SPDX-License-Identifier: Apache-2.0 */
/* Aligned columns for people. */
#ifndef QUOIN_TABLE_H
#define QUOIN_TABLE_H

#include <quoin/base.h>

#define TABLE_COLUMNS_MAX 10

struct table {
	unsigned columns;
	size_t cell_count;
	char **cells; /* row by row; the first row is the head */
};

void table_init(struct table *table, unsigned columns);
void table_fini(struct table *table);
void table_add(struct table *table, const char *format, ...) PRINTF_LIKE(2, 3);

/* Whole rows only. */
void table_print(const struct table *table);

#endif

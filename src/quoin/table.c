/* SPDX-License-Identifier: Apache-2.0 */
/* Aligned columns: gathered first, so that each is as wide as its widest cell. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_text.h>

#include "table.h"

void table_init(struct table *table, unsigned columns)
{
	ASSERT_U64(columns, <=, TABLE_COLUMNS_MAX);
	table->columns = columns;
	table->cell_count = 0;
	table->cells = NULL;
}

void table_fini(struct table *table)
{
	for (size_t i = 0; i < table->cell_count; i++)
		free(table->cells[i]);
	free(table->cells);
}

void table_add(struct table *table, const char *format, ...)
{
	va_list args;
	char *cell = NULL;
	int length;

	va_start(args, format);
	length = vasprintf(&cell, format, args);
	va_end(args);
	ASSERT(length >= 0);
	table->cells = realloc(table->cells, (table->cell_count + 1) * sizeof(*table->cells));
	ASSERT(table->cells != NULL);
	table->cells[table->cell_count++] = cell;
}

void table_print(const struct table *table)
{
	int widths[TABLE_COLUMNS_MAX] = {0};

	ASSERT(table->cell_count % table->columns == 0);
	for (size_t i = 0; i < table->cell_count; i++) {
		const int width = (int)strlen(table->cells[i]);

		widths[i % table->columns] = MAX(widths[i % table->columns], width);
	}
	for (size_t i = 0; i < table->cell_count; i++) {
		const bool last = (i + 1) % table->columns == 0;

		if (last)
			printf("%s\n", table->cells[i]);
		else
			printf("%-*s  ", widths[i % table->columns], table->cells[i]);
	}
}

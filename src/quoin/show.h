/* SPDX-License-Identifier: Apache-2.0 */
/* Members of answers as people read them. */
#ifndef QUOIN_SHOW_H
#define QUOIN_SHOW_H

#include <jansson.h>

#include <quoin/base.h>
#include <quoin/base_size.h>

#include "table.h"

#define SHOW_TIME_MAX 32

/* "-" for what is no text. */
const char *show_text(const json_t *object, const char *key);
unsigned long long show_number(const json_t *object, const char *key);
bool show_truth(const json_t *object, const char *key);

/* Into `text`, which it returns. */
char *show_size(const json_t *object, const char *key, char text[SIZE_TEXT_MAX]);
char *show_time(const json_t *object, const char *key, char text[SHOW_TIME_MAX]);

/* A line of "what   words". */
void show_line(const char *what, const char *format, ...) PRINTF_LIKE(2, 3);

/* A table with this head; NULL ends it. */
void show_head(struct table *table, const char *const *head);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* How far something is that takes long: one line on the terminal, drawn over and over. */
#ifndef QUOIN_PROGRESS_H
#define QUOIN_PROGRESS_H

#include <quoin/base.h>
#include <quoin/base_text.h>

#include "verb.h"

#define PROGRESS_BAR 30 /* characters */

/* Somebody looks: stderr is a terminal, and no JSON is wanted. */
bool progress_wanted(const struct invocation *in);

unsigned progress_percent(uint64_t done, uint64_t all);

/* "[####....]", of `cells` characters between the brackets, appended. */
void progress_bar(struct text *t, unsigned cells, uint64_t done, uint64_t all);

/* ", 0:01:20 left", appended. */
void progress_left(struct text *t, uint64_t seconds);

/* The bar, and `words` behind it, as much as fits. */
void progress_draw(uint64_t done, uint64_t all, const char *words);

/* Nothing is there any more. */
void progress_clear(void);

#endif

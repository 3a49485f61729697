/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody who mistyped may have meant. */
#ifndef QUOIN_SUGGEST_H
#define QUOIN_SUGGEST_H

#include <quoin/base.h>

struct suggest {
	const char *word;
	const char *best; /* NULL: nothing is near enough */
	unsigned distance;
};

void suggest_init(struct suggest *suggest, const char *word);
void suggest_offer(struct suggest *suggest, const char *candidate);

#endif

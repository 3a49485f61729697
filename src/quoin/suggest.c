/* SPDX-License-Identifier: Apache-2.0 */
/* Nearest word by edit distance (Levenshtein), with a swap of neighbours counted as one. */
#include <string.h>

#include "suggest.h"

#define WORD_MAX 31
#define DISTANCE_MAX 2

/* Distances between prefixes, one row per letter of `a`. */
static unsigned distance(const char *a, const char *b)
{
	unsigned rows[WORD_MAX + 1][WORD_MAX + 1];
	const size_t a_length = strlen(a);
	const size_t b_length = strlen(b);

	if (a_length > WORD_MAX || b_length > WORD_MAX)
		return UINT32_MAX;
	for (unsigned i = 0; i <= a_length; i++)
		rows[i][0] = i;
	for (unsigned j = 0; j <= b_length; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		for (size_t j = 1; j <= b_length; j++) {
			const unsigned change = a[i - 1] != b[j - 1];
			unsigned best = MIN(rows[i - 1][j], rows[i][j - 1]) + 1;

			best = MIN(best, rows[i - 1][j - 1] + change);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = MIN(best, rows[i - 2][j - 2] + 1);
			rows[i][j] = best;
		}
	}
	return rows[a_length][b_length];
}

void suggest_init(struct suggest *suggest, const char *word)
{
	suggest->word = word;
	suggest->best = NULL;
	suggest->distance = DISTANCE_MAX + 1;
}

void suggest_offer(struct suggest *suggest, const char *candidate)
{
	const size_t length = strlen(suggest->word);
	unsigned d = distance(suggest->word, candidate);

	/* The beginning of a word is as good as one slip. */
	if (length >= 2 && strncmp(candidate, suggest->word, length) == 0)
		d = MIN(d, 1U);
	/* A word of which nothing is left is no suggestion. */
	if (d >= strlen(candidate) || d >= length)
		return;
	if (d < suggest->distance) {
		suggest->distance = d;
		suggest->best = candidate;
	}
}

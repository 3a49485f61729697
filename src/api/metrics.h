/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text format of Prometheus (exposition format 0.0.4): families with a head of their own, and
 * all samples of a family behind its head.
 */
#ifndef API_METRICS_H
#define API_METRICS_H

#include <quoin/base_text.h>

struct metrics_label {
	const char *name;
	const char *value; /* any bytes; NULL ends the labels */
};

/* `type`: "gauge", "counter" (its name ends in _total), "histogram". */
void metrics_head(struct text *t, const char *name, const char *type, const char *help);

/* `suffix` of a histogram: "_bucket", "_sum", "_count"; else "". */
struct metrics_name {
	const char *family, *suffix;
};

void metrics_sample(struct text *t, struct metrics_name name, const struct metrics_label *labels,
		    double value);

#endif

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

/* --- The same for very many ------------------------------------------------------------------- */

/* What stands between the braces: made once for all samples of an object. */
void metrics_labels(struct text *t, const struct metrics_label *labels);

struct metrics_value {
	uint64_t number;
	bool is_ns; /* and is printed in seconds */
};

/* `labels` as they were made; `more` behind them with a comma before it, or "". */
void metrics_line(struct text *t, const char *family, const char *labels, const char *more,
		  struct metrics_value value);

#endif

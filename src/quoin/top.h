/* SPDX-License-Identifier: Apache-2.0 */
/* quoin top: what is busy. Two answers of the daemon become rates, rates become a screen. */
#ifndef QUOIN_TOP_H
#define QUOIN_TOP_H

#include <jansson.h>

#include <quoin/base.h>
#include <quoin/base_text.h>

enum top_order { TOP_BY_REQUESTS, TOP_BY_BYTES, TOP_BY_LATENCY, TOP_BY_NAME, TOP_ORDERS };

/* What a pool, volume or target did between two looks. The strings are the sample's. */
struct top_row {
	const char *name, *state;
	double reads, writes, others;	/* a second */
	double read_bytes, write_bytes; /* a second */
	double average_us, p99_us;	/* 0: no request ended, or nobody measures it */
	unsigned long long in_flight;
	const json_t *json; /* the object itself */
};

struct top_rows {
	struct top_row *rows;
	size_t count;
};

struct top_view {
	const json_t *sample; /* borrowed, for what are no rates */
	double seconds;	      /* between the two looks; 0: there was one only */
	double cpu_percent;   /* of one processor */
	bool verb_running;    /* then nothing is known of targets */
	struct top_rows pools, volumes, targets;
};

/* `before` may be NULL: then all rates are 0. */
void top_view_make(struct top_view *view, const json_t *before, const json_t *now,
		   enum top_order order);
void top_view_fini(struct top_view *view);

/* The same as JSON. */
json_t *top_view_encode(const struct top_view *view);

/* Into at most `height` lines of at most `width` columns; 0 = as many as there are. */
void top_view_draw(const struct top_view *view, enum top_order order, unsigned width,
		   unsigned height, struct text *t);

#endif

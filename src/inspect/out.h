/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is put out, piece by piece, so that its size does not matter: as JSON, or for people as
 * indented lines. It is a sink for dumps (quoin/pool_inspect.h); the functions here take the same.
 */
#ifndef INSPECT_OUT_H
#define INSPECT_OUT_H

#include <stdio.h>

#include <quoin/pool_inspect.h>

#define OUT_DEPTH_MAX 16

struct out {
	FILE *to;
	bool json;
	bool begun; /* anything was put out */
	unsigned depth;
	struct out_level {
		enum pool_inspect_shape shape;
		bool any; /* something stands in it already */
	} levels[OUT_DEPTH_MAX];
};

void out_init(struct out *out, FILE *to, bool json);
/* The last line's end. */
void out_fini(struct out *out);

/* `context` is a struct out. */
void out_open(void *context, const char *key, enum pool_inspect_shape shape);
void out_close(void *context);
void out_number(void *context, const char *key, uint64_t number);
void out_text(void *context, const char *key, const char *text);
void out_truth(void *context, const char *key, bool truth);
void out_guid(struct out *out, const char *key, const uint8_t guid[16]);

#endif

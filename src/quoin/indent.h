/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compact JSON printed as json_dumpf() with JSON_INDENT(2) would print it, without making a tree of
 * it first. What the daemon said is believed to be JSON but for its brackets and quotes, by which
 * an answer that was cut off is found.
 */
#ifndef QUOIN_INDENT_H
#define QUOIN_INDENT_H

#include <quoin/base_text.h>

#define INDENT_DEPTH_MAX 32

/* -EINVAL: it is not whole, or nested deeper; what was appended is of no use then. */
MUST_CHECK int indent_json(const char *json, size_t length, struct text *t);

#endif

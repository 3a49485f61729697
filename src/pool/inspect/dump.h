/* SPDX-License-Identifier: Apache-2.0 */
/* What the dumps share: the sink, and how things of the format are put into words. */
#ifndef POOL_INSPECT_DUMP_H
#define POOL_INSPECT_DUMP_H

#include "inspect/inspect.h"

struct inspect_dump {
	struct inspect *in;
	const struct pool_inspect_sink *sink;
	const char *name; /* of what is dumped; NULL = none is wanted */
};

void dump_open(const struct inspect_dump *dump, const char *key, enum pool_inspect_shape shape);
void dump_close(const struct inspect_dump *dump);
void dump_number(const struct inspect_dump *dump, const char *key, uint64_t number);
void dump_text(const struct inspect_dump *dump, const char *key, const char *text);
void dump_truth(const struct inspect_dump *dump, const char *key, bool truth);
/* Lower-case hexadecimal; at most 64 bytes. */
void dump_bytes(const struct inspect_dump *dump, const char *key, const uint8_t *bytes,
		size_t size);
/* "SEGMENT:SLOT", or "-" for nothing. */
void dump_vaddr(const struct inspect_dump *dump, const char *key, uint64_t vaddr);
void dump_pointer(const struct inspect_dump *dump, const char *key, const struct node_ptr *ptr);

/* Each gives out one structure. Negative errno, with a sentence in in->err. */
MUST_CHECK int dump_label(const struct inspect_dump *dump);
MUST_CHECK int dump_super(const struct inspect_dump *dump);
MUST_CHECK int dump_drives(const struct inspect_dump *dump);
MUST_CHECK int dump_segments(const struct inspect_dump *dump);
MUST_CHECK int dump_volumes(const struct inspect_dump *dump);
MUST_CHECK int dump_snapshots(const struct inspect_dump *dump);
MUST_CHECK int dump_history(const struct inspect_dump *dump);
MUST_CHECK int dump_log(const struct inspect_dump *dump);
MUST_CHECK int dump_map(const struct inspect_dump *dump);
MUST_CHECK int dump_deadlist(const struct inspect_dump *dump);
MUST_CHECK int dump_bitmap(const struct inspect_dump *dump);
MUST_CHECK int dump_block(const struct inspect_dump *dump);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text that names a block device, as typed by people and kept in saved configurations.
 *
 *   SPEC    = { WRAPPER ":" } BASE
 *   WRAPPER = ( "error" | "delay" ) ":" KEY "=" VALUE { "," KEY "=" VALUE }     (block_fault.h)
 *   BASE    = "null:" SIZE { "," OPTION }
 *           | "file:" PATH { "," OPTION }        a comma within PATH is written twice
 *   OPTION  = "block=512" | "block=4096" | "ro" | "cache=none" | "cache=writeback"
 *             (null: block only)
 *
 * Parsing opens nothing.
 */
#ifndef QUOIN_BLOCK_SPEC_H
#define QUOIN_BLOCK_SPEC_H

#include <limits.h>

#include <quoin/base.h>
#include <quoin/base_err.h>
#include <quoin/block_fault.h>

#define BLOCK_SPEC_MAX 8192 /* bytes of text */
#define BLOCK_WRAPPERS_MAX 8

enum block_base { BLOCK_BASE_NULL, BLOCK_BASE_FILE };

enum block_wrapper_kind { BLOCK_WRAPPER_ERROR, BLOCK_WRAPPER_DELAY };

struct block_wrapper {
	enum block_wrapper_kind kind;
	union {
		struct block_error_rule error;
		struct block_delay_rule delay;
	};
};

struct block_spec {
	enum block_base base;
	uint64_t size_bytes;  /* null */
	uint32_t block_bytes; /* 0 = the device's own */
	bool read_only;
	bool writeback; /* through the page cache */
	char path[PATH_MAX];
	unsigned wrapper_count;
	struct block_wrapper wrappers[BLOCK_WRAPPERS_MAX]; /* outermost first */
};

/* -EINVAL, -ENAMETOOLONG, with a sentence; `ret_spec` is undefined then. */
MUST_CHECK int block_spec_parse(const char *text, struct block_spec *ret_spec, struct err *err);

#endif

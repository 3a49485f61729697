/* SPDX-License-Identifier: Apache-2.0 */
/* The pool's history in memory: lines that wait for the next checkpoint. */
#ifndef POOL_ENGINE_HISTORY_H
#define POOL_ENGINE_HISTORY_H

#include "format/record.h"

/* Lines that no committed checkpoint has yet; line n lies at n % HISTORY_PENDING_MAX. */
#define HISTORY_PENDING_MAX 64
struct history {
	uint64_t next; /* number of the next line; below super.history_next: none is pending */
	struct history_record lines[HISTORY_PENDING_MAX];
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What log.c and commit.c share. */
#ifndef POOL_JOURNAL_PRIVATE_H
#define POOL_JOURNAL_PRIVATE_H

#include "journal/log.h"

/* Ends the block under way, empty or not. */
void log_seal(struct log *log, unsigned flags);

/* Submits all sealed blocks; false when the writes ran out before that. */
bool log_write_out(struct log *log, unsigned flags);

void log_commit_init(struct log *log);

/* A write or the flush of the commit ended, or a write became free. */
void log_commit_step(struct log *log);

void log_fail(struct log *log, int error);

#endif

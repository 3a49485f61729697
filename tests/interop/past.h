/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What blocks had before, as long as it may come back: a disk with a volatile write cache may lose
 * what nobody flushed, and then a block has any content that it had since the last flush.
 *
 * Times are counts of the owner's clock. A content is replaced at a time; it is gone for good once
 * what replaced it is durable.
 */
#ifndef INTEROP_PAST_H
#define INTEROP_PAST_H

#include <quoin/base.h>

#define PAST_NEVER UINT64_MAX /* replaced by something that may never have come to be */

struct past;

struct past *past_new(uint64_t block_count);
void past_free(struct past *past);

/* `block` had `value` until `replaced`. */
void past_add(struct past *past, uint64_t block, uint64_t value, uint64_t replaced);

/* Forgets of the block what was replaced at or before `durable`. */
void past_settle(struct past *past, uint64_t block, uint64_t durable);

/* May the block have `value` again, when what came to be until `durable` stays? */
bool past_may(const struct past *past, uint64_t block, uint64_t value, uint64_t durable);

#endif

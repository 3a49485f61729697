/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SIGBUS guard: a process-wide table of mapped ranges that the signal handler can read
 * without a lock.
 */
#ifndef GUEST_GUARD_H
#define GUEST_GUARD_H

#include <stdatomic.h>

#include <quoin/base.h>

#define GUEST_GUARD_SLOTS 65536

/*
 * Guards [start, start + size). `lost` becomes true when the range had to be replaced. -ENOSPC.
 * Any thread.
 */
MUST_CHECK int guest_guard_add(void *start, size_t size_bytes, _Atomic bool *lost,
			       unsigned *ret_slot);

/* Before the range is unmapped. */
void guest_guard_remove(unsigned slot);

#endif

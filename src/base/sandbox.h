/* SPDX-License-Identifier: Apache-2.0 */
/* In a child, between vfork and exec: only system calls are made. 0, or -1 and errno. */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

#include <quoin/base_child.h>

MUST_CHECK int sandbox_limit(int resource, uint64_t value);

/* For good. Without new privileges to gain, which is asked for before. */
MUST_CHECK int sandbox_enter(const struct child_sandbox *sandbox);

#endif

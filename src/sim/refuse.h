/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is refused: the n-th allocation of the pool's that may be, within windows. Those of
 * quoin/base_text.h never are, as they end the process. The linker leads the allocations of the
 * whole program through here (--wrap), so the engine has no seam and pays nothing for this.
 */
#ifndef SIM_REFUSE_H
#define SIM_REFUSE_H

#include <quoin/base.h>

/* From now on the n-th of all windows is refused, with `onwards` all after it too; 0: none is. */
void refuse_plan(uint64_t n, bool onwards);

/* Returns whether a window was open. What works for the model within one closes it meanwhile. */
bool refuse_window(bool open);

/* Since the plan: allocations in windows, and of them refused. */
uint64_t refuse_asked(void);
uint64_t refuse_count(void);

/* Allocations that were not freed. */
int64_t refuse_live(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages in memory in place of the room's own, for tests of trees. Every read checks the page
 * against its pointer and parks for a while; what is cached comes and goes at random. Reading a
 * page that was let go, letting one go twice, and pages that nobody lets go are found.
 */
#ifndef TESTS_POOL_FAKE_PAGES_H
#define TESTS_POOL_FAKE_PAGES_H

#include <quoin/loop_sim.h>

#include "map/pages.h"

#define FAKE_META_SEGMENT 1U
#define FAKE_DATA_SEGMENT 2U

struct pages *fake_pages_new(struct loop_sim *world);
void fake_pages_free(struct pages *pages);

/* Pages written and not let go. */
size_t fake_pages_count(const struct pages *pages);
uint64_t fake_pages_reads(const struct pages *pages);
uint64_t fake_pages_writes(const struct pages *pages);

/* The n-th read or write from now fails with `error`; 0 = none does. */
void fake_pages_fail_read(struct pages *pages, uint64_t nth, int error);
void fake_pages_fail_write(struct pages *pages, uint64_t nth, int error);

/* Forgets all writes since `mark`, as a failed checkpoint would. */
size_t fake_pages_mark(const struct pages *pages);
void fake_pages_rewind(struct pages *pages, size_t mark);

#endif

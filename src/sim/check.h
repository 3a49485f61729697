/* SPDX-License-Identifier: Apache-2.0 */
/* A pool against its model. All of it runs in fibers, with no request under way. */
#ifndef SIM_CHECK_H
#define SIM_CHECK_H

#include "work.h"

#define CHECK_TEXT 600

/* Reads the snapshot, and settles the model on what was seen. False: it cannot be read. */
bool check_snapshot(struct work *work, unsigned volume, unsigned snapshot);

/*
 * The volumes and snapshots there are and all that they hold, against what the model lets survive a
 * crash: without the verb that is under way in the model, and, when that is not so, with it. The
 * model becomes what was seen. False: `why` says what is wrong.
 */
bool check_after_crash(struct work *work, char why[CHECK_TEXT]);

/* The same against what may be read now; only what is seen of snapshots is settled by it. */
bool check_now(struct work *work, char why[CHECK_TEXT]);

/* After going back: everything can be read and was written once. */
bool check_readable(struct work *work, char why[CHECK_TEXT]);

/* Makes checkpoints, and holds the numbers of the pool and its volumes against the model. */
void check_numbers(struct work *work);

/* Destroys everything; then the pool takes no more than when it was empty. */
void check_no_leak(struct work *work, const struct pool_status *empty);

/* What the model holds may be too much for the pool. */
bool check_space_is_short(const struct work *work);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floods: which events pass, and how many of a kind are held. A window begins with the first event
 * of a type on an object; what is held by its end comes out as one, and while that goes on nothing
 * of the kind passes in the windows after it.
 */
#ifndef HEALTH_FOLD_H
#define HEALTH_FOLD_H

#include <quoin/health_events.h>

#define FOLDS_MAX 128

struct fold {
	bool used;
	enum health_event_type type;
	char object[HEALTH_OBJECT_MAX + 1];
	uint64_t start_ms;
	unsigned passed;
	struct health_event held; /* the newest; its count says how many, 0 = none */
};

struct folds {
	uint64_t folded;
	struct fold folds[FOLDS_MAX];
};

/*
 * False: the event is held. *ret_other, with a count above 0, is an event to be told first: what
 * was held of another kind, or in a window that is over.
 */
MUST_CHECK bool fold_pass(struct folds *folds, const struct health_event *event,
			  struct health_event *ret_other);

/* One that was held in a window that is over; with `all` in any. False: there is none. */
MUST_CHECK bool fold_take(struct folds *folds, uint64_t now_ms, bool all,
			  struct health_event *ret_event);

/* Something is held. */
bool fold_any(const struct folds *folds);

#endif

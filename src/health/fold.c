/* SPDX-License-Identifier: Apache-2.0 */
/* Which events pass; see fold.h. */
#include "fold.h"

#include <string.h>

static bool is_over(const struct fold *fold, uint64_t now_ms)
{
	/* A clock that was set back ends windows too. */
	return now_ms < fold->start_ms || now_ms - fold->start_ms >= HEALTH_FOLD_MS;
}

static struct fold *fold_find(struct folds *folds, const struct health_event *event)
{
	for (unsigned i = 0; i < FOLDS_MAX; i++) {
		struct fold *fold = &folds->folds[i];

		if (fold->used && fold->type == event->type &&
		    strcmp(fold->object, event->object) == 0)
			return fold;
	}
	return NULL;
}

/* A free one, or the oldest. */
static struct fold *fold_choose(struct folds *folds)
{
	struct fold *oldest = &folds->folds[0];

	for (unsigned i = 0; i < FOLDS_MAX; i++) {
		struct fold *fold = &folds->folds[i];

		if (!fold->used)
			return fold;
		if (fold->start_ms < oldest->start_ms)
			oldest = fold;
	}
	return oldest;
}

/* What is held comes out, or nothing. */
static void held_take(struct fold *fold, struct health_event *ret_event)
{
	*ret_event = fold->held;
	fold->held.count = 0;
}

bool fold_pass(struct folds *folds, const struct health_event *event,
	       struct health_event *ret_other)
{
	struct fold *fold = fold_find(folds, event);
	unsigned held;

	ret_other->count = 0;
	if (fold && is_over(fold, event->time_ms)) {
		held_take(fold, ret_other);
		fold->used = false;
		fold = NULL;
	}
	if (!fold) {
		fold = fold_choose(folds);
		if (fold->used)
			held_take(fold, ret_other);
		*fold = (struct fold){
			.used = true, .type = event->type, .start_ms = event->time_ms};
		memcpy(fold->object, event->object, sizeof(fold->object));
	}
	if (fold->passed < HEALTH_FOLD_PASS) {
		fold->passed++;
		return true;
	}
	folds->folded += event->count;
	held = fold->held.count;
	fold->held = *event;
	fold->held.count += held;
	return false;
}

bool fold_take(struct folds *folds, uint64_t now_ms, bool all, struct health_event *ret_event)
{
	for (unsigned i = 0; i < FOLDS_MAX; i++) {
		struct fold *fold = &folds->folds[i];

		if (!fold->used || (!all && !is_over(fold, now_ms)))
			continue;
		if (fold->held.count == 0) {
			fold->used = false;
			continue;
		}
		held_take(fold, ret_event);
		/* It goes on: the next window passes nothing either. */
		fold->start_ms = now_ms;
		return true;
	}
	return false;
}

bool fold_any(const struct folds *folds)
{
	for (unsigned i = 0; i < FOLDS_MAX; i++) {
		if (folds->folds[i].used && folds->folds[i].held.count > 0)
			return true;
	}
	return false;
}

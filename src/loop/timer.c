/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers: an intrusive pairing heap (Fredman, Sedgewick, Sleator, Tarjan, 1986). Arming costs
 * O(1), firing and disarming O(log n) amortised, and nothing is ever allocated, so a timer can
 * be armed on the I/O path whatever the number of timers.
 *
 * Equal deadlines fire in the order of arming, which keeps simulated runs reproducible.
 */
#include "core.h"

static bool timer_before(const struct loop_timer *a, const struct loop_timer *b)
{
	if (a->deadline_ns != b->deadline_ns)
		return a->deadline_ns < b->deadline_ns;
	return a->sequence < b->sequence;
}

/* Joins two heaps without siblings; NULL is an empty heap. */
static struct loop_timer *heap_meld(struct loop_timer *a, struct loop_timer *b)
{
	struct loop_timer *top;
	struct loop_timer *below;

	if (a == NULL)
		return b;
	if (b == NULL)
		return a;
	top = timer_before(a, b) ? a : b;
	below = top == a ? b : a;
	below->sibling = top->child;
	if (below->sibling != NULL)
		below->sibling->link = &below->sibling;
	top->child = below;
	below->link = &top->child;
	return top;
}

static struct loop_timer *heap_detach_first(struct loop_timer **list)
{
	struct loop_timer *first = *list;

	if (first != NULL) {
		*list = first->sibling;
		first->sibling = NULL;
	}
	return first;
}

/* Two passes over a list of siblings: pairs from left to right, then all from right to left. */
static struct loop_timer *heap_meld_siblings(struct loop_timer *list)
{
	struct loop_timer *pairs = NULL;
	struct loop_timer *heap = NULL;

	while (list != NULL) {
		struct loop_timer *a = heap_detach_first(&list);
		struct loop_timer *pair = heap_meld(a, heap_detach_first(&list));

		pair->sibling = pairs;
		pairs = pair;
	}
	while (pairs != NULL)
		heap = heap_meld(heap, heap_detach_first(&pairs));
	return heap;
}

static void heap_set_root(struct loop *loop, struct loop_timer *root)
{
	loop->timers = root;
	if (root != NULL)
		root->link = &loop->timers;
}

void loop_timer_init(struct loop_timer *timer, void (*fire)(struct loop_timer *timer))
{
	*timer = (struct loop_timer){.fire = fire};
}

void loop_timer_arm(struct loop *loop, struct loop_timer *timer, uint64_t deadline_ns)
{
	loop_timer_disarm(loop, timer);
	timer->deadline_ns = deadline_ns;
	timer->sequence = ++loop->timer_sequence;
	timer->child = NULL;
	timer->sibling = NULL;
	heap_set_root(loop, heap_meld(loop->timers, timer));
}

void loop_timer_disarm(struct loop *loop, struct loop_timer *timer)
{
	struct loop_timer *orphans;

	if (!loop_timer_armed(timer))
		return;
	*timer->link = timer->sibling;
	if (timer->sibling != NULL)
		timer->sibling->link = timer->link;
	orphans = heap_meld_siblings(timer->child);
	heap_set_root(loop, heap_meld(loop->timers, orphans));
	timer->child = NULL;
	timer->sibling = NULL;
	timer->link = NULL;
	timer->sequence = 0;
}

uint64_t core_next_deadline_ns(const struct loop *loop)
{
	return loop->timers != NULL ? loop->timers->deadline_ns : UINT64_MAX;
}

unsigned core_fire_timers(struct loop *loop)
{
	const uint64_t sequence_max = loop->timer_sequence;
	unsigned count = 0;

	if (loop->timers == NULL)
		return 0;
	/* Timers armed by the callbacks wait for the next turn, even when they are due. */
	while (loop->timers != NULL && loop->timers->deadline_ns <= loop_now_ns(loop) &&
	       loop->timers->sequence <= sequence_max) {
		struct loop_timer *timer = loop->timers;

		loop_timer_disarm(loop, timer);
		timer->fire(timer);
		count++;
	}
	return count;
}

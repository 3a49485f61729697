/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts (NVMe 1.4, 7.5).
 *
 * CQEs are gathered while a batch is worked off; nvme_interrupts_decide() then sends at most one
 * message per vector. A spurious interrupt is harmless, a lost one costs the guest 30 seconds, so
 * nothing is suppressed because the guest "must be awake".
 *
 * Coalescing (features 08h, 09h) holds an interrupt back until enough CQEs are there or the time
 * is up, whichever is first. Never for the admin queue.
 *
 * INTx is a level, a pure function of the state: some CQ with interrupts has an entry the guest
 * has not taken, and the line is not masked. With shadow doorbells the guest takes entries without
 * telling us, so heads are read anew before the line is judged. And the guest is asked to ring for
 * the entries that hold the line up: a client without an in-kernel interrupt controller (QEMU with
 * an emulated CPU) lowers its line only at the guest's next access to a BAR, and until then the
 * guest would run its handler over and over.
 */
#include "controller.h"

#include <string.h>

#define COALESCING_UNIT_NS (100 * NS_PER_US)
#define COALESCING_THRESHOLD(value) ((value)&0xFF)
#define COALESCING_TIME(value) ((value) >> 8)

static struct nvme_controller *controller_of(struct nvme_interrupts *in)
{
	return container_of(in, struct nvme_controller, interrupts);
}

/* The end of a batch that did not come from poll(). */
static void task_run(struct loop_task *task)
{
	struct nvme_interrupts *in = container_of(task, struct nvme_interrupts, task);

	nvme_interrupts_decide(controller_of(in));
	nvme_io_kick(controller_of(in));
}

static bool coalesced(const struct nvme_controller *c, const struct nvme_cq *cq)
{
	const struct nvme_interrupts *in = &c->interrupts;

	return COALESCING_TIME(in->coalescing) != 0 && COALESCING_THRESHOLD(in->coalescing) != 0 &&
	       cq->id != 0 && !bitmap_test(in->uncoalesced, cq->vector) &&
	       cq->unsignalled <= COALESCING_THRESHOLD(in->coalescing);
}

static void delay(struct nvme_controller *c, const struct nvme_cq *cq)
{
	struct nvme_interrupts *in = &c->interrupts;

	bitmap_set(in->delayed, cq->id);
	if (!loop_timer_armed(&in->timer))
		loop_timer_arm(c->loop, &in->timer,
			       loop_now_ns(c->loop) +
				       COALESCING_TIME(in->coalescing) * COALESCING_UNIT_NS);
}

static void fire(struct nvme_controller *c, const uint64_t *vectors)
{
	size_t vector = bitmap_next_set(vectors, NVME_VECTORS_MAX, 0);

	for (; vector < NVME_VECTORS_MAX;
	     vector = bitmap_next_set(vectors, NVME_VECTORS_MAX, vector + 1)) {
		c->stats.interrupts++;
		c->params.transport->msix_fire(c->params.transport_data, (unsigned)vector);
	}
}

/* Sends, or holds back, for the CQs in `posted`; empties it. */
static void decide_msix(struct nvme_controller *c, uint64_t *posted, bool may_delay)
{
	uint64_t vectors[BITMAP_WORDS(NVME_VECTORS_MAX)] = {0};

	for (unsigned word = 0; word < BITMAP_WORDS(NVME_QUEUES_MAX); word++) {
		/* A copy: `posted` may be the delayed ones, to which delay() gives back. */
		uint64_t bits = posted[word];

		posted[word] = 0;
		for (; bits; bits &= bits - 1) {
			const unsigned bit = (unsigned)__builtin_ctzll(bits);
			struct nvme_cq *cq = &c->cqs[word * 64 + bit];

			if (may_delay && coalesced(c, cq)) {
				delay(c, cq);
				continue;
			}
			cq->unsignalled = 0;
			bitmap_clear(c->interrupts.delayed, cq->id);
			bitmap_set(vectors, cq->vector);
		}
	}
	fire(c, vectors);
}

static void timer_fire(struct loop_timer *timer)
{
	struct nvme_interrupts *in = container_of(timer, struct nvme_interrupts, timer);

	decide_msix(controller_of(in), in->delayed, false);
}

void nvme_interrupts_init(struct nvme_controller *c)
{
	loop_task_init(&c->interrupts.task, task_run);
	loop_timer_init(&c->interrupts.timer, timer_fire);
}

void nvme_interrupts_fini(struct nvme_controller *c)
{
	loop_task_cancel(&c->interrupts.task);
	loop_timer_disarm(c->loop, &c->interrupts.timer);
}

void nvme_interrupt_posted(struct nvme_controller *c, struct nvme_cq *cq)
{
	if (!cq->interrupts)
		return;
	cq->unsignalled++;
	bitmap_set(c->interrupts.posted, cq->id);
	if (!c->doorbells.in_poll)
		loop_task_post(c->loop, &c->interrupts.task);
}

void nvme_interrupts_decide(struct nvme_controller *c)
{
	struct nvme_interrupts *in = &c->interrupts;
	uint64_t any = 0;

	for (unsigned word = 0; word < BITMAP_WORDS(NVME_QUEUES_MAX); word++)
		any |= in->posted[word];
	if (!any)
		return;
	if (LIKELY(nvme_pci_msix_enabled(c) || !c->params.intx)) {
		decide_msix(c, in->posted, true);
	} else {
		memset(in->posted, 0, sizeof(in->posted));
		nvme_interrupts_update_level(c);
	}
}

/* --- INTx ------------------------------------------------------------------------------------- */

bool nvme_interrupts_level(const struct nvme_controller *c)
{
	if ((c->interrupts.mask & 1) || !nvme_pci_intx_enabled(c))
		return false;
	for (unsigned i = 0; i <= c->params.queue_pairs; i++) {
		const struct nvme_cq *cq = &c->cqs[i];

		if (cq->state == NVME_QUEUE_LIVE && cq->interrupts && cq->head != cq->tail)
			return true;
	}
	return false;
}

static void level_set(struct nvme_controller *c, bool level)
{
	if (c->interrupts.intx_level == level)
		return;
	c->interrupts.intx_level = level;
	c->stats.interrupts += level;
	nvme_pci_intx_status(c, level);
	c->params.transport->intx_set(c->params.transport_data, level);
}

void nvme_interrupts_update_level(struct nvme_controller *c)
{
	const bool enabled = nvme_pci_intx_enabled(c);

	if (!c->params.intx)
		return;
	for (unsigned i = 0; enabled && i <= c->params.queue_pairs; i++) {
		struct nvme_cq *cq = &c->cqs[i];

		if (cq->state == NVME_QUEUE_LIVE && cq->interrupts && cq->head != cq->tail)
			nvme_doorbell_cq_expect(c, cq);
	}
	level_set(c, nvme_interrupts_level(c));
}

bool nvme_controller_intx_level(const struct nvme_controller *c)
{
	return nvme_interrupts_level(c);
}

/* --- Changes -----------------------------------------------------------------------------------
 */

void nvme_interrupts_cq_gone(struct nvme_controller *c, const struct nvme_cq *cq)
{
	bitmap_clear(c->interrupts.posted, cq->id);
	bitmap_clear(c->interrupts.delayed, cq->id);
	nvme_interrupts_update_level(c);
}

void nvme_interrupts_reconfigure(struct nvme_controller *c)
{
	nvme_interrupts_update_level(c);
	if (!nvme_pci_msix_enabled(c))
		return;
	/* What was posted before the guest switched must not stay untold. */
	for (unsigned i = 0; i <= c->params.queue_pairs; i++) {
		struct nvme_cq *cq = &c->cqs[i];

		if (cq->state == NVME_QUEUE_LIVE && cq->interrupts && cq->head != cq->tail)
			bitmap_set(c->interrupts.posted, cq->id);
	}
	nvme_interrupts_decide(c);
}

void nvme_interrupts_reset(struct nvme_controller *c)
{
	struct nvme_interrupts *in = &c->interrupts;

	/* The task stays posted: it may owe the drives a kick, and commands of the old life that
	 * are held back to merge would never come home. */
	loop_timer_disarm(c->loop, &in->timer);
	memset(in->posted, 0, sizeof(in->posted));
	memset(in->delayed, 0, sizeof(in->delayed));
	memset(in->uncoalesced, 0, sizeof(in->uncoalesced));
	in->coalescing = 0;
	in->mask = 0;
	level_set(c, false);
}

void nvme_interrupts_set_coalescing(struct nvme_controller *c, uint16_t value)
{
	c->interrupts.coalescing = value;
	decide_msix(c, c->interrupts.delayed, true);
}

void nvme_interrupts_set_vector(struct nvme_controller *c, unsigned vector, bool disable)
{
	ASSERT_U64(vector, <, NVME_VECTORS_MAX);
	if (disable)
		bitmap_set(c->interrupts.uncoalesced, vector);
	else
		bitmap_clear(c->interrupts.uncoalesced, vector);
}

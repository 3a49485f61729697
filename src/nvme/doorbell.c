/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doorbells (NVMe 1.4, 3.1.16, 3.1.17, 5.7, 7.13): where tails and heads come from.
 *
 *  MMIO    a register write carries the value. Always so for the admin queue in shadow mode.
 *  shadow  after Doorbell Buffer Config the guest stores values into a page of its memory, and
 *          rings by MMIO only when it passes the value in the EventIdx page.
 *  mapped  the client has our doorbell page mapped and nobody tells us of a store. We look.
 *
 * One source of truth. In shadow mode the value of an MMIO write is not believed: it may be older
 * than the shadow and would move a tail back over a whole ring of stale commands. The exception
 * is a guest that still rings the old way while it enables the buffers: as long as it never wrote
 * a word itself (the word still holds `initial`), an MMIO value is put into the word by
 * compare-and-swap, so that the word stays the one source.
 *
 * Sleeping (shadow mode). EventIdx is stored only when about to sleep; while we poll it keeps an
 * old value and the guest rings at most once per 65536 entries or lap. The order is
 *
 *      controller (arm)                      guest (NVMe 1.4, 7.13)
 *   1  store EventIdx = head              a  store SQE; store shadow = new tail
 *   2  seq_cst fence                      b  full barrier
 *   3  load shadow; not head? -> work     c  load EventIdx; passed? -> ring by MMIO
 *
 * Were both to miss each other, 3 would have read the old shadow and c the old EventIdx. With
 * fences between 1-3 and a-c one of them is first in the single order of seq_cst fences: if 2
 * precedes b, c sees the store of 1 and rings; if b precedes 2, 3 sees the store of a and works.
 * Without the fence at 2 a store buffer lets 3 pass 1 (even on x86) and a command may lie there
 * for ever. Every queue that waits for the guest takes part, so nothing is skipped: submission
 * queues that are empty, completion queues that are full, and, with INTx, completion queues whose
 * entries hold the line up. A queue that stands still for another reason (no memory, no free
 * request) needs no bell: what ends that wait is an event of the loop, after which we poll.
 * When a completion ends the sleep, EventIdx is moved back before the entry is stored: the guest's
 * answer to it then finds us polling, and costs no ring. Before the next sleep stands the next arm.
 *
 * Values are range checked: a tail must be inside the ring, a head between head and tail.
 * Garbage counts as "no news" and is told to the guest once per distinct value.
 */
#include "controller.h"

#include <string.h>

#define BATCH_PER_QUEUE 32 /* then the next queue has its turn */
#define BATCH_PER_POLL 256 /* then other controllers of this loop have theirs */

#define POLL_DEFAULT_US 50
#define WINDOW_STEPS 8	     /* the window is 1/8 to 8/8 of poll_us */
#define WINDOW_LONG_SLEEP 8  /* times poll_us: polling did not pay */
#define CLOCK_EVERY_POLLS 16 /* idle polls between two looks at the clock */
#define DRIVE_WEIGHT 8	     /* of the average against the newest sample */

/* Mapped mode: how often to look at the page when nothing happens. */
#define BACK_OFF_MIN_NS (20 * NS_PER_US)
#define BACK_OFF_MAX_NS (1 * NS_PER_MS)

#define VALUE_MASK 0xFFFFU /* of a doorbell; the rest is reserved */

static struct nvme_controller *controller_of(struct nvme_doorbells *d)
{
	return container_of(d, struct nvme_controller, doorbells);
}

static bool is_mapped(const struct nvme_controller *c)
{
	return c->params.doorbells == NVME_DOORBELLS_MAPPED;
}

static unsigned sq_word(unsigned id)
{
	return id * 2;
}

static unsigned cq_word(unsigned id)
{
	return id * 2 + 1;
}

/* The page a queue's words are read from; NULL when only MMIO counts, or it is out of reach. */
static inline _Atomic uint32_t *page_of(const struct nvme_controller *c, unsigned queue_id)
{
	if (is_mapped(c))
		return (_Atomic uint32_t *)c->params.doorbell_page;
	return queue_id ? c->doorbells.shadow : NULL;
}

/* True for a queue whose source is the shadow. */
static bool shadowed(const struct nvme_controller *c, unsigned queue_id)
{
	return c->doorbells.configured && queue_id != 0;
}

/* --- Values -------------------------------------------------------------------------------- */

static void complain(struct nvme_controller *c, struct nvme_doorbell_word *word, uint32_t raw)
{
	if (word->has_bad && word->bad == raw)
		return;
	word->has_bad = true;
	word->bad = raw;
	nvme_event_raise(c, NVME_EVENT_ERROR, NVME_EVENT_INVALID_DOORBELL_VALUE);
}

static bool tail_take(struct nvme_controller *c, struct nvme_sq *sq, uint32_t raw)
{
	const uint32_t value = raw & VALUE_MASK;

	if (UNLIKELY(value >= sq->size)) {
		complain(c, &sq->doorbell, raw);
		return false;
	}
	sq->tail = (uint16_t)value;
	return true;
}

static bool head_take(struct nvme_controller *c, struct nvme_cq *cq, uint32_t raw)
{
	const uint32_t value = raw & VALUE_MASK;

	if (UNLIKELY(value >= cq->size ||
		     nvme_ring_distance(cq->head, value, cq->size) >
			     nvme_ring_distance(cq->head, cq->tail, cq->size))) {
		complain(c, &cq->doorbell, raw);
		return false;
	}
	cq->head = (uint16_t)value;
	return true;
}

void nvme_doorbell_sq_refresh(struct nvme_controller *c, struct nvme_sq *sq)
{
	_Atomic uint32_t *page = page_of(c, sq->id);
	uint32_t raw;

	if (!page)
		return;
	raw = le32toh(atomic_load_explicit(&page[sq_word(sq->id)], memory_order_acquire));
	if (LIKELY((raw & VALUE_MASK) == sq->tail))
		return;
	sq->doorbell.used = true;
	tail_take(c, sq, raw);
}

void nvme_doorbell_cq_refresh(struct nvme_controller *c, struct nvme_cq *cq)
{
	_Atomic uint32_t *page = page_of(c, cq->id);
	uint32_t raw;

	if (!page)
		return;
	raw = le32toh(atomic_load_explicit(&page[cq_word(cq->id)], memory_order_acquire));
	if ((raw & VALUE_MASK) == cq->head)
		return;
	cq->doorbell.used = true;
	head_take(c, cq, raw);
}

static void word_start(struct nvme_controller *c, struct nvme_doorbell_word *word, unsigned index,
		       uint32_t value)
{
	_Atomic uint32_t *page = page_of(c, index / 2);

	memset(word, 0, sizeof(*word));
	word->initial = value;
	if (page)
		atomic_store_explicit(&page[index], htole32(value), memory_order_relaxed);
}

void nvme_doorbell_sq_started(struct nvme_controller *c, struct nvme_sq *sq)
{
	word_start(c, &sq->doorbell, sq_word(sq->id), 0);
}

void nvme_doorbell_cq_started(struct nvme_controller *c, struct nvme_cq *cq)
{
	word_start(c, &cq->doorbell, cq_word(cq->id), 0);
}

/* --- MMIO ----------------------------------------------------------------------------------- */

/* An MMIO value for a queue whose source is the shadow: see "one source of truth". */
static bool word_accept_mmio(struct nvme_controller *c, struct nvme_doorbell_word *word,
			     unsigned index, uint32_t value)
{
	_Atomic uint32_t *page = c->doorbells.shadow;
	uint32_t expected = htole32(word->initial);

	if (word->used || !page)
		return !word->used;
	if (!atomic_compare_exchange_strong(&page[index], &expected, htole32(value))) {
		word->used = true;
		return false;
	}
	word->initial = value;
	return true;
}

static void mirror_admin(struct nvme_controller *c, unsigned index, uint32_t value)
{
	/* A guest that uses the shadow for the admin queue too must ring each time. */
	if (c->doorbells.event)
		atomic_store_explicit(&c->doorbells.event[index], htole32(value),
				      memory_order_relaxed);
}

static void sq_ring(struct nvme_controller *c, struct nvme_sq *sq, uint32_t raw)
{
	const uint16_t tail = sq->tail;

	if (shadowed(c, sq->id) && sq->doorbell.used)
		return;
	if (!tail_take(c, sq, raw))
		return;
	if (!sq->id)
		mirror_admin(c, sq_word(0), sq->tail);
	else if (shadowed(c, sq->id) &&
		 !word_accept_mmio(c, &sq->doorbell, sq_word(sq->id), sq->tail))
		sq->tail = tail;
}

static void cq_ring(struct nvme_controller *c, struct nvme_cq *cq, uint32_t raw)
{
	const uint16_t head = cq->head;

	if (shadowed(c, cq->id) && cq->doorbell.used)
		nvme_doorbell_cq_refresh(c, cq);
	else if (!head_take(c, cq, raw))
		return;
	else if (!cq->id)
		mirror_admin(c, cq_word(0), cq->head);
	else if (shadowed(c, cq->id) &&
		 !word_accept_mmio(c, &cq->doorbell, cq_word(cq->id), cq->head))
		cq->head = head;
	nvme_cq_post_finished(c, cq);
	nvme_interrupts_update_level(c);
}

static void ring(struct nvme_controller *c, unsigned index, uint32_t raw)
{
	const unsigned id = index / 2;
	const bool is_cq = index % 2;

	c->stats.mmio_doorbells++;
	if (c->registers.state != NVME_LIFE_ENABLED)
		return;
	if (id > c->params.queue_pairs ||
	    (is_cq ? c->cqs[id].state : c->sqs[id].state) != NVME_QUEUE_LIVE) {
		nvme_event_raise(c, NVME_EVENT_ERROR, NVME_EVENT_INVALID_DOORBELL_REGISTER);
		return;
	}
	if (is_cq)
		cq_ring(c, &c->cqs[id], raw);
	else
		sq_ring(c, &c->sqs[id], raw);
}

void nvme_doorbell_write(struct nvme_controller *c, unsigned offset, const void *data,
			 unsigned length)
{
	if (length == 0 || length % 4 || offset % 4 || offset + length > NVME_PAGE)
		return;
	for (unsigned i = 0; i < length; i += 4) {
		const unsigned index = (offset + i) / 4;
		const uint32_t raw = le32_get((const uint8_t *)data + i);

		if (is_mapped(c)) {
			c->stats.mmio_doorbells++;
			atomic_store_explicit(&page_of(c, 0)[index], htole32(raw),
					      memory_order_release);
		} else {
			ring(c, index, raw);
		}
	}
}

/* --- Doorbell Buffer Config ------------------------------------------------------------------ */

/* Before the guest wrote a word, the word follows what came by MMIO. */
static void word_reconcile(struct nvme_controller *c, struct nvme_doorbell_word *word,
			   unsigned index, uint32_t value)
{
	word->event_published = false;
	if (!word->used && word->initial != value)
		word_accept_mmio(c, word, index, value);
}

static void pages_look_up(struct nvme_controller *c)
{
	struct nvme_doorbells *d = &c->doorbells;

	d->generation = guest_memory_generation(c->memory);
	if (!d->configured)
		return;
	d->shadow = guest_resolve(c->memory, d->shadow_addr, NVME_PAGE, GUEST_READ | GUEST_WRITE);
	d->event = guest_resolve(c->memory, d->event_addr, NVME_PAGE, GUEST_WRITE);
	if (!d->shadow || !d->event) {
		d->shadow = NULL;
		d->event = NULL;
		return;
	}
	for (unsigned id = 1; id <= c->params.queue_pairs; id++) {
		if (c->sqs[id].state == NVME_QUEUE_LIVE)
			word_reconcile(c, &c->sqs[id].doorbell, sq_word(id), c->sqs[id].tail);
		if (c->cqs[id].state == NVME_QUEUE_LIVE)
			word_reconcile(c, &c->cqs[id].doorbell, cq_word(id), c->cqs[id].head);
	}
}

void nvme_doorbells_memory_changed(struct nvme_controller *c)
{
	pages_look_up(c);
}

static bool buffer_good(struct nvme_controller *c, struct guest_addr addr)
{
	return is_aligned(addr.value, NVME_PAGE) &&
	       guest_resolve(c->memory, addr, NVME_PAGE, GUEST_READ | GUEST_WRITE);
}

static void buffers_take(struct nvme_controller *c, struct guest_addr shadow,
			 struct guest_addr event)
{
	struct nvme_doorbells *d = &c->doorbells;

	d->shadow_addr = shadow;
	d->event_addr = event;
	d->configured = true;
	d->shadow = guest_resolve(c->memory, shadow, NVME_PAGE, GUEST_READ | GUEST_WRITE);
	for (unsigned id = 1; id <= c->params.queue_pairs; id++) {
		struct nvme_sq *sq = &c->sqs[id];
		struct nvme_cq *cq = &c->cqs[id];

		if (sq->state == NVME_QUEUE_LIVE)
			word_start(c, &sq->doorbell, sq_word(id), sq->tail);
		if (cq->state == NVME_QUEUE_LIVE)
			word_start(c, &cq->doorbell, cq_word(id), cq->head);
	}
	pages_look_up(c);
	mirror_admin(c, sq_word(0), c->sqs[0].tail);
	mirror_admin(c, cq_word(0), c->cqs[0].head);
}

void nvme_doorbell_buffer_config(struct nvme_request *req)
{
	struct nvme_controller *c = req->controller;
	const struct guest_addr shadow = {req->command.prp1};
	const struct guest_addr event = {req->command.prp2};
	uint16_t status = NVME_SUCCESS;

	if (is_mapped(c))
		status = NVME_INVALID_OPCODE | NVME_DNR;
	else if (shadow.value == event.value || !buffer_good(c, shadow) || !buffer_good(c, event))
		status = NVME_INVALID_FIELD | NVME_DNR;
	else
		buffers_take(c, shadow, event);
	nvme_request_complete(req, status, 0);
}

/* --- The poller ------------------------------------------------------------------------------- */

/* Stores EventIdx for a word, unless it is there already. */
static void publish(struct nvme_controller *c, struct nvme_doorbell_word *word, unsigned index,
		    uint16_t value)
{
	if (word->event_published && word->event == value)
		return;
	word->event_published = true;
	word->event = value;
	atomic_store_explicit(&c->doorbells.event[index], htole32(value), memory_order_relaxed);
}

static unsigned queues_work(struct nvme_controller *c)
{
	struct nvme_doorbells *d = &c->doorbells;
	/* A client lowers its INTx line when the guest touches the BAR: let each command ring. */
	const bool ring_all = d->event && nvme_pci_intx_enabled(c);
	unsigned total = 0;

	/* live_count may change under our hands: a command may delete a queue. */
	for (unsigned i = 0; i < c->live_count && total < BATCH_PER_POLL; i++) {
		struct nvme_sq *sq = c->live[(d->first + i) % c->live_count];

		nvme_doorbell_sq_refresh(c, sq);
		if (UNLIKELY(ring_all && sq->id && d->event))
			publish(c, &sq->doorbell, sq_word(sq->id), sq->tail);
		total += nvme_sq_process(c, sq, BATCH_PER_QUEUE);
		if (UNLIKELY(!list_empty(&sq->cq->finished))) {
			nvme_doorbell_cq_refresh(c, sq->cq);
			nvme_cq_post_finished(c, sq->cq);
		}
	}
	d->first++;
	return total;
}

/*
 * A short sleep shows that polling longer would have paid: do so from now on. A long one shows that
 * it did not: a little less each time, so that one pause does not cost a busy guest its polling.
 */
static void window_adapt(struct nvme_controller *c, uint64_t now)
{
	struct nvme_doorbells *d = &c->doorbells;
	const uint64_t max_ns = c->params.poll_us * NS_PER_US;
	const uint64_t slept = now - d->slept_ns;

	if (slept < max_ns)
		d->window_ns = max_ns;
	else if (slept > max_ns * WINDOW_LONG_SLEEP)
		d->window_ns = MAX(d->window_ns - max_ns / WINDOW_STEPS, max_ns / WINDOW_STEPS);
}

/* Commands were fetched. A null volume has ended them already: then no clock is asked. */
static void sample_start(struct nvme_controller *c)
{
	struct nvme_doorbells *d = &c->doorbells;

	d->full = MAX(d->full, c->in_flight);
	if (d->sample || c->in_flight == 0 || c->newest->state != NVME_REQUEST_RUNNING)
		return;
	d->sample = c->newest;
	d->sample_ns = loop_now_ns(c->loop);
}

void nvme_doorbells_sampled(struct nvme_controller *c)
{
	struct nvme_doorbells *d = &c->doorbells;
	const uint64_t took = loop_now_ns(c->loop) - d->sample_ns;

	d->sample = NULL;
	d->drive_ns += took / DRIVE_WEIGHT - d->drive_ns / DRIVE_WEIGHT;
}

/*
 * All the guest ever has under way is under way, and the drive takes longer than we would poll: the
 * guest is waiting too. To spin meanwhile would win nothing, and take the processor from those who
 * serve the drive.
 */
static bool only_drive_awaited(const struct nvme_controller *c)
{
	const struct nvme_doorbells *d = &c->doorbells;

	return c->in_flight > 0 && c->in_flight >= d->full &&
	       d->drive_ns > c->params.poll_us * NS_PER_US;
}

static void worked(struct nvme_controller *c)
{
	struct nvme_doorbells *d = &c->doorbells;

	sample_start(c);
	d->idle_polls = 0;
	d->answered = false;
	if (UNLIKELY(d->slept_ns)) {
		window_adapt(c, loop_now_ns(c->loop));
		d->slept_ns = 0;
	}
	if (is_mapped(c) && loop_timer_armed(&d->back_off))
		loop_timer_disarm(c->loop, &d->back_off);
	d->back_off_ns = BACK_OFF_MIN_NS;
}

/*
 * Completions were posted since the last look. When they were the last ones in flight, the guest
 * has all it asked for and will react soon: poll as if it had just rung. With more in flight the
 * drive wakes us again, and its kernel threads may need this very CPU for that.
 */
static void answered(struct nvme_controller *c)
{
	struct nvme_doorbells *d = &c->doorbells;

	d->answered = false;
	if (c->in_flight > 0)
		return;
	d->slept_ns = 0;
	d->idle_polls = 0;
}

/* Is it too early to sleep? Asks the clock now and then only. */
static bool in_window(struct nvme_controller *c)
{
	struct nvme_doorbells *d = &c->doorbells;

	c->stats.polls_idle++;
	if (d->answered)
		answered(c);
	if (d->slept_ns || (!d->shadow && !is_mapped(c)) || only_drive_awaited(c))
		return false;
	if (d->idle_polls++ % CLOCK_EVERY_POLLS == 0) {
		const uint64_t now = loop_now_ns(c->loop);

		if (d->idle_polls == 1)
			d->window_end_ns = now + d->window_ns;
		d->in_window = now < d->window_end_ns;
		/* It had its time to ask for more. */
		if (!d->in_window)
			d->full = c->in_flight;
	}
	return d->in_window;
}

static unsigned poll(struct loop_poller *poller)
{
	struct nvme_doorbells *d = container_of(poller, struct nvme_doorbells, poller);
	struct nvme_controller *c = controller_of(d);
	unsigned count;

	if (UNLIKELY(d->generation != guest_memory_generation(c->memory)))
		pages_look_up(c);
	if (UNLIKELY(guest_memory_lost(c->memory)))
		nvme_controller_fail(c);
	d->in_poll = true;
	count = queues_work(c);
	d->in_poll = false;
	nvme_interrupts_decide(c);
	if (UNLIKELY(c->interrupts.intx_level))
		nvme_interrupts_update_level(c);
	nvme_io_kick(c);
	if (count > 0) {
		worked(c);
		return count;
	}
	return in_window(c);
}

void nvme_doorbell_cq_expect(struct nvme_controller *c, struct nvme_cq *cq)
{
	uint16_t head;

	nvme_doorbell_cq_refresh(c, cq);
	if (!c->doorbells.event || cq->id == 0)
		return;
	/* Each turn takes entries away that the guest took without a bell: at most a ring of them.
	 */
	do {
		head = cq->head;
		publish(c, &cq->doorbell, cq_word(cq->id), head);
		atomic_thread_fence(memory_order_seq_cst);
		nvme_doorbell_cq_refresh(c, cq);
	} while (cq->head != head && cq->head != cq->tail);
}

/* The guest must take entries before we can go on, or before the line may fall. */
static bool cq_waits(const struct nvme_controller *c, const struct nvme_sq *sq)
{
	const struct nvme_cq *cq = sq->cq;

	return (sq->head != sq->tail && nvme_cq_room(cq) == 0) || c->interrupts.intx_level;
}

/* Looks at the source again after the fence: true when there is news. */
static bool has_news(struct nvme_controller *c, struct nvme_sq *sq)
{
	const uint16_t tail = sq->tail;
	const uint16_t head = sq->cq->head;

	nvme_doorbell_sq_refresh(c, sq);
	if (sq->tail != tail)
		return true;
	if (!cq_waits(c, sq))
		return false;
	nvme_doorbell_cq_refresh(c, sq->cq);
	return sq->cq->head != head;
}

static bool shadow_arm(struct nvme_controller *c)
{
	for (unsigned i = 0; i < c->live_count; i++) {
		struct nvme_sq *sq = c->live[i];

		if (!sq->id)
			continue;
		publish(c, &sq->doorbell, sq_word(sq->id), sq->tail);
		if (cq_waits(c, sq))
			publish(c, &sq->cq->doorbell, cq_word(sq->cq->id), sq->cq->head);
	}
	/* The fence of the head comment: publishing before looking again. */
	atomic_thread_fence(memory_order_seq_cst);
	for (unsigned i = 0; i < c->live_count; i++)
		if (c->live[i]->id && has_news(c, c->live[i]))
			return false;
	c->doorbells.armed = true;
	return true;
}

void nvme_doorbells_awake(struct nvme_controller *c)
{
	c->doorbells.armed = false;
	if (!c->doorbells.event || nvme_pci_intx_enabled(c))
		return;
	for (unsigned i = 0; i < c->live_count; i++) {
		struct nvme_sq *sq = c->live[i];

		if (sq->id)
			publish(c, &sq->doorbell, sq_word(sq->id), (uint16_t)(sq->tail - 1));
	}
}

static void mapped_arm(struct nvme_controller *c)
{
	struct nvme_doorbells *d = &c->doorbells;

	if (!loop_timer_armed(&d->back_off))
		loop_timer_arm(c->loop, &d->back_off, loop_now_ns(c->loop) + d->back_off_ns);
}

/* Commands that could be worked off now, but for the bound of one poll. */
static bool has_work(struct nvme_controller *c)
{
	if (c->stopped || !nvme_controller_may_dma(c))
		return false;
	for (unsigned i = 0; i < c->live_count; i++) {
		const struct nvme_sq *sq = c->live[i];

		if (sq->head != sq->tail && sq->ring.reachable && nvme_cq_room(sq->cq) > 0 &&
		    c->free_count > NVME_ADMIN_REQUESTS)
			return true;
	}
	return false;
}

static bool arm(struct loop_poller *poller)
{
	struct nvme_doorbells *d = container_of(poller, struct nvme_doorbells, poller);
	struct nvme_controller *c = controller_of(d);

	if (has_work(c))
		return false;
	if (is_mapped(c))
		mapped_arm(c);
	else if (d->shadow && !shadow_arm(c))
		return false;
	if (!d->slept_ns) {
		d->slept_ns = loop_now_ns(c->loop);
		c->stats.wakeups++;
	}
	return true;
}

static void back_off_fire(struct loop_timer *timer)
{
	struct nvme_doorbells *d = container_of(timer, struct nvme_doorbells, back_off);

	d->back_off_ns = MIN(d->back_off_ns * 2, BACK_OFF_MAX_NS);
}

/* --- Life --------------------------------------------------------------------------------------
 */

void nvme_doorbells_init(struct nvme_controller *c)
{
	struct nvme_doorbells *d = &c->doorbells;

	if (c->params.poll_us == 0)
		c->params.poll_us = POLL_DEFAULT_US;
	d->poller.poll = poll;
	d->poller.arm = arm;
	list_init(&d->poller.node);
	loop_timer_init(&d->back_off, back_off_fire);
}

void nvme_doorbells_start(struct nvme_controller *c)
{
	struct nvme_doorbells *d = &c->doorbells;

	d->window_ns = c->params.poll_us * NS_PER_US;
	d->back_off_ns = BACK_OFF_MIN_NS;
	d->slept_ns = 0;
	d->armed = false;
	d->full = 0;
	d->sample = NULL;
	d->drive_ns = 0;
	d->idle_polls = 0;
	d->generation = 0;
	loop_poller_add(c->loop, &d->poller);
}

void nvme_doorbells_stop(struct nvme_controller *c)
{
	struct nvme_doorbells *d = &c->doorbells;

	/* From here on not one more store into the guest's pages. */
	d->configured = false;
	d->shadow = NULL;
	d->event = NULL;
	loop_poller_remove(c->loop, &d->poller);
	loop_timer_disarm(c->loop, &d->back_off);
	if (is_mapped(c))
		memset(c->params.doorbell_page, 0, NVME_PAGE);
}

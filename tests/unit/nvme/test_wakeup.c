/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lost wake-ups with shadow doorbells (75, 78), in the simulated world. The guest rings, and is
 * interrupted, by messages; nothing else wakes the controller's loop. When the world comes to rest
 * with commands unanswered, one was lost.
 *
 *  - The guest on a loop of its own, with pauses and scheduling from many seeds.
 *  - The guest's store at each point of arm() that matters, in one thread.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <quoin/base_endian.h>

#include "harness.h"

#define BELLS 4096
#define DATA_IOVA (HARNESS_RAM_IOVA + (32U << 20))
#define TURNS_MAX 2000000U

/* An MMIO write on its way. */
struct bell {
	struct loop_message message;
	struct harness *h;
	bool busy;
	unsigned offset;
	uint32_t value;
};

static void bell_deliver(struct loop_message *message)
{
	struct bell *bell = container_of(message, struct bell, message);

	bell->busy = false;
	harness_set32(bell->h, bell->offset, bell->value);
}

static void bell_ring(struct harness *h, struct bell *bells, unsigned index, uint32_t value)
{
	for (unsigned i = 0; i < BELLS; i++) {
		if (bells[i].busy)
			continue;
		bells[i] = (struct bell){.message.deliver = bell_deliver,
					 .h = h,
					 .busy = true,
					 .offset = NVME_BAR_DOORBELLS + index * 4,
					 .value = value};
		loop_message_send(h->loop, &bells[i].message);
		return;
	}
	fail_msg("more bells on their way than commands");
}

/* What a driver does: NVMe 1.4, 7.13. */
static void guest_ring(struct harness *h, struct bell *bells, unsigned index, uint32_t value)
{
	_Atomic uint32_t *shadow = harness_ptr(h, h->shadow_iova + index * 4ULL);
	_Atomic uint32_t *event = harness_ptr(h, h->event_iova + index * 4ULL);
	const uint32_t old = atomic_load(shadow);
	uint32_t passed;

	atomic_store(shadow, value);
	passed = atomic_load(event);
	if ((uint16_t)(value - passed - 1) < (uint16_t)(value - old))
		bell_ring(h, bells, index, value);
}

static void put_read(struct harness *h, struct harness_queue *q)
{
	const struct harness_sqe sqe = harness_io(2, q->sq_tail, 1, DATA_IOVA, 0);

	harness_put(h, q, &sqe);
}

static void open_shadow(struct harness *h, const struct harness_params *params, unsigned entries)
{
	harness_open(h, params);
	assert_int_equal(harness_enable(h, 32, 32), 1);
	harness_create(h, 1, entries, 4);
	assert_int_equal(harness_shadow_on(h), 0);
}

/* --- A guest on its own loop ---------------------------------------------------------------- */

struct guest {
	struct harness h;
	struct harness_queue *q;
	struct loop *loop;
	struct loop_timer pause;
	struct bell bells[BELLS];
	unsigned to_submit, in_flight, completed;
};

static void pause_fire(struct loop_timer *timer);

/* Looks at its completion queue; there is no interrupt in this guest, it looks again later. */
static void guest_take(struct guest *g)
{
	struct harness_cqe cqe;
	unsigned taken = 0;

	while (harness_take_quietly(&g->h, g->q, &cqe)) {
		assert_int_equal(cqe.status, 0);
		g->in_flight--;
		g->completed++;
		taken++;
	}
	if (taken > 0)
		guest_ring(&g->h, g->bells, 3, g->q->cq_head);
}

static void guest_submit(struct guest *g)
{
	struct random *random = loop_sim_random(g->h.sim);
	unsigned batch = 1 + (unsigned)random_below(random, 6);

	for (; batch > 0 && g->to_submit > 0 && g->in_flight < g->q->sq_size - 1; batch--) {
		put_read(&g->h, g->q);
		g->to_submit--;
		g->in_flight++;
	}
	guest_ring(&g->h, g->bells, 2, g->q->sq_tail);
}

/* Submits, takes, and pauses for anything from nothing to long enough for sleep. */
static void pause_fire(struct loop_timer *timer)
{
	struct guest *g = container_of(timer, struct guest, pause);
	struct random *random = loop_sim_random(g->h.sim);
	const uint64_t pause_ns = random_below(random, 1ULL << random_below(random, 18));

	guest_take(g);
	if (g->to_submit > 0 && random_chance(random, 2, 3))
		guest_submit(g);
	/* With all submitted it goes on looking for a while only: then the world must be done. */
	if (g->to_submit > 0 || g->in_flight > 0)
		loop_timer_arm(g->loop, &g->pause, loop_now_ns(g->loop) + pause_ns);
}

static void guest_run(uint64_t seed)
{
	const struct harness_params params = {.seed = seed, .poll_us = 3};
	struct guest g = {.to_submit = 300};

	open_shadow(&g.h, &params, seed % 3 ? 16 : 3);
	g.q = &g.h.queues[1];
	g.h.disk->mode = seed % 2 ? RAMDISK_ASYNC : RAMDISK_INLINE;
	g.loop = loop_sim_add(g.h.sim);
	loop_timer_init(&g.pause, pause_fire);
	loop_timer_arm(g.loop, &g.pause, 1);
	(void)!loop_sim_run(g.h.sim, NULL, loop_sim_now_ns(g.h.sim) + NS_PER_S, TURNS_MAX);
	if (g.completed != 300)
		fail_msg("seed %llu: %u of 300 commands came back", (unsigned long long)seed,
			 g.completed);
	harness_close(&g.h);
}

static void test_75_78_guest_on_its_own_loop(void **state)
{
	for (uint64_t seed = 1; seed <= 300; seed++)
		guest_run(seed);
}

/* --- The moments of arm() -------------------------------------------------------------------- */

/*
 *   BEFORE   after the last poll, before EventIdx is stored: the guest sees the old EventIdx and
 *            does not ring, so the second look has to find the command
 *   BETWEEN  after EventIdx is stored, before the second look: the shadow page is out of bounds
 *            when arm() looks again, and the fault handler acts as the guest
 *   AFTER    the second look is over: the guest sees the new EventIdx and has to ring
 *
 * The guest is a poller that the loop arms before the controller's one, or after it.
 */
enum moment { BEFORE, BETWEEN, AFTER };

struct meeting {
	struct loop_poller poller;
	struct harness h;
	struct bell bells[BELLS];
	enum moment moment;
	unsigned left;
	bool pending;
	void *locked_page; /* the controller's view of the shadow, while out of bounds */
};

/* The fault handler has no argument. */
static struct meeting *meeting_now;

static void guest_acts(struct meeting *m)
{
	put_read(&m->h, &m->h.queues[1]);
	guest_ring(&m->h, m->bells, 2, m->h.queues[1].sq_tail);
}

static unsigned meeting_poll(struct loop_poller *poller)
{
	struct meeting *m = container_of(poller, struct meeting, poller);
	struct harness_cqe cqe;

	if (!harness_take_quietly(&m->h, &m->h.queues[1], &cqe))
		return 0;
	guest_ring(&m->h, m->bells, 3, m->h.queues[1].cq_head);
	m->pending = false;
	return 1;
}

static void fault(int signal_number, siginfo_t *info, void *context)
{
	struct meeting *m = meeting_now;

	if (!m->locked_page)
		abort();
	mprotect(m->locked_page, HARNESS_PAGE, PROT_READ | PROT_WRITE);
	m->locked_page = NULL;
	guest_acts(m);
}

static bool meeting_arm(struct loop_poller *poller)
{
	struct meeting *m = container_of(poller, struct meeting, poller);
	const struct guest_addr shadow = {m->h.shadow_iova};

	if (m->pending || m->left == 0)
		return true;
	m->left--;
	m->pending = true;
	if (m->moment != BETWEEN) {
		guest_acts(m);
		return true;
	}
	m->locked_page = guest_resolve(m->h.memory, shadow, HARNESS_PAGE, GUEST_READ);
	assert_int_equal(mprotect(m->locked_page, HARNESS_PAGE, PROT_NONE), 0);
	return true;
}

static void meet(enum moment moment)
{
	const struct sigaction action = {.sa_sigaction = fault, .sa_flags = SA_SIGINFO};
	const struct harness_params params = {.seed = 75, .poll_us = 3};
	struct meeting m = {.poller = {.poll = meeting_poll, .arm = meeting_arm},
			    .moment = moment,
			    .pending = true};
	struct sigaction old;

	meeting_now = &m;
	assert_int_equal(sigaction(SIGSEGV, &action, &old), 0);
	open_shadow(&m.h, &params, 16);
	/* Pollers are armed in order of arrival, and a new life puts the controller's one last. */
	harness_disable(&m.h);
	if (moment != AFTER)
		loop_poller_add(m.h.loop, &m.poller);
	harness_enable(&m.h, 32, 32);
	if (moment == AFTER)
		loop_poller_add(m.h.loop, &m.poller);
	harness_create(&m.h, 1, 16, 16);
	assert_int_equal(harness_shadow_on(&m.h), 0);
	m.left = 500;
	m.pending = false;
	(void)!loop_sim_run(m.h.sim, NULL, UINT64_MAX, TURNS_MAX);
	assert_int_equal(m.left, 0);
	assert_false(m.pending);
	loop_poller_remove(m.h.loop, &m.poller);
	harness_close(&m.h);
	sigaction(SIGSEGV, &old, NULL);
}

static void test_75_store_before_arm(void **state)
{
	meet(BEFORE);
}

static void test_75_store_inside_arm(void **state)
{
	meet(BETWEEN);
}

static void test_75_store_after_arm(void **state)
{
	meet(AFTER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_75_78_guest_on_its_own_loop),
		cmocka_unit_test(test_75_store_before_arm),
		cmocka_unit_test(test_75_store_inside_arm),
		cmocka_unit_test(test_75_store_after_arm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

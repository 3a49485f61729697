/* SPDX-License-Identifier: Apache-2.0 */
/* T6: SET_IRQS in all its forms, latching, and INTx with both ways to unmask. */
#include "peer.h"

#define ASSIGN (VFIO_DATA_EVENTFD | VFIO_ACTION_TRIGGER)
#define MSIX VFIO_IRQ_MSIX

static struct message reply;

static void eventfds_new(int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		assert_true(fds[i] >= 0);
	}
}

static void fds_close(const int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		close(fds[i]);
}

static uint32_t set(struct fixture *fixture, uint32_t flags, uint32_t index, uint32_t start,
		    uint32_t count)
{
	return peer_irqs(fixture, (struct irq_payload){0, flags, index, start, count}, NULL, 0);
}

static uint32_t assign(struct fixture *fixture, uint32_t index, uint32_t start, const int *fds,
		       uint32_t count)
{
	return peer_irqs(fixture, (struct irq_payload){0, ASSIGN, index, start, count}, fds, count);
}

static void t6_assign_and_fire(void **state)
{
	struct fixture *fixture = fixture_new();
	int fd = peer_open(fixture), fds[8];

	eventfds_new(fds, 8);
	assert_int_equal(assign(fixture, MSIX, 1, fds, 8), 0);
	for (unsigned i = 0; i < 8; i++) {
		vfio_irqs_fire(&fixture->server.irqs, i + 1);
		for (unsigned j = 0; j < 8; j++)
			assert_int_equal(eventfd_take(fds[j]), i == j);
	}
	/* The client may ask for a vector to fire. */
	assert_int_equal(set(fixture, VFIO_DATA_NONE | VFIO_ACTION_TRIGGER, MSIX, 3, 2), 0);
	assert_int_equal(eventfd_take(fds[2]), 1);
	assert_int_equal(eventfd_take(fds[3]), 1);
	assert_int_equal(eventfd_take(fds[4]), 0);
	fds_close(fds, 8);
	close(fd);
	fixture_free(fixture);
}

static void t6_bool_data(void **state)
{
	struct fixture *fixture = fixture_new();
	struct {
		struct irq_payload set;
		uint8_t which[4];
	} payload = {{24, VFIO_DATA_BOOL | VFIO_ACTION_TRIGGER, MSIX, 0, 4}, {1, 0, 0, 1}};
	int fd = peer_open(fixture), fds[4];

	eventfds_new(fds, 4);
	assert_int_equal(assign(fixture, MSIX, 0, fds, 4), 0);
	assert_int_equal(peer_call(fixture, VFIO_SET_IRQS, &payload, 24, &reply), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(eventfd_take(fds[i]), payload.which[i]);
	assert_int_equal(peer_call(fixture, VFIO_SET_IRQS, &payload, 23, &reply), EINVAL);
	fds_close(fds, 4);
	close(fd);
	fixture_free(fixture);
}

static void t6_latched_without_eventfd(void **state)
{
	struct fixture *fixture = fixture_new();
	struct vfio_irqs *irqs = &fixture->server.irqs;
	int fd = peer_open(fixture), fds[3];

	eventfds_new(fds, 3);
	vfio_irqs_fire(irqs, 2);
	vfio_irqs_fire(irqs, 2);
	assert_int_equal(irqs->pending[0], 1 << 2);
	assert_int_equal(assign(fixture, MSIX, 0, fds, 3), 0);
	assert_int_equal(eventfd_take(fds[0]), 0);
	assert_int_equal(eventfd_take(fds[2]), 1);
	assert_int_equal(irqs->pending[0], 0);

	/* Taken away vector by vector, given back: nothing is lost in between. */
	assert_int_equal(set(fixture, ASSIGN, MSIX, 1, 1), 0);
	vfio_irqs_fire(irqs, 1);
	assert_int_equal(eventfd_take(fds[1]), 0);
	assert_int_equal(assign(fixture, MSIX, 1, &fds[1], 1), 0);
	assert_int_equal(eventfd_take(fds[1]), 1);

	/* The whole index off, then a device reset: nothing is left to tell. */
	assert_int_equal(set(fixture, VFIO_DATA_NONE | VFIO_ACTION_TRIGGER, MSIX, 0, 0), 0);
	vfio_irqs_fire(irqs, 0);
	vfio_irqs_forget(irqs);
	assert_int_equal(assign(fixture, MSIX, 0, fds, 3), 0);
	assert_int_equal(eventfd_take(fds[0]), 0);
	fds_close(fds, 3);
	close(fd);
	fixture_free(fixture);
}

static void t6_refused_and_nothing_leaks(void **state)
{
	static const struct irq_payload bad[] = {
		{0, ASSIGN, MSIX, 9, 1},
		{0, ASSIGN, MSIX, 8, 2},
		{0, ASSIGN, MSIX, 0xFFFFFFFF, 2},
		{0, ASSIGN, MSIX, 0, 0xFFFFFFFF},
		{0, ASSIGN, MSIX, 0, 0},
		{0, ASSIGN, VFIO_IRQ_MSI, 0, 1},
		{0, ASSIGN, VFIO_IRQ_REQ, 0, 1},
		{0, ASSIGN, 5, 0, 1},
		{0, VFIO_DATA_EVENTFD, MSIX, 0, 1},
		{0, VFIO_ACTION_TRIGGER, MSIX, 0, 1},
		{0, ASSIGN | VFIO_DATA_NONE, MSIX, 0, 1},
		{0, ASSIGN | VFIO_ACTION_MASK, MSIX, 0, 1},
		{0, ASSIGN | 0x40, MSIX, 0, 1},
		{0, VFIO_DATA_EVENTFD | VFIO_ACTION_MASK, VFIO_IRQ_INTX, 0, 1},
		{0, VFIO_DATA_NONE | VFIO_ACTION_TRIGGER, MSIX, 1, 0},
	};
	struct fixture *fixture = fixture_new();
	int fd = peer_open(fixture), fds[3], pipes[2];
	unsigned before = open_fd_count() + 5;

	eventfds_new(fds, 3);
	assert_int_equal(pipe(pipes), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(peer_irqs(fixture, bad[i], NULL, 0), EINVAL);
		assert_int_equal(peer_irqs(fixture, bad[i], fds, 1), EINVAL);
	}
	/* Descriptors and count differ. */
	assert_int_equal(peer_irqs(fixture, (struct irq_payload){0, ASSIGN, MSIX, 0, 2}, fds, 3),
			 EINVAL);
	/* Not an eventfd. */
	assert_int_equal(assign(fixture, MSIX, 0, &pipes[1], 1), EINVAL);
	/* Descriptors where none belong. */
	assert_int_equal(peer_call(peer_attach(fixture, fds, 3), VFIO_RESET, NULL, 0, &reply),
			 EINVAL);
	assert_int_equal(open_fd_count(), before);
	fds_close(fds, 3);
	fds_close(pipes, 2);
	close(fd);
	fixture_free(fixture);
}

static void t6_reassigned_eventfds_are_closed(void **state)
{
	struct fixture *fixture = fixture_new();
	int fd = peer_open(fixture), fds[8];
	unsigned before;

	eventfds_new(fds, 8);
	assert_int_equal(assign(fixture, MSIX, 0, fds, 8), 0);
	before = open_fd_count();
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(assign(fixture, MSIX, 0, fds, 8), 0);
	assert_int_equal(open_fd_count(), before);
	assert_int_equal(set(fixture, VFIO_DATA_NONE | VFIO_ACTION_TRIGGER, MSIX, 0, 0), 0);
	assert_int_equal(open_fd_count(), before - 8);
	/* QEMU says this for indices that we do not have, too. */
	assert_int_equal(set(fixture, VFIO_DATA_NONE | VFIO_ACTION_TRIGGER, VFIO_IRQ_MSI, 0, 0), 0);
	assert_int_equal(assign(fixture, VFIO_IRQ_ERR, 0, fds, 1), 0);
	fds_close(fds, 8);
	close(fd);
	fixture_free(fixture);
}

static void t6_intx_unmask_message(void **state)
{
	struct fixture *fixture = fixture_new();
	struct vfio_irqs *irqs = &fixture->server.irqs;
	const uint32_t mask = VFIO_DATA_NONE | VFIO_ACTION_MASK;
	const uint32_t unmask = VFIO_DATA_NONE | VFIO_ACTION_UNMASK;
	int fd = peer_open(fixture), line;

	eventfds_new(&line, 1);
	assert_int_equal(assign(fixture, VFIO_IRQ_INTX, 0, &line, 1), 0);
	vfio_irqs_intx(irqs, true);
	assert_int_equal(eventfd_take(line), 1);
	vfio_irqs_intx(irqs, true);
	assert_int_equal(eventfd_take(line), 0);
	/* Still high at the unmask: again. */
	assert_int_equal(set(fixture, unmask, VFIO_IRQ_INTX, 0, 1), 0);
	assert_int_equal(eventfd_take(line), 1);
	vfio_irqs_intx(irqs, false);
	assert_int_equal(set(fixture, unmask, VFIO_IRQ_INTX, 0, 1), 0);
	assert_int_equal(eventfd_take(line), 0);

	assert_int_equal(set(fixture, mask, VFIO_IRQ_INTX, 0, 1), 0);
	vfio_irqs_intx(irqs, true);
	assert_int_equal(eventfd_take(line), 0);
	assert_int_equal(set(fixture, unmask, VFIO_IRQ_INTX, 0, 1), 0);
	assert_int_equal(eventfd_take(line), 1);

	/* A new eventfd while the line is high. */
	assert_int_equal(set(fixture, VFIO_DATA_NONE | VFIO_ACTION_TRIGGER, 0, 0, 0), 0);
	assert_int_equal(assign(fixture, VFIO_IRQ_INTX, 0, &line, 1), 0);
	assert_int_equal(eventfd_take(line), 1);
	close(line);
	close(fd);
	fixture_free(fixture);
}

static void t6_intx_resample(void **state)
{
	struct fixture *fixture = fixture_new();
	struct vfio_irqs *irqs = &fixture->server.irqs;
	const struct irq_payload resample = {0, VFIO_DATA_EVENTFD | VFIO_ACTION_UNMASK, 0, 0, 1};
	const uint64_t one = 1;
	int fd = peer_open(fixture), fds[2];

	/* What QEMU does with KVM: eventfd, mask, resample eventfd, unmask. */
	eventfds_new(fds, 2);
	assert_int_equal(assign(fixture, VFIO_IRQ_INTX, 0, &fds[0], 1), 0);
	assert_int_equal(set(fixture, VFIO_DATA_NONE | VFIO_ACTION_MASK, 0, 0, 1), 0);
	assert_int_equal(peer_irqs(fixture, resample, &fds[1], 1), 0);
	assert_int_equal(set(fixture, VFIO_DATA_NONE | VFIO_ACTION_UNMASK, 0, 0, 1), 0);
	vfio_irqs_intx(irqs, true);
	assert_int_equal(eventfd_take(fds[0]), 1);

	/* The guest's end-of-interrupt arrives on the resample eventfd. */
	assert_int_equal(write(fds[1], &one, sizeof(one)), sizeof(one));
	for (unsigned i = 0; i < 100 && irqs->signals < 2; i++)
		loop_turn(fixture->loop, NS_PER_MS);
	assert_int_equal(eventfd_take(fds[0]), 1);
	assert_int_equal(eventfd_take(fds[1]), 0);
	vfio_irqs_intx(irqs, false);
	assert_int_equal(write(fds[1], &one, sizeof(one)), sizeof(one));
	fixture_turn(fixture, 10);
	assert_int_equal(eventfd_take(fds[0]), 0);

	/* Again, and off. */
	assert_int_equal(peer_irqs(fixture, resample, &fds[1], 1), 0);
	assert_int_equal(set(fixture, VFIO_DATA_NONE | VFIO_ACTION_TRIGGER, 0, 0, 0), 0);
	fds_close(fds, 2);
	close(fd);
	fixture_free(fixture);
}

/* An eventfd whose counter the client filled up must not stop the loop. */
static void full_eventfd_does_not_block(void **state)
{
	struct fixture *fixture = fixture_new();
	const uint64_t full = UINT64_MAX - 1;
	int fd = peer_open(fixture), event = eventfd(0, EFD_CLOEXEC);

	assert_int_equal(write(event, &full, sizeof(full)), sizeof(full));
	assert_int_equal(assign(fixture, MSIX, 0, &event, 1), 0);
	vfio_irqs_fire(&fixture->server.irqs, 0);
	assert_int_equal(eventfd_take(event), full);
	close(event);
	close(fd);
	fixture_free(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t6_assign_and_fire),
		cmocka_unit_test(t6_bool_data),
		cmocka_unit_test(t6_latched_without_eventfd),
		cmocka_unit_test(t6_refused_and_nothing_leaks),
		cmocka_unit_test(t6_reassigned_eventfds_are_closed),
		cmocka_unit_test(t6_intx_unmask_message),
		cmocka_unit_test(t6_intx_resample),
		cmocka_unit_test(full_eventfd_does_not_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

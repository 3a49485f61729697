/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGBUS: a client may truncate the file behind its memory at any time; our next touch faults.
 * The handler looks the address up in a table of guarded ranges, puts anonymous zero pages in the
 * place of the whole range, marks the memory as lost, and lets the access go on. The owner sees
 * the mark and drops the client. Faults elsewhere get the action that was there before us.
 *
 *  1. A slot is claimed by compare-and-swap and read under its sequence number (odd = being
 *     written): no locks, so the handler may interrupt anything.
 *  2. The range that faults belongs to the thread that faults, so its slot is stable while the
 *     handler runs. Slots of other threads may change meanwhile; those reads are thrown away.
 *  3. The handler uses system calls and atomics only.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include <quoin/base_assert.h>
#include <quoin/guest.h>

#include "guard.h"

struct guard_slot {
	_Atomic bool used;
	_Atomic uint64_t sequence; /* odd: being written */
	_Atomic uintptr_t start;
	_Atomic size_t size_bytes; /* 0: nothing guarded */
	_Atomic bool *_Atomic lost;
};

/* The handler has no argument of ours: process-wide by nature. */
static struct guard_slot guard_slots[GUEST_GUARD_SLOTS];
static atomic_uint guard_slots_end; /* no slot at or after this one was ever used */
static struct sigaction guard_previous;

static void slot_write(struct guard_slot *slot, void *start, size_t size_bytes, _Atomic bool *lost)
{
	atomic_fetch_add(&slot->sequence, 1);
	atomic_store(&slot->start, (uintptr_t)start);
	atomic_store(&slot->size_bytes, size_bytes);
	atomic_store(&slot->lost, lost);
	atomic_fetch_add(&slot->sequence, 1);
}

int guest_guard_add(void *start, size_t size_bytes, _Atomic bool *lost, unsigned *ret_slot)
{
	for (unsigned i = 0; i < GUEST_GUARD_SLOTS; i++) {
		struct guard_slot *slot = &guard_slots[i];
		bool expected = false;
		unsigned end = atomic_load(&guard_slots_end);

		if (atomic_load(&slot->used) ||
		    !atomic_compare_exchange_strong(&slot->used, &expected, true))
			continue;
		while (end <= i && !atomic_compare_exchange_weak(&guard_slots_end, &end, i + 1))
			;
		slot_write(slot, start, size_bytes, lost);
		*ret_slot = i;
		return 0;
	}
	return -ENOSPC;
}

void guest_guard_remove(unsigned index)
{
	struct guard_slot *slot = &guard_slots[index];

	ASSERT(index < GUEST_GUARD_SLOTS && atomic_load(&slot->used));
	slot_write(slot, NULL, 0, NULL);
	atomic_store(&slot->used, false);
}

/* True when `slot` guards `address`; the outputs are of one moment. */
static bool slot_covers(struct guard_slot *slot, uintptr_t address, uintptr_t *ret_start,
			size_t *ret_size_bytes, _Atomic bool **ret_lost)
{
	uint64_t sequence = atomic_load(&slot->sequence);
	uintptr_t start = atomic_load(&slot->start);
	size_t size_bytes = atomic_load(&slot->size_bytes);
	_Atomic bool *lost = atomic_load(&slot->lost);

	if (sequence % 2 != 0 || atomic_load(&slot->sequence) != sequence)
		return false;
	if (address < start || address - start >= size_bytes)
		return false;
	*ret_start = start;
	*ret_size_bytes = size_bytes;
	*ret_lost = lost;
	return true;
}

static bool guard_replace(uintptr_t address)
{
	unsigned end = atomic_load(&guard_slots_end);
	_Atomic bool *lost = NULL;
	uintptr_t start = 0;
	size_t size_bytes = 0;

	for (unsigned i = 0; i < end; i++) {
		void *fresh;

		if (!slot_covers(&guard_slots[i], address, &start, &size_bytes, &lost))
			continue;
		fresh = mmap((char *)start, size_bytes, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
		if (fresh == MAP_FAILED)
			return false;
		atomic_store(lost, true);
		return true;
	}
	return false;
}

static void guard_handle(int signal_number, siginfo_t *info, void *context)
{
	int saved = errno;

	/* si_code > 0: the kernel saw a fault; else somebody sent the signal with kill(). */
	if (info->si_code > 0 && guard_replace((uintptr_t)info->si_addr)) {
		errno = saved;
		return;
	}
	/* Not ours. A fault happens again on return, and meets the action from before us. */
	sigaction(signal_number, &guard_previous, NULL);
	if (info->si_code <= 0)
		raise(signal_number);
	errno = saved;
}

void guest_sigbus_install(void)
{
	struct sigaction action = {.sa_sigaction = guard_handle, .sa_flags = SA_SIGINFO};
	struct sigaction current;

	sigemptyset(&action.sa_mask);
	if (sigaction(SIGBUS, NULL, &current) < 0)
		UNREACHABLE();
	if ((current.sa_flags & SA_SIGINFO) && current.sa_sigaction == guard_handle)
		return;
	guard_previous = current;
	if (sigaction(SIGBUS, &action, NULL) < 0)
		UNREACHABLE();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From guest addresses to ours. A range may run through several regions; each step takes the
 * longest piece that lies within one, after checking that the device may do what it wants to.
 */
#include <errno.h>
#include <string.h>

#include "memory.h"

/* The region that holds `addr`, made the one last hit; NULL when there is none. */
static const struct guest_window *window_at(struct guest_memory *memory, uint64_t addr)
{
	unsigned at;

	if (addr - memory->last_hit.start < memory->last_hit.size_bytes)
		return &memory->last_hit;
	at = guest_table_find(memory, addr);
	if (at == memory->count || memory->entries[at].window.start > addr)
		return NULL;
	memory->last_hit = memory->entries[at].window;
	return &memory->last_hit;
}

/*
 * Our address of `addr` and in *ret_length how many bytes, at most `length`, follow it in the
 * same region. NULL when the byte is not accessible.
 */
static char *piece_at(struct guest_memory *memory, uint64_t addr, uint64_t length, unsigned prot,
		      uint64_t *ret_length)
{
	const struct guest_window *window = window_at(memory, addr);
	uint64_t offset;

	if (!window || !window->base || (window->prot & prot) != prot)
		return NULL;
	offset = addr - window->start;
	*ret_length = MIN(length, window->size_bytes - offset);
	return window->base + offset;
}

void *guest_resolve_slow(struct guest_memory *memory, struct guest_addr addr, uint64_t length,
			 unsigned prot)
{
	uint64_t piece_bytes = 0;
	char *piece = piece_at(memory, addr.value, length, prot, &piece_bytes);
	struct iovec whole;
	unsigned count = 0;

	if (!piece || piece_bytes == length)
		return piece;
	if (guest_resolve_iov(memory, addr, length, prot, &whole, &count, 1) < 0)
		return NULL;
	return whole.iov_base;
}

static bool iov_continues(const struct iovec *last, const char *address)
{
	/* As numbers: the caller's own pieces may have no address (a bit bucket of an SGL). */
	return (uintptr_t)last->iov_base + last->iov_len == (uintptr_t)address;
}

int guest_resolve_iov(struct guest_memory *memory, struct guest_addr addr, uint64_t length,
		      unsigned prot, struct iovec *iov, unsigned *count, unsigned max)
{
	size_t first_length = *count > 0 ? iov[*count - 1].iov_len : 0;
	uint64_t at = addr.value, piece_bytes = 0;
	unsigned used = *count;
	int r = 0;

	ASSERT_U64(length, >, 0);
	for (; length > 0; length -= piece_bytes, at += piece_bytes) {
		char *piece = piece_at(memory, at, length, prot, &piece_bytes);

		/* A sum that wrapped to 0 would read on at the bottom of the address space. */
		if (!piece || (at == 0 && addr.value != 0)) {
			r = -EFAULT;
			break;
		}
		if (used > 0 && iov_continues(&iov[used - 1], piece)) {
			iov[used - 1].iov_len += piece_bytes;
			continue;
		}
		if (used == max) {
			r = -E2BIG;
			break;
		}
		iov[used++] = (struct iovec){.iov_base = piece, .iov_len = piece_bytes};
	}
	if (r == 0)
		*count = used;
	else if (*count > 0)
		iov[*count - 1].iov_len = first_length;
	return r;
}

int guest_copy_from(struct guest_memory *memory, void *to, struct guest_addr from, uint64_t length)
{
	uint64_t piece_bytes = 0;

	if (length > 0 && from.value + (length - 1) < from.value)
		return -EFAULT;
	for (uint64_t done = 0; done < length; done += piece_bytes) {
		const char *piece = piece_at(memory, from.value + done, length - done, GUEST_READ,
					     &piece_bytes);

		if (!piece)
			return -EFAULT;
		memcpy((char *)to + done, piece, piece_bytes);
	}
	return 0;
}

int guest_copy_to(struct guest_memory *memory, struct guest_addr to, const void *from,
		  uint64_t length)
{
	uint64_t piece_bytes = 0;

	if (length > 0 && to.value + (length - 1) < to.value)
		return -EFAULT;
	for (uint64_t done = 0; done < length; done += piece_bytes) {
		char *piece =
			piece_at(memory, to.value + done, length - done, GUEST_WRITE, &piece_bytes);

		if (!piece)
			return -EFAULT;
		memcpy(piece, (const char *)from + done, piece_bytes);
	}
	return 0;
}

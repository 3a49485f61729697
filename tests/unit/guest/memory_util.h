/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of guest memory share: a memory, and files to map. */
#ifndef GUEST_MEMORY_UTIL_H
#define GUEST_MEMORY_UTIL_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <quoin/guest.h>

#define PAGE GUEST_PAGE_SIZE

static inline struct guest_addr at(uint64_t value)
{
	return (struct guest_addr){.value = value};
}

static inline struct guest_memory *memory_new(void)
{
	struct guest_memory *memory = NULL;

	guest_sigbus_install();
	assert_int_equal(guest_memory_new(&memory), 0);
	return memory;
}

/* A memory file; every page is filled with its number. */
static inline int file_new(unsigned pages)
{
	int fd = memfd_create("guest-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	uint8_t page[PAGE];

	assert_true(fd >= 0);
	for (unsigned i = 0; i < pages; i++) {
		memset(page, (int)i, sizeof(page));
		assert_int_equal(write(fd, page, sizeof(page)), sizeof(page));
	}
	return fd;
}

static inline void unmap_ignore(struct guest_unmap *unmap)
{
}

/* Unmaps at once: no hold may be in the way. */
static inline int unmap_now(struct guest_memory *memory, uint64_t start, uint64_t size_bytes)
{
	struct guest_unmap unmap = {.done = unmap_ignore};

	return guest_memory_unmap(memory, at(start), size_bytes, &unmap);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory: the only way to a client's pages. A table of regions (guest address -> our
 * mapping), every access checked against bounds and permissions.
 *
 * The client is an attacker: regions may overlap our wishes, have no descriptor, be read-only,
 * vanish, or be truncated under us. A truncated file raises SIGBUS: guest_sigbus_install()'s
 * handler puts a private zero page range in its place and marks the memory as lost, so that only
 * that client suffers (guest_memory_lost()).
 *
 * Rules of use
 *  1. A pointer from guest_resolve() is good until control returns to the loop. Resolve anew then.
 *  2. Whoever keeps pointers longer (a drive that reads into guest pages) takes a hold first and
 *     drops it when the drive is done.
 *  3. Unmapping removes the region from the table at once (no new pointers) and completes when
 *     every hold that is older than it was dropped.
 *  4. Copy once, then judge the copy. The guest changes its memory while we look.
 *
 * Threads: one guest_memory belongs to one loop's thread. The SIGBUS guard is process wide.
 */
#ifndef QUOIN_GUEST_H
#define QUOIN_GUEST_H

#include <sys/uio.h>

#include <quoin/base.h>
#include <quoin/base_list.h>
#include <quoin/base_math.h>

/* An address in the client's I/O space (IOVA). */
struct guest_addr {
	uint64_t value;
};

enum guest_prot {
	GUEST_READ = 1,	 /* the device may read */
	GUEST_WRITE = 2, /* the device may write */
};

#define GUEST_REGIONS_MAX 4096
#define GUEST_PAGE_SIZE 4096
#define GUEST_BYTES_MAX (UINT64_C(1) << 44) /* mapped by one client: the rest is for others */

struct guest_memory;

/* -ENOMEM. */
MUST_CHECK int guest_memory_new(struct guest_memory **ret_memory);

/* Unmaps everything. No hold may be left. NULL is allowed. */
void guest_memory_free(struct guest_memory *memory);

/*
 * Adds a region. `fd` (borrowed) may be -1: the range is then known but every access fails.
 * An identical repeat is accepted. `prot` is a set of enum guest_prot.
 * -EINVAL (zero size, not page aligned, wraps, no prot), -EEXIST (overlaps), -ENOSPC (too many
 * regions), -ENOMEM (more than GUEST_BYTES_MAX in all), -EPERM (not shared memory: a memfd, tmpfs
 * or hugetlbfs file), or what mmap said. The file offset is whole pages, for a guest's page must
 * be one of ours: atomic accesses across cache lines are slow for everybody, or a fault.
 */
MUST_CHECK int guest_memory_map(struct guest_memory *memory, struct guest_addr start,
				uint64_t size_bytes, unsigned prot, int fd, uint64_t fd_offset);

/* An unmap under way; the caller's memory until done() is called. */
struct guest_unmap {
	struct list node;
	struct list regions;
	uint64_t epoch;
	void (*done)(struct guest_unmap *unmap);
};

/*
 * Takes all regions inside [start, start + size) out of the table. -ENOENT when there is none,
 * -EINVAL when a region lies only partly inside; nothing is changed then. On 0, done() is called
 * once, later or before this returns, when no older hold is left.
 */
MUST_CHECK int guest_memory_unmap(struct guest_memory *memory, struct guest_addr start,
				  uint64_t size_bytes, struct guest_unmap *unmap);

/* As above, for all regions. Always succeeds, also when there is none. */
void guest_memory_unmap_all(struct guest_memory *memory, struct guest_unmap *unmap);

/*
 * Gives up waiting: done() will not be called; the pages stay mapped, unreachable through the
 * table, until the last older hold goes. Frees `unmap` for its owner.
 */
void guest_unmap_abandon(struct guest_memory *memory, struct guest_unmap *unmap);

/* Changes with every map and unmap: a cached pointer is stale when it differs. Never 0. */
uint64_t guest_memory_generation(const struct guest_memory *memory);

/* True once a region was truncated by the client: fail the client, use nothing more. */
bool guest_memory_lost(const struct guest_memory *memory);

/* Starts anew for the next client: no region is mapped, and no hold is left. */
void guest_memory_forget_loss(struct guest_memory *memory);

unsigned guest_memory_region_count(const struct guest_memory *memory);

/* True when at least one region larger than 1 MiB exists and none of those has a descriptor. */
bool guest_memory_is_private(const struct guest_memory *memory);

/* --- Access ------------------------------------------------------------------------------ */

/*
 * Our address of [addr, addr + length), or NULL when any byte of it is unmapped, has no
 * descriptor, lacks `prot`, or when it crosses into a region that is not adjacent in our memory
 * as well. length > 0.
 */
static inline void *guest_resolve(struct guest_memory *memory, struct guest_addr addr,
				  uint64_t length, unsigned prot);

/*
 * As above for a range that may cross regions: appends pieces to iov[*count], at most up to
 * iov[max - 1], merging a piece that continues the one before it. -EFAULT (not accessible),
 * -E2BIG (more pieces than fit); *count is untouched then.
 */
MUST_CHECK int guest_resolve_iov(struct guest_memory *memory, struct guest_addr addr,
				 uint64_t length, unsigned prot, struct iovec *iov, unsigned *count,
				 unsigned max);

/* Copies across regions. -EFAULT; the destination may then hold part of the data. */
MUST_CHECK int guest_copy_from(struct guest_memory *memory, void *to, struct guest_addr from,
			       uint64_t length);
MUST_CHECK int guest_copy_to(struct guest_memory *memory, struct guest_addr to, const void *from,
			     uint64_t length);

/* The region that was hit last; guest_resolve() looks no further when it is hit again. */
struct guest_window {
	uint64_t start;
	uint64_t size_bytes; /* 0: nothing */
	char *base;	     /* NULL: known, but not accessible */
	unsigned prot;
};

void *guest_resolve_slow(struct guest_memory *memory, struct guest_addr addr, uint64_t length,
			 unsigned prot);

static inline void *guest_resolve(struct guest_memory *memory, struct guest_addr addr,
				  uint64_t length, unsigned prot)
{
	/* A guest_memory begins with its window. */
	const struct guest_window *window = (const void *)memory;
	uint64_t offset = addr.value - window->start;

	if (LIKELY(range_within(offset, length, window->size_bytes) &&
		   (window->prot & prot) == prot && window->base))
		return window->base + offset;
	return guest_resolve_slow(memory, addr, length, prot);
}

/* --- Holds --------------------------------------------------------------------------------- */

struct guest_hold {
	uint64_t epoch; /* 0 = none */
};

struct guest_hold guest_hold_take(struct guest_memory *memory);

/* May complete unmaps (calls their done()). Dropping an empty hold is a no-op. Empties `hold`. */
void guest_hold_drop(struct guest_memory *memory, struct guest_hold *hold);

/* Installs the process-wide SIGBUS handler, before the first map. Again is harmless. */
void guest_sigbus_install(void);

#endif

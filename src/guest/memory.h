/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest memory from inside: shared by the files of this room, nobody else.
 *
 *   table.c    the sorted table: map, unmap, look-up
 *   region.c   one region: mmap and munmap
 *   hold.c     epochs: when an unmap is over
 *   access.c   resolve and copy
 *   guard.c    SIGBUS
 *
 * Epochs. A hold belongs to the epoch in which it was taken. An unmap ends the current epoch and
 * waits until no hold of that epoch, or of an older one, is left. `holds` counts them per epoch in
 * a ring. Should the ring be full, the epoch simply goes on: unmaps wait for more holds than they
 * had to, never for fewer.
 */
#ifndef GUEST_MEMORY_H
#define GUEST_MEMORY_H

#include <stdatomic.h>
#include <sys/types.h>

#include <quoin/base_assert.h>
#include <quoin/base_math.h>
#include <quoin/guest.h>

#define GUEST_EPOCHS_MAX 64
#define GUEST_PRIVATE_BYTES MiB /* a region larger than this ought to have a descriptor */

struct guest_region {
	struct list node; /* in an unmap, or in memory->zombies */
	struct guest_window window;
	uint64_t fd_offset;
	dev_t device; /* identity of the file, to know a repeat */
	ino_t inode;
	void *mapping; /* NULL: no descriptor */
	size_t mapping_bytes;
	unsigned guard_slot;
	uint64_t epoch; /* zombies: gone when no hold of this epoch or an older one is left */
};

struct guest_entry {
	struct guest_window window; /* a copy: look-ups stay within the table */
	struct guest_region *region;
};

struct guest_memory {
	struct guest_window last_hit; /* first: guest_resolve() reads it through the handle */
	struct guest_entry *entries;  /* sorted by address, no overlap */
	unsigned count;
	unsigned capacity;
	unsigned large_count;  /* regions larger than GUEST_PRIVATE_BYTES */
	unsigned large_mapped; /* those of them with a descriptor */
	uint64_t mapped_bytes; /* of all regions with a descriptor */
	uint64_t generation;
	uint64_t epoch;	 /* the current one */
	uint64_t oldest; /* no hold of an epoch before this one is left */
	uint64_t sealed; /* the last epoch an unmap waits for; 0 = none yet */
	uint64_t holds[GUEST_EPOCHS_MAX];
	struct list unmaps; /* by epoch */
	struct list zombies;
	_Atomic bool lost; /* set by the SIGBUS handler */
};

/* --- region.c ----------------------------------------------------------------------------- */

/* Maps `fd`, or makes a region without memory when it is -1. */
MUST_CHECK int guest_region_new(struct guest_memory *memory, const struct guest_window *window,
				int fd, uint64_t fd_offset, struct guest_region **ret_region);
void guest_region_free(struct guest_region *region);
void guest_regions_free(struct list *regions);

/* True when mapping the same again would give the same region. */
bool guest_region_same(const struct guest_region *region, const struct guest_window *window, int fd,
		       uint64_t fd_offset);

/* --- table.c ------------------------------------------------------------------------------ */

/* Index of the first entry whose last byte is at or after `address`; memory->count if none. */
unsigned guest_table_find(const struct guest_memory *memory, uint64_t address);

/* --- hold.c ------------------------------------------------------------------------------- */

/* Ends the epoch for `unmap`, whose regions are out of the table; may complete it. */
void guest_unmap_begin(struct guest_memory *memory, struct guest_unmap *unmap);

#endif

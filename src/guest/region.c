/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One region of guest memory: how its file is mapped, and unmapped again.
 *
 * The mapping is readable and writable whenever the descriptor allows it, whatever the client
 * said the device may do: what the device may do is checked on every access by access.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <quoin/base_log.h>

#include "guard.h"
#include "memory.h"

/* What mmap wants the file offset to be a multiple of. */
static int file_alignment(int fd, uint64_t *ret_alignment)
{
	struct statfs fs;

	/*
	 * Only shared memory has seals to ask for. With any other file our page faults would wait
	 * for a disk, or for a FUSE server that may be the client itself; even fstat() might.
	 */
	if (fcntl(fd, F_GET_SEALS) < 0)
		return errno == EINVAL ? -EPERM : -errno;
	if (fstatfs(fd, &fs) < 0)
		return -errno;
	*ret_alignment = fs.f_type == HUGETLBFS_MAGIC ? (uint64_t)fs.f_bsize : GUEST_PAGE_SIZE;
	return is_power_of_two(*ret_alignment) ? 0 : -EINVAL;
}

static int file_map(int fd, uint64_t offset, size_t size_bytes, unsigned prot, void **ret_mapping)
{
	int mode = fcntl(fd, F_GETFL);
	void *mapping = MAP_FAILED;

	if (mode < 0)
		return -errno;
	errno = EACCES;
	if ((mode & O_ACCMODE) == O_RDWR)
		mapping = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			       (off_t)offset);
	/* A read-only descriptor, or a memfd sealed against writing. */
	if (mapping == MAP_FAILED && (errno == EACCES || errno == EPERM) && !(prot & GUEST_WRITE))
		mapping = mmap(NULL, size_bytes, PROT_READ, MAP_SHARED, fd, (off_t)offset);
	if (mapping == MAP_FAILED)
		return -errno;
	*ret_mapping = mapping;
	return 0;
}

static int region_map(struct guest_memory *memory, struct guest_region *region, int fd)
{
	uint64_t alignment = 0, lead, end;
	struct stat status;
	int r;

	r = file_alignment(fd, &alignment);
	if (r < 0)
		return r;
	if (fstat(fd, &status) < 0)
		return -errno;
	region->device = status.st_dev;
	region->inode = status.st_ino;

	lead = region->fd_offset % alignment;
	if (!u64_add(region->window.size_bytes, lead + alignment - 1, &end) ||
	    !u64_add(region->fd_offset, end, &end) || end > INT64_MAX)
		return -EINVAL;
	region->mapping_bytes = align_up(region->window.size_bytes + lead, alignment);
	r = file_map(fd, region->fd_offset - lead, region->mapping_bytes, region->window.prot,
		     &region->mapping);
	if (r < 0)
		return r;
	region->window.base = (char *)region->mapping + lead;

	/* The guest's secrets do not belong in our core dumps. */
	(void)madvise(region->mapping, region->mapping_bytes, MADV_DONTDUMP);
	r = guest_guard_add(region->mapping, region->mapping_bytes, &memory->lost,
			    &region->guard_slot);
	if (r < 0) {
		munmap(region->mapping, region->mapping_bytes);
		region->mapping = NULL;
	}
	return r;
}

int guest_region_new(struct guest_memory *memory, const struct guest_window *window, int fd,
		     uint64_t fd_offset, struct guest_region **ret_region)
{
	struct guest_region *region = calloc(1, sizeof(*region));
	int r = 0;

	if (!region)
		return -ENOMEM;
	list_init(&region->node);
	region->window = *window;
	region->window.base = NULL;
	region->fd_offset = fd_offset;
	if (fd >= 0)
		r = region_map(memory, region, fd);
	if (r < 0) {
		free(region);
		return r;
	}
	*ret_region = region;
	return 0;
}

void guest_region_free(struct guest_region *region)
{
	if (!region)
		return;
	if (region->mapping) {
		guest_guard_remove(region->guard_slot);
		/* It fails when the hole needs one mapping more than a process may have. */
		if (munmap(region->mapping, region->mapping_bytes) < 0)
			log_debug("guest memory stays mapped: %m");
	}
	free(region);
}

void guest_regions_free(struct list *regions)
{
	for (struct list *node = list_pop(regions); node; node = list_pop(regions))
		guest_region_free(container_of(node, struct guest_region, node));
}

bool guest_region_same(const struct guest_region *region, const struct guest_window *window, int fd,
		       uint64_t fd_offset)
{
	struct stat status;

	if (region->window.start != window->start ||
	    region->window.size_bytes != window->size_bytes ||
	    region->window.prot != window->prot || region->fd_offset != fd_offset)
		return false;
	if (fd < 0 || !region->mapping)
		return fd < 0 && !region->mapping;
	return fcntl(fd, F_GET_SEALS) >= 0 && fstat(fd, &status) == 0 &&
	       status.st_dev == region->device && status.st_ino == region->inode;
}

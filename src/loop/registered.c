/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory and files that a real loop's ring knows beforehand, so that I/O spares the kernel the
 * pinning of pages and the look-up of descriptors.
 *
 * Two tables of the kernel's, made sparse at the first registration (Linux 5.19) and mirrored
 * here: a slot's place is what a submission entry names. A kernel without sparse tables says so
 * once and is not asked again. Taking something out of a table leaves I/O under way alone: the
 * kernel holds on to what it uses, which is why neither call waits.
 *
 * Memory is kept in chunks of what the kernel takes in one slot. Equal chunks share a slot, with a
 * count, so several owners may register the same region.
 */
#include <errno.h>

#include <quoin/base_math.h>

#include "real.h"

#define CHUNK_BYTES GiB /* the kernel's limit for one slot */

/* --- Memory -------------------------------------------------------------------------------- */

static size_t chunk_count(size_t length)
{
	return length / CHUNK_BYTES + (length % CHUNK_BYTES != 0);
}

static struct ring_chunk chunk_at(const void *base, size_t length, size_t index)
{
	const size_t offset = index * CHUNK_BYTES;

	return (struct ring_chunk){
		.base = (uintptr_t)base + offset,
		.length = MIN(length - offset, (size_t)CHUNK_BYTES),
	};
}

/* Makes the table when it is not there yet. */
static int buffers_prepare(struct ring *ring)
{
	struct ring_registered *registered = &ring->registered;

	if (registered->buffers_ready || registered->buffers_refusal < 0)
		return registered->buffers_refusal;
	registered->buffers_refusal =
		io_uring_register_buffers_sparse(&ring->uring, LOOP_BUFFERS_MAX);
	registered->buffers_ready = registered->buffers_refusal == 0;
	return registered->buffers_refusal;
}

static int buffer_update(struct ring *ring, unsigned slot, const struct ring_chunk *chunk)
{
	const struct iovec iov = {
		.iov_base = (void *)(chunk ? chunk->base : 0),
		.iov_len = chunk ? chunk->length : 0,
	};
	const __u64 tag = 0;
	const int r = io_uring_register_buffers_update_tag(&ring->uring, slot, &iov, &tag, 1);

	/* The number of slots that were changed. */
	return r < 0 ? r : r == 1 ? 0 : -EIO;
}

/* The slot that holds exactly this chunk, or LOOP_BUFFERS_MAX. */
static unsigned slot_of(const struct ring_registered *registered, const struct ring_chunk *chunk)
{
	for (unsigned i = 0; i < registered->chunk_end; i++) {
		const struct ring_chunk *held = &registered->chunks[i];

		if (held->base == chunk->base && held->length == chunk->length)
			return i;
	}
	return LOOP_BUFFERS_MAX;
}

static int chunk_add(struct ring *ring, struct ring_chunk chunk)
{
	struct ring_registered *registered = &ring->registered;
	unsigned slot = slot_of(registered, &chunk);
	int r;

	if (slot < LOOP_BUFFERS_MAX) {
		registered->chunks[slot].users++;
		return 0;
	}
	for (slot = 0; slot < LOOP_BUFFERS_MAX; slot++)
		if (registered->chunks[slot].length == 0)
			break;
	if (slot == LOOP_BUFFERS_MAX)
		return -ENOSPC;
	r = buffer_update(ring, slot, &chunk);
	if (r < 0)
		return r;
	chunk.users = 1;
	registered->chunks[slot] = chunk;
	registered->chunk_end = MAX(registered->chunk_end, slot + 1);
	return 0;
}

static void chunk_drop(struct ring *ring, struct ring_chunk chunk)
{
	struct ring_registered *registered = &ring->registered;
	const unsigned slot = slot_of(registered, &chunk);

	if (slot == LOOP_BUFFERS_MAX || --registered->chunks[slot].users > 0)
		return;
	/* Refused or not, no I/O names the slot from here on, and its next user overwrites it. */
	(void)buffer_update(ring, slot, NULL);
	registered->chunks[slot] = (struct ring_chunk){0};
	while (registered->chunk_end > 0 &&
	       registered->chunks[registered->chunk_end - 1].length == 0)
		registered->chunk_end--;
}

int loop_buffers_register(struct loop *loop, void *base, size_t length)
{
	struct ring *ring;
	int r;

	if (loop->twin != &real_twin)
		return -ENOTSUP;
	if (length == 0 || length > UINTPTR_MAX - (uintptr_t)base)
		return -EINVAL;
	ring = &real_of(loop)->ring;
	r = buffers_prepare(ring);
	for (size_t i = 0; r == 0 && i < chunk_count(length); i++) {
		r = chunk_add(ring, chunk_at(base, length, i));
		/* All or nothing. */
		while (r < 0 && i > 0)
			chunk_drop(ring, chunk_at(base, length, --i));
	}
	return r;
}

void loop_buffers_unregister(struct loop *loop, void *base, size_t length)
{
	if (loop->twin != &real_twin)
		return;
	for (size_t i = 0; i < chunk_count(length); i++)
		chunk_drop(&real_of(loop)->ring, chunk_at(base, length, i));
}

int registered_buffer(const struct ring_registered *registered, const struct iovec *iov)
{
	const uintptr_t base = (uintptr_t)iov->iov_base;

	for (unsigned i = 0; i < registered->chunk_end; i++) {
		const struct ring_chunk *held = &registered->chunks[i];

		if (iov->iov_len > 0 && base >= held->base &&
		    range_within(base - held->base, iov->iov_len, held->length))
			return (int)i;
	}
	return -1;
}

/* --- Files --------------------------------------------------------------------------------- */

static int files_prepare(struct ring *ring)
{
	struct ring_registered *registered = &ring->registered;

	if (registered->files_ready || registered->files_refusal < 0)
		return registered->files_refusal;
	registered->files_refusal = io_uring_register_files_sparse(&ring->uring, LOOP_FILES_MAX);
	registered->files_ready = registered->files_refusal == 0;
	return registered->files_refusal;
}

unsigned loop_file_register(struct loop *loop, int fd)
{
	struct ring *ring;
	unsigned slot = 0;

	if (loop->twin != &real_twin || fd < 0)
		return 0;
	ring = &real_of(loop)->ring;
	if (files_prepare(ring) < 0)
		return 0;
	while (slot < LOOP_FILES_MAX && ring->registered.file_used[slot])
		slot++;
	if (slot == LOOP_FILES_MAX ||
	    io_uring_register_files_update(&ring->uring, slot, &fd, 1) != 1)
		return 0;
	ring->registered.file_used[slot] = true;
	ring->registered.file_count++;
	return slot + 1;
}

/*
 * Linux 6.1 lets go of a file taken out of a table a second later, but at once when the whole
 * table goes.
 */
static void files_release(struct ring *ring)
{
	if (io_uring_unregister_files(&ring->uring) == 0)
		ring->registered.files_ready = false;
}

void loop_file_unregister(struct loop *loop, unsigned file)
{
	struct ring *ring;
	int none = -1;

	if (file == 0)
		return;
	ring = &real_of(loop)->ring;
	ASSERT(loop->twin == &real_twin && file <= LOOP_FILES_MAX);
	ASSERT(ring->registered.file_used[file - 1]);
	ring->registered.file_used[file - 1] = false;
	ring->registered.file_count--;
	if (ring->registered.file_count == 0)
		files_release(ring);
	else
		(void)io_uring_register_files_update(&ring->uring, file - 1, &none, 1);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership: what a volume lets go of is free when it was born after the volume's last snapshot.
 * Else the snapshot still has it, and it goes into the head's deadlist. That holds for a clone and
 * its origin too: what it drops of the origin's is never freed from that list, because the list is
 * only taken from down to the origin's epoch; but sums over it tell what the two still share.
 *
 * A block that was copied by reference has several owners, each for one of its references; it is
 * free when the last lets go (shares.h).
 */
#include <errno.h>
#include <stdlib.h>

#include "engine/admin.h"
#include "engine/shares.h"

static struct volume_sink *sink_of(struct map_sink *sink)
{
	return container_of(sink, struct volume_sink, sink);
}

static bool sink_owns(const struct volume_sink *sink, uint32_t epoch)
{
	return sink->volume->next.last_snapshot == 0 || epoch > sink->last_epoch;
}

static int sink_gather(struct volume_sink *sink, uint64_t vaddr, uint32_t epoch)
{
	if (sink->dead_count == SINK_DEAD_MAX) {
		const int r = volume_sink_flush(sink);

		if (r < 0)
			return r;
	}
	sink->dead[sink->dead_count++] = (struct dead_entry){.vaddr = vaddr, .epoch = epoch};
	return 0;
}

/* The vaddr comes from a page: its check fits, but it is still a drive's word. */
static bool sink_may_free(const struct volume_sink *sink, uint64_t vaddr, enum segment_class class)
{
	const struct space *space = sink->pool->space;

	return space_vaddr_valid(space, vaddr, class) && space_is_ref(space, vaddr);
}

static int data_killed(struct map_sink *map_sink, uint64_t vaddr, uint32_t epoch)
{
	struct volume_sink *sink = sink_of(map_sink);
	struct volume_record *next = &sink->volume->next;
	struct snapshot *last;
	bool only;
	int r;

	if (!sink_owns(sink, epoch)) {
		r = sink_gather(sink, vaddr, epoch);
		if (r < 0)
			return r;
		count_down(&next->referenced, 1);
		last = snapshot_at(sink->pool, next->last_snapshot);
		if (last && sink->own_last && epoch > sink->prev_epoch)
			last->next.unique++;
		return 0;
	}
	if (!sink_may_free(sink, vaddr, SEGMENT_DATA))
		return -EUCLEAN;
	r = shares_drop(sink->pool, vaddr, &only);
	if (r < 0)
		return r;
	if (only)
		space_unref(sink->pool->space, vaddr);
	count_down(&next->referenced, 1);
	count_down(&next->unique, 1);
	count_down(&volume_charged(sink->volume)->next.used_data, 1);
	return 0;
}

static int page_killed(struct map_sink *map_sink, uint64_t vaddr, uint32_t epoch)
{
	struct volume_sink *sink = sink_of(map_sink);
	struct volume_record *next = &sink->volume->next;

	if (!sink_owns(sink, epoch)) {
		const int r = sink_gather(sink, vaddr, epoch);

		if (r < 0)
			return r;
		count_down(&next->referenced_meta, 1);
		return 0;
	}
	if (!sink_may_free(sink, vaddr, SEGMENT_META))
		return -EUCLEAN;
	space_unref(sink->pool->space, vaddr);
	count_down(&next->referenced_meta, 1);
	count_down(&volume_charged(sink->volume)->next.used_meta, 1);
	return 0;
}

static void data_born(struct map_sink *map_sink, uint64_t vaddr)
{
	struct volume_sink *sink = sink_of(map_sink);
	struct volume_record *next = &sink->volume->next;

	space_ref(sink->pool->space, vaddr);
	next->referenced++;
	next->unique++;
	volume_charged(sink->volume)->next.used_data++;
}

static void page_born(struct map_sink *map_sink, uint64_t vaddr UNUSED)
{
	struct volume_sink *sink = sink_of(map_sink);

	sink->volume->next.referenced_meta++;
	volume_charged(sink->volume)->next.used_meta++;
}

int volume_sink_init(struct volume_sink *sink, struct volume *volume)
{
	const struct snapshot *last = snapshot_at(volume->pool, volume->next.last_snapshot);

	*sink = (struct volume_sink){.sink = {.data_killed = data_killed,
					      .page_killed = page_killed,
					      .data_born = data_born,
					      .page_born = page_born},
				     .pool = volume->pool,
				     .volume = volume};
	if (last) {
		sink->last_epoch = last->next.epoch;
		sink->prev_epoch = snapshot_epoch(volume->pool, last->next.prev);
		sink->own_last = last->next.volume == volume->id;
	}
	sink->dead = malloc(SINK_DEAD_MAX * sizeof(*sink->dead));
	return sink->dead ? 0 : -ENOMEM;
}

void volume_sink_fini(struct volume_sink *sink)
{
	free(sink->dead);
	sink->dead = NULL;
}

int volume_sink_flush(struct volume_sink *sink)
{
	int r = 0;

	if (sink->dead_count > 0)
		r = deadlist_append(sink->pool->pages, &sink->volume->next.dead, sink->dead,
				    sink->dead_count);
	if (r == 0)
		sink->dead_count = 0;
	return r;
}

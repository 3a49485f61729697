/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading pages. One read is under way for a page, and every fetch of it waits there. A read goes
 * to the column that raid picks; when the copy is bad, to the other columns one by one. A good copy
 * after a bad one ends the fetches at once, and mends the bad columns behind their backs.
 */
#include <errno.h>

#include <quoin/base_assert.h>

#include "map/pages_private.h"

static void fetch_begin(struct pages *pages, struct page_fetch *fetch);
static void read_submit(struct page_read *read, unsigned column);

/* --- The ends of fetches ---------------------------------------------------------------------- */

static void fetch_end(struct pages *pages, struct page_fetch *fetch, int result)
{
	fetch->result = result;
	pages->fetching--;
	fetch->done(fetch);
}

static void fetch_end_later(struct pages *pages, struct page_fetch *fetch, int result)
{
	fetch->result = result;
	list_append(&pages->fetches_known, &fetch->node);
	loop_task_post(pages->raid->loop, &pages->known_task);
}

static void known_run(struct loop_task *task)
{
	struct pages *pages = container_of(task, struct pages, known_task);
	struct list known, *node;

	list_init(&known);
	list_splice(&known, &pages->fetches_known);
	while ((node = list_pop(&known))) {
		struct page_fetch *fetch = container_of(node, struct page_fetch, node);
		const struct page_key key = page_key_of(&fetch->ref);

		/* It was there when it was asked for; it may have been replaced since. */
		if (fetch->result == 0 && !pages_find(pages, &key))
			fetch_begin(pages, fetch);
		else
			fetch_end(pages, fetch, fetch->result);
	}
	pages_wake(pages);
}

/* --- Reads ------------------------------------------------------------------------------------ */

static void waiting_begin(struct pages *pages)
{
	while (!list_empty(&pages->reads_free) && !list_empty(&pages->fetches_waiting))
		fetch_begin(pages, container_of(list_pop(&pages->fetches_waiting),
						struct page_fetch, node));
}

static void read_free(struct page_read *read)
{
	struct pages *pages = read->pages;

	list_append(&pages->reads_free, &read->node);
	waiting_begin(pages);
	pages_wake(pages);
}

/* NULL: it went while the page was read. An old pointer led there. */
static const struct segment *segment_of(const struct page_read *read)
{
	const struct segment *segment =
		space_segment(read->pages->space, vaddr_segment(read->key.vaddr));

	return segment && segment->class == SEGMENT_META ? segment : NULL;
}

static void mend_ended(struct raid_io *io)
{
	struct page_read *read = container_of(io, struct page_read, io);

	read->pages->mending--;
	if (io->result == 0)
		read->pages->stats.healed++;
	read_free(read);
}

/* Rewrites the columns that had no good copy, from the buffer that has one. */
static void mend(struct page_read *read)
{
	const struct segment *segment = segment_of(read);

	read->io.op = RAID_WRITE;
	read->io.columns = segment ? (read->bad | read->failed) &
					     raid_columns_online(read->pages->raid, segment)
				   : 0;
	if (read->io.columns == 0) {
		read_free(read);
		return;
	}
	read->io.done = mend_ended;
	read->pages->mending++;
	raid_submit(read->pages->raid, &read->io);
}

static void bad_count(struct page_read *read)
{
	struct raid *raid = read->pages->raid;
	const struct segment *segment = segment_of(read);

	for (unsigned i = 0; segment && i < segment->column_count; i++) {
		struct drive *drive = &raid->drives[segment->columns[i].drive];

		if (!(read->bad & 1U << i))
			continue;
		drive->info.check_errors++;
		if (raid->changed)
			raid->changed(raid->data, drive);
	}
}

static void read_end(struct page_read *read, int result)
{
	struct pages *pages = read->pages;
	/* An old pointer to a slot that has a new page: the copies that differ are not bad. */
	const bool reused = pages_slot_reused(pages, &read->key);
	struct list fetches, *node;

	list_init(&fetches);
	list_splice(&fetches, &read->fetches);
	list_remove(&read->node);
	if (!reused)
		bad_count(read);
	if (result == 0)
		pages_insert(pages, &read->key, read->iov.iov_base, false);
	else if (result == -EUCLEAN)
		pages->stats.bad++;
	while ((node = list_pop(&fetches)))
		fetch_end(pages, container_of(node, struct page_fetch, node), result);
	if (result == 0 && !reused && (read->bad | read->failed))
		mend(read);
	else
		read_free(read);
}

/* The next column that was not tried, or the end: no copy is good. */
static void read_next(struct page_read *read)
{
	const struct segment *segment = segment_of(read);
	const unsigned left = segment ? raid_columns_online(read->pages->raid, segment) &
						~(read->bad | read->failed)
				      : 0;

	if (left)
		read_submit(read, (unsigned)__builtin_ctz(left));
	else
		read_end(read, read->failed ? -EIO : -EUCLEAN);
}

static void read_ended(struct raid_io *io)
{
	struct page_read *read = container_of(io, struct page_read, io);

	read->failed |= io->failed;
	if (io->result == -ENODATA && !read->bad && !read->failed) {
		read_end(read, -ENODATA);
	} else if (io->result < 0) {
		read_next(read);
	} else if (node_check_matches(read->iov.iov_base, read->key.seed, read->key.check)) {
		read_end(read, 0);
	} else {
		read->bad |= 1U << io->column;
		read_next(read);
	}
}

static void read_submit(struct page_read *read, unsigned column)
{
	read->io.op = RAID_READ;
	read->io.flags = 0;
	read->io.vaddr = read->key.vaddr;
	read->io.count = 1;
	read->io.column = column;
	read->io.iov = &read->iov;
	read->io.iov_count = 1;
	read->io.done = read_ended;
	read->pages->stats.reads++;
	raid_submit(read->pages->raid, &read->io);
}

/* --- Fetches ---------------------------------------------------------------------------------- */

static struct page_read *reading_find(struct pages *pages, const struct page_key *key)
{
	list_for_each (node, &pages->reading) {
		struct page_read *read = container_of(node, struct page_read, node);

		if (page_key_equal(&read->key, key))
			return read;
	}
	return NULL;
}

static bool ref_valid(const struct pages *pages, const struct page_ref *ref)
{
	return ref->ptr.kind == ref->kind &&
	       space_vaddr_valid(pages->space, ref->ptr.vaddr, SEGMENT_META);
}

static void fetch_begin(struct pages *pages, struct page_fetch *fetch)
{
	const struct page_key key = page_key_of(&fetch->ref);
	struct page_read *read;

	if (!ref_valid(pages, &fetch->ref)) {
		fetch_end_later(pages, fetch, -EUCLEAN);
		return;
	}
	if (pages_find(pages, &key)) {
		fetch_end_later(pages, fetch, 0);
		return;
	}
	read = reading_find(pages, &key);
	if (read) {
		list_append(&read->fetches, &fetch->node);
		return;
	}
	if (list_empty(&pages->reads_free)) {
		list_append(&pages->fetches_waiting, &fetch->node);
		return;
	}
	read = container_of(list_pop(&pages->reads_free), struct page_read, node);
	read->key = key;
	read->bad = 0;
	read->failed = 0;
	list_append(&pages->reading, &read->node);
	list_append(&read->fetches, &fetch->node);
	read_submit(read, RAID_ANY_COLUMN);
}

void pages_fetch(struct pages *pages, struct page_fetch *fetch)
{
	const struct page_key key = page_key_of(&fetch->ref);

	if (pages_find(pages, &key))
		pages->stats.hits++;
	else
		pages->stats.misses++;
	pages->fetching++;
	fetch_begin(pages, fetch);
}

struct reader {
	struct page_fetch fetch;
	struct pages *pages;
	uint8_t *to;
	struct fiber *fiber;
};

/* The copy is made here: by the fiber's turn the page may have been replaced. */
static void reader_done(struct page_fetch *fetch)
{
	struct reader *reader = container_of(fetch, struct reader, fetch);
	const struct page_key key = page_key_of(&fetch->ref);
	struct fiber *fiber = reader->fiber;

	if (fetch->result == 0)
		memcpy(reader->to, pages_find(reader->pages, &key), PAGE_BYTES);
	reader->fiber = NULL;
	fiber_wake(fiber);
}

int pages_read(struct pages *pages, const struct page_ref *ref, uint8_t to[PAGE_BYTES])
{
	struct reader reader = {
		.fetch = {.ref = *ref, .done = reader_done},
		.pages = pages,
		.to = to,
		.fiber = fiber_self(),
	};
	const struct page_key key = page_key_of(ref);
	const uint8_t *page = ref_valid(pages, ref) ? pages_find(pages, &key) : NULL;

	if (page) {
		pages->stats.hits++;
		memcpy(to, page, PAGE_BYTES);
		return 0;
	}
	ASSERT(reader.fiber);
	pages_fetch(pages, &reader.fetch);
	while (reader.fiber)
		fiber_park();
	return reader.fetch.result;
}

/* --- Ahead of need ---------------------------------------------------------------------------- */

static void prefetch_done(struct page_fetch *fetch)
{
	struct page_prefetch *prefetch = container_of(fetch, struct page_prefetch, fetch);

	list_append(&prefetch->pages->prefetches_free, &fetch->node);
}

void pages_prefetch(struct pages *pages, const struct page_ref *refs, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct page_key key = page_key_of(&refs[i]);
		struct page_fetch *fetch;

		if (!ref_valid(pages, &refs[i]) || pages_find(pages, &key) ||
		    reading_find(pages, &key))
			continue;
		if (list_empty(&pages->reads_free) || list_empty(&pages->prefetches_free))
			return;
		fetch = container_of(list_pop(&pages->prefetches_free), struct page_fetch, node);
		fetch->ref = refs[i];
		pages->fetching++;
		fetch_begin(pages, fetch);
	}
}

void pages_quiesce(struct pages *pages)
{
	while (pages->fetching > 0 || pages->mending > 0)
		pages_wait(pages);
}

void pages_fetch_init(struct pages *pages, uint8_t *memory)
{
	list_init(&pages->reads_free);
	list_init(&pages->reading);
	list_init(&pages->fetches_waiting);
	list_init(&pages->fetches_known);
	list_init(&pages->prefetches_free);
	loop_task_init(&pages->known_task, known_run);
	for (unsigned i = 0; i < PAGES_READS_MAX; i++) {
		struct page_read *read = &pages->reads[i];
		struct page_prefetch *prefetch = &pages->prefetches[i];

		read->pages = pages;
		read->iov.iov_base = memory + (size_t)i * PAGE_BYTES;
		read->iov.iov_len = PAGE_BYTES;
		list_init(&read->fetches);
		list_append(&pages->reads_free, &read->node);
		prefetch->pages = pages;
		prefetch->fetch.done = prefetch_done;
		list_append(&pages->prefetches_free, &prefetch->fetch.node);
	}
}

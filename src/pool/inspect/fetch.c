/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading slots: many at once, each from every column of its segment that is on a drive that is
 * there. A copy is good when its check fits (of raw ones: when it was read).
 */
#include <stdlib.h>

#include <quoin/loop_fiber.h>

#include "inspect/fetch.h"

struct leg {
	struct disk_request request;
	struct iovec iov;
	struct inspect_fetcher *fetcher;
};

struct inspect_fetcher {
	struct fiber *fiber;
	unsigned pending;
	struct leg legs[INSPECT_FETCH_MAX][SEGMENT_COLUMNS_MAX];
	uint8_t *pages; /* one for each leg */
};

int inspect_fetcher_new(struct inspect *in)
{
	struct inspect_fetcher *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->pages = aligned_alloc(PAGE_BYTES,
				 (size_t)INSPECT_FETCH_MAX * SEGMENT_COLUMNS_MAX * PAGE_BYTES);
	if (!f->pages) {
		free(f);
		return -ENOMEM;
	}
	in->fetcher = f;
	return 0;
}

void inspect_fetcher_free(struct inspect *in)
{
	if (in->fetcher)
		free(in->fetcher->pages);
	free(in->fetcher);
}

static struct inspect_drive *column_drive(const struct inspect *in, uint64_t vaddr, unsigned column,
					  uint64_t *ret_offset)
{
	const struct segment_record *record = &inspect_segment(in, vaddr)->record;
	const struct segment_column *c = &record->columns[column];

	if (column >= record->column_count || c->drive >= in->super.drive_count)
		return NULL;
	*ret_offset = LABEL_BYTES + ((uint64_t)c->chunk << in->super.chunk_shift) +
		      (uint64_t)vaddr_slot(vaddr) * PAGE_BYTES;
	return in->columns[c->drive];
}

static void leg_ended(struct disk_request *request)
{
	struct inspect_fetcher *f = container_of(request, struct leg, request)->fetcher;

	if (--f->pending == 0)
		fiber_wake(f->fiber);
}

static uint8_t *leg_page(const struct inspect_fetcher *f, unsigned i, unsigned column)
{
	return f->pages + ((size_t)i * SEGMENT_COLUMNS_MAX + column) * PAGE_BYTES;
}

static void submit(struct inspect *in, struct inspect_fetch *fetch, unsigned i)
{
	struct inspect_fetcher *f = in->fetcher;

	fetch->online = fetch->read = fetch->good = 0;
	fetch->page = NULL;
	for (unsigned c = 0; c < SEGMENT_COLUMNS_MAX; c++) {
		uint64_t offset;
		struct inspect_drive *drive = column_drive(in, fetch->vaddr, c, &offset);
		struct leg *leg = &f->legs[i][c];

		fetch->column_pages[c] = NULL;
		if (!drive)
			continue;
		fetch->online |= 1U << c;
		leg->fetcher = f;
		leg->iov = (struct iovec){leg_page(f, i, c), PAGE_BYTES};
		leg->request = (struct disk_request){.op = DISK_READ,
						     .offset = offset,
						     .length_bytes = PAGE_BYTES,
						     .iov = &leg->iov,
						     .iov_count = 1,
						     .done = leg_ended};
		f->pending++;
		disk_submit(drive->channel, &leg->request);
	}
}

static bool good(const struct inspect_fetch *fetch, const uint8_t *page)
{
	switch (fetch->kind) {
	case INSPECT_FETCH_PAGE:
		return node_check_matches(page, fetch->seed, fetch->check);
	case INSPECT_FETCH_BLOCK:
		return entry_check_matches(page, fetch->check);
	case INSPECT_FETCH_RAW:
		return true;
	}
	return false;
}

static void take(struct inspect *in, struct inspect_fetch *fetch, unsigned i)
{
	struct inspect_fetcher *f = in->fetcher;

	for (unsigned c = 0; c < SEGMENT_COLUMNS_MAX; c++) {
		if (!(fetch->online >> c & 1))
			continue;
		if (fetch->kind == INSPECT_FETCH_BLOCK)
			in->result->blocks_read++;
		else
			in->result->pages_read++;
		if (f->legs[i][c].request.result < 0)
			continue;
		fetch->read |= 1U << c;
		fetch->column_pages[c] = leg_page(f, i, c);
		if (!good(fetch, fetch->column_pages[c]))
			continue;
		fetch->good |= 1U << c;
		if (!fetch->page)
			fetch->page = fetch->column_pages[c];
	}
}

void inspect_fetch_all(struct inspect *in, struct inspect_fetch *all, unsigned count)
{
	struct inspect_fetcher *f = in->fetcher;

	f->fiber = fiber_self();
	f->pending = 1; /* so that none of them wakes before all are submitted */
	for (unsigned i = 0; i < count; i++)
		submit(in, &all[i], i);
	f->pending--;
	while (f->pending > 0)
		fiber_park();
	for (unsigned i = 0; i < count; i++)
		take(in, &all[i], i);
}

bool inspect_fetch_judge(struct inspect *in, const struct inspect_fetch *fetch,
			 const struct inspect_place *place)
{
	struct inspect_place at = *place;

	for (unsigned c = 0; fetch->page && c < SEGMENT_COLUMNS_MAX; c++) {
		const struct inspect_drive *drive;

		if (!(fetch->online >> c & 1) || (fetch->good >> c & 1))
			continue;
		drive = column_drive(in, fetch->vaddr, c, &at.offset);
		at.drive = (unsigned)(drive - in->drives);
		at.vaddr = fetch->vaddr;
		inspect_copy(in, fetch->read >> c & 1 ? "copy-damaged" : "copy-unreadable", &at,
			     "%s; another copy is good",
			     fetch->read >> c & 1 ? "the check of this copy does not fit"
						  : "this copy cannot be read");
	}
	if (fetch->page)
		return true;
	at.vaddr = fetch->vaddr;
	inspect_damage(in, fetch->read ? "damaged" : "unreadable", &at, "%s",
		       fetch->online == 0 ? "no drive that has it is there"
		       : fetch->read	  ? "its check fits on no drive"
					  : "it can be read from no drive");
	return false;
}

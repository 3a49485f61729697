/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool's history: lines by number. Line n lies at n % POOL_HISTORY_MAX in the record tree, so
 * the newest POOL_HISTORY_MAX are kept. New lines wait in memory for the next checkpoint. What is
 * pending follows from the committed superblock, so no one has to say that a checkpoint succeeded.
 */
#include <errno.h>

#include "engine/admin.h"

static uint64_t history_next(const struct pool *pool)
{
	return MAX(pool->history.next, pool->super.history_next);
}

/* Tabs, newlines and their like would not be read back; they become spaces. */
static void text_keep(const char *text, char to[HISTORY_TEXT_BYTES])
{
	const size_t length = strnlen(text, HISTORY_TEXT_BYTES - 1);

	for (size_t i = 0; i < length; i++)
		to[i] = (unsigned char)text[i] < 0x20 ? ' ' : text[i];
	memset(to + length, 0, HISTORY_TEXT_BYTES - length);
}

int history_note(struct pool *pool, const char *text)
{
	struct history *history = &pool->history;
	struct history_record *line;

	if (history_next(pool) - pool->super.history_next >= HISTORY_PENDING_MAX)
		return -EAGAIN;
	history->next = history_next(pool);
	line = &history->lines[history->next++ % HISTORY_PENDING_MAX];
	line->time_s = pool_wall_s(pool);
	text_keep(text, line->text);
	return 0;
}

int pool_history_add(struct pool *pool, const char *text)
{
	int r = pool_writable(pool, NULL);

	if (r < 0)
		return r;
	if (history_next(pool) - pool->super.history_next >= HISTORY_PENDING_MAX) {
		r = checkpoint_wait(pool);
		if (r < 0)
			return r;
	}
	/* Others added while this one waited, more than there is room for. */
	return history_note(pool, text);
}

/* Writes the page of line `from` with the lines up to `end` that it has. */
static int page_flush(struct pool *pool, const struct node_ptr *root, uint64_t from, uint64_t end,
		      struct array_edit *edit)
{
	const uint64_t index = from % POOL_HISTORY_MAX / RECORDS_PER_PAGE;
	struct page_ref ref = {
		.kind = NODE_HISTORY, .index = index, .ptr = {.kind = NODE_HISTORY, .live = 1}};
	uint8_t page[PAGE_BYTES];
	int r;

	r = array_read(pool->pages, NODE_HISTORY, root, index, page);
	for (uint64_t n = from; r == 0 && n < end; n++)
		history_record_encode(&pool->history.lines[n % HISTORY_PENDING_MAX],
				      page + n % RECORDS_PER_PAGE * RECORD_BYTES);
	if (r == 0)
		r = pages_write(pool->pages, &ref, page);
	if (r == 0)
		*edit = (struct array_edit){.index = index, .ptr = ref.ptr};
	return r;
}

int history_flush(struct pool *pool, struct node_ptr *root, uint64_t *next)
{
	const uint64_t end = MAX(pool->history.next, *next);
	struct array_edit edits[HISTORY_PENDING_MAX / RECORDS_PER_PAGE + 1];
	struct node_ptr new = *root;
	uint64_t from = *next;
	int r;

	while (from < end) {
		/* Edits ascend: where the numbers wrap, another edit begins. */
		const uint64_t wrap = (from / POOL_HISTORY_MAX + 1) * POOL_HISTORY_MAX;
		size_t count = 0;

		while (from < MIN(end, wrap)) {
			const uint64_t page_end =
				MIN(end, (from / RECORDS_PER_PAGE + 1) * RECORDS_PER_PAGE);

			r = page_flush(pool, &new, from, page_end, &edits[count++]);
			if (r < 0)
				return r;
			from = page_end;
		}
		r = array_edit(pool->pages, NODE_HISTORY, &new, edits, count, true);
		if (r < 0)
			return r;
	}
	*root = new;
	*next = end;
	return 0;
}

int pool_history_read(struct pool *pool, uint64_t *cursor, struct pool_history_line *ret_line)
{
	const uint64_t next = history_next(pool);
	const uint64_t first = next > POOL_HISTORY_MAX ? next - POOL_HISTORY_MAX : 0;
	const struct node_ptr root = pool->super.history;
	const uint64_t n = MAX(*cursor, first);
	struct history_record record;
	uint8_t page[PAGE_BYTES];
	int r = 0;

	if (n >= next)
		return -ENOENT;
	if (n >= pool->super.history_next) {
		record = pool->history.lines[n % HISTORY_PENDING_MAX];
	} else {
		r = array_read(pool->pages, NODE_HISTORY, &root,
			       n % POOL_HISTORY_MAX / RECORDS_PER_PAGE, page);
		if (r == 0)
			r = history_record_decode(page + n % RECORDS_PER_PAGE * RECORD_BYTES,
						  &record);
	}
	if (r < 0)
		return r;
	*cursor = n + 1;
	ret_line->time_s = record.time_s;
	memcpy(ret_line->text, record.text, sizeof(ret_line->text));
	return 0;
}

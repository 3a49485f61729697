/* SPDX-License-Identifier: Apache-2.0 */
/* Sectors and the writes that may be seen in them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>

#include "model_private.h"

/* --- Candidates ------------------------------------------------------------------------------ */

static uint32_t node_new(struct model *m, uint32_t write, uint32_t next)
{
	uint32_t index = m->node_free;

	if (index != 0) {
		m->node_free = m->nodes[index].next;
	} else {
		if (m->node_count == m->node_room) {
			m->node_room = m->node_room ? 2 * m->node_room : 256;
			m->nodes = realloc(m->nodes, m->node_room * sizeof(*m->nodes));
			ASSERT(m->nodes != NULL);
		}
		index = m->node_count++;
	}
	m->nodes[index] = (struct model_node){write, next};
	return index;
}

static void nodes_free(struct model *m, uint32_t cell)
{
	uint32_t next;

	for (uint32_t n = cell & ~CELL_LIST; cell & CELL_LIST && n != 0; n = next) {
		next = m->nodes[n].next;
		m->nodes[n].next = m->node_free;
		m->node_free = n;
	}
}

static void candidate_add(struct model *m, uint32_t *cell, uint32_t write)
{
	uint32_t list = *cell & ~CELL_LIST;

	if (!(*cell & CELL_LIST))
		list = node_new(m, *cell, 0);
	*cell = CELL_LIST | node_new(m, write, list);
}

/* Write `x` is certain to have come after write `w`. */
static bool hides(const struct model *m, uint32_t x, uint32_t w)
{
	return !m->writes[x].failed && m->writes[w].end != 0 &&
	       m->writes[w].end < m->writes[x].begin;
}

/* Some candidate that had ended at `by` (or is durable, for 0) hides it. */
bool write_hidden(const struct model *m, uint32_t cell, uint32_t w, uint64_t by)
{
	for (uint32_t n = cell & CELL_LIST ? cell & ~CELL_LIST : 0; n != 0; n = m->nodes[n].next) {
		const struct model_write *x = &m->writes[m->nodes[n].write];
		const bool counts = by == 0 ? x->durable : x->end != 0 && x->end < by;

		if (counts && hides(m, m->nodes[n].write, w))
			return true;
	}
	return false;
}

static void prune(struct model *m, uint32_t *cell, uint64_t by)
{
	uint32_t kept = 0;
	uint32_t count = 0;
	uint32_t only = 0;

	if (!(*cell & CELL_LIST) || (by == 0 && m->readers > 0))
		return;
	for (uint32_t n = *cell & ~CELL_LIST; n != 0; n = m->nodes[n].next) {
		if (write_hidden(m, *cell, m->nodes[n].write, by))
			continue;
		only = m->nodes[n].write;
		kept = node_new(m, only, kept);
		count++;
	}
	nodes_free(m, *cell);
	*cell = CELL_LIST | kept;
	if (count > 1)
		return;
	ASSERT_U64(count, ==, 1);
	nodes_free(m, *cell);
	*cell = only;
}

static uint64_t value_of(const struct model *m, uint32_t write, uint32_t sector)
{
	const struct model_write *w = &m->writes[write];

	return w->zero ? 0 : (uint64_t)w->root << 32 | (uint32_t)(sector - w->shift);
}

bool model_may_read(const struct model *m, const struct model_seen *seen, uint64_t begin)
{
	if (!(seen->cell & CELL_LIST))
		return value_of(m, seen->cell, seen->sector) == seen->value;
	for (uint32_t n = seen->cell & ~CELL_LIST; n != 0; n = m->nodes[n].next) {
		const uint32_t w = m->nodes[n].write;

		if (value_of(m, w, seen->sector) == seen->value &&
		    !write_hidden(m, seen->cell, w, begin))
			return true;
	}
	return false;
}

bool model_may_be(const struct model *m, const struct model_seen *seen)
{
	return model_may_read(m, seen, 1);
}

bool model_may_survive(const struct model *m, const struct model_seen *seen)
{
	return model_may_read(m, seen, 0);
}

bool model_may_survive_beside(const struct model *m, const struct model_seen *seen, uint32_t beside)
{
	const uint32_t cell = seen->cell;

	if (!(cell & CELL_LIST))
		return value_of(m, cell, seen->sector) == seen->value &&
		       (cell == beside || !hides(m, beside, cell));
	for (uint32_t n = cell & ~CELL_LIST; n != 0; n = m->nodes[n].next) {
		const uint32_t w = m->nodes[n].write;

		if (value_of(m, w, seen->sector) == seen->value &&
		    (w == beside || !hides(m, beside, w)))
			return true;
	}
	return false;
}

void model_crashed(struct model *m)
{
	m->tick++;
	m->readers = 0;
	memset(m->copies, 0, sizeof(m->copies));
	for (uint32_t i = 0; i < m->write_count; i++) {
		if (m->writes[i].end == 0)
			m->writes[i].end = m->tick;
	}
}

static int write_describe(const struct model *m, uint32_t write, char *text, size_t size)
{
	const struct model_write *w = &m->writes[write];

	return snprintf(text, size, " %u%s%s [%u+%u] %llu..%llu%s%s%s", w->root, w->zero ? "z" : "",
			w->copy ? " copied" : "", w->first, w->count, (unsigned long long)w->begin,
			(unsigned long long)w->end, w->fua ? " fua" : "",
			w->failed ? " failed" : "", w->durable ? " durable" : "");
}

void model_describe(const struct model *m, uint32_t cell, char *text, size_t size)
{
	size_t at = 0;

	text[0] = '\0';
	if (!(cell & CELL_LIST)) {
		write_describe(m, cell, text, size);
		return;
	}
	for (uint32_t n = cell & ~CELL_LIST; n != 0 && at < size; n = m->nodes[n].next)
		at += (size_t)write_describe(m, m->nodes[n].write, text + at, size - at);
}

void model_settle(struct model *m, struct cells *cells, uint32_t sector, uint64_t value)
{
	const uint32_t cell = cells->cell[sector];
	uint32_t write = 0;
	unsigned zeroes = 0;

	if (!(cell & CELL_LIST))
		return;
	for (uint32_t n = cell & ~CELL_LIST; n != 0; n = m->nodes[n].next) {
		if (value_of(m, m->nodes[n].write, sector) != value)
			continue;
		write = MAX(write, m->nodes[n].write);
		zeroes += value == 0;
	}
	m->vague += zeroes > 1;
	nodes_free(m, cell);
	cells->cell[sector] = write;
}

/* --- Cells ----------------------------------------------------------------------------------- */

void cells_resize(struct model *m, struct cells *cells, uint32_t count)
{
	for (uint32_t i = count; i < cells->count; i++)
		nodes_free(m, cells->cell[i]);
	if (count > 0) {
		cells->cell = realloc(cells->cell, count * sizeof(*cells->cell));
		ASSERT(cells->cell != NULL);
	}
	if (count > cells->count)
		memset(cells->cell + cells->count, 0,
		       (count - cells->count) * sizeof(*cells->cell));
	cells->count = count;
}

void cells_free(struct model *m, struct cells *cells)
{
	for (uint32_t i = 0; i < cells->count; i++)
		nodes_free(m, cells->cell[i]);
	free(cells->cell);
	*cells = (struct cells){0};
}

static uint32_t cell_copy(struct model *m, uint32_t from, uint64_t begin)
{
	uint32_t list = 0;
	uint32_t cell;

	if (!(from & CELL_LIST))
		return from;
	for (uint32_t n = from & ~CELL_LIST; n != 0; n = m->nodes[n].next)
		list = node_new(m, m->nodes[n].write, list);
	cell = CELL_LIST | list;
	prune(m, &cell, begin);
	return cell;
}

/* What may be read by who begins at the tick. */
void cells_copy(struct model *m, struct cells *to, const struct cells *from, uint64_t begin)
{
	cells_resize(m, to, from->count);
	for (uint32_t i = 0; i < from->count; i++)
		to->cell[i] = cell_copy(m, from->cell[i], begin);
}

/* The sectors of the verb, at the same place in both. */
void cells_copy_part(struct model *m, struct cells *to, const struct cells *from,
		     const struct model_verb *verb)
{
	for (uint32_t i = verb->first; i < verb->first + verb->sectors; i++) {
		nodes_free(m, to->cell[i]);
		to->cell[i] = cell_copy(m, from->cell[i], verb->of_snapshot ? 1 : verb->begin);
	}
}

void model_flushed(struct model *m, struct cells *cells, uint64_t begin)
{
	for (uint32_t i = 0; i < cells->count; i++) {
		if (!(cells->cell[i] & CELL_LIST))
			continue;
		for (uint32_t n = cells->cell[i] & ~CELL_LIST; n != 0; n = m->nodes[n].next) {
			struct model_write *w = &m->writes[m->nodes[n].write];

			w->durable |= !w->failed && w->end != 0 && w->end < begin;
		}
		prune(m, &cells->cell[i], 0);
	}
}

void model_blocks(const struct model *m, const struct cells *cells, uint64_t *ret_least,
		  uint64_t *ret_most)
{
	*ret_least = 0;
	*ret_most = 0;
	for (uint32_t at = 0; at < cells->count; at += BLOCK_SECTORS) {
		const struct model_write *first = &m->writes[cells->cell[at] & ~CELL_LIST];
		bool certain = false;
		bool maybe = false;

		for (uint32_t i = at; i < at + BLOCK_SECTORS; i++) {
			const uint32_t cell = cells->cell[i];

			certain |= !(cell & CELL_LIST) && !m->writes[cell].zero;
			maybe |= cell != cells->cell[at] || cell & CELL_LIST;
		}
		/* One write of zeroes over all of it is a hole; in parts they may be data, and are
		 * copied as such. */
		maybe |= !(cells->cell[at] & CELL_LIST) && cells->cell[at] != 0 &&
			 !(first->zero && first->copy == 0 && first->first <= at &&
			   first->first + first->count >= at + BLOCK_SECTORS);
		*ret_least += certain;
		*ret_most += certain || maybe;
	}
	*ret_most += m->vague;
}

/* --- Events ---------------------------------------------------------------------------------- */

void model_init(struct model *m)
{
	*m = (struct model){.tick = 1, .next_id = 1};
	m->writes = calloc(64, sizeof(*m->writes));
	ASSERT(m->writes != NULL);
	m->write_room = 64;
	m->write_count = 1;
	m->writes[0] = (struct model_write){.begin = 1, .end = 1, .zero = true, .durable = true};
	node_new(m, 0, 0);
}

void model_fini(struct model *m)
{
	for (unsigned i = 0; i < MODEL_VOLUMES; i++) {
		for (unsigned s = 0; s < m->volumes[i].snapshot_count; s++)
			free(m->volumes[i].snapshots[s].cells.cell);
		free(m->volumes[i].cells.cell);
	}
	for (unsigned i = 0; i < MODEL_GROUP; i++)
		free(m->cut[i].cell);
	free(m->writes);
	free(m->nodes);
}

static void *copy_of(const void *data, size_t bytes)
{
	void *to = malloc(bytes + 1);

	ASSERT(to != NULL);
	if (bytes > 0)
		memcpy(to, data, bytes);
	return to;
}

static void cells_take(struct cells *cells)
{
	if (cells->cell)
		cells->cell = copy_of(cells->cell, cells->count * sizeof(*cells->cell));
}

void model_copy(struct model *to, const struct model *from)
{
	*to = *from;
	to->write_room = from->write_count;
	to->node_room = from->node_count;
	to->writes = copy_of(from->writes, from->write_count * sizeof(*from->writes));
	to->nodes = copy_of(from->nodes, from->node_count * sizeof(*from->nodes));
	for (unsigned i = 0; i < MODEL_VOLUMES; i++) {
		for (unsigned s = 0; s < to->volumes[i].snapshot_count; s++)
			cells_take(&to->volumes[i].snapshots[s].cells);
		cells_take(&to->volumes[i].cells);
	}
	for (unsigned i = 0; i < MODEL_GROUP; i++)
		cells_take(&to->cut[i]);
}

static void cells_write(struct model *m, struct cells *cells, uint32_t write)
{
	const struct model_write *w = &m->writes[write];

	for (uint32_t i = w->first; i < w->first + w->count && i < cells->count; i++)
		candidate_add(m, &cells->cell[i], write);
}

uint32_t write_new(struct model *m, const struct model_write *like)
{
	const struct model_write copy = *like; /* it may be one of those that move */
	const uint32_t write = m->write_count++;

	if (write == m->write_room) {
		m->write_room *= 2;
		m->writes = realloc(m->writes, m->write_room * sizeof(*m->writes));
		ASSERT(m->writes != NULL);
	}
	m->writes[write] = copy;
	return write;
}

/* From now on; and by copies under way. */
void write_shows(struct model *m, unsigned volume, uint32_t write)
{
	cells_write(m, &m->volumes[volume].cells, write);
	for (unsigned i = 0; m->verb.kind == VERB_SNAPSHOT && i < m->verb.count; i++) {
		if (m->verb.volume[i] == volume)
			cells_write(m, &m->cut[i], write);
	}
	for (unsigned i = 0; i < MODEL_COPIES; i++) {
		if (m->copies[i].write != 0 && m->copies[i].volume == volume)
			copy_follow(m, &m->copies[i], write);
	}
}

static uint32_t write_begin(struct model *m, const struct model_event *event)
{
	uint32_t write;

	if (event->copy)
		return copy_begin(m, event);
	write = write_new(m, &(struct model_write){.begin = m->tick,
						   .first = event->first,
						   .count = event->count,
						   .root = m->write_count,
						   .zero = event->zero,
						   .fua = event->fua});
	write_shows(m, event->volume, write);
	return write;
}

void cells_prune(struct model *m, struct cells *cells, const struct model_write *w)
{
	for (uint32_t i = w->first; i < w->first + w->count && i < cells->count; i++)
		prune(m, &cells->cell[i], 0);
}

static void write_end(struct model *m, const struct model_event *event)
{
	struct model_write *w = &m->writes[event->write];

	if (copy_end(m, event->write, event->result))
		return;
	w->end = m->tick;
	w->failed = event->result < 0;
	if (w->failed || !w->fua)
		return;
	w->durable = true;
	cells_prune(m, &m->volumes[event->volume].cells, w);
}

static void verb_end(struct model *m, int result)
{
	if (result == 0)
		model_verb_finish(m);
	/* Whether it happened is known only after the next import. */
	else if (result != -EIO)
		model_verb_forget(m);
}

static void snapshot_seen(struct model *m, const struct model_event *event)
{
	struct cells *cells = &m->volumes[event->volume].snapshots[event->verb.snapshot].cells;

	for (uint32_t i = 0; i < cells->count; i++)
		model_settle(m, cells, i, event->values[i]);
}

uint32_t model_apply(struct model *m, const struct model_event *event)
{
	uint32_t write = 0;

	m->tick = event->tick;
	switch (event->kind) {
	case EVENT_WRITE:
		write = write_begin(m, event);
		break;
	case EVENT_WRITE_END:
		write_end(m, event);
		break;
	case EVENT_FLUSH_END:
		if (event->result == 0)
			model_flushed(m, &m->volumes[event->volume].cells, event->begin);
		break;
	case EVENT_VERB:
		model_verb_begin(m, &event->verb);
		break;
	case EVENT_VERB_END:
		verb_end(m, event->result);
		break;
	case EVENT_SNAPSHOT_SEEN:
		snapshot_seen(m, event);
		break;
	}
	return write;
}

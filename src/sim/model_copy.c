/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies of guests, within a volume. A copy is a write of its own number, of which no data are, and
 * parts of it: a write for each run of data that its sectors may show. They begin and end together.
 * It has parts for what could be read in its source when it began, and while it is under way there
 * are more, for all that comes to be there: a copy beside it among them.
 */
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_math.h>

#include "model_private.h"

/* The write, if it is the copy's, of the same data, at the same distance. */
static bool alike(const struct model *m, uint32_t part, const struct model_write *like)
{
	const struct model_write *w = &m->writes[part];

	return w->copy == like->copy && w->root == like->root && w->shift == like->shift;
}

/* As `write` at the sector of the copy. */
static struct model_write part_of(const struct model *m, const struct model_copy *copy,
				  uint32_t write, uint32_t sector)
{
	return (struct model_write){
		.begin = m->writes[copy->write].begin,
		.first = sector,
		.count = 1,
		.root = m->writes[write].root,
		.shift = m->writes[write].shift + (copy->first - copy->from),
		.copy = copy->write,
		.zero = m->writes[write].zero,
	};
}

/* Makes a run longer, or begins one. */
static void found(struct model *m, const struct model_copy *copy, uint32_t write, uint32_t sector)
{
	const struct model_write part = part_of(m, copy, write, sector);

	for (uint32_t i = m->write_count - 1; i > copy->write; i--) {
		struct model_write *w = &m->writes[i];

		if (alike(m, i, &part) && w->first + w->count == sector) {
			w->count++;
			return;
		}
	}
	write_new(m, &part);
}

static void source_look(struct model *m, const struct model_copy *copy)
{
	const struct cells *cells = &m->volumes[copy->volume].cells;

	for (uint32_t i = 0; i < copy->count; i++) {
		const uint32_t cell = cells->cell[copy->from + i];

		if (!(cell & CELL_LIST)) {
			found(m, copy, cell, copy->first + i);
			continue;
		}
		for (uint32_t n = cell & ~CELL_LIST; n != 0; n = m->nodes[n].next) {
			if (!write_hidden(m, cell, m->nodes[n].write, m->tick))
				found(m, copy, m->nodes[n].write, copy->first + i);
		}
	}
}

uint32_t copy_begin(struct model *m, const struct model_event *event)
{
	struct model_copy *copy = m->copies;
	uint32_t parts;

	while (copy->write != 0)
		copy++;
	ASSERT(copy < m->copies + MODEL_COPIES);
	*copy = (struct model_copy){
		.volume = event->volume,
		.from = event->from,
		.first = event->first,
		.count = event->count,
		.write = write_new(m, &(struct model_write){.begin = m->tick,
							    .first = event->first,
							    .count = event->count,
							    .root = m->write_count}),
	};
	m->copied = true;
	source_look(m, copy);
	parts = m->write_count;
	for (uint32_t i = copy->write + 1; i < parts; i++)
		write_shows(m, copy->volume, i);
	return copy->write;
}

static bool known(const struct model *m, const struct model_write *part)
{
	for (uint32_t i = part->copy + 1; i < m->write_count; i++) {
		const struct model_write *w = &m->writes[i];

		if (alike(m, i, part) && w->first <= part->first &&
		    w->first + w->count >= part->first + part->count)
			return true;
	}
	return false;
}

void copy_follow(struct model *m, const struct model_copy *copy, uint32_t write)
{
	const struct model_write *w = &m->writes[write];
	const uint32_t from = MAX(w->first, copy->from);
	const uint32_t end = MIN(w->first + w->count, copy->from + copy->count);
	struct model_write part;

	if (from >= end)
		return;
	part = part_of(m, copy, write, from - copy->from + copy->first);
	part.count = end - from;
	if (!known(m, &part))
		write_shows(m, copy->volume, write_new(m, &part));
}

bool copy_end(struct model *m, uint32_t write, int result)
{
	struct model_copy *copy = m->copies;

	while (copy < m->copies + MODEL_COPIES && copy->write != write)
		copy++;
	if (copy == m->copies + MODEL_COPIES)
		return false;
	for (uint32_t i = write; i < m->write_count; i++) {
		struct model_write *w = &m->writes[i];

		if (i != write && w->copy != write)
			continue;
		w->end = m->tick;
		w->failed = result < 0;
		w->durable = result == 0;
	}
	if (result == 0)
		cells_prune(m, &m->volumes[copy->volume].cells, &m->writes[write]);
	copy->write = 0;
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What verbs do to a model. */
#include <stdio.h>
#include <string.h>

#include <quoin/base_assert.h>

#include "model_private.h"

int model_volume_find(const struct model *m, const char *name)
{
	for (unsigned i = 0; i < MODEL_VOLUMES; i++) {
		if (m->volumes[i].there && strcmp(m->volumes[i].name, name) == 0)
			return (int)i;
	}
	return -1;
}

int model_snapshot_find(const struct model_volume *volume, const char *name)
{
	for (unsigned i = 0; i < volume->snapshot_count; i++) {
		if (strcmp(volume->snapshots[i].name, name) == 0)
			return (int)i;
	}
	return -1;
}

unsigned model_clones(const struct model *m, uint64_t snapshot_id)
{
	unsigned count = 0;

	for (unsigned i = 0; i < MODEL_VOLUMES; i++)
		count += m->volumes[i].there && m->volumes[i].origin == snapshot_id;
	return count;
}

static void name_set(char to[MODEL_NAME], const char *name)
{
	snprintf(to, MODEL_NAME, "%s", name);
}

static void snapshot_remove(struct model *m, struct model_volume *volume, unsigned index)
{
	cells_free(m, &volume->snapshots[index].cells);
	volume->snapshot_count--;
	memmove(&volume->snapshots[index], &volume->snapshots[index + 1],
		(volume->snapshot_count - index) * sizeof(*volume->snapshots));
}

static void volume_remove(struct model *m, struct model_volume *volume)
{
	m->destroyed = true;
	while (volume->snapshot_count > 0)
		snapshot_remove(m, volume, volume->snapshot_count - 1);
	cells_free(m, &volume->cells);
	*volume = (struct model_volume){.there = false};
}

static void newer_remove(struct model *m, struct model_volume *volume, unsigned index)
{
	m->destroyed = true;
	while (volume->snapshot_count > index + 1)
		snapshot_remove(m, volume, volume->snapshot_count - 1);
}

void model_rollback_half(struct model *m)
{
	newer_remove(m, &m->volumes[m->verb.volume[0]], m->verb.snapshot);
	model_verb_forget(m);
}

static void rollback(struct model *m, struct model_volume *volume, unsigned index)
{
	newer_remove(m, volume, index);
	cells_free(m, &volume->cells);
	cells_copy(m, &volume->cells, &volume->snapshots[index].cells, 1);
}

static void promote(struct model *m, struct model_volume *clone)
{
	struct model_volume *owner = NULL;
	unsigned moved = 0;
	uint64_t origin;

	for (unsigned i = 0; i < MODEL_VOLUMES && !owner; i++) {
		for (unsigned s = 0; s < m->volumes[i].snapshot_count; s++) {
			if (m->volumes[i].snapshots[s].id != clone->origin)
				continue;
			owner = &m->volumes[i];
			moved = s + 1;
		}
	}
	ASSERT(owner != NULL && clone->snapshot_count + moved <= MODEL_SNAPSHOTS);
	memmove(&clone->snapshots[moved], clone->snapshots,
		clone->snapshot_count * sizeof(*clone->snapshots));
	memcpy(clone->snapshots, owner->snapshots, moved * sizeof(*clone->snapshots));
	clone->snapshot_count += moved;
	owner->snapshot_count -= moved;
	memmove(owner->snapshots, &owner->snapshots[moved],
		owner->snapshot_count * sizeof(*owner->snapshots));
	origin = clone->origin;
	clone->origin = owner->origin;
	owner->origin = origin;
}

static void snapshots_add(struct model *m)
{
	for (unsigned i = 0; i < m->verb.count; i++) {
		struct model_volume *volume = &m->volumes[m->verb.volume[i]];
		struct model_snapshot *snapshot = &volume->snapshots[volume->snapshot_count++];

		*snapshot = (struct model_snapshot){.id = m->verb.id + i, .cells = m->cut[i]};
		name_set(snapshot->name, m->verb.name);
		m->cut[i] = (struct cells){0};
		model_flushed(m, &volume->cells, m->verb.begin);
	}
}

static void clone_add(struct model *m, const struct model_verb *verb)
{
	struct model_volume *volume = &m->volumes[verb->target];
	const struct model_snapshot *origin =
		&m->volumes[verb->volume[0]].snapshots[verb->snapshot];

	*volume = (struct model_volume){.there = true, .origin = origin->id};
	name_set(volume->name, verb->name);
	cells_copy(m, &volume->cells, &origin->cells, 1);
}

static void create(struct model *m, const struct model_verb *verb)
{
	struct model_volume *volume = &m->volumes[verb->target];

	*volume = (struct model_volume){.there = true};
	name_set(volume->name, verb->name);
	cells_resize(m, &volume->cells, verb->sectors);
}

void model_verb_begin(struct model *m, const struct model_verb *verb)
{
	model_verb_forget(m);
	m->verb = *verb;
	m->verb.begin = m->tick;
	m->verb.id = m->next_id;
	m->next_id += MODEL_GROUP;
	if (verb->kind != VERB_SNAPSHOT)
		return;
	for (unsigned i = 0; i < verb->count; i++)
		cells_copy(m, &m->cut[i], &m->volumes[verb->volume[i]].cells, m->tick);
}

void model_verb_forget(struct model *m)
{
	for (unsigned i = 0; i < MODEL_GROUP; i++)
		cells_free(m, &m->cut[i]);
	m->verb.kind = VERB_NONE;
}

void model_verb_finish(struct model *m)
{
	const struct model_verb *verb = &m->verb;
	struct model_volume *volume = &m->volumes[verb->volume[0]];

	switch (verb->kind) {
	case VERB_NONE:
		break;
	case VERB_SYNC:
		for (unsigned i = 0; i < MODEL_VOLUMES; i++)
			model_flushed(m, &m->volumes[i].cells, verb->begin);
		break;
	case VERB_CREATE:
		create(m, verb);
		break;
	case VERB_DESTROY:
		volume_remove(m, volume);
		break;
	case VERB_RENAME:
		name_set(volume->name, verb->name);
		break;
	case VERB_RESIZE:
		cells_resize(m, &volume->cells, verb->sectors);
		break;
	case VERB_SNAPSHOT:
		snapshots_add(m);
		break;
	case VERB_SNAPSHOT_DESTROY:
		snapshot_remove(m, volume, verb->snapshot);
		break;
	case VERB_SNAPSHOT_RENAME:
		name_set(volume->snapshots[verb->snapshot].name, verb->name);
		break;
	case VERB_ROLLBACK:
		rollback(m, volume, verb->snapshot);
		break;
	case VERB_CLONE:
		clone_add(m, verb);
		break;
	case VERB_PROMOTE:
		promote(m, volume);
		break;
	case VERB_COPY:
		/* It takes a checkpoint, which has all that was written before. */
		model_flushed(m, &volume->cells, verb->begin);
		model_flushed(m, &m->volumes[verb->target].cells, verb->begin);
		cells_copy_part(m, &m->volumes[verb->target].cells,
				verb->of_snapshot ? &volume->snapshots[verb->snapshot].cells
						  : &volume->cells,
				verb);
		break;
	case VERB_HOLD:
		volume->snapshots[verb->snapshot].holds++;
		break;
	case VERB_RELEASE:
		volume->snapshots[verb->snapshot].holds--;
		break;
	}
	model_verb_forget(m);
}

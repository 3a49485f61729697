/* SPDX-License-Identifier: Apache-2.0 */
/* Findings: sentences, counts, and the names of things in them. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "inspect/inspect.h"

#define TEXT_BYTES 512

struct inspect_place inspect_place(const char *structure, const char *format, ...)
{
	struct inspect_place place = {.structure = structure, .drive = POOL_INSPECT_NO_DRIVE};
	va_list args;

	va_start(args, format);
	vsnprintf(place.name, sizeof(place.name), format, args);
	va_end(args);
	return place;
}

static void where(const struct inspect *in, const struct inspect_place *place, char *to,
		  size_t size)
{
	if (place->drive != POOL_INSPECT_NO_DRIVE)
		snprintf(to, size, " on %s at byte %" PRIu64, in->drives[place->drive].path,
			 place->offset);
	else if (place->vaddr != 0)
		snprintf(to, size, " at slot %" PRIu32 ":%" PRIu32, vaddr_segment(place->vaddr),
			 vaddr_slot(place->vaddr));
	else
		to[0] = '\0';
}

PRINTF_LIKE(4, 0)
static void find(struct inspect *in, struct pool_inspect_finding *finding,
		 const struct inspect_place *place, const char *format, va_list args)
{
	char what[TEXT_BYTES / 2];
	char at[TEXT_BYTES / 2];
	char text[TEXT_BYTES];

	in->result->findings[finding->severity]++;
	if (!in->params->finding)
		return;
	vsnprintf(what, sizeof(what), format, args);
	where(in, place, at, sizeof(at));
	snprintf(text, sizeof(text), "%s%s: %s", place->name, at, what);
	finding->structure = place->structure;
	finding->drive = place->drive;
	finding->offset = place->offset;
	finding->vaddr = place->vaddr;
	finding->text = text;
	in->params->finding(in->params->context, finding);
}

void inspect_note(struct inspect *in, const char *code, const struct inspect_place *place,
		  const char *format, ...)
{
	struct pool_inspect_finding finding = {.severity = POOL_INSPECT_NOTE, .code = code};
	va_list args;

	va_start(args, format);
	find(in, &finding, place, format, args);
	va_end(args);
}

void inspect_copy(struct inspect *in, const char *code, const struct inspect_place *place,
		  const char *format, ...)
{
	struct pool_inspect_finding finding = {.severity = POOL_INSPECT_COPY, .code = code};
	va_list args;

	va_start(args, format);
	find(in, &finding, place, format, args);
	va_end(args);
}

void inspect_damage(struct inspect *in, const char *code, const struct inspect_place *place,
		    const char *format, ...)
{
	struct pool_inspect_finding finding = {.severity = POOL_INSPECT_DAMAGE, .code = code};
	va_list args;

	va_start(args, format);
	find(in, &finding, place, format, args);
	va_end(args);
}

bool inspect_tick(struct inspect *in)
{
	const struct pool_inspect_progress progress = {
		.pages = in->result->pages_read,
		.blocks = in->result->blocks_read,
		.slots_total = in->super.data_slots,
	};

	if (in->error == 0 && in->params->progress &&
	    !in->params->progress(in->params->context, &progress))
		in->error = -ECANCELED;
	return in->error == 0;
}

void inspect_volume_name(const struct inspect *in, uint32_t id, char to[INSPECT_NAME_BYTES])
{
	const char *name = id < in->volume_count ? in->volumes[id].rec.name : "";

	if (name[0] != '\0')
		snprintf(to, INSPECT_NAME_BYTES, "volume '%s'", name);
	else
		snprintf(to, INSPECT_NAME_BYTES, "volume number %" PRIu32, id);
}

void inspect_snapshot_name(const struct inspect *in, uint32_t id, char to[INSPECT_NAME_BYTES])
{
	const struct inspect_snapshot *snapshot = inspect_snapshot(in, id);
	const uint32_t volume = snapshot ? snapshot->rec.volume : 0;

	if (snapshot && snapshot->rec.name[0] != '\0' && volume < in->volume_count)
		snprintf(to, INSPECT_NAME_BYTES, "snapshot '%s@%s'", in->volumes[volume].rec.name,
			 snapshot->rec.name);
	else
		snprintf(to, INSPECT_NAME_BYTES, "snapshot number %" PRIu32, id);
}

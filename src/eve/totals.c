/* SPDX-License-Identifier: Apache-2.0 */
/* Entries in the order of their GUIDs, and as JSON; see totals.h. */
#include "totals.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_text.h>
#include <quoin/control_spec.h>

#define VERSION 1
#define GROW 64

void eve_totals_fini(struct eve_totals *totals)
{
	free(totals->entries);
	memset(totals, 0, sizeof(*totals));
}

/* Where it is, or would be. */
static unsigned place_of(const struct eve_totals *totals, const uint8_t guid[16])
{
	unsigned low = 0;
	unsigned high = totals->count;

	while (low < high) {
		const unsigned middle = (low + high) / 2;

		if (memcmp(totals->entries[middle].guid, guid, 16) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct eve_totals *totals, unsigned place, const uint8_t guid[16])
{
	return place < totals->count && memcmp(totals->entries[place].guid, guid, 16) == 0;
}

struct eve_total_entry *eve_totals_find(const struct eve_totals *totals, const uint8_t guid[16])
{
	const unsigned place = place_of(totals, guid);

	return is_at(totals, place, guid) ? &totals->entries[place] : NULL;
}

static struct eve_total_entry *find_or_add(struct eve_totals *totals, const uint8_t guid[16])
{
	const unsigned place = place_of(totals, guid);

	if (is_at(totals, place, guid))
		return &totals->entries[place];
	if (totals->count == EVE_TOTALS_MAX)
		return NULL;
	if (totals->count == totals->room) {
		totals->room += GROW + totals->room / 2;
		totals->entries = realloc(totals->entries, totals->room * sizeof(*totals->entries));
		ASSERT(totals->entries != NULL);
	}
	memmove(&totals->entries[place + 1], &totals->entries[place],
		(totals->count - place) * sizeof(*totals->entries));
	totals->count++;
	totals->changed = true;
	totals->entries[place] = (struct eve_total_entry){.born = 0};
	memcpy(totals->entries[place].guid, guid, 16);
	return &totals->entries[place];
}

void eve_totals_drop(struct eve_totals *totals, const uint8_t guid[16])
{
	const unsigned place = place_of(totals, guid);

	if (!is_at(totals, place, guid))
		return;
	totals->count--;
	totals->changed = true;
	memmove(&totals->entries[place], &totals->entries[place + 1],
		(totals->count - place) * sizeof(*totals->entries));
}

static void sums_read(const struct control_io_sums *sums, uint64_t now[EVE_TOTALS])
{
	now[EVE_READS] = sums->requests[0];
	now[EVE_WRITES] = sums->requests[1];
	now[EVE_READ_BYTES] = sums->bytes[0];
	now[EVE_WRITTEN_BYTES] = sums->bytes[1];
	now[EVE_READ_NS] = sums->ns[0];
	now[EVE_WRITE_NS] = sums->ns[1];
	now[EVE_BUSY_NS] = sums->busy_ns;
	now[EVE_WEIGHTED_NS] = sums->ns[0] + sums->ns[1] + sums->ns[2];
}

struct eve_total_entry *eve_totals_note(struct eve_totals *totals,
					const struct eve_total_entry *key,
					const struct control_io_sums *sums, uint64_t born)
{
	struct eve_total_entry *entry = find_or_add(totals, key->guid);
	uint64_t now[EVE_TOTALS];

	if (!entry)
		return NULL;
	memcpy(entry->pool, key->pool, sizeof(entry->pool));
	entry->is_drive = key->is_drive;
	entry->gone = false;
	sums_read(sums, now);
	for (unsigned i = 0; i < EVE_TOTALS; i++) {
		const bool anew = entry->born != born || now[i] < entry->last[i];
		const uint64_t more = now[i] - (anew ? 0 : entry->last[i]);

		entry->values[i] += more;
		entry->last[i] = now[i];
		totals->changed = totals->changed || more > 0;
	}
	entry->born = born;
	return entry;
}

/* --- The file ----------------------------------------------------------------------------------
 */

static json_t *entry_encode(const struct eve_total_entry *entry)
{
	char text[CONTROL_UUID_TEXT_MAX];
	json_t *json = json_array();

	json_array_append_new(json, json_string(control_uuid_format(entry->guid, text)));
	json_array_append_new(json, json_string(control_uuid_format(entry->pool, text)));
	json_array_append_new(json, json_boolean(entry->gone));
	for (unsigned i = 0; i < EVE_TOTALS; i++)
		json_array_append_new(json, json_integer((json_int_t)MIN(entry->values[i],
									 (uint64_t)INT64_MAX / 2)));
	return json;
}

/* Drives have a list of their own: to versions that did not count them they would be volumes. */
char *eve_totals_encode(const struct eve_totals *totals)
{
	json_t *all = json_array();
	json_t *drives = json_array();
	json_t *json;
	char *text;

	for (unsigned i = 0; i < totals->count; i++) {
		const struct eve_total_entry *entry = &totals->entries[i];

		ASSERT(json_array_append_new(entry->is_drive ? drives : all, entry_encode(entry)) ==
		       0);
	}
	json = json_pack("{s:i, s:o, s:o}", "version", VERSION, "totals", all, "drives", drives);
	ASSERT(json != NULL);
	text = json_dumps(json, JSON_COMPACT);
	ASSERT(text != NULL);
	json_decref(json);
	return text;
}

static bool guid_decode(const json_t *json, uint8_t guid[16])
{
	const char *text = json_string_value(json);

	return text && control_uuid_parse(text, guid) == 0;
}

static bool entry_decode(const json_t *json, struct eve_total_entry *entry)
{
	memset(entry, 0, sizeof(*entry));
	if (json_array_size(json) != EVE_TOTALS + 3 ||
	    !guid_decode(json_array_get(json, 0), entry->guid) ||
	    !guid_decode(json_array_get(json, 1), entry->pool))
		return false;
	entry->gone = json_is_true(json_array_get(json, 2));
	for (unsigned i = 0; i < EVE_TOTALS; i++) {
		const json_t *value = json_array_get(json, i + 3);

		/* Far from the end, as more is added. */
		if (!json_is_integer(value) || json_integer_value(value) < 0 ||
		    json_integer_value(value) > INT64_MAX / 2)
			return false;
		entry->values[i] = (uint64_t)json_integer_value(value);
	}
	return true;
}

static bool list_decode(struct eve_totals *totals, const json_t *list, bool drives)
{
	if (!json_is_array(list) || json_array_size(list) > EVE_TOTALS_MAX - totals->count)
		return false;
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct eve_total_entry entry;
		struct eve_total_entry *to;

		if (!entry_decode(json_array_get(list, i), &entry))
			return false;
		entry.is_drive = drives;
		to = find_or_add(totals, entry.guid);
		ASSERT(to != NULL);
		*to = entry;
	}
	return true;
}

static bool root_decode(struct eve_totals *totals, const json_t *root)
{
	const json_t *drives = json_object_get(root, "drives");
	const json_t *version = json_object_get(root, "version");

	if (!json_is_integer(version) || json_integer_value(version) != VERSION)
		return false;
	return list_decode(totals, json_object_get(root, "totals"), false) &&
	       (!drives || list_decode(totals, drives, true));
}

int eve_totals_decode(struct eve_totals *totals, const json_t *root)
{
	const bool good = root_decode(totals, root);

	if (!good)
		eve_totals_fini(totals);
	totals->changed = false;
	return good ? 0 : -EUCLEAN;
}

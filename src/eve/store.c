/* SPDX-License-Identifier: Apache-2.0 */
/* Objects, versions, and who heard what; see store.h. */
#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_text.h>
#include <quoin/control_spec.h>

#define GROW 64
#define FIXED 3 /* device, metrics, hardware */

static void object_fini(struct eve_object *object)
{
	ASSERT(object->out == 0);
	eve_bytes_fini(&object->body);
	eve_bytes_fini(&object->message);
}

void eve_store_init(struct eve_store *store)
{
	memset(store, 0, sizeof(*store));
	store->device.kind = EVE_KIND_INFO;
	store->metrics.kind = EVE_KIND_METRICS;
	store->hardware.kind = EVE_KIND_HARDWARE;
}

void eve_store_fini(struct eve_store *store)
{
	object_fini(&store->device);
	object_fini(&store->metrics);
	object_fini(&store->hardware);
	while (store->count > 0)
		eve_store_drop(store, store->volumes[store->count - 1]);
	free(store->volumes);
	store->volumes = NULL;
	store->room = 0;
}

/* --- Producers ------------------------------------------------------------------------------ */

struct eve_object *eve_store_volume(struct eve_store *store, const uint8_t guid[16])
{
	struct eve_object *object = xcalloc(1, sizeof(*object));

	if (store->count == store->room) {
		store->room += GROW + store->room / 2;
		store->volumes = realloc(store->volumes, store->room * sizeof(*store->volumes));
		ASSERT(store->volumes != NULL);
	}
	object->kind = EVE_KIND_INFO;
	object->is_volume = true;
	memcpy(object->guid, guid, sizeof(object->guid));
	store->volumes[store->count++] = object;
	return object;
}

void eve_store_drop(struct eve_store *store, struct eve_object *object)
{
	unsigned i = 0;

	while (store->volumes[i] != object)
		i++;
	store->volumes[i] = store->volumes[--store->count];
	object_fini(object);
	free(object);
}

bool eve_store_differs(struct eve_object *object, struct eve_bytes *body, uint64_t now_ms)
{
	const bool anew = object->version == 0 && object->is_volume;

	if (object->version > 0 && eve_bytes_same(&object->body, body)) {
		object->differs_ms = 0;
		eve_bytes_fini(body);
		return false;
	}
	if (object->differs_ms == 0)
		object->differs_ms = now_ms;
	if (!anew && now_ms - object->differs_ms < EVE_SETTLE_MS) {
		eve_bytes_fini(body);
		return false;
	}
	object->differs_ms = 0;
	eve_bytes_fini(&object->body);
	object->body = *body;
	*body = (struct eve_bytes){.length = 0};
	return true;
}

void eve_store_put(struct eve_store *store, struct eve_object *object, struct eve_bytes *message)
{
	eve_bytes_fini(&object->message);
	object->message = *message;
	*message = (struct eve_bytes){.length = 0};
	object->version = ++store->version;
	for (unsigned i = 0; i < EVE_CONSUMERS_MAX; i++) {
		/* What was refused was the one before. */
		object->heard[i].again_ms = 0;
		object->heard[i].refusals = 0;
	}
}

bool eve_store_is_over(const struct eve_store *store, const struct eve_object *object,
		       uint64_t now_ms)
{
	if (!object->gone || object->out > 0 || now_ms - object->gone_ms < EVE_GONE_KEPT_MS)
		return false;
	for (unsigned i = 0; i < EVE_CONSUMERS_MAX; i++) {
		if (store->attached[i] && object->heard[i].version != object->version)
			return false;
	}
	return true;
}

/* --- Consumers ------------------------------------------------------------------------------ */

/* The fixed ones first: there are few of them, and they are news of many. */
static struct eve_object *object_at(struct eve_store *store, unsigned index)
{
	struct eve_object *const fixed[FIXED] = {&store->device, &store->metrics, &store->hardware};

	return index < FIXED ? fixed[index] : store->volumes[index - FIXED];
}

static void all_forget(struct eve_store *store, unsigned consumer, bool periodic)
{
	for (unsigned i = 0; i < FIXED + store->count; i++) {
		struct eve_object *object = object_at(store, i);

		if (periodic || object->kind == EVE_KIND_INFO)
			object->heard[consumer] = (struct eve_heard){.version = 0};
	}
}

int eve_store_attach(struct eve_store *store, unsigned way)
{
	for (unsigned i = 0; i < EVE_CONSUMERS_MAX; i++) {
		if (store->attached[i])
			continue;
		store->attached[i] = true;
		store->ways[i] = way;
		store->cursors[i] = 0;
		all_forget(store, i, true);
		return (int)i;
	}
	return -ENOSPC;
}

void eve_store_detach(struct eve_store *store, unsigned consumer)
{
	store->attached[consumer] = false;
}

void eve_store_again(struct eve_store *store, unsigned consumer)
{
	all_forget(store, consumer, false);
}

static void item_make(struct eve_object *object, struct eve_item *item)
{
	static const char *const names[] = {"device", "metrics", "hardwarehealth"};

	memset(item, 0, sizeof(*item));
	item->object = object;
	item->kind = object->kind;
	item->gone = object->gone;
	item->version = object->version;
	item->message = eve_bytes_copy(&object->message);
	if (object->is_volume)
		control_uuid_format(object->guid, item->key);
	else
		snprintf(item->key, sizeof(item->key), "%s", names[object->kind]);
	object->out++;
}

_Static_assert(CONTROL_UUID_TEXT_MAX <= sizeof(((struct eve_item *)0)->key), "keys");

bool eve_store_next(struct eve_store *store, unsigned consumer, uint64_t now_ms,
		    struct eve_item *ret_item, uint64_t *ret_wait_ms)
{
	const unsigned from = store->cursors[consumer];

	*ret_wait_ms = UINT64_MAX;
	for (unsigned i = 0; i < FIXED + store->count; i++) {
		/* Volumes in turn, so that none that is refused is in the way of others. */
		const unsigned turn = i < FIXED ? i : FIXED + (from + i - FIXED) % store->count;
		struct eve_object *object = object_at(store, turn);
		const struct eve_heard *heard = &object->heard[consumer];

		if (object->version == 0 || heard->version == object->version)
			continue;
		if (heard->again_ms > now_ms) {
			*ret_wait_ms = MIN(*ret_wait_ms, heard->again_ms - now_ms);
			continue;
		}
		if (turn >= FIXED)
			store->cursors[consumer] = turn - FIXED + 1;
		item_make(object, ret_item);
		return true;
	}
	return false;
}

static void refusal_note(struct eve_heard *heard, uint64_t now_ms)
{
	const unsigned shift = MIN(heard->refusals, 10U);

	heard->refusals++;
	heard->again_ms =
		now_ms + MIN((uint64_t)EVE_REFUSED_MS << shift, (uint64_t)EVE_REFUSED_MAX_MS);
}

void eve_store_done(struct eve_store *store, unsigned consumer, struct eve_item *item,
		    enum eve_outcome outcome, uint64_t now_ms)
{
	struct eve_object *object = item->object;
	struct eve_heard *heard = &object->heard[consumer];

	ASSERT(object->out > 0);
	object->out--;
	if (outcome == EVE_TAKEN || object->kind != EVE_KIND_INFO)
		heard->version = item->version;
	else if (outcome == EVE_REFUSED && item->version == object->version)
		refusal_note(heard, now_ms);
	eve_bytes_fini(&item->message);
}

unsigned eve_store_pending(const struct eve_store *store, unsigned consumer)
{
	unsigned pending = 0;

	for (unsigned i = 0; i < store->count; i++)
		pending += store->volumes[i]->heard[consumer].version != store->volumes[i]->version;
	return pending + (store->device.heard[consumer].version != store->device.version);
}

/* --- Times ---------------------------------------------------------------------------------- */

uint64_t eve_jitter_ms(struct random *random, unsigned period_s)
{
	return (uint64_t)period_s * (300 + random_below(random, 701));
}

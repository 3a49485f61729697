/* SPDX-License-Identifier: Apache-2.0 */
/* What is told when something changes, and to whom; counters over restarts. Time is a number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_text.h>

#include "look.h"
#include "rig.h"

#define WALL_MS UINT64_C(1700000000000)

struct test {
	struct eve_look look;
	struct eve_view view;
	struct eve_pool_view *pool;
	uint64_t now_ms;
	unsigned consumer;
};

static void look_begin(struct test *t)
{
	struct eve_config config;

	eve_config_init(&config);
	config.format = EVE_JSON;
	eve_look_init(&t->look, &config, "1");
	t->consumer = (unsigned)eve_store_attach(&t->look.store, 0);
}

static int setup(void **state)
{
	struct test *t = xcalloc(1, sizeof(*t));

	t->now_ms = 1000;
	look_begin(t);
	t->pool = rig_pool_add(&t->view, "tank", 2, 1);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct test *t = *state;

	eve_look_fini(&t->look);
	eve_view_fini(&t->view);
	free(t);
	return 0;
}

/* One second goes by, and somebody looks. */
static void look(struct test *t)
{
	const struct eve_moment moment = {.now_ms = t->now_ms, .wall_ms = WALL_MS + t->now_ms};

	(void)eve_look_state(&t->look, &t->view, moment);
	t->now_ms += 1000;
}

static void looks(struct test *t, unsigned count)
{
	while (count-- > 0)
		look(t);
}

/* How many messages wait for the consumer, which takes them; the last one's JSON is kept. */
static unsigned taken(struct test *t, json_t **ret_last)
{
	struct eve_item item;
	unsigned count = 0;
	uint64_t wait;

	if (ret_last)
		*ret_last = NULL;
	while (eve_store_next(&t->look.store, t->consumer, t->now_ms, &item, &wait)) {
		if (ret_last) {
			json_decref(*ret_last);
			*ret_last = json_loadb((const char *)item.message.data, item.message.length,
					       0, NULL);
			assert_non_null(*ret_last);
		}
		eve_store_done(&t->look.store, t->consumer, &item, EVE_TAKEN, t->now_ms);
		count++;
	}
	return count;
}

static const char *text(const json_t *json, const char *key)
{
	const char *value = json_string_value(json_object_get(json, key));

	return value ? value : "";
}

/* --- State ---------------------------------------------------------------------------------- */

static void one_message_per_change(void **state)
{
	struct test *t = *state;
	json_t *message = NULL;
	const json_t *storage;

	looks(t, 3);
	assert_int_equal(taken(t, NULL), 1);
	looks(t, 10);
	assert_int_equal(taken(t, NULL), 0);
	t->pool->health.info.health = "degraded";
	t->pool->health.info.drives[1].state = "missing";
	looks(t, 10);
	assert_int_equal(taken(t, &message), 1);
	storage = json_array_get(json_object_get(json_object_get(message, "dinfo"), "storageInfo"),
				 0);
	assert_string_equal(text(storage, "storageState"), "STORAGE_STATUS_DEGRADED");
	assert_string_equal(text(json_array_get(json_object_get(storage, "disks"), 1), "status"),
			    "STORAGE_STATUS_UNAVAIL");
	json_decref(message);
}

static void what_changes_back_is_not_told(void **state)
{
	struct test *t = *state;

	looks(t, 3);
	assert_int_equal(taken(t, NULL), 1);
	for (unsigned i = 0; i < 5; i++) {
		t->pool->health.info.health = "degraded";
		look(t);
		t->pool->health.info.health = "online";
		look(t);
	}
	assert_int_equal(taken(t, NULL), 0);
}

/* Three looks after a change at the latest: with the second between two and that of the engine,
 * fewer than five. */
static void told_within_seconds(void **state)
{
	struct test *t = *state;

	looks(t, 3);
	assert_int_equal(taken(t, NULL), 1);
	t->pool->health.info.health = "suspended";
	looks(t, 3);
	assert_int_equal(taken(t, NULL), 1);
}

static void the_heartbeat(void **state)
{
	struct test *t = *state;
	json_t *message = NULL;

	looks(t, 3);
	assert_int_equal(taken(t, NULL), 1);
	eve_look_heartbeat(&t->look, &t->view, (struct eve_moment){t->now_ms, WALL_MS + 600500});
	assert_int_equal(taken(t, &message), 1);
	assert_string_equal(text(message, "atTimeStamp"), "2023-11-14T22:23:20.500Z");
	json_decref(message);
	looks(t, 5);
	assert_int_equal(taken(t, NULL), 0);
}

/* --- Volumes -------------------------------------------------------------------------------- */

static const json_t *vinfo(const json_t *message)
{
	return json_object_get(message, "vinfo");
}

static void volumes_come_and_go(void **state)
{
	struct test *t = *state;
	json_t *message = NULL;

	looks(t, 3);
	assert_int_equal(taken(t, NULL), 1);
	rig_volume_add(t->pool, "a");
	look(t);
	/* At once; that the pool has one more waits with other changes of it. */
	assert_int_equal(taken(t, &message), 1);
	assert_string_equal(text(vinfo(message), "displayName"), "tank/a");
	assert_string_equal(text(vinfo(message), "state"), "CREATED_VOLUME");
	json_decref(message);
	looks(t, 4);
	assert_int_equal(taken(t, NULL), 1);
	rig_volume_remove(t->pool, 0);
	t->pool->health.info.volume_count = 1;
	looks(t, 4);
	assert_int_equal(taken(t, &message), 1);
	assert_int_equal(json_object_size(vinfo(message)), 1);
	assert_string_equal(text(vinfo(message), "uuid"), "76206100-0000-0000-0000-000000000000");
	json_decref(message);
	looks(t, 10);
	assert_int_equal(taken(t, NULL), 0);
}

static void volumes_of_a_pool_that_goes(void **state)
{
	struct test *t = *state;

	rig_volume_add(t->pool, "a");
	rig_volume_add(t->pool, "b");
	looks(t, 3);
	assert_int_equal(taken(t, NULL), 3);
	rig_pool_remove(&t->view, 0);
	looks(t, 4);
	/* The two, and that there is no pool. */
	assert_int_equal(taken(t, NULL), 3);
	/* It comes back. */
	t->pool = rig_pool_add(&t->view, "tank", 2, 1);
	rig_volume_add(t->pool, "a");
	rig_volume_add(t->pool, "b");
	looks(t, 4);
	assert_int_equal(taken(t, NULL), 3);
}

/* While nobody has looked at all volumes, and of a pool that is not imported, nothing is said. */
static void what_is_not_known_is_not_gone(void **state)
{
	struct test *t = *state;

	rig_volume_add(t->pool, "a");
	rig_volume_add(t->pool, "b");
	looks(t, 3);
	assert_int_equal(taken(t, NULL), 3);
	t->pool->volume_count = 1;
	t->pool->health.volumes_known = false;
	looks(t, 10);
	assert_int_equal(taken(t, NULL), 0);
	t->pool->volume_count = 0;
	t->pool->health.volumes_known = true;
	t->pool->health.age_ms = UINT64_MAX;
	t->pool->health.info.health = "failed";
	looks(t, 10);
	assert_int_equal(taken(t, NULL), 1);
}

/* Sizes that creep are told in steps, and trouble once. */
static void small_moves_are_not_told(void **state)
{
	struct test *t = *state;
	struct control_volume_health *volume = rig_volume_add(t->pool, "a");
	json_t *message = NULL;
	unsigned told = 0;

	volume->size_bytes = 64 * GiB;
	looks(t, 3);
	assert_int_equal(taken(t, NULL), 2);
	for (unsigned i = 0; i < 1024; i++) {
		volume->referenced_bytes += MiB;
		look(t);
		told += taken(t, NULL);
	}
	assert_in_range(told, 2, 4);
	volume->paused = true;
	looks(t, 10);
	assert_int_equal(taken(t, &message), 1);
	assert_string_equal(text(json_object_get(vinfo(message), "volumeErr"), "severity"),
			    "SEVERITY_ERROR");
	json_decref(message);
	volume->paused = false;
	looks(t, 10);
	assert_int_equal(taken(t, &message), 1);
	assert_null(json_object_get(vinfo(message), "volumeErr"));
	json_decref(message);
}

static void an_image_that_arrives(void **state)
{
	struct test *t = *state;
	struct control_volume_health *volume = rig_volume_add(t->pool, "a");
	json_t *message = NULL;
	unsigned told = 0;

	volume->arrival = "arriving";
	for (unsigned percent = 0; percent <= 100; percent++) {
		volume->arrival_percent = (uint8_t)percent;
		looks(t, 3);
		told += taken(t, NULL);
	}
	/* The pool, and 0 to 100 by tens. */
	assert_int_equal(told, 12);
	volume->arrival = "";
	looks(t, 3);
	assert_int_equal(taken(t, &message), 1);
	assert_string_equal(text(vinfo(message), "state"), "CREATED_VOLUME");
	json_decref(message);
}

/* Each of what a message on a volume is made of. */
static void each_change_is_told(void **state)
{
	struct test *t = *state;
	struct control_volume_health *v = rig_volume_add(t->pool, "a");
	json_t *message = NULL;

	looks(t, 3);
	assert_int_equal(taken(t, NULL), 2);
	snprintf(v->name, sizeof(v->name), "b");
	looks(t, 3);
	assert_int_equal(taken(t, &message), 1);
	assert_string_equal(text(vinfo(message), "displayName"), "tank/b");
	json_decref(message);
	v->in_use = true;
	looks(t, 3);
	assert_int_equal(taken(t, NULL), 1);
	v->size_bytes *= 2;
	looks(t, 3);
	assert_int_equal(taken(t, NULL), 1);
	v->referenced_bytes = 4 * MiB;
	looks(t, 3);
	assert_int_equal(taken(t, NULL), 1);
	v->created_s++;
	looks(t, 3);
	assert_int_equal(taken(t, NULL), 1);
	t->pool->health.info.health = "suspended";
	looks(t, 3);
	assert_int_equal(taken(t, NULL), 2);
	looks(t, 10);
	assert_int_equal(taken(t, NULL), 0);
}

static unsigned known_count(const struct test *t)
{
	struct eve_known known;

	eve_look_known(&t->look, &known);
	return known.count;
}

/* A view that leaves out what is known says nothing of it: not that it is gone either. */
static void what_is_known_is_left_out(void **state)
{
	struct test *t = *state;
	struct control_volume_health *volumes;

	rig_volume_add(t->pool, "a");
	rig_volume_add(t->pool, "b");
	assert_int_equal(known_count(t), 0);
	look(t);
	assert_int_equal(known_count(t), 1);
	looks(t, 2);
	assert_int_equal(taken(t, NULL), 3);
	/* What changed has to be seen until it is told. */
	t->pool->volumes[0].in_use = true;
	t->pool->health.volumes_version++;
	look(t);
	assert_int_equal(known_count(t), 0);
	looks(t, 2);
	assert_int_equal(known_count(t), 1);
	assert_int_equal(taken(t, NULL), 1);
	volumes = t->pool->volumes;
	t->pool->volumes = NULL;
	t->pool->volume_count = 0;
	t->pool->as_known = true;
	looks(t, 5);
	assert_int_equal(known_count(t), 1);
	assert_int_equal(taken(t, NULL), 0);
	/* Somebody configured after the view was taken: all is to be told anew, with the next. */
	eve_look_renew(&t->look, &(struct eve_config){.format = EVE_JSON});
	t->consumer = (unsigned)eve_store_attach(&t->look.store, 0);
	assert_int_equal(known_count(t), 0);
	look(t);
	assert_int_equal(taken(t, NULL), 0);
	t->pool->volumes = volumes;
	t->pool->volume_count = 2;
	t->pool->as_known = false;
	looks(t, 2);
	assert_int_equal(taken(t, NULL), 3);
}

/* --- Restarts ------------------------------------------------------------------------------- */

static uint64_t written(struct test *t)
{
	struct eve_bytes bytes =
		eve_look_metrics(&t->look, &t->view, (struct eve_moment){t->now_ms, WALL_MS});
	json_t *json = json_loadb((const char *)bytes.data, bytes.length, 0, NULL);
	const json_t *volume = json_array_get(json_object_get(json, "vm"), 0);
	const uint64_t value = strtoull(text(volume, "writeBytes"), NULL, 10);

	json_decref(json);
	eve_bytes_fini(&bytes);
	return value;
}

/* Ends as by a kill: what was saved is there, the rest is not. */
static void restart(struct test *t)
{
	CLEANUP_FREE char *saved = eve_totals_encode(&t->look.totals);
	json_t *json = json_loads(saved, 0, NULL);

	eve_look_fini(&t->look);
	look_begin(t);
	assert_int_equal(eve_totals_decode(&t->look.totals, json), 0);
	json_decref(json);
}

static void counters_go_on_over_restarts(void **state)
{
	struct test *t = *state;
	struct control_volume_health *volume = rig_volume_add(t->pool, "a");

	rig_volume_io(volume)->bytes[1] = 100;
	look(t);
	assert_int_equal(written(t), 100);
	rig_volume_io(volume)->bytes[1] = 150;
	look(t);
	assert_int_equal(written(t), 150);
	restart(t);
	/* The engine counts from the import on, and may be beyond where it was. */
	rig_volume_io(volume)->bytes[1] = 400;
	look(t);
	assert_int_equal(written(t), 550);
	/* The same within the life of one daemon. */
	t->pool->health.born_ns++;
	rig_volume_io(volume)->bytes[1] = 1000;
	look(t);
	assert_int_equal(written(t), 1550);
	rig_volume_io(volume)->bytes[1] = 10;
	look(t);
	assert_int_equal(written(t), 1560);
}

/* Of a drive of the pool, by its place in the mirror. */
static uint64_t drive_written(struct test *t, unsigned index)
{
	struct eve_bytes bytes =
		eve_look_metrics(&t->look, &t->view, (struct eve_moment){t->now_ms, WALL_MS});
	json_t *json = json_loadb((const char *)bytes.data, bytes.length, 0, NULL);
	const json_t *metrics = json_object_get(json_object_get(json, "dm"), "storageMetrics");
	const json_t *disks = json_object_get(json_array_get(metrics, 0), "disks");
	const json_t *vdev = json_object_get(json_array_get(disks, index), "metrics");
	const uint64_t value = strtoull(text(vdev, "bytesWrite"), NULL, 10);

	json_decref(json);
	eve_bytes_fini(&bytes);
	return value;
}

/* Drives are no volumes: none is ever told to be gone. */
static void drives_count_over_restarts(void **state)
{
	struct test *t = *state;
	struct control_drive_info *drives = t->pool->health.info.drives;

	drives[0].io.bytes[1] = 100;
	drives[1].io.bytes[1] = 1000;
	looks(t, 3);
	assert_int_equal(taken(t, NULL), 1);
	assert_int_equal(drive_written(t, 0), 100);
	assert_int_equal(drive_written(t, 1), 1000);
	restart(t);
	drives[0].io.bytes[1] = 30;
	looks(t, 3);
	assert_int_equal(taken(t, NULL), 1);
	assert_int_equal(drive_written(t, 0), 130);
	assert_int_equal(drive_written(t, 1), 2000);
	rig_pool_remove(&t->view, 0);
	looks(t, 4);
	assert_int_equal(taken(t, NULL), 1);
	assert_int_equal(t->look.totals.count, 3);
	t->now_ms += EVE_GONE_KEPT_MS;
	looks(t, 2);
	assert_int_equal(t->look.totals.count, 0);
	assert_int_equal(taken(t, NULL), 0);
	/* For the teardown. */
	t->pool = rig_pool_add(&t->view, "tank", 2, 1);
}

/* What versions wrote that did not count drives is read; what is no list of them is not. */
static void files_of_before(void **state)
{
	struct test *t = *state;
	json_t *json = json_loads("{\"version\": 1, \"totals\": []}", 0, NULL);

	assert_int_equal(eve_totals_decode(&t->look.totals, json), 0);
	json_object_set_new(json, "drives", json_object());
	assert_int_equal(eve_totals_decode(&t->look.totals, json), -EUCLEAN);
	json_decref(json);
}

static void all_is_told_after_a_restart(void **state)
{
	struct test *t = *state;

	rig_volume_add(t->pool, "a");
	rig_volume_add(t->pool, "b");
	looks(t, 3);
	assert_int_equal(taken(t, NULL), 3);
	restart(t);
	looks(t, 3);
	assert_int_equal(taken(t, NULL), 3);
}

/* A volume that went while nobody looked, or while nobody listened. */
static void gone_over_a_restart(void **state)
{
	struct test *t = *state;
	json_t *message = NULL;

	rig_volume_add(t->pool, "a");
	rig_volume_add(t->pool, "b");
	looks(t, 3);
	assert_int_equal(taken(t, NULL), 3);
	restart(t);
	rig_volume_remove(t->pool, 0);
	looks(t, 4);
	assert_int_equal(taken(t, &message), 3);
	assert_int_equal(json_object_size(vinfo(message)), 1);
	json_decref(message);
	rig_pool_remove(&t->view, 0);
	looks(t, 4);
	restart(t);
	looks(t, 4);
	/* There is no pool, and both are gone. */
	assert_int_equal(taken(t, NULL), 3);
}

/* It is forgotten when it is long ago; then its identity may come again. */
static void gone_is_forgotten(void **state)
{
	struct test *t = *state;

	rig_volume_add(t->pool, "a");
	looks(t, 3);
	rig_volume_remove(t->pool, 0);
	looks(t, 4);
	assert_int_equal(t->look.store.count, 1);
	t->now_ms += EVE_GONE_KEPT_MS;
	looks(t, 2);
	assert_int_equal(t->look.store.count, 1);
	(void)taken(t, NULL);
	looks(t, 1);
	assert_int_equal(t->look.store.count, 0);
	/* The pool and its drives. */
	assert_int_equal(t->look.totals.count, 3);
}

/* Another configuration tells all to all. */
static void renewed(void **state)
{
	struct test *t = *state;
	struct eve_config config = t->look.config;

	rig_volume_add(t->pool, "a");
	looks(t, 3);
	assert_int_equal(taken(t, NULL), 2);
	eve_look_renew(&t->look, &config);
	t->consumer = (unsigned)eve_store_attach(&t->look.store, 0);
	looks(t, 3);
	assert_int_equal(taken(t, NULL), 2);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(one_message_per_change),
		CASE(what_changes_back_is_not_told),
		CASE(told_within_seconds),
		CASE(the_heartbeat),
		CASE(volumes_come_and_go),
		CASE(volumes_of_a_pool_that_goes),
		CASE(what_is_not_known_is_not_gone),
		CASE(small_moves_are_not_told),
		CASE(an_image_that_arrives),
		CASE(each_change_is_told),
		CASE(what_is_known_is_left_out),
		CASE(counters_go_on_over_restarts),
		CASE(drives_count_over_restarts),
		CASE(files_of_before),
		CASE(all_is_told_after_a_restart),
		CASE(gone_over_a_restart),
		CASE(gone_is_forgotten),
		CASE(renewed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

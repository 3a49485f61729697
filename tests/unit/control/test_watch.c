/* SPDX-License-Identifier: Apache-2.0 */
/* Two looks at a pool compared: each change is told once, with the right type and object. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "watch.h"

#define FOUND_MAX 64

struct fixture {
	char directory[64];
	int fd;
	struct health_events *events;
	struct control_watch watch;
	struct control_pool_info before, now;
	struct control_paused paused;
	uint64_t since;
	unsigned count;
	struct health_event found[FOUND_MAX];
};

static void drive_put(struct control_drive_info *drive, uint8_t guid, const char *path)
{
	memset(drive->guid, guid, sizeof(drive->guid));
	snprintf(drive->path, sizeof(drive->path), "%s", path);
	drive->state = "online";
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct health_events_params params;

	snprintf(f->directory, sizeof(f->directory), "/tmp/quoin-watch-XXXXXX");
	if (!mkdtemp(f->directory))
		return -1;
	f->fd = open(f->directory, O_RDONLY | O_DIRECTORY);
	params = (struct health_events_params){.directory_fd = f->fd};
	snprintf(f->now.name, sizeof(f->now.name), "tank");
	f->now.health = "online";
	f->now.size_bytes = 1000 * MiB;
	f->now.reserve_bytes = 200 * MiB;
	f->now.available_bytes = 800 * MiB;
	f->now.drive_count = 2;
	drive_put(&f->now.drives[0], 1, "/dev/sda");
	drive_put(&f->now.drives[1], 2, "/dev/sdb");
	*state = f;
	return health_events_new(&params, &f->events);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	health_events_free(f->events);
	unlinkat(f->fd, "events.log", 0);
	close(f->fd);
	rmdir(f->directory);
	free(f);
	return 0;
}

/* Looks; f->found are the events of this look. */
static void look(struct fixture *f, bool first)
{
	const struct health_events_query query = {.since = f->since};

	control_watch_compare(&f->watch, first ? NULL : &f->before, &f->now, &f->paused, f->events);
	f->before = f->now;
	f->count = health_events_read(f->events, &query, f->found, FOUND_MAX);
	if (f->count > 0)
		f->since = f->found[f->count - 1].number;
}

static void expect(const struct fixture *f, unsigned index, enum health_event_type type,
		   const char *object)
{
	assert_in_range(index, 0, f->count - 1);
	assert_string_equal(health_event_word(f->found[index].type), health_event_word(type));
	assert_string_equal(f->found[index].object, object);
}

static void nothing_to_tell(void **state)
{
	struct fixture *f = *state;

	f->now.drives[0].read_errors = 7; /* of an earlier life */
	f->now.healed = 3;
	look(f, true);
	assert_int_equal(f->count, 0);
	look(f, false);
	assert_int_equal(f->count, 0);
}

static void a_drive_is_lost(void **state)
{
	struct fixture *f = *state;

	look(f, true);
	f->now.health = "degraded";
	f->now.drives[1].state = "faulted";
	snprintf(f->now.problem, sizeof(f->now.problem), "drive '/dev/sdb' is faulted");
	look(f, false);
	assert_int_equal(f->count, 2);
	expect(f, 0, HEALTH_POOL_DEGRADED, "tank");
	assert_string_equal(f->found[0].text, "drive '/dev/sdb' is faulted");
	expect(f, 1, HEALTH_DRIVE_LOST, "tank:/dev/sdb");
	assert_string_equal(f->found[1].text, "it is faulted");
	look(f, false);
	assert_int_equal(f->count, 0);
	f->now.health = "online";
	f->now.drives[1].state = "online";
	look(f, false);
	assert_int_equal(f->count, 2);
	expect(f, 0, HEALTH_POOL_ONLINE, "tank");
	expect(f, 1, HEALTH_DRIVE_ONLINE, "tank:/dev/sdb");
}

static void degraded_at_import(void **state)
{
	struct fixture *f = *state;

	f->now.health = "degraded";
	f->now.drives[0].state = "missing";
	f->now.drives[0].path[0] = '\0';
	look(f, true);
	assert_int_equal(f->count, 2);
	expect(f, 0, HEALTH_POOL_DEGRADED, "tank");
	expect(f, 1, HEALTH_DRIVE_LOST, "tank:(a drive that was never seen)");
}

static void suspended(void **state)
{
	struct fixture *f = *state;

	look(f, true);
	f->now.health = "suspended";
	look(f, false);
	assert_int_equal(f->count, 1);
	expect(f, 0, HEALTH_POOL_SUSPENDED, "tank");
	assert_int_equal(health_event_severity(f->found[0].type), HEALTH_ERROR);
}

static void errors_of_drives(void **state)
{
	struct fixture *f = *state;

	f->now.drives[0].check_errors = 5;
	look(f, true);
	f->now.drives[0].check_errors = 7;
	f->now.drives[0].read_errors = 1;
	look(f, false);
	assert_int_equal(f->count, 1);
	expect(f, 0, HEALTH_DRIVE_ERRORS, "tank:/dev/sda");
	assert_string_equal(f->found[0].text, "1 read, 0 write and 2 check errors more");
	/* A counter that was cleared is no error. */
	f->now.drives[0].check_errors = 0;
	look(f, false);
	assert_int_equal(f->count, 0);
}

static void healed_and_damaged(void **state)
{
	struct fixture *f = *state;

	look(f, true);
	f->now.healed = 2;
	f->now.bad_blocks = 1;
	f->now.refused_writes = 4;
	f->now.lost_bytes = 8192;
	look(f, false);
	assert_int_equal(f->count, 4);
	expect(f, 0, HEALTH_POOL_HEALED, "tank");
	expect(f, 1, HEALTH_POOL_DAMAGED, "tank");
	expect(f, 2, HEALTH_POOL_REFUSED, "tank");
	expect(f, 3, HEALTH_POOL_DAMAGED, "tank");
	assert_non_null(strstr(f->found[3].text, "8192 bytes"));
}

static void near_full_has_hysteresis(void **state)
{
	struct fixture *f = *state;

	look(f, true);
	f->now.available_bytes = 100 * MiB; /* 87.5 % used */
	look(f, false);
	assert_int_equal(f->count, 1);
	expect(f, 0, HEALTH_POOL_NEAR_FULL, "tank");
	f->now.available_bytes = 140 * MiB; /* 82.5 % */
	look(f, false);
	assert_int_equal(f->count, 0);
	f->now.available_bytes = 100 * MiB;
	look(f, false);
	assert_int_equal(f->count, 0);
	f->now.available_bytes = 200 * MiB; /* 75 % */
	look(f, false);
	assert_int_equal(f->count, 1);
	expect(f, 0, HEALTH_POOL_SPACE, "tank");
	look(f, false);
	assert_int_equal(f->count, 0);
}

static void full_and_paused(void **state)
{
	struct fixture *f = *state;

	look(f, true);
	f->now.available_bytes = 0;
	f->now.full = true;
	f->paused.count = 2;
	snprintf(f->paused.names[0], sizeof(f->paused.names[0]), "a");
	snprintf(f->paused.names[1], sizeof(f->paused.names[1]), "b/c");
	look(f, false);
	assert_int_equal(f->count, 3);
	expect(f, 0, HEALTH_POOL_FULL, "tank");
	expect(f, 1, HEALTH_VOLUME_PAUSED, "tank/a");
	expect(f, 2, HEALTH_VOLUME_PAUSED, "tank/b/c");
	f->paused.count = 1;
	look(f, false);
	assert_int_equal(f->count, 1);
	expect(f, 0, HEALTH_VOLUME_RESUMED, "tank/b/c");
	f->paused.count = 0;
	f->now.full = false;
	f->now.available_bytes = 400 * MiB;
	look(f, false);
	assert_int_equal(f->count, 2);
	expect(f, 0, HEALTH_POOL_SPACE, "tank");
	expect(f, 1, HEALTH_VOLUME_RESUMED, "tank/a");
}

/* A pool so small that nothing is left to guests is full, and nothing is divided by zero. */
static void nothing_for_guests(void **state)
{
	struct fixture *f = *state;

	f->now.size_bytes = f->now.reserve_bytes = f->now.available_bytes = 0;
	look(f, true);
	assert_int_equal(f->count, 1);
	expect(f, 0, HEALTH_POOL_NEAR_FULL, "tank");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_to_tell, setup, teardown),
		cmocka_unit_test_setup_teardown(a_drive_is_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(degraded_at_import, setup, teardown),
		cmocka_unit_test_setup_teardown(suspended, setup, teardown),
		cmocka_unit_test_setup_teardown(errors_of_drives, setup, teardown),
		cmocka_unit_test_setup_teardown(healed_and_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(near_full_has_hysteresis, setup, teardown),
		cmocka_unit_test_setup_teardown(full_and_paused, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_for_guests, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

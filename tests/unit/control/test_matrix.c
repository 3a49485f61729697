/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong with a drive, on each layout: how the pool is then, what it says, how the drive is,
 * and which events are told. Whole pools on simulated drives, looked at as the daemon does; worn
 * and hot drives say so themselves, in recorded answers.
 */
#include <errno.h>
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

#include <quoin/health_drives.h>

#include "engine_rig.h"
#include "pool.h"

#define DRIVE_BYTES (64 * MiB)
#define WRITE_BYTES (1 * MiB)
#define DATA_BYTES (8 * MiB)
#define VICTIM 0
#define SLOW_NS (2 * NS_PER_S)
#define TOLD_MAX 1024

enum fault { MISSING, CORRUPT, SLOW, FULL, SUSPENDED, WORN, HOT };

static const char *const fault_names[] = {"missing",   "corrupt", "slow", "full",
					  "suspended", "worn",	  "hot"};

struct layout {
	const char *name;
	unsigned drives, group_size;
};

static const struct layout single = {"single", 1, 1};
static const struct layout stripe = {"stripe", 3, 1};
static const struct layout mirror_2 = {"mirror of 2", 2, 2};
static const struct layout mirror_3 = {"mirror of 3", 3, 3};
static const struct layout mirrors = {"two mirrors", 4, 2};

/* "failed": it cannot be imported, and nobody looks at it; api/test_health.py has its event. */
static const struct row {
	const struct layout *layout;
	enum fault fault;
	const char *health;
	const char *problem; /* is in its text; "" = there is none */
	const char *drive;   /* the state of the one that is struck */
	const char *told;    /* types and objects, in order */
} rows[] = {
	{&single, MISSING, "failed", "drive", "unknown", ""},
	{&single, CORRUPT, "online", "", "online", "drive.errors tank:drive0, pool.damaged tank"},
	{&single, SLOW, "online", "", "online", ""},
	{&single, FULL, "online", "the pool is full", "online",
	 "pool.refused tank, pool.full tank"},
	{&single, SUSPENDED, "suspended", "nothing more is written; mend the drives, then export",
	 "online", "pool.suspended tank, drive.errors tank:drive0"},
	{&single, WORN, "online", "", "online", "drive.warning tank:drive0"},
	{&single, HOT, "online", "", "online", "drive.warning tank:drive0"},
	{&stripe, MISSING, "failed", "drive", "unknown", ""},
	{&stripe, CORRUPT, "online", "", "online", "drive.errors tank:drive0, pool.damaged tank"},
	{&stripe, SLOW, "online", "", "online", ""},
	{&stripe, FULL, "online", "the pool is full", "online",
	 "pool.refused tank, pool.full tank"},
	{&stripe, SUSPENDED, "suspended", "nothing more is written; mend the drives, then export",
	 "online",
	 "pool.suspended tank, drive.errors tank:drive0, drive.errors tank:drive1, "
	 "drive.errors tank:drive2"},
	{&stripe, WORN, "online", "", "online", "drive.warning tank:drive0"},
	{&stripe, HOT, "online", "", "online", "drive.warning tank:drive0"},
	{&mirror_2, MISSING, "degraded", "is missing; what it had is read from other copies",
	 "missing", "pool.degraded tank, drive.lost tank:(a drive that was never seen)"},
	{&mirror_2, CORRUPT, "online", "", "online", "drive.errors tank:drive0, pool.healed tank"},
	{&mirror_2, SLOW, "online", "", "online", ""},
	{&mirror_2, FULL, "online", "the pool is full", "online",
	 "pool.refused tank, pool.full tank"},
	{&mirror_2, SUSPENDED, "suspended", "nothing more is written; mend the drives, then export",
	 "online",
	 "pool.suspended tank, drive.errors tank:drive0, "
	 "drive.lost tank:drive1, drive.errors tank:drive1"},
	{&mirror_2, WORN, "online", "", "online", "drive.warning tank:drive0"},
	{&mirror_2, HOT, "online", "", "online", "drive.warning tank:drive0"},
	{&mirror_3, MISSING, "degraded", "is missing; what it had is read from other copies",
	 "missing", "pool.degraded tank, drive.lost tank:(a drive that was never seen)"},
	{&mirror_3, CORRUPT, "online", "", "online", "drive.errors tank:drive0, pool.healed tank"},
	{&mirror_3, SLOW, "online", "", "online", ""},
	{&mirror_3, FULL, "online", "the pool is full", "online",
	 "pool.refused tank, pool.full tank"},
	{&mirror_3, SUSPENDED, "suspended", "nothing more is written; mend the drives, then export",
	 "online",
	 "pool.suspended tank, drive.errors tank:drive0, "
	 "drive.lost tank:drive1, drive.errors tank:drive1, "
	 "drive.lost tank:drive2, drive.errors tank:drive2"},
	{&mirror_3, WORN, "online", "", "online", "drive.warning tank:drive0"},
	{&mirror_3, HOT, "online", "", "online", "drive.warning tank:drive0"},
	{&mirrors, MISSING, "degraded", "is missing; what it had is read from other copies",
	 "missing", "pool.degraded tank, drive.lost tank:(a drive that was never seen)"},
	{&mirrors, CORRUPT, "online", "", "online", "drive.errors tank:drive0, pool.healed tank"},
	{&mirrors, SLOW, "online", "", "online", ""},
	{&mirrors, FULL, "online", "the pool is full", "online",
	 "pool.refused tank, pool.full tank"},
	{&mirrors, SUSPENDED, "suspended", "nothing more is written; mend the drives, then export",
	 "online",
	 "pool.suspended tank, drive.errors tank:drive0, "
	 "drive.lost tank:drive1, drive.errors tank:drive1, "
	 "drive.errors tank:drive2, "
	 "drive.lost tank:drive3, drive.errors tank:drive3"},
	{&mirrors, WORN, "online", "", "online", "drive.warning tank:drive0"},
	{&mirrors, HOT, "online", "", "online", "drive.warning tank:drive0"},
};

struct matrix {
	const struct row *row;
	struct engine_rig rig;
	struct rig_volume volume;
	uint8_t *data;
	char directory[64];
	int fd;
	struct health_events *events;
	struct control_watch watch;
	bool looked;
	struct control_pool_info before, now;
	char told[TOLD_MAX];
};

/* --- Looking ---------------------------------------------------------------------------------- */

static uint64_t drives_asked(const struct matrix *m)
{
	struct disk_sim_stats stats;
	uint64_t sum = 0;

	for (unsigned i = 0; i < m->rig.drive_count; i++) {
		disk_sim_stats_get(m->rig.drives[i], &stats);
		sum += stats.accepted;
	}
	return sum;
}

static void look(struct matrix *m)
{
	static const struct control_paused paused = {.count = 0};

	const uint64_t asked = drives_asked(m);

	memset(&m->now, 0, sizeof(m->now));
	snprintf(m->now.name, sizeof(m->now.name), "tank");
	control_pool_look(m->rig.pool, &m->now);
	/* It costs what it copies, whatever the drives are like. */
	assert_int_equal(drives_asked(m), asked);
	control_watch_compare(&m->watch, m->looked ? &m->before : NULL, &m->now, &paused,
			      m->events);
	m->before = m->now;
	m->looked = true;
}

static unsigned told_read(struct matrix *m)
{
	struct health_event found[32];
	const unsigned count =
		health_events_read(m->events, &(struct health_events_query){.since = 0}, found, 32);
	size_t length = 0;

	m->told[0] = '\0';
	for (unsigned i = 0; i < count; i++)
		length += (size_t)snprintf(m->told + length, sizeof(m->told) - length, "%s%s %s",
					   i == 0 ? "" : ", ", health_event_word(found[i].type),
					   found[i].object);
	return count;
}

/* --- Faults ----------------------------------------------------------------------------------- */

static void strike(struct matrix *m, unsigned drive, const struct disk_sim_fault *fault)
{
	assert_int_equal(disk_sim_fault_add(m->rig.drives[drive], fault), 0);
}

static int all(struct matrix *m, enum block_op op, uint64_t bytes)
{
	int worst = 0;

	for (uint64_t at = 0; at < bytes; at += WRITE_BYTES) {
		const int r = rig_io(&m->volume, op, at, m->data, WRITE_BYTES);

		worst = r < 0 ? r : worst;
	}
	return worst;
}

static void missing(struct matrix *m)
{
	rig_volume_close(&m->volume);
	assert_int_equal(rig_close(&m->rig), 0);
	/* A pool is not opened without any drive: its only one is there, and answers nothing. */
	if (m->rig.drive_count == 1)
		disk_sim_gone_set(m->rig.drives[VICTIM], -ENXIO);
	else
		m->rig.absent = 1U << VICTIM;
	m->rig.quiet = true;
	m->looked = false;
	memset(&m->watch, 0, sizeof(m->watch));
	if (rig_open(&m->rig) < 0) {
		m->now.health = "failed";
		snprintf(m->now.problem, sizeof(m->now.problem), "%s", m->rig.err.text);
		m->now.drives[VICTIM].state = "unknown";
		return;
	}
	assert_int_equal(rig_volume_open(&m->rig, "vol", &m->volume), 0);
}

static void slow(struct matrix *m)
{
	const struct disk_sim_fault fault = {
		.kind = DISK_SIM_STALL, .ops = 1U << DISK_READ, .argument = SLOW_NS};
	struct pool_io io;
	struct pool_io_worst worst = {.ns = 0};

	strike(m, VICTIM, &fault);
	assert_int_equal(all(m, BLOCK_READ, DATA_BYTES), 0);
	pool_io(m->rig.pool, &io);
	for (unsigned i = 0; i < POOL_IO_MINUTES; i++)
		worst = io.worst[i].ns > worst.ns ? io.worst[i] : worst;
	assert_true(worst.ns >= SLOW_NS);
	assert_int_equal(worst.why, POOL_WHY_DRIVES);
}

/* To the last block. */
static void full(struct matrix *m)
{
	uint64_t at = DATA_BYTES;

	for (uint64_t bytes = WRITE_BYTES; bytes >= RIG_BLOCK;
	     bytes = bytes > RIG_BLOCK ? RIG_BLOCK : 0) {
		int r = 0;

		for (; r == 0; at += bytes)
			r = rig_io(&m->volume, BLOCK_WRITE, at, m->data, bytes);
		assert_int_equal(r, -ENOSPC);
		at -= bytes;
	}
}

/* The first drive of each group, or the others, cannot flush any more. */
static void flushes_fail(struct matrix *m, bool first_of_group)
{
	const struct disk_sim_fault fault = {
		.kind = DISK_SIM_FAIL, .ops = 1U << DISK_FLUSH, .result = -EIO};

	for (unsigned i = 0; i < m->rig.drive_count; i++) {
		if ((i % m->row->layout->group_size == 0) == first_of_group)
			strike(m, i, &fault);
	}
	/* A commit on the way may be what fails. */
	if (all(m, BLOCK_WRITE, DATA_BYTES) < 0)
		assert_true(first_of_group);
	assert_int_equal(rig_io(&m->volume, BLOCK_FLUSH, 0, NULL, 0), first_of_group ? -EIO : 0);
}

/* One copy after the other, so that it is known which of them is the last. */
static void suspended(struct matrix *m)
{
	flushes_fail(m, false);
	flushes_fail(m, true);
}

/* What the drive says of itself is told by the watch over drives. */
static void recorded(struct matrix *m, const char *answer)
{
	const struct health_drives_params params = {.events = m->events, .recorded = m->directory};
	struct health_drive_name name = {.object = "tank:drive0", .path = "drive0"};
	struct health_drives *drives;
	const int fd = openat(m->fd, "drive0.json", O_WRONLY | O_CREAT, 0600);

	assert_int_equal(write(fd, answer, strlen(answer)), strlen(answer));
	close(fd);
	assert_int_equal(health_drives_new(&params, &drives), 0);
	health_drives_set(drives, &name, 1);
	while (told_read(m) == 0)
		usleep(1000);
	health_drives_free(drives);
	unlinkat(m->fd, "drive0.json", 0);
}

static void fault(struct matrix *m)
{
	const struct disk_sim_fault corrupt = {.kind = DISK_SIM_CORRUPT, .ops = 1U << DISK_READ};

	switch (m->row->fault) {
	case MISSING:
		missing(m);
		break;
	case CORRUPT:
		strike(m, VICTIM, &corrupt);
		assert_int_equal(all(m, BLOCK_READ, DATA_BYTES),
				 m->row->layout->group_size > 1 ? 0 : -EIO);
		break;
	case SLOW:
		slow(m);
		break;
	case FULL:
		full(m);
		break;
	case SUSPENDED:
		suspended(m);
		break;
	case WORN:
		recorded(m, "{\"smartctl\":{\"exit_status\":0},\"smart_status\":{\"passed\":true},"
			    "\"nvme_smart_health_information_log\":{\"percentage_used\":97}}");
		break;
	case HOT:
		recorded(m, "{\"smartctl\":{\"exit_status\":0},\"smart_status\":{\"passed\":true},"
			    "\"temperature\":{\"current\":91}}");
		break;
	}
}

/* --- One cell --------------------------------------------------------------------------------- */

static void cell_main(void *arg)
{
	const struct pool_volume_params params = {.size_bytes = 256 * MiB};
	struct matrix *m = arg;

	rig_format(&m->rig);
	assert_int_equal(rig_open(&m->rig), 0);
	assert_int_equal(pool_volume_create(m->rig.pool, "vol", &params, NULL), 0);
	assert_int_equal(rig_volume_open(&m->rig, "vol", &m->volume), 0);
	assert_int_equal(all(m, BLOCK_WRITE, DATA_BYTES), 0);
	assert_int_equal(pool_sync(m->rig.pool), 0);
	look(m);
	assert_int_equal(told_read(m), 0);
	fault(m);
	for (unsigned i = 0; i < m->rig.drive_count; i++)
		disk_sim_faults_clear(m->rig.drives[i]);
	if (!m->rig.pool)
		return;
	/* Twice: what was told is not told again. */
	look(m);
	look(m);
	rig_volume_close(&m->volume);
	(void)rig_close(&m->rig);
}

static void cell_print(const struct matrix *m)
{
	print_message("%s, %s: health %s, problem \"%s\", drive %s, told \"%s\"\n",
		      m->row->layout->name, fault_names[m->row->fault], m->now.health,
		      m->now.problem, m->now.drives[VICTIM].state, m->told);
}

static bool cell_is_right(const struct matrix *m)
{
	const struct row *row = m->row;
	const bool same_problem = row->problem[0] == '\0'
					  ? m->now.problem[0] == '\0'
					  : strstr(m->now.problem, row->problem) != NULL;

	return strcmp(m->now.health, row->health) == 0 && same_problem &&
	       strcmp(m->now.drives[VICTIM].state, row->drive) == 0 &&
	       strcmp(m->told, row->told) == 0;
}

static bool cell(const struct row *row)
{
	struct matrix *m = calloc(1, sizeof(*m));
	struct health_events_params params;
	bool right;

	m->row = row;
	m->data = aligned_alloc(RIG_BLOCK, WRITE_BYTES);
	memset(m->data, 7, WRITE_BYTES);
	snprintf(m->directory, sizeof(m->directory), "/tmp/quoin-matrix-XXXXXX");
	assert_non_null(mkdtemp(m->directory));
	m->fd = open(m->directory, O_RDONLY | O_DIRECTORY);
	params = (struct health_events_params){.directory_fd = m->fd};
	assert_int_equal(health_events_new(&params, &m->events), 0);
	rig_init(&m->rig, 1, row->layout->drives, DRIVE_BYTES);
	m->rig.group_size = row->layout->group_size;
	rig_run(&m->rig, cell_main, m);
	told_read(m);
	rig_fini(&m->rig);
	right = cell_is_right(m);
	if (!right)
		cell_print(m);
	health_events_free(m->events);
	unlinkat(m->fd, "events.log", 0);
	close(m->fd);
	rmdir(m->directory);
	free(m->data);
	free(m);
	return right;
}

static void each_fault_on_each_layout(void **state)
{
	unsigned wrong = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		wrong += !cell(&rows[i]);
	assert_int_equal(wrong, 0);
	assert_int_equal(ARRAY_SIZE(rows), 5 * ARRAY_SIZE(fault_names));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fault_on_each_layout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The journal: numbers, restarts, torn and foreign files, a full disk, floods, questions. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <quoin/health_events.h>

struct fixture {
	char directory[64];
	int fd;
	atomic_uint_fast64_t clock_ms;
	atomic_uint problems, recoveries;
	char why[160];
	struct health_events_params params;
	struct health_events *events;
	struct health_event found[HEALTH_EVENTS_KEPT];
};

static uint64_t clock_of(void *data)
{
	struct fixture *f = data;

	return atomic_load(&f->clock_ms);
}

static void problem_of(void *data, const char *why)
{
	struct fixture *f = data;

	if (why) {
		snprintf(f->why, sizeof(f->why), "%s", why);
		atomic_fetch_add(&f->problems, 1);
	} else {
		atomic_fetch_add(&f->recoveries, 1);
	}
}

static void open_it(struct fixture *f)
{
	assert_int_equal(health_events_new(&f->params, &f->events), 0);
}

static void close_it(struct fixture *f)
{
	health_events_free(f->events);
	f->events = NULL;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->directory, sizeof(f->directory), "/tmp/quoin-events-XXXXXX");
	if (!mkdtemp(f->directory))
		return -1;
	f->fd = open(f->directory, O_RDONLY | O_DIRECTORY);
	f->clock_ms = 1700000000000;
	f->params = (struct health_events_params){
		.directory_fd = f->fd, .clock_ms = clock_of, .problem = problem_of, .data = f};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	health_events_free(f->events);
	unlinkat(f->fd, "events.log", 0);
	unlinkat(f->fd, "events.log", AT_REMOVEDIR);
	unlinkat(f->fd, "events.1", 0);
	close(f->fd);
	rmdir(f->directory);
	free(f);
	return 0;
}

static unsigned read_all(struct fixture *f, uint64_t since)
{
	const struct health_events_query query = {.since = since};

	return health_events_read(f->events, &query, f->found, HEALTH_EVENTS_KEPT);
}

static struct health_events_status status(struct fixture *f)
{
	struct health_events_status s;

	health_events_status(f->events, &s);
	return s;
}

static void file_put(struct fixture *f, const char *name, const char *text, int flags)
{
	const int fd = openat(f->fd, name, O_WRONLY | O_CREAT | flags, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static long file_size(struct fixture *f, const char *name)
{
	struct stat st;

	return fstatat(f->fd, name, &st, 0) < 0 ? -1 : (long)st.st_size;
}

/* Events that are each of another object, so that none is folded. */
static void add_many(struct fixture *f, unsigned count)
{
	char object[32];

	for (unsigned i = 0; i < count; i++) {
		snprintf(object, sizeof(object), "tank/v%u", i);
		health_events_add(f->events, HEALTH_VOLUME_CREATED, object, "created number %u", i);
		if (i % 256 == 255)
			health_events_flush(f->events);
	}
	health_events_flush(f->events);
}

static void numbered(void **state)
{
	struct fixture *f = *state;

	open_it(f);
	assert_int_equal(read_all(f, 0), 0);
	health_events_add(f->events, HEALTH_POOL_CREATED, "tank", "made of %d drives", 2);
	health_events_add(f->events, HEALTH_POOL_FULL, "tank", "full");
	assert_int_equal(read_all(f, 0), 2);
	assert_int_equal(f->found[0].number, 1);
	assert_int_equal(f->found[1].number, 2);
	assert_int_equal(f->found[0].time_ms, 1700000000000);
	assert_string_equal(f->found[0].text, "made of 2 drives");
	assert_int_equal(read_all(f, 1), 1);
	assert_int_equal(f->found[0].type, HEALTH_POOL_FULL);
}

static void kept_over_a_restart(void **state)
{
	struct fixture *f = *state;

	open_it(f);
	health_events_add(f->events, HEALTH_POOL_CREATED, "tank", "a");
	health_events_add(f->events, HEALTH_DAEMON_STOPPED, "quoind", "b");
	close_it(f);
	open_it(f);
	assert_false(status(f).unclean);
	health_events_add(f->events, HEALTH_DAEMON_STARTED, "quoind", "c");
	assert_int_equal(read_all(f, 0), 3);
	assert_int_equal(f->found[2].number, 3);
	assert_string_equal(f->found[0].text, "a");
	assert_int_equal(status(f).oldest, 1);
	assert_int_equal(status(f).newest, 3);
}

/* Some may have been told and not been written: their numbers are not given again. */
static void numbers_after_a_crash(void **state)
{
	struct fixture *f = *state;

	open_it(f);
	health_events_add(f->events, HEALTH_POOL_CREATED, "tank", "a");
	close_it(f);
	open_it(f);
	assert_true(status(f).unclean);
	health_events_add(f->events, HEALTH_DAEMON_STARTED, "quoind", "b");
	read_all(f, 1);
	assert_int_equal(f->found[0].number, 2 + HEALTH_NUMBER_GAP);
}

static void torn_tail(void **state)
{
	struct fixture *f = *state;
	long whole;

	open_it(f);
	health_events_add(f->events, HEALTH_POOL_CREATED, "tank", "a");
	close_it(f);
	whole = file_size(f, "events.log");
	file_put(f, "events.log", "{\"number\":2,\"time_ms\":17", O_APPEND);
	open_it(f);
	assert_int_equal(read_all(f, 0), 1);
	health_events_add(f->events, HEALTH_POOL_FULL, "tank", "b");
	close_it(f);
	assert_true(file_size(f, "events.log") > whole);
	open_it(f);
	assert_int_equal(read_all(f, 0), 2);
	assert_string_equal(f->found[1].text, "b");
	assert_int_equal(status(f).skipped, 0);
}

static void damaged_lines_cost_themselves(void **state)
{
	struct fixture *f = *state;

	open_it(f);
	health_events_add(f->events, HEALTH_POOL_CREATED, "tank", "a");
	close_it(f);
	file_put(f, "events.log", "nonsense\n\n{\"number\":\"x\"}\n", O_APPEND);
	open_it(f);
	health_events_add(f->events, HEALTH_POOL_FULL, "tank", "b");
	close_it(f);
	open_it(f);
	assert_int_equal(read_all(f, 0), 2);
	assert_int_equal(status(f).skipped, 3);
}

/* A directory in the place of the file: nothing can be saved, everything else works. */
static void no_file_to_be_had(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkdirat(f->fd, "events.log", 0700), 0);
	open_it(f);
	health_events_add(f->events, HEALTH_POOL_CREATED, "tank", "a");
	health_events_flush(f->events);
	assert_int_equal(read_all(f, 0), 1);
	assert_int_equal(status(f).unsaved, 1);
	assert_non_null(strstr(status(f).problem, "not saved"));
	assert_int_equal(f->problems, 1);
	health_events_flush(f->events);
	assert_int_equal(f->problems, 1);
	/* The way is clear: what waited is written. */
	assert_int_equal(unlinkat(f->fd, "events.log", AT_REMOVEDIR), 0);
	health_events_flush(f->events);
	assert_int_equal(status(f).unsaved, 0);
	assert_string_equal(status(f).problem, "");
	assert_int_equal(f->recoveries, 1);
	close_it(f);
	open_it(f);
	assert_int_equal(read_all(f, 0), 1);
}

static void limit_set(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The file may not grow, as on a full disk: a write stops in the midst of a line. */
static void full_disk(void **state)
{
	struct fixture *f = *state;
	struct rlimit before;
	long whole;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	open_it(f);
	health_events_add(f->events, HEALTH_POOL_CREATED, "tank", "a");
	health_events_flush(f->events);
	whole = file_size(f, "events.log");
	limit_set((rlim_t)whole + 20);
	health_events_add(f->events, HEALTH_POOL_FULL, "tank", "b");
	health_events_flush(f->events);
	limit_set(before.rlim_cur);
	assert_int_equal(file_size(f, "events.log"), whole);
	assert_int_equal(read_all(f, 0), 2);
	assert_int_equal(status(f).unsaved, 1);
	assert_non_null(strstr(f->why, "not saved"));
	health_events_flush(f->events);
	assert_int_equal(status(f).unsaved, 0);
	close_it(f);
	open_it(f);
	assert_int_equal(read_all(f, 0), 2);
	assert_int_equal(status(f).skipped, 0);
}

/* More than the ring holds while nothing can be saved: said, counted, and it goes on. */
static void lost_ones_are_told(void **state)
{
	struct fixture *f = *state;
	const struct health_events_query query = {.severity = HEALTH_WARNING};

	assert_int_equal(mkdirat(f->fd, "events.log", 0700), 0);
	open_it(f);
	add_many(f, HEALTH_EVENTS_KEPT + 100);
	assert_int_equal(status(f).lost, 100);
	assert_int_equal(unlinkat(f->fd, "events.log", AT_REMOVEDIR), 0);
	health_events_flush(f->events);
	assert_int_equal(health_events_read(f->events, &query, f->found, 10), 1);
	assert_int_equal(f->found[0].type, HEALTH_EVENTS_LOST);
	assert_string_equal(f->found[0].text, "100 events could not be saved in time");
	assert_int_equal(status(f).unsaved, 0);
}

static void files_are_bounded(void **state)
{
	struct fixture *f = *state;
	uint64_t newest;

	f->params.file_bytes = 16 * 1024;
	open_it(f);
	add_many(f, 3000);
	newest = status(f).newest;
	assert_int_equal(newest, 3000);
	/* In memory there are the newest; in the files those that fit. */
	assert_int_equal(read_all(f, 0), HEALTH_EVENTS_KEPT);
	assert_int_equal(f->found[0].number, 3000 - HEALTH_EVENTS_KEPT + 1);
	close_it(f);
	assert_in_range(file_size(f, "events.log"), 1, 16 * 1024);
	assert_in_range(file_size(f, "events.1"), 1, 16 * 1024);
	open_it(f);
	assert_int_equal(status(f).newest, newest);
	assert_in_range(read_all(f, 0), 50, 400);
	assert_int_equal(status(f).skipped, 0);
}

static void floods_are_folded(void **state)
{
	struct fixture *f = *state;
	unsigned count;
	unsigned sum = 0;

	open_it(f);
	for (unsigned i = 0; i < 1000; i++)
		health_events_add(f->events, HEALTH_POOL_HEALED, "tank", "healed %u", i);
	health_events_flush(f->events);
	assert_int_equal(read_all(f, 0), HEALTH_FOLD_PASS);
	assert_int_equal(status(f).folded, 1000 - HEALTH_FOLD_PASS);
	atomic_fetch_add(&f->clock_ms, HEALTH_FOLD_MS);
	health_events_flush(f->events);
	count = read_all(f, 0);
	assert_int_equal(count, HEALTH_FOLD_PASS + 1);
	assert_string_equal(f->found[count - 1].text, "healed 999");
	for (unsigned i = 0; i < count; i++)
		sum += f->found[i].count;
	assert_int_equal(sum, 1000);
}

/* What is held when the daemon stops is not forgotten. */
static void folded_ones_at_the_end(void **state)
{
	struct fixture *f = *state;
	unsigned count;

	open_it(f);
	for (unsigned i = 0; i < 50; i++)
		health_events_add(f->events, HEALTH_POOL_HEALED, "tank", "healed");
	close_it(f);
	open_it(f);
	count = read_all(f, 0);
	assert_int_equal(count, HEALTH_FOLD_PASS + 1);
	assert_int_equal(f->found[count - 1].count, 50 - HEALTH_FOLD_PASS);
}

static void filters(void **state)
{
	static const char *const objects[] = {"tank",  "tank/v",  "tank/v@1", "tank:/dev/sdb",
					      "tank2", "tank2/v", "lake"};
	struct health_events_query query = {.object = "tank"};
	struct fixture *f = *state;

	open_it(f);
	for (size_t i = 0; i < ARRAY_SIZE(objects); i++)
		health_events_add(f->events, HEALTH_POOL_CHANGED, objects[i], "x");
	health_events_add(f->events, HEALTH_POOL_FULL, "tank", "y");
	assert_int_equal(health_events_read(f->events, &query, f->found, 100), 5);
	query.object = "tank/v";
	assert_int_equal(health_events_read(f->events, &query, f->found, 100), 2);
	query = (struct health_events_query){.severity = HEALTH_WARNING};
	assert_int_equal(health_events_read(f->events, &query, f->found, 100), 1);
	query = (struct health_events_query){.since = 2};
	assert_int_equal(health_events_read(f->events, &query, f->found, 3), 3);
	assert_int_equal(f->found[0].number, 3);
}

static void *adder(void *arg)
{
	struct fixture *f = arg;
	char object[32];

	for (unsigned i = 0; i < 300; i++) {
		snprintf(object, sizeof(object), "tank/%lx-%u", (unsigned long)pthread_self(), i);
		health_events_add(f->events, HEALTH_VOLUME_CREATED, object, "created");
	}
	return NULL;
}

static void many_threads(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[4];
	atomic_bool stop = false;

	open_it(f);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, adder, f), 0);
	while (status(f).newest < 1200)
		health_events_wait(f->events, status(f).newest, &stop, 1000);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(read_all(f, 0), 1200);
	for (unsigned i = 0; i < 1200; i++)
		assert_int_equal(f->found[i].number, i + 1);
}

static void waiting_ends(void **state)
{
	struct fixture *f = *state;
	atomic_bool stop = true;

	open_it(f);
	/* An hour, if it did not look. */
	health_events_wait(f->events, 5, &stop, 3600 * 1000);
	stop = false;
	health_events_add(f->events, HEALTH_POOL_FULL, "tank", "y");
	health_events_wait(f->events, 0, &stop, 3600 * 1000);
	health_events_wait(f->events, 1, &stop, 1);
}

/* Thousands are kept: an event has room for long words, and most are short. */
static void memory(void **state)
{
	struct fixture *f = *state;
	const struct mallinfo2 before = mallinfo2();
	struct mallinfo2 after;
	char object[32];

	open_it(f);
	for (unsigned i = 0; i < HEALTH_EVENTS_KEPT; i++) {
		snprintf(object, sizeof(object), "tank/vm%u", i);
		health_events_add(f->events, HEALTH_VOLUME_CREATED, object, "made, of 10 GiB");
	}
	health_events_flush(f->events);
	after = mallinfo2();
	assert_int_equal(read_all(f, 0), HEALTH_EVENTS_KEPT);
	assert_string_equal(f->found[HEALTH_EVENTS_KEPT - 1].object, object);
	/* Sanitizers say 0. */
	assert_true(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd < 512 * KiB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(numbered, setup, teardown),
		cmocka_unit_test_setup_teardown(kept_over_a_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(numbers_after_a_crash, setup, teardown),
		cmocka_unit_test_setup_teardown(torn_tail, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_lines_cost_themselves, setup, teardown),
		cmocka_unit_test_setup_teardown(no_file_to_be_had, setup, teardown),
		cmocka_unit_test_setup_teardown(full_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(lost_ones_are_told, setup, teardown),
		cmocka_unit_test_setup_teardown(files_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(floods_are_folded, setup, teardown),
		cmocka_unit_test_setup_teardown(folded_ones_at_the_end, setup, teardown),
		cmocka_unit_test_setup_teardown(filters, setup, teardown),
		cmocka_unit_test_setup_teardown(many_threads, setup, teardown),
		cmocka_unit_test_setup_teardown(waiting_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watch over drives: recorded answers, files, a smartctl that is missing, prints nonsense or
 * without end, fails or hangs, and drives that never answer.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <quoin/health_drives.h>

#include "smart_nvme.h"
#include "smart_read.h"

#define GOOD "{\"smartctl\":{\"exit_status\":0},\"smart_status\":{\"passed\":true}}"
#define BAD "{\"smartctl\":{\"exit_status\":8},\"smart_status\":{\"passed\":false}}"

struct fixture {
	char directory[64];
	int fd;
	struct health_events *events;
	struct health_drives_params params;
	struct health_drives *drives;
	struct health_drive_name names[2];
	struct health_drive found;
	struct health_event told[64];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct health_events_params params;

	snprintf(f->directory, sizeof(f->directory), "/tmp/quoin-drives-XXXXXX");
	if (!mkdtemp(f->directory))
		return -1;
	f->fd = open(f->directory, O_RDONLY | O_DIRECTORY);
	params = (struct health_events_params){.directory_fd = f->fd};
	*state = f;
	if (health_events_new(&params, &f->events) < 0)
		return -1;
	f->params = (struct health_drives_params){.events = f->events,
						  .recorded = f->directory,
						  .interval_ms = 20,
						  .limit_ms = 10000};
	for (unsigned i = 0; i < 2; i++) {
		snprintf(f->names[i].path, sizeof(f->names[i].path), "%s/%c.img", f->directory,
			 'a' + i);
		snprintf(f->names[i].object, sizeof(f->names[i].object), "tank:%c", 'a' + i);
	}
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = {"a.img",	  "b.img",	"a.img.json",
					    "a.img.hang", "b.img.json", "a.img.nvme",
					    "a.img.wwid", "smartctl",	"events.log"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlinkat(f->fd, names[i], 0);
	health_drives_free(f->drives);
	health_events_free(f->events);
	unlinkat(f->fd, "events.log", 0);
	close(f->fd);
	rmdir(f->directory);
	free(f);
	return 0;
}

/* At once: a reader sees the old one or the new one. */
static void put(struct fixture *f, const char *name, const char *text)
{
	const int fd = openat(f->fd, "new", O_WRONLY | O_CREAT | O_TRUNC, 0700);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_int_equal(renameat(f->fd, "new", f->fd, name), 0);
}

static void start(struct fixture *f, unsigned count)
{
	assert_int_equal(health_drives_new(&f->params, &f->drives), 0);
	health_drives_set(f->drives, f->names, count);
}

static const struct health_drive *look(struct fixture *f, unsigned index)
{
	assert_true(health_drives_get(f->drives, index, &f->found));
	return &f->found;
}

static void wait_verdict(struct fixture *f, unsigned index, enum smart_verdict verdict)
{
	while (look(f, index)->judgement.verdict != verdict)
		usleep(1000);
}

static void wait_problem(struct fixture *f, unsigned index, const char *words)
{
	while (!strstr(look(f, index)->problem, words))
		usleep(1000);
}

static void wait_told(struct fixture *f, enum health_event_type type, unsigned count)
{
	const struct health_events_query query = {.object = "tank"};

	for (;;) {
		const unsigned all = health_events_read(f->events, &query, f->told, 64);
		unsigned found = 0;

		for (unsigned i = 0; i < all; i++)
			found += f->told[i].type == type;
		if (found >= count)
			return;
		usleep(1000);
	}
}

static void verdicts_are_told_once(void **state)
{
	struct fixture *f = *state;

	put(f, "a.img.json", GOOD);
	start(f, 1);
	assert_int_equal(health_drives_count(f->drives), 1);
	wait_verdict(f, 0, SMART_PASSED);
	put(f, "a.img.json", BAD);
	wait_verdict(f, 0, SMART_FAILING);
	assert_string_equal(look(f, 0)->judgement.reason, "the drive says that it fails");
	wait_told(f, HEALTH_DRIVE_FAILING, 1);
	put(f, "a.img.json", GOOD);
	wait_told(f, HEALTH_DRIVE_WELL, 1);
	assert_int_equal(f->told[0].type, HEALTH_DRIVE_FAILING);
	assert_string_equal(f->told[0].object, "tank:a");
	assert_int_equal(f->told[1].type, HEALTH_DRIVE_WELL);
}

static void nvme_pages(void **state)
{
	struct fixture *f = *state;
	static uint8_t pages[SMART_NVME_IDENTIFY_BYTES + SMART_NVME_HEALTH_BYTES +
			     SMART_NVME_SELF_TEST_BYTES];
	const int fd = openat(f->fd, "a.img.nvme", O_WRONLY | O_CREAT, 0600);

	memcpy(pages + 4, "SERIAL", 6);
	pages[SMART_NVME_IDENTIFY_BYTES] = 4;
	assert_int_equal(write(fd, pages, sizeof(pages)), sizeof(pages));
	close(fd);
	start(f, 1);
	wait_verdict(f, 0, SMART_FAILING);
	assert_string_equal(look(f, 0)->report.serial, "SERIAL");
	assert_string_equal(look(f, 0)->report.protocol, "NVMe");
}

/* It has no S.M.A.R.T., and says what it can. */
static void a_file(void **state)
{
	struct fixture *f = *state;

	put(f, "a.img", "x");
	start(f, 1);
	while (look(f, 0)->asked_ms == 0)
		usleep(1000);
	assert_string_equal(look(f, 0)->report.protocol, "file");
	assert_true(look(f, 0)->report.free_bytes > 0);
	assert_int_equal(look(f, 0)->judgement.verdict, SMART_NOT_KNOWN);
	assert_string_equal(look(f, 0)->problem, "");
}

static void a_path_that_went(void **state)
{
	struct fixture *f = *state;

	start(f, 1);
	wait_problem(f, 0, "No such file");
	/* What was known stays, beside why there is nothing newer. */
	put(f, "a.img.json", BAD);
	wait_verdict(f, 0, SMART_FAILING);
	unlinkat(f->fd, "a.img.json", 0);
	wait_problem(f, 0, "No such file");
	assert_int_equal(look(f, 0)->judgement.verdict, SMART_FAILING);
}

/* One that hangs shows so, the other goes on, and it is well when it comes back. */
static void a_drive_that_hangs(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	f->params.limit_ms = 50;
	put(f, "a.img.hang", "");
	put(f, "a.img.json", GOOD);
	put(f, "b.img.json", GOOD);
	start(f, 2);
	wait_problem(f, 0, "collector: timed out");
	wait_told(f, HEALTH_DRIVE_SILENT, 1);
	before = look(f, 1)->asked_ms;
	while (look(f, 1)->asked_ms == before)
		usleep(1000);
	unlinkat(f->fd, "a.img.hang", 0);
	wait_verdict(f, 0, SMART_PASSED);
	assert_string_equal(look(f, 0)->problem, "");
	wait_told(f, HEALTH_DRIVE_ANSWERS, 1);
}

/* The end does not wait for it; the one that comes back later frees what is left. */
static void the_end_while_one_hangs(void **state)
{
	struct fixture *f = *state;

	f->params.limit_ms = 50;
	put(f, "a.img.hang", "");
	start(f, 1);
	wait_problem(f, 0, "timed out");
	health_drives_free(f->drives);
	f->drives = NULL;
	unlinkat(f->fd, "a.img.hang", 0);
}

static void others_than_before(void **state)
{
	struct fixture *f = *state;
	struct err err;

	put(f, "a.img.hang", "");
	put(f, "b.img.json", GOOD);
	start(f, 1);
	/* Taken off while it is asked. */
	health_drives_set(f->drives, &f->names[1], 1);
	wait_verdict(f, 0, SMART_PASSED);
	assert_string_equal(look(f, 0)->name.object, "tank:b");
	assert_false(health_drives_get(f->drives, 1, &f->found));
	health_drives_set(f->drives, NULL, 0);
	assert_false(health_drives_get(f->drives, 0, &f->found));
	assert_int_equal(health_drives_test(f->drives, f->names[1].path, HEALTH_TEST_SHORT, &err),
			 -ENOENT);
	unlinkat(f->fd, "a.img.hang", 0);
}

static void no_self_test_of_a_file(void **state)
{
	struct fixture *f = *state;
	struct err err;

	put(f, "a.img", "x");
	start(f, 1);
	assert_int_equal(health_drives_test(f->drives, f->names[0].path, HEALTH_TEST_SHORT, &err),
			 0);
	while (look(f, 0)->test_asked)
		usleep(1000);
	assert_non_null(strstr(look(f, 0)->test_problem, "is a file"));
}

/* --- NVMe ---------------------------------------------------------------------------------------
 */

/* As nobody, who may open nothing; the result goes back as an exit code. */
static int as_nobody(const char *path, int expected, const char *says)
{
	const pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		struct smart_report report;
		struct err err = {.text = ""};
		int r;

		if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
			_exit(3);
		smart_report_init(&report);
		r = smart_nvme_read(path, &report, &err);
		_exit(r != expected ? 1 : strstr(err.text, says) ? 0 : 2);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void no_permission_to_ask_an_nvme_drive(void **state)
{
	struct fixture *f = *state;

	put(f, "a.img", "x");
	assert_int_equal(fchmodat(f->fd, "a.img", 0, 0), 0);
	chmod(f->directory, 0755);
	assert_int_equal(as_nobody(f->names[0].path, -EACCES, "needs CAP_SYS_ADMIN"), 0);
}

static void no_nvme_drive_at_all(void **state)
{
	struct smart_report report;
	struct err err;

	smart_report_init(&report);
	assert_int_equal(smart_nvme_read("/dev/null", &report, &err), -ENOTTY);
	assert_int_equal(smart_nvme_test("/dev/null", HEALTH_TEST_SHORT, &err), -ENOTTY);
	assert_int_equal(smart_nvme_read("/none", &report, &err), -ENOENT);
	assert_int_equal(report.temperature_c, SMART_UNKNOWN);
}

/* What is recorded takes a self-test; what is beside the pages is the error log. */
static void recorded_self_tests_and_errors(void **state)
{
	struct fixture *f = *state;
	static uint8_t pages[SMART_NVME_IDENTIFY_BYTES + SMART_NVME_HEALTH_BYTES +
			     SMART_NVME_SELF_TEST_BYTES + SMART_NVME_ERROR_BYTES];
	const int fd = openat(f->fd, "a.img.nvme", O_WRONLY | O_CREAT, 0600);
	uint8_t *entry = pages + sizeof(pages) - SMART_NVME_ERROR_BYTES;
	char asked[16] = "";
	struct err err;
	int from;

	entry[0] = 1;
	entry[12] = 0x04;
	assert_int_equal(write(fd, pages, sizeof(pages)), sizeof(pages));
	start(f, 1);
	wait_verdict(f, 0, SMART_PASSED);
	assert_int_equal(look(f, 0)->report.last_error_status, 2);
	assert_int_equal(health_drives_test(f->drives, f->names[0].path, HEALTH_TEST_LONG, &err),
			 0);
	while (look(f, 0)->test_asked)
		usleep(1000);
	assert_string_equal(look(f, 0)->test_problem, "");
	from = openat(f->fd, "a.img.test", O_RDONLY);
	assert_true(read(from, asked, sizeof(asked) - 1) > 0);
	assert_string_equal(asked, "--test=long\n");
	close(from);
	/* Half an entry is none. */
	assert_int_equal(ftruncate(fd, sizeof(pages) - 1), 0);
	wait_problem(f, 0, "has not the size of its pages");
	close(fd);
	unlinkat(f->fd, "a.img.test", 0);
}

/* Its name in the world, by whichever of its identifiers the kernel took. */
static void nvme_names(void **state)
{
	static const struct {
		const char *line, *wwn;
	} cases[] = {
		{"eui.0025385b71b00123\n", "eui.0025385b71b00123"},
		{"eui.36344730526000710025384500000001\n", "eui.36344730526000710025384500000001"},
		{"uuid.6e5d8bb0-2b54-4d0c-9d0c-1d0a5a6a7b8c\n",
		 "uuid.6e5d8bb0-2b54-4d0c-9d0c-1d0a5a6a7b8c"},
		/* Of model and serial: 47 characters fit, 48 do not. */
		{"nvme.144d-53344e4a4e583052-53616d73756e67205353\n",
		 "nvme.144d-53344e4a4e583052-53616d73756e67205353"},
		{"nvme.144d-53344e4a4e583052-53616d73756e672053534\n", ""},
		{"eui.0025\x1b[2J\n", "eui.0025 [2J"},
		{"eui.0025385b71b00123", ""},
		{"\n", ""},
		{"", ""},
	};
	static uint8_t pages[SMART_NVME_IDENTIFY_BYTES + SMART_NVME_HEALTH_BYTES +
			     SMART_NVME_SELF_TEST_BYTES];
	struct fixture *f = *state;
	const struct smart_source source = {.recorded = f->directory};
	const int fd = openat(f->fd, "a.img.nvme", O_WRONLY | O_CREAT, 0600);
	struct smart_report report;
	struct err err;

	assert_int_equal(write(fd, pages, sizeof(pages)), sizeof(pages));
	close(fd);
	assert_int_equal(smart_read(&source, f->names[0].path, &report, &err), 0);
	assert_string_equal(report.wwn, "");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		put(f, "a.img.wwid", cases[i].line);
		assert_int_equal(smart_read(&source, f->names[0].path, &report, &err), 0);
		assert_string_equal(report.wwn, cases[i].wwn);
	}
}

/* --- smartctl ------------------------------------------------------------------------------------
 */

/* A character device is asked by smartctl, here by a script in its place. */
static int ask(struct fixture *f, const char *script, unsigned timeout_ms, struct err *err)
{
	char program[96];
	const struct smart_source source = {.smartctl = program, .timeout_ms = timeout_ms};
	struct smart_report report;

	snprintf(program, sizeof(program), "%s/smartctl", f->directory);
	if (script)
		put(f, "smartctl", script);
	return smart_read(&source, "/dev/null", &report, err);
}

static void smartctl_answers(void **state)
{
	struct err err;

	/* Its status says something of the drive; what it prints counts. */
	assert_int_equal(ask(*state, "#!/bin/sh\necho '" BAD "'; exit 8\n", 10000, &err), 0);
}

static void smartctl_is_missing(void **state)
{
	struct err err;

	assert_int_equal(ask(*state, NULL, 10000, &err), -ENOPKG);
	assert_non_null(strstr(err.text, "install smartmontools"));
}

static void smartctl_says_no(void **state)
{
	struct err err;

	assert_int_equal(ask(*state,
			     "#!/bin/sh\necho '{\"smartctl\":{\"exit_status\":2,\"messages\":"
			     "[{\"string\":\"Permission denied\"}]}}'; exit 2\n",
			     10000, &err),
			 -EIO);
	assert_non_null(strstr(err.text, "Permission denied"));
}

static void smartctl_prints_nonsense(void **state)
{
	struct err err;

	assert_int_equal(ask(*state, "#!/bin/sh\necho nonsense\n", 10000, &err), -EINVAL);
	assert_int_equal(ask(*state, "#!/bin/sh\nexit 3\n", 10000, &err), -EIO);
	assert_non_null(strstr(err.text, "ended with 3"));
	/* Without end: there is room for so much and no more. */
	assert_int_equal(ask(*state, "#!/bin/sh\nexec cat /dev/zero\n", 10000, &err), -EINVAL);
}

static void smartctl_hangs(void **state)
{
	struct err err;

	assert_int_equal(ask(*state, "#!/bin/sh\nsleep 1000\n", 150, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.text, "did not end in time"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(verdicts_are_told_once),
		CASE(nvme_pages),
		CASE(a_file),
		CASE(a_path_that_went),
		CASE(a_drive_that_hangs),
		CASE(the_end_while_one_hangs),
		CASE(others_than_before),
		CASE(no_self_test_of_a_file),
		CASE(no_permission_to_ask_an_nvme_drive),
		CASE(no_nvme_drive_at_all),
		CASE(recorded_self_tests_and_errors),
		CASE(nvme_names),
		CASE(smartctl_answers),
		CASE(smartctl_is_missing),
		CASE(smartctl_says_no),
		CASE(smartctl_prints_nonsense),
		CASE(smartctl_hangs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

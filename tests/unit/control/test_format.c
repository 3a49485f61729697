/* SPDX-License-Identifier: Apache-2.0 */
/* The block sizes that guests chose: written, read, forgotten; and from a worker's helper. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "format.h"
#include "state.h"

static const uint8_t nguid[16] = {0xAB, 1, 2, 3};
static const uint8_t other[16] = {0xAC, 1, 2, 3};

struct directory {
	char path[64];
	int fd;
};

static int setup(void **state)
{
	static struct directory d;

	snprintf(d.path, sizeof(d.path), "/tmp/quoin-format-XXXXXX");
	if (!mkdtemp(d.path))
		return -1;
	d.fd = open(d.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = &d;
	return d.fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct directory *d = *state;

	control_format_forget(d->fd, nguid);
	close(d->fd);
	return rmdir(d->path);
}

static void save_load_forget(void **state)
{
	struct directory *d = *state;

	assert_int_equal(control_format_load(d->fd, nguid), 0);
	assert_int_equal(control_format_save(d->fd, nguid, 4096), 0);
	assert_int_equal(control_format_load(d->fd, nguid), 4096);
	assert_int_equal(control_format_load(d->fd, other), 0);
	assert_int_equal(control_format_save(d->fd, nguid, 512), 0);
	assert_int_equal(control_format_load(d->fd, nguid), 512);
	control_format_forget(d->fd, nguid);
	assert_int_equal(control_format_load(d->fd, nguid), 0);
	control_format_forget(d->fd, nguid);
}

/* A file that says something else is as none: the volume's own block size holds. */
static void damaged(void **state)
{
	struct directory *d = *state;
	static const uint32_t sizes[] = {0, 1, 513, 8192, UINT32_MAX};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_int_equal(control_format_save(d->fd, nguid, sizes[i]), 0);
		assert_int_equal(control_format_load(d->fd, nguid), 0);
	}
	assert_int_equal(control_format_save(-1, nguid, 512), -EBADF);
}

struct note {
	struct nvme_format_note note;
	unsigned done;
};

static void note_done(struct nvme_format_note *note)
{
	container_of(note, struct note, note)->done++;
}

static void remembered_by_worker(void **state)
{
	struct directory *d = *state;
	const struct loop_params params = {.name = "test", .cpu = -1};
	struct control_format format = {.directory_fd = d->fd, .nguid = {0xAB, 1, 2, 3}};
	struct note n = {.note = {.nsid = 1, .block_bytes = 4096, .done = note_done}};

	assert_int_equal(loop_new(&params, &format.loop), 0);
	control_format_remember(&format, &n.note);
	for (unsigned i = 0; i < 1000 && n.done == 0; i++)
		loop_turn(format.loop, 10 * NS_PER_MS);
	assert_int_equal(n.done, 1);
	assert_int_equal(n.note.result, 0);
	assert_int_equal(control_format_load(d->fd, nguid), 4096);
	loop_free(format.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(save_load_forget, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(remembered_by_worker, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Fixtures of the interop tests: see interop.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "interop.h"

#define SKIP 77
#define CHECK_LBA 4096
#define CHECK_BLOCKS 16

int interop_group_setup(void **state)
{
	struct interop *t = calloc(1, sizeof(*t));
	char spec[160];
	uint64_t seed;
	int error;

	if (!t)
		return -1;
	*state = t;
	signal(SIGPIPE, SIG_IGN);
	host_init(&t->host);
	host_init(&t->other);
	random_system_fill(&seed, sizeof(seed));
	if (getenv("QUOIN_SEED"))
		seed = strtoull(getenv("QUOIN_SEED"), NULL, 0);
	printf("seed: QUOIN_SEED=%#llx\n", (unsigned long long)seed);
	random_init(&t->random, seed);
	t->long_run = getenv("QUOIN_INTEROP_LONG") != NULL;
	t->short_run = getenv("QUOIN_INTEROP_SHORT") != NULL;
	error = daemon_init(&t->daemon, NULL);
	if (error == -ENOENT) {
		printf("skipped: there is no quoind to test\n");
		exit(SKIP);
	}
	if (error || daemon_start(&t->daemon))
		return -1;
	interop_target(t, "null", "null:1G");
	interop_target(t, "disk", interop_file(t, "disk", INTEROP_FILE_SIZE, spec));
	return 0;
}

int interop_group_teardown(void **state)
{
	struct interop *t = *state;
	int status;

	if (!t)
		return 0;
	status = daemon_stop(&t->daemon, SIGTERM);
	if (status)
		fprintf(stderr, "quoind ended with wait status %#x\n", (unsigned)status);
	daemon_fini(&t->daemon);
	free(t);
	return status ? -1 : 0;
}

static void close_host(struct host *host)
{
	if (host->client.fd >= 0 || host->ram.base)
		host_close(host);
}

int interop_test_teardown(void **state)
{
	struct interop *t = *state;

	close_host(&t->host);
	close_host(&t->other);
	if (daemon_alive(&t->daemon))
		return 0;
	fprintf(stderr, "quoind died\n");
	if (daemon_start(&t->daemon))
		fprintf(stderr, "and does not start again\n");
	return -1;
}

static bool is_device(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISBLK(st.st_mode);
}

static void device_clear(int fd, uint64_t size)
{
	uint64_t all[2] = {0, 0};

	assert_int_equal(ioctl(fd, BLKGETSIZE64, &all[1]), 0);
	assert_int_equal(all[1], size);
	assert_int_equal(ioctl(fd, BLKZEROOUT, all), 0);
}

const char *interop_file(struct interop *t, const char *name, uint64_t size, char spec[160])
{
	const char *dir = getenv("QUOIN_INTEROP_DIR");
	char path[128];
	CLEANUP_FD int fd = -1;

	snprintf(path, sizeof(path), "%.80s/%.30s.img", dir ? dir : t->daemon.dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	if (is_device(path))
		device_clear(fd, size);
	else
		assert_int_equal(ftruncate(fd, 0) | ftruncate(fd, (off_t)size), 0);
	snprintf(spec, 160, "file:%s", path);
	return spec;
}

void interop_file_remove(const char *spec)
{
	const char *path = spec + strlen("file:");

	if (!is_device(path))
		assert_int_equal(unlink(path), 0);
}

void interop_target_with(struct interop *t, const struct daemon_target *target)
{
	assert_int_equal(daemon_target_create(&t->daemon, target), 0);
}

void interop_target(struct interop *t, const char *name, const char *volume)
{
	const struct daemon_target target = {.name = name, .volumes = {volume}};

	interop_target_with(t, &target);
}

void interop_open_with(struct interop *t, struct host *host, const char *name,
		       struct host_options options)
{
	char path[DAEMON_PATH_MAX];
	int error;

	close_host(host);
	options.path = daemon_target_path(&t->daemon, name, path);
	error = host_open(host, &options);
	if (error)
		fprintf(stderr, "%s: %s\n", name, strerror(-error));
	assert_int_equal(error, 0);
}

void interop_queues(struct host *host, unsigned queues)
{
	for (unsigned i = 1; i <= queues; i++)
		assert_int_equal(host_queue_create(host, i, (struct host_queue_options){0}), 0);
}

struct host *interop_open(struct interop *t, const char *name, unsigned queues)
{
	interop_open_with(t, &t->host, name, (struct host_options){.flavour = CLIENT_QEMU});
	interop_queues(&t->host, queues);
	return &t->host;
}

struct nvme_sqe interop_rw(struct host *host, unsigned opcode, uint64_t lba, unsigned blocks,
			   const void *data)
{
	struct nvme_sqe sqe = {
		.opcode = (uint8_t)opcode,
		.nsid = 1,
		.dw10 = (uint32_t)lba,
		.dw11 = (uint32_t)(lba >> 32),
		.dw12 = blocks - 1,
	};

	prp_set(&host->ram, &sqe, data, (uint64_t)blocks * 512, 0);
	return sqe;
}

void interop_check_alive(struct host *host)
{
	const uint64_t mark = ram_mark(&host->ram);
	uint8_t *out = ram_alloc(&host->ram, CHECK_BLOCKS * 512);
	uint8_t *in = ram_alloc(&host->ram, CHECK_BLOCKS * 512);
	struct nvme_sqe sqe = interop_rw(host, IO_WRITE, CHECK_LBA, CHECK_BLOCKS, out);

	for (unsigned i = 0; i < CHECK_BLOCKS * 512; i++)
		out[i] = (uint8_t)(i * 7 + mark / RAM_PAGE + host->queues[1].next_cid);
	assert_int_equal(host_run(host, 1, sqe, NULL), ST_OK);
	memset(in, 0xEE, CHECK_BLOCKS * 512);
	sqe = interop_rw(host, IO_READ, CHECK_LBA, CHECK_BLOCKS, in);
	assert_int_equal(host_run(host, 1, sqe, NULL), ST_OK);
	/* A null volume leaves the buffer alone. */
	if (memcmp(in, in + 1, CHECK_BLOCKS * 512 - 1) != 0)
		assert_memory_equal(in, out, CHECK_BLOCKS * 512);
	ram_release(&host->ram, mark);
}

bool interop_memory_below(struct interop *t, uint64_t kib)
{
	const uint64_t now = daemon_rss_anon_kib(&t->daemon);

	if (now > kib)
		printf("quoind uses %llu KiB\n", (unsigned long long)now);
	return now <= kib;
}

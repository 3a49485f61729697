/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a qemu-storage-daemon: see client_qsd.h. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client_qsd.h"
#include "client_socket.h"

#define START_ATTEMPTS 1500
#define START_PAUSE_US 10000

/* What the environment names, else the first in the PATH. */
static int find_program(const char *variable, const char *name, char *path, size_t size)
{
	const char *named = getenv(variable), *at = getenv("PATH");

	if (named) {
		snprintf(path, size, "%s", named);
		return access(path, X_OK) == 0 ? 0 : -errno;
	}
	while (at && *at) {
		const size_t length = strcspn(at, ":");

		snprintf(path, size, "%.*s/%s", (int)length, at, name);
		if (access(path, X_OK) == 0)
			return 0;
		at += length + (at[length] == ':');
	}
	return -ENOENT;
}

int qsd_init(struct qsd *qsd)
{
	char program[sizeof(qsd->process.program)];
	int error = find_program("QUOIN_QSD", "qemu-storage-daemon", program, sizeof(program));

	memset(qsd, 0, sizeof(*qsd));
	if (!error)
		error = daemon_init(&qsd->process, program);
	if (!error)
		snprintf(qsd->socket, sizeof(qsd->socket), "%.80s/vhost.sock", qsd->process.dir);
	return error;
}

void qsd_fini(struct qsd *qsd)
{
	daemon_fini(&qsd->process);
}

static bool is_device(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISBLK(st.st_mode);
}

/* The file below inherits the cache mode and discard from the format. */
static void print_disk(const struct qsd_disk *disk, char *to, size_t size)
{
	snprintf(to, size,
		 "driver=%s,node-name=disk,discard=unmap,cache.direct=%s,"
		 "file.driver=%s,file.filename=%s,file.aio=%s%s%s",
		 disk->format, disk->direct ? "on" : "off",
		 is_device(disk->path) ? "host_device" : "file", disk->path,
		 disk->aio ? disk->aio : "threads", disk->options ? "," : "",
		 disk->options ? disk->options : "");
}

static int wait_for_socket(struct qsd *qsd)
{
	for (unsigned i = 0; i < START_ATTEMPTS; i++) {
		if (access(qsd->socket, F_OK) == 0)
			return 0;
		if (!daemon_alive(&qsd->process))
			return -ECHILD;
		client_sleep_us(START_PAUSE_US);
	}
	return -ETIMEDOUT;
}

int qsd_start(struct qsd *qsd, const struct qsd_disk *disk)
{
	char blockdev[1024], export[512];
	const char *argv[16];
	unsigned n = 0;
	int error;

	print_disk(disk, blockdev, sizeof(blockdev));
	snprintf(export, sizeof(export),
		 "type=vhost-user-blk,id=export,node-name=disk,addr.type=unix,addr.path=%s,"
		 "writable=on,num-queues=%u,iothread=io",
		 qsd->socket, disk->queues ? disk->queues : 1);
	if (qsd->process.cpus[0]) {
		argv[n++] = "taskset";
		argv[n++] = "-c";
		argv[n++] = qsd->process.cpus;
	}
	argv[n++] = qsd->process.program;
	argv[n++] = "--object";
	argv[n++] = "iothread,id=io";
	argv[n++] = "--blockdev";
	argv[n++] = blockdev;
	argv[n++] = "--export";
	argv[n++] = export;
	argv[n] = NULL;
	unlink(qsd->socket);
	error = daemon_spawn(&qsd->process, argv);
	return error ? error : wait_for_socket(qsd);
}

int qsd_image_create(struct qsd *qsd, const char *format, const char *options, const char *path,
		     uint64_t size)
{
	char program[sizeof(qsd->process.program)], bytes[32];
	const char *argv[16];
	struct daemon run = qsd->process;
	unsigned n = 0;
	int status;
	int error = find_program("QUOIN_QEMU_IMG", "qemu-img", program, sizeof(program));

	if (error)
		return error;
	snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long)size);
	argv[n++] = program;
	argv[n++] = "create";
	argv[n++] = "-f";
	argv[n++] = format;
	if (options) {
		argv[n++] = "-o";
		argv[n++] = options;
	}
	argv[n++] = path;
	argv[n++] = bytes;
	argv[n] = NULL;
	error = daemon_spawn(&run, argv);
	if (error)
		return error;
	if (waitpid(run.pid, &status, 0) != run.pid || status != 0)
		return -EIO;
	return 0;
}

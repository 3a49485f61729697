/* SPDX-License-Identifier: Apache-2.0 */
/* The disks that are set beside each other. All their files are on one file system, written through
 * once before anything is measured: a drive that was never written answers too fast. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include <quoin/base_random.h>

#include "versus.h"

#define VOLUME "bench/v"
#define FILL_BLOCK (128 * KiB)

/* --- Files ---------------------------------------------------------------------------------- */

static int write_file(const char *path, uint64_t bytes)
{
	CLEANUP_FREE uint8_t *chunk = NULL;
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_DIRECT, 0600);
	struct random random;

	if (fd < 0)
		return -errno;
	if (posix_memalign((void **)&chunk, 4096, MiB) != 0)
		return -ENOMEM;
	random_init(&random, bytes);
	random_fill(&random, chunk, MiB);
	for (uint64_t done = 0; done < bytes; done += MiB) {
		memcpy(chunk, &done, sizeof(done));
		if (write(fd, chunk, MiB) != (ssize_t)MiB)
			return -errno;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

/* --- The API -------------------------------------------------------------------------------- */

static int ask(struct versus *v, const char *request, const char *body,
	       char answer[DAEMON_ANSWER_MAX])
{
	const int status = daemon_call(&v->daemon, request, body, answer);

	if (status >= 200 && status < 300)
		return 0;
	fprintf(stderr, "quoin-bench: %s: %d %s\n", request, status, status > 0 ? answer : "");
	return -EIO;
}

static int call(struct versus *v, const char *request, const char *body)
{
	char answer[DAEMON_ANSWER_MAX];

	return ask(v, request, body, answer);
}

int disks_pool_size(struct versus *v, uint64_t *ret_bytes)
{
	char answer[DAEMON_ANSWER_MAX];
	json_t *status;
	json_int_t bytes = 0;
	int error = ask(v, "GET /v1/pools/bench", NULL, answer);

	if (error)
		return error;
	status = json_loads(answer, 0, NULL);
	if (json_unpack(status, "{s:I}", "size_bytes", &bytes) < 0 || bytes <= 0)
		error = -EBADMSG;
	json_decref(status);
	if (!error)
		*ret_bytes = (uint64_t)bytes;
	return error;
}

static int pool_make(struct versus *v)
{
	char body[VERSUS_PATH_MAX + 200];

	snprintf(body, sizeof(body), "{\"name\":\"bench\",\"groups\":[[\"%s\"]],\"force\":true}",
		 v->pool);
	return call(v, "POST /v1/pools", body);
}

static int volume_make(struct versus *v, uint64_t size_bytes)
{
	char body[200];

	snprintf(body, sizeof(body), "{\"name\":\"" VOLUME "\",\"size\":%llu}",
		 (unsigned long long)size_bytes);
	return call(v, "POST /v1/volumes", body);
}

int disk_snapshot(struct versus *v, unsigned number)
{
	char body[200];

	snprintf(body, sizeof(body), "{\"names\":[\"" VOLUME "@s%u\"]}", number);
	return call(v, "POST /v1/snapshots", body);
}

static int target_open(struct versus *v, enum versus_who who, const char *spec)
{
	char path[DAEMON_PATH_MAX], name[32];
	const struct daemon_target target = {.name = name, .volumes = {spec}};
	int error;

	snprintf(name, sizeof(name), "t%u", who);
	error = daemon_target_create(&v->daemon, &target);
	if (error)
		return error;
	return port_nvme_open(&v->daemon, daemon_target_path(&v->daemon, name, path),
			      &v->ports[who]);
}

static int target_close(struct versus *v, enum versus_who who)
{
	char name[32];

	snprintf(name, sizeof(name), "t%u", who);
	return daemon_target_destroy(&v->daemon, name);
}

/* --- Disks ---------------------------------------------------------------------------------- */

int disk_open(struct versus *v, enum versus_who who)
{
	char spec[VERSUS_PATH_MAX + 8];

	switch (who) {
	case VERSUS_RAW:
		return 0;
	case VERSUS_FILE:
		snprintf(spec, sizeof(spec), "file:%s", v->raw);
		return target_open(v, who, spec);
	case VERSUS_QCOW2: /* has no life without its daemon: disk_fresh() opens it */
		return -EINVAL;
	case VERSUS_POOL:
		return target_open(v, who, VOLUME);
	}
	return -EINVAL;
}

void disk_close(struct versus *v, enum versus_who who)
{
	if (!v->ports[who])
		return;
	v->ports[who]->ops->close(v->ports[who]);
	v->ports[who] = NULL;
	if ((who == VERSUS_FILE || who == VERSUS_POOL) && target_close(v, who) < 0)
		fprintf(stderr, "quoin-bench: a target stays\n");
}

int disk_fresh(struct versus *v, enum versus_who who, uint64_t size_bytes)
{
	int error = 0;

	disk_close(v, who);
	if (who == VERSUS_QCOW2)
		return port_qcow2_open(v->qcow2, size_bytes, &v->ports[who]);
	if (who == VERSUS_POOL) {
		error = call(v, "POST /v1/pools/bench/destroy", "{\"force\":true}");
		if (!error)
			error = pool_make(v);
		if (!error)
			error = volume_make(v, size_bytes);
	}
	return error ? error : disk_open(v, who);
}

int disk_fill(struct versus *v, enum versus_who who, uint64_t random_bytes)
{
	struct load_job job = {.write = true, .block_bytes = FILL_BLOCK, .depth = 16, .queues = 1};
	struct load_result result;
	int error;

	if (!v->ports[who])
		return 0;
	job.total_bytes = v->ports[who]->size_bytes;
	error = load_run(v->ports[who], &job, &result);
	if (!error && random_bytes > 0) {
		job = (struct load_job){.write = true,
					.random = true,
					.block_bytes = 4096,
					.depth = 32,
					.queues = 1,
					.total_bytes = random_bytes,
					.seed = 11};
		error = load_run(v->ports[who], &job, &result);
	}
	if (!error && result.errors > 0)
		error = -EIO;
	return error;
}

/* --- All ------------------------------------------------------------------------------------ */

int disks_restart(struct versus *v, const char *memory)
{
	int error;

	if (v->daemon.pid > 0 && daemon_stop(&v->daemon, SIGTERM) != 0)
		return -EIO;
	snprintf(v->daemon.memory, sizeof(v->daemon.memory), "%s", memory);
	error = daemon_start(&v->daemon);
	return error;
}

int disks_make(struct versus *v)
{
	const struct versus_options *o = &v->options;
	int error;

	snprintf(v->raw, sizeof(v->raw), "%s/raw", v->work);
	snprintf(v->pool, sizeof(v->pool), "%s/pool", v->work);
	snprintf(v->qcow2, sizeof(v->qcow2), "%s/qcow2", v->work);
	error = write_file(v->raw, o->size_bytes);
	if (!error)
		error = write_file(v->pool, o->pool_bytes);
	if (!error)
		error = daemon_init(&v->daemon, o->quoind);
	if (error)
		return error;
	if (o->worker_cpu >= 0)
		snprintf(v->daemon.cpus, sizeof(v->daemon.cpus), "%d", o->worker_cpu);
	v->daemon.workers = 1;
	error = daemon_start(&v->daemon);
	return error ? error : pool_make(v);
}

void disks_remove(struct versus *v)
{
	for (unsigned i = 0; i < VERSUS_COUNT; i++)
		disk_close(v, (enum versus_who)i);
	daemon_fini(&v->daemon);
}

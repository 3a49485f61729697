/* SPDX-License-Identifier: Apache-2.0 */
/* quoin daemon: the daemon's own life. Under systemd that is systemd's, and this says so. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <quoin/base_size.h>
#include <quoin/base_text.h>

#include "spawn.h"
#include "table.h"
#include "words.h"

static const struct client_request daemon_get = {"GET", "/v1", NULL};

static void workers_print(const json_t *workers)
{
	static const char *const head[] = {"WORKER", "CPU", "TARGETS", "POOLS", "I/O", "SLEEPS"};
	struct table table;
	size_t i;
	json_t *worker;

	table_init(&table, ARRAY_SIZE(head));
	for (i = 0; i < ARRAY_SIZE(head); i++)
		table_add(&table, "%s", head[i]);
	json_array_foreach(workers, i, worker)
	{
		const json_t *cpu = json_object_get(worker, "cpu");

		table_add(&table, "%zu", i);
		if (json_is_integer(cpu))
			table_add(&table, "%lld", json_integer_value(cpu));
		else
			table_add(&table, "any");
		table_add(&table, "%lld", json_integer_value(json_object_get(worker, "targets")));
		table_add(&table, "%lld", json_integer_value(json_object_get(worker, "pools")));
		table_add(&table, "%lld",
			  json_integer_value(json_object_get(worker, "io_submitted")));
		table_add(&table, "%lld", json_integer_value(json_object_get(worker, "sleeps")));
	}
	printf("\n");
	table_print(&table);
	table_fini(&table);
}

static void status_print(const json_t *daemon)
{
	const json_int_t uptime_s = json_integer_value(json_object_get(daemon, "uptime_s"));
	const char *url = json_string_value(json_object_get(daemon, "url"));
	char memory[SIZE_TEXT_MAX];

	printf("quoind %s runs as process %lld for %lld:%02lld:%02lld, %lld pools, %lld targets\n",
	       json_string_value(json_object_get(daemon, "version")),
	       json_integer_value(json_object_get(daemon, "pid")), uptime_s / 3600,
	       uptime_s / 60 % 60, uptime_s % 60,
	       json_integer_value(json_object_get(daemon, "pools")),
	       json_integer_value(json_object_get(daemon, "targets")));
	printf("socket  %s\nstate   %s\nmemory  %s\n",
	       json_string_value(json_object_get(daemon, "socket")),
	       json_string_value(json_object_get(daemon, "state_dir")),
	       size_format((uint64_t)json_integer_value(json_object_get(daemon, "memory_bytes")),
			   memory));
	if (url)
		printf("page    %s\n", url);
	workers_print(json_object_get(daemon, "workers"));
}

int verb_daemon_status(struct invocation *in)
{
	json_t *answer = NULL;
	int status = words_send(in, &daemon_get, &answer);

	if (status == EXIT_DONE && !in->json)
		status_print(answer);
	json_decref(answer);
	return status;
}

/* --- Start, stop, restart ----------------------------------------------------------------------
 */

/* Prints how it is now, after a start. */
static int started(struct invocation *in)
{
	json_t *answer = NULL;
	int status = words_send(in, &daemon_get, &answer);

	if (status == EXIT_DONE && !in->json)
		printf("quoind runs as process %lld, socket %s\n",
		       json_integer_value(json_object_get(answer, "pid")), in->client.socket_path);
	json_decref(answer);
	return status;
}

static bool systemd_has_unit(void)
{
	static const char *const places[] = {"/etc/systemd/system/quoind.service",
					     "/lib/systemd/system/quoind.service",
					     "/usr/lib/systemd/system/quoind.service"};

	if (access("/run/systemd/system", F_OK) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (access(places[i], F_OK) == 0)
			return true;
	}
	return false;
}

int verb_daemon_start(struct invocation *in)
{
	struct spawn spawn;
	json_t *answer = NULL;
	struct err err;
	int r;

	if (client_send(&in->client, &daemon_get, &answer, NULL) == 0) {
		json_decref(answer);
		return fail(EXIT_REFUSED, "quoind runs already on %s: see quoin daemon status",
			    in->client.socket_path);
	}
	if (geteuid() == 0 && !in->rest && systemd_has_unit() &&
	    strcmp(in->client.socket_path, "/run/quoin/quoind.sock") == 0)
		return fail(EXIT_REFUSED,
			    "quoind is a service of systemd here: use systemctl start quoind");
	spawn_plan(&spawn, &in->client, in->rest);
	r = spawn_start(&spawn, &in->client, &err);
	spawn_fini(&spawn);
	return r < 0 ? fail(EXIT_REFUSED, "%s", err.text) : started(in);
}

/* The process that serves our socket, when it is ours to stop. */
static int pid_get(struct invocation *in, const char *verb, int *ret_pid)
{
	json_t *answer = NULL;
	const char *supervisor;
	struct err err;
	int status = EXIT_DONE;

	if (client_send(&in->client, &daemon_get, &answer, &err) < 0)
		return fail(EXIT_REFUSED, "%s", err.text);
	supervisor = json_string_value(json_object_get(answer, "supervisor"));
	*ret_pid = (int)json_integer_value(json_object_get(answer, "pid"));
	if (supervisor && strcmp(supervisor, "systemd") == 0)
		status = fail(EXIT_REFUSED,
			      "quoind is run by systemd, which would start it again: use "
			      "systemctl %s quoind",
			      verb);
	else if (*ret_pid <= 1)
		status = fail(EXIT_REFUSED, "what answers on %s is not quoind",
			      in->client.socket_path);
	json_decref(answer);
	return status;
}

int verb_daemon_stop(struct invocation *in)
{
	struct err err;
	int pid = 0;
	int status = pid_get(in, "stop", &pid);

	if (status != EXIT_DONE)
		return status;
	if (spawn_stop(pid, &err) < 0)
		return fail(EXIT_REFUSED, "%s", err.text);
	if (in->json)
		printf("{}\n");
	return EXIT_DONE;
}

int verb_daemon_restart(struct invocation *in)
{
	struct spawn spawn;
	struct err err;
	int pid = 0;
	int status = pid_get(in, "restart", &pid);
	int r;

	if (status != EXIT_DONE)
		return status;
	r = spawn_plan_like(&spawn, pid, &in->client, &err);
	if (r < 0)
		return fail(EXIT_REFUSED, "%s", err.text);
	r = spawn_stop(pid, &err);
	if (r == 0)
		r = spawn_start(&spawn, &in->client, &err);
	spawn_fini(&spawn);
	return r < 0 ? fail(EXIT_REFUSED, "%s", err.text) : started(in);
}

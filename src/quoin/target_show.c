/* SPDX-License-Identifier: Apache-2.0 */
/* quoin target list and info, for people. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_size.h>
#include <quoin/base_text.h>

#include "table.h"
#include "words.h"

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "-";
}

static unsigned long long number_of(const json_t *object, const char *key)
{
	return (unsigned long long)json_integer_value(json_object_get(object, key));
}

static bool truth_of(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

/* --- List --------------------------------------------------------------------------------------
 */

static uint64_t capacity_total(const json_t *target)
{
	uint64_t total = 0;
	size_t i;
	json_t *ns;

	json_array_foreach(json_object_get(target, "namespaces"), i, ns) total +=
		number_of(ns, "capacity_bytes");
	return total;
}

static void list_row(struct table *table, const json_t *target)
{
	const json_t *client = json_object_get(target, "client");
	const bool running = strcmp(text_of(target, "state"), "running") == 0;
	char size[SIZE_TEXT_MAX];

	table_add(table, "%s", text_of(target, "name"));
	table_add(table, "%s", text_of(target, "state"));
	table_add(table, "%s", text_of(target, "transport"));
	table_add(table, "%zu", json_array_size(json_object_get(target, "namespaces")));
	table_add(table, "%s", running ? size_format(capacity_total(target), size) : "-");
	table_add(table, "%s", truth_of(client, "connected") ? "yes" : "no");
	table_add(table, "%s", running ? text_of(target, "socket") : text_of(target, "failure"));
}

static void list_print(const json_t *targets)
{
	static const char *const head[] = {"NAME", "STATE",  "TRANSPORT", "NAMESPACES",
					   "SIZE", "CLIENT", "SOCKET"};
	struct table table;
	size_t i;
	json_t *target;

	table_init(&table, ARRAY_SIZE(head));
	for (i = 0; i < ARRAY_SIZE(head); i++)
		table_add(&table, "%s", head[i]);
	json_array_foreach(targets, i, target) list_row(&table, target);
	table_print(&table);
	table_fini(&table);
}

int verb_target_list(struct invocation *in)
{
	json_t *answer = NULL;
	int status = words_send(in, &(struct client_request){"GET", "/v1/targets", NULL}, &answer);

	if (status == EXIT_DONE && !in->json)
		list_print(json_object_get(answer, "targets"));
	json_decref(answer);
	return status;
}

/* --- Info --------------------------------------------------------------------------------------
 */

static void line(const char *what, const char *format, ...) PRINTF_LIKE(2, 3);
static void line(const char *what, const char *format, ...)
{
	va_list args;

	printf("%-14s", what);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

static void namespaces_print(const json_t *namespaces)
{
	static const char *const head[] = {"NSID", "SIZE", "BLOCK", "MODE", "VOLUME", "NGUID"};
	char size[SIZE_TEXT_MAX];
	struct table table;
	size_t i;
	json_t *ns;

	table_init(&table, ARRAY_SIZE(head));
	for (i = 0; i < ARRAY_SIZE(head); i++)
		table_add(&table, "%s", head[i]);
	json_array_foreach(namespaces, i, ns)
	{
		table_add(&table, "%llu", number_of(ns, "nsid"));
		table_add(&table, "%s", size_format(number_of(ns, "capacity_bytes"), size));
		table_add(&table, "%llu", number_of(ns, "block_size"));
		table_add(&table, "%s", truth_of(ns, "read_only") ? "ro" : "rw");
		table_add(&table, "%s", text_of(ns, "volume"));
		table_add(&table, "%s", text_of(ns, "nguid"));
	}
	printf("\n");
	table_print(&table);
	table_fini(&table);
}

static void client_print(const json_t *client)
{
	const unsigned long long pid = number_of(client, "pid");

	if (!truth_of(client, "connected"))
		line("client", "none (%llu so far)", number_of(client, "connections"));
	else if (pid > 0)
		line("client", "connected, process %llu", pid);
	else
		line("client", "connected");
	if (json_is_string(json_object_get(client, "last_error")))
		line("last error", "%s", text_of(client, "last_error"));
	if (truth_of(client, "memory_private"))
		line("warning", "%s",
		     "the client's RAM is not shared, so its disk cannot work: QEMU needs "
		     "memory-backend-memfd with share=on");
}

static void stats_print(const json_t *stats)
{
	char read_text[SIZE_TEXT_MAX];
	char written_text[SIZE_TEXT_MAX];

	line("controller", "%s%s, %llu I/O queues, %llu commands in flight, shadow doorbells %s",
	     truth_of(stats, "enabled") ? "enabled" : "not enabled",
	     truth_of(stats, "fatal") ? " (FATAL STATUS)" : "", number_of(stats, "io_queues"),
	     number_of(stats, "in_flight"),
	     truth_of(stats, "shadow_doorbells_active") ? "active" : "not active");
	line("commands",
	     "%llu reads (%s), %llu writes (%s), %llu flushes, %llu others, %llu errors",
	     number_of(stats, "reads"), size_format(number_of(stats, "read_bytes"), read_text),
	     number_of(stats, "writes"),
	     size_format(number_of(stats, "written_bytes"), written_text),
	     number_of(stats, "flushes"), number_of(stats, "others"), number_of(stats, "errors"));
	line("signals", "%llu doorbell writes, %llu interrupts, %llu wake-ups",
	     number_of(stats, "mmio_doorbells"), number_of(stats, "interrupts"),
	     number_of(stats, "wakeups"));
}

static void info_print(const json_t *target)
{
	const bool running = strcmp(text_of(target, "state"), "running") == 0;

	line("name", "%s", text_of(target, "name"));
	if (running)
		line("state", "running on worker %llu", number_of(target, "worker"));
	else
		line("state", "failed: %s", text_of(target, "failure"));
	line("socket", "%s (%s)", text_of(target, "socket"), text_of(target, "transport"));
	line("identity", "%s, serial %s, %s", text_of(target, "model"), text_of(target, "serial"),
	     text_of(target, "uuid"));
	line("queues", "%llu pairs of %llu entries, doorbells %s, INTx %s",
	     number_of(target, "queues"), number_of(target, "queue_entries"),
	     text_of(target, "doorbells"), truth_of(target, "intx") ? "on" : "off");
	if (running) {
		client_print(json_object_get(target, "client"));
		stats_print(json_object_get(target, "stats"));
	}
	namespaces_print(json_object_get(target, "namespaces"));
}

int verb_target_info(struct invocation *in)
{
	CLEANUP_FREE char *path = words_target_path(in->arguments[0], "");
	json_t *answer = NULL;
	int status = EXIT_REFUSED;

	if (path)
		status = words_send(in, &(struct client_request){"GET", path, NULL}, &answer);
	if (status == EXIT_DONE && !in->json)
		info_print(answer);
	json_decref(answer);
	return status;
}

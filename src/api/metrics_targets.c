/* SPDX-License-Identifier: Apache-2.0 */
/* Targets and workers for Prometheus. */
#include "metrics.h"

#include <stdio.h>
#include <stdlib.h>

#include "routes.h"

#define STATS(member) offsetof(struct control_stats, member)

struct metrics_field {
	const char *name, *help;
	size_t offset;
};

static const struct metrics_field target_fields[] = {
	{"quoin_target_reads_total", "Read commands.", STATS(reads)},
	{"quoin_target_writes_total", "Write commands.", STATS(writes)},
	{"quoin_target_flushes_total", "Flush commands.", STATS(flushes)},
	{"quoin_target_others_total", "Other commands.", STATS(others)},
	{"quoin_target_read_bytes_total", "Bytes read.", STATS(read_bytes)},
	{"quoin_target_written_bytes_total", "Bytes written.", STATS(written_bytes)},
	{"quoin_target_errors_total", "Commands that ended with an error.", STATS(errors)},
	{"quoin_target_doorbells_total", "Doorbells that left the guest.", STATS(mmio_doorbells)},
	{"quoin_target_interrupts_total", "Interrupts sent.", STATS(interrupts)},
};

struct target_row {
	const char *name;
	bool running, connected;
	struct control_stats stats;
};

static void gauge_put(struct text *t, const char *family, const struct target_row *row,
		      bool connected)
{
	const struct metrics_label labels[] = {{"target", row->name}, {NULL, NULL}};

	metrics_sample(t, (struct metrics_name){family, ""}, labels,
		       connected ? row->connected : row->running);
}

static void rows_put(struct text *t, const struct target_row *rows, unsigned count)
{
	metrics_head(t, "quoin_target_running", "gauge", "1 when it serves.");
	for (unsigned i = 0; i < count; i++)
		gauge_put(t, "quoin_target_running", &rows[i], false);
	metrics_head(t, "quoin_target_connected", "gauge", "1 when a guest is there.");
	for (unsigned i = 0; i < count; i++)
		gauge_put(t, "quoin_target_connected", &rows[i], true);
	for (size_t f = 0; f < ARRAY_SIZE(target_fields); f++) {
		metrics_head(t, target_fields[f].name, "counter", target_fields[f].help);
		for (unsigned i = 0; i < count; i++) {
			const struct metrics_label labels[] = {{"target", rows[i].name},
							       {NULL, NULL}};
			const char *at = (const char *)&rows[i].stats + target_fields[f].offset;

			metrics_sample(t, (struct metrics_name){target_fields[f].name, ""}, labels,
				       (double)*(const uint64_t *)(const void *)at);
		}
	}
}

static const struct metrics_field worker_fields[] = {
	{"quoin_worker_turns_total", "Turns of its loop.",
	 offsetof(struct control_worker_info, turns)},
	{"quoin_worker_sleeps_total", "Times it went to sleep.",
	 offsetof(struct control_worker_info, sleeps)},
	{"quoin_worker_io_total", "Requests handed to the kernel.",
	 offsetof(struct control_worker_info, io_submitted)},
	{"quoin_worker_messages_total", "Messages from other threads.",
	 offsetof(struct control_worker_info, messages)},
};

static void workers_put(struct call *call, struct text *t)
{
	for (size_t f = 0; f < ARRAY_SIZE(worker_fields); f++) {
		metrics_head(t, worker_fields[f].name, "counter", worker_fields[f].help);
		for (unsigned i = 0; i < control_worker_count(call->control); i++) {
			struct control_worker_info info;
			char number[16];
			const struct metrics_label labels[] = {{"worker", number}, {NULL, NULL}};
			const char *at = (const char *)&info + worker_fields[f].offset;

			snprintf(number, sizeof(number), "%u", i);
			control_worker_info(call->control, i, &info);
			metrics_sample(t, (struct metrics_name){worker_fields[f].name, ""}, labels,
				       (double)*(const uint64_t *)(const void *)at);
		}
	}
}

static void targets_put(struct call *call, struct text *t)
{
	const unsigned room = control_target_count(call->control);
	CLEANUP_FREE struct target_row *rows = xcalloc(room + 1, sizeof(*rows));
	unsigned count = 0;

	for (unsigned i = 0; i < room; i++) {
		struct target_row *row = &rows[count];
		struct control_target_info info;

		row->name = control_target_name(call->control, i);
		if (control_target_info(call->control, row->name, &info, NULL) < 0)
			continue;
		row->running = info.failure == NULL;
		row->connected = info.client.connected;
		row->stats = info.stats;
		count++;
	}
	rows_put(t, rows, count);
	workers_put(call, t);
}

/* Their list is the verbs': while one runs nothing is told of them, and that. */
void metrics_targets(struct call *call, struct text *t)
{
	pthread_mutex_t *verbs = call->context->verbs;
	const bool mine = !verbs || pthread_mutex_trylock(verbs) == 0;

	metrics_head(t, "quoin_verb_running", "gauge",
		     "1 while a verb runs; targets and workers are left out then.");
	metrics_sample(t, (struct metrics_name){"quoin_verb_running", ""}, NULL, !mine);
	if (!mine)
		return;
	targets_put(call, t);
	if (verbs)
		pthread_mutex_unlock(verbs);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What quoin pool status -v says more: damage, the slowest request, checkpoints and the log. */
#include "pool_verbose.h"

#include "show.h"

static void checkpoint_print(const json_t *pool)
{
	char when[SHOW_TIME_MAX];
	char took[SIZE_TEXT_MAX];

	if (json_is_integer(json_object_get(pool, "checkpoint_ns")))
		show_line("checkpoint", "%llu, made %s, took %s", show_number(pool, "checkpoint"),
			  show_time(pool, "checkpoint_s", when),
			  duration_format(show_number(pool, "checkpoint_ns"), took));
	else
		show_line("checkpoint", "%llu, made %s", show_number(pool, "checkpoint"),
			  show_time(pool, "checkpoint_s", when));
	show_line("log", "%s in %llu records are in no checkpoint yet",
		  show_size(pool, "pending_bytes", took), show_number(pool, "log_records"));
}

static void worst_print(const json_t *worst)
{
	char took[SIZE_TEXT_MAX];

	if (!json_is_object(worst)) {
		show_line("slowest", "no request in the last hour");
		return;
	}
	show_line("slowest", "%s %s, %llu min ago: %s%s%s",
		  duration_format(show_number(worst, "ns"), took), show_text(worst, "kind"),
		  show_number(worst, "minutes_ago"), show_text(worst, "why"),
		  show_truth(worst, "during_checkpoint") ? ", while a checkpoint ran" : "",
		  show_truth(worst, "failed") ? ", and it failed" : "");
}

static void damage_print(const json_t *damage)
{
	const json_t *ranges = json_object_get(damage, "ranges");
	char length[SIZE_TEXT_MAX];
	size_t i;
	json_t *range;

	if (json_array_size(ranges) == 0)
		show_line("damage", "none known");
	json_array_foreach(ranges, i, range)
		show_line(i == 0 ? "damage" : "", "%s: %s at byte %llu", show_text(range, "object"),
			  show_size(range, "length_bytes", length), show_number(range, "offset"));
	if (show_number(damage, "more_bytes") > 0)
		show_line("", "and at most %s more", show_size(damage, "more_bytes", length));
}

void pool_verbose_print(const json_t *pool)
{
	static const char *const jobs[] = {"scrub", "resilver", "squash"};

	checkpoint_print(pool);
	worst_print(json_object_get(pool, "worst_of_the_hour"));
	damage_print(json_object_get(pool, "damage"));
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++)
		show_line(jobs[i], "none");
}

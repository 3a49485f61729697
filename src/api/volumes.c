/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers of requests on volumes and snapshots. Their names have '/': they stand in bodies. */
#include <stdlib.h>
#include <string.h>

#include <errno.h>

#include <quoin/api_pool_json.h>
#include <quoin/base_text.h>
#include <quoin/control_pool.h>

#include "parts.h"
#include "routes.h"
#include "volume_text.h"

#define VOLUME_PAGE 512	  /* taken from a pool at a time */
#define VOLUME_BYTES 512  /* of text, most are shorter */
#define SNAPSHOT_PAGE 512 /* in one answer: there may be very many */

static void answer_text(struct call *call, struct text *t)
{
	call->reply.text_length = t->length;
	call->reply.text = text_detach(t);
	call->reply.text_is_json = true;
}

/* One that ended meanwhile is none. */
static void print(struct call *call, const struct control_volume_info *info, struct text *t)
{
	struct control_deploy_info deploy;
	bool there = info->deploying &&
		     control_deploy_info(call->control, info->name, &deploy, NULL) == 0 &&
		     strcmp(deploy.state, "none") != 0;

	volume_print(t, info, there ? &deploy : NULL);
}

static int answer_volume(struct call *call, const char *name, struct err *err)
{
	struct control_volume_info info;
	struct text t;
	int r = control_volume_info(call->control, name, &info, err);

	if (r < 0)
		return r;
	text_init(&t);
	print(call, &info, &t);
	answer_text(call, &t);
	return 0;
}

struct listing {
	struct text text;
	struct control_volume_info *infos; /* VOLUME_PAGE of them */
};

/* With a comma before each but the first of all. */
static int volumes_append(struct call *call, const char *pool, struct listing *to, struct err *err)
{
	struct control_volume_info *infos = to->infos;
	struct text *t = &to->text;
	struct control_page page = {.max = VOLUME_PAGE};
	int r = 0;

	while (r == 0 && !page.end) {
		r = control_volume_list(call->control, pool, &page, infos, err);
		for (unsigned i = 0; r == 0 && i < page.count; i++) {
			if (t->data[t->length - 1] != '[')
				text_append(t, ",", 1);
			print(call, &infos[i], t);
		}
	}
	return r;
}

/* `pool` is NULL for those of all. */
static void list_begin(struct call *call, const char *pool, struct listing *list)
{
	CLEANUP_FREE struct control_pool_health *h = xcalloc(1, sizeof(*h));
	size_t count = 0;

	for (unsigned i = 0; control_health_pool(call->control, i, h); i++)
		if (!pool || strcmp(pool, h->info.name) == 0)
			count += h->info.volume_count;
	list->infos = xcalloc(VOLUME_PAGE, sizeof(*list->infos));
	text_init(&list->text);
	text_reserve(&list->text, count * VOLUME_BYTES);
	text_word(&list->text, "{\"volumes\":[");
}

/* The answer, if all is well. */
static int list_end(struct call *call, struct listing *list, int r)
{
	text_word(&list->text, "]}");
	if (r == 0)
		answer_text(call, &list->text);
	text_fini(&list->text);
	free(list->infos);
	return r;
}

int api_pool_volumes(struct call *call, struct err *err)
{
	struct listing list;

	list_begin(call, call->name, &list);
	return list_end(call, &list, volumes_append(call, call->name, &list, err));
}

/* Of all pools that are imported. */
int api_volumes_list(struct call *call, struct err *err)
{
	struct listing list;
	int r = 0;

	list_begin(call, NULL, &list);
	for (unsigned i = 0; r == 0 && i < control_pool_count(call->control); i++) {
		r = volumes_append(call, control_pool_name(call->control, i), &list, err);
		r = r == -ENODEV ? 0 : r;
	}
	return list_end(call, &list, r);
}

int api_volume_create(struct call *call, struct err *err)
{
	const struct control_volume_set set = api_ask_volume_set(call->ask);
	int r = control_volume_create(call->control, call->ask->name, call->ask->size, &set, err);

	return r < 0 ? r : answer_volume(call, call->ask->name, err);
}

int api_volume_info(struct call *call, struct err *err)
{
	return answer_volume(call, call->ask->name, err);
}

int api_volume_set(struct call *call, struct err *err)
{
	const struct control_volume_set set = api_ask_volume_set(call->ask);
	int r = control_volume_set(call->control, call->ask->name, &set, err);

	return r < 0 ? r : answer_volume(call, call->ask->name, err);
}

int api_volume_resize(struct call *call, struct err *err)
{
	int r = control_volume_resize(call->control, call->ask->name, call->ask->size,
				      call->ask->force, err);

	return r < 0 ? r : answer_volume(call, call->ask->name, err);
}

int api_volume_rename(struct call *call, struct err *err)
{
	int r = control_volume_rename(call->control, call->ask->name, call->ask->new_name, err);

	return r < 0 ? r : answer_volume(call, call->ask->new_name, err);
}

int api_volume_destroy(struct call *call, struct err *err)
{
	return control_volume_destroy(call->control, call->ask->name, call->ask->recursive, err);
}

int api_volume_rollback(struct call *call, struct err *err)
{
	return control_volume_rollback(call->control, call->ask->snapshot, call->ask->recursive,
				       err);
}

int api_volume_clone(struct call *call, struct err *err)
{
	int r = control_volume_clone(call->control, call->ask->snapshot, call->ask->name, err);

	return r < 0 ? r : answer_volume(call, call->ask->name, err);
}

int api_volume_copy(struct call *call, struct err *err)
{
	const struct api_ask *ask = call->ask;
	const struct control_volume_copy params = {
		.from = ask->source,
		.to = ask->name,
		.range = ask->given & (ASK_OFFSET | ASK_LENGTH | ASK_TO_OFFSET),
		.has_length = ask->given & ASK_LENGTH,
		.offset = ask->offset,
		.length_bytes = ask->length,
		.to_offset = ask->to_offset,
	};
	int r = control_volume_copy(call->control, &params, err);

	return r < 0 ? r : answer_volume(call, call->ask->name, err);
}

int api_volume_promote(struct call *call, struct err *err)
{
	int r = control_volume_promote(call->control, call->ask->name, err);

	return r < 0 ? r : answer_volume(call, call->ask->name, err);
}

/* --- Snapshots
 * ------------------------------------------------------------------------------------- */

static int answer_snapshot(struct call *call, const char *name, struct err *err)
{
	struct control_snapshot_info info;
	int r = control_snapshot_info(call->control, name, &info, err);

	if (r == 0)
		call->answer = api_snapshot_encode(&info);
	return r;
}

/* One page: {"snapshots": [...], "next": cursor or null}. */
int api_snapshots_list(struct call *call, struct err *err)
{
	CLEANUP_FREE struct control_snapshot_info *infos = xcalloc(SNAPSHOT_PAGE, sizeof(*infos));
	struct control_page page = {.max = SNAPSHOT_PAGE, .cursor = call->ask->cursor};
	json_t *all = json_array();
	int r = control_snapshot_list(call->control, call->ask->name, &page, infos, err);

	for (unsigned i = 0; r == 0 && i < page.count; i++)
		part_append(all, api_snapshot_encode(&infos[i]));
	if (r == 0)
		call->answer =
			json_pack("{s:O, s:o}", "snapshots", all, "next",
				  page.end ? json_null() : json_integer((json_int_t)page.cursor));
	json_decref(all);
	return r;
}

int api_snapshots_create(struct call *call, struct err *err)
{
	return control_snapshot_create(call->control, call->ask->names, call->ask->name_count, err);
}

int api_snapshots_destroy(struct call *call, struct err *err)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < call->ask->name_count; i++) {
		r = control_snapshot_destroy(call->control, call->ask->names[i], err);
		if (r < 0 && i > 0)
			err_prefix(err, "%u of %u are destroyed", i, call->ask->name_count);
	}
	return r;
}

int api_snapshot_hold(struct call *call, struct err *err)
{
	int r = control_snapshot_hold(call->control, call->ask->name, call->ask->tag, err);

	return r < 0 ? r : answer_snapshot(call, call->ask->name, err);
}

int api_snapshot_release(struct call *call, struct err *err)
{
	int r = control_snapshot_release(call->control, call->ask->name, call->ask->tag, err);

	return r < 0 ? r : answer_snapshot(call, call->ask->name, err);
}

int api_snapshot_set(struct call *call, struct err *err)
{
	const struct api_ask *ask = call->ask;
	int r = control_snapshot_template(call->control, ask->name, ask->template, err);

	return r < 0 ? r : answer_snapshot(call, ask->name, err);
}

int api_snapshot_rename(struct call *call, struct err *err)
{
	return control_snapshot_rename(call->control, call->ask->name, call->ask->new_name, err);
}

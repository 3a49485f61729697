/* SPDX-License-Identifier: Apache-2.0 */
/* What a request's handler has: shared by routes.c and the files of handlers. */
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include <jansson.h>

#include <quoin/api.h>
#include <quoin/api_ask.h>
#include <quoin/control.h>
#include <quoin/control_health.h>

struct call {
	const struct api_context *context;
	struct control *control;
	char name[CONTROL_NAME_MAX + 1];
	unsigned nsid;
	json_t *body;		/* NULL when the route takes none */
	struct api_ask *ask;	/* the same decoded, when the route says what it takes */
	json_t *answer;		/* NULL = none */
	struct api_reply reply; /* its text or stream, where the answer is that */
};

/* 0 with an answer, or negative errno with a sentence. */
struct text;

/* metrics_targets.c: their part of the text. */
void metrics_targets(struct call *call, struct text *t);

/* metrics_volumes.c: the answer is `head`, which is taken, and all volumes behind it. */
void metrics_volumes(struct call *call, struct text *head);

/* health.c: requests of guests. */
json_t *api_io_encode(const struct control_io_sums *sums);

int api_metrics(struct call *call, struct err *err);
int api_top(struct call *call, struct err *err);
int api_health(struct call *call, struct err *err);
int api_drives_list(struct call *call, struct err *err);
int api_drive_test(struct call *call, struct err *err);
int api_eve_show(struct call *call, struct err *err);
int api_eve_set(struct call *call, struct err *err);
int api_eve_send(struct call *call, struct err *err);
int api_eve_messages(struct call *call, struct err *err);
int api_eve_frames(struct call *call, struct err *err);
int api_schedules_list(struct call *call, struct err *err);
int api_schedule_set(struct call *call, struct err *err);
int api_events_list(struct call *call, struct err *err);
int api_pools_list(struct call *call, struct err *err);
int api_pool_create(struct call *call, struct err *err);
int api_pools_scan(struct call *call, struct err *err);
int api_pool_get(struct call *call, struct err *err);
int api_pool_set(struct call *call, struct err *err);
int api_pool_trim(struct call *call, struct err *err);
int api_pool_trim_stop(struct call *call, struct err *err);
int api_pool_import(struct call *call, struct err *err);
int api_pool_export(struct call *call, struct err *err);
int api_pool_destroy(struct call *call, struct err *err);
int api_pool_history(struct call *call, struct err *err);
int api_pool_volumes(struct call *call, struct err *err);
int api_volumes_list(struct call *call, struct err *err);
int api_volume_create(struct call *call, struct err *err);
int api_volume_info(struct call *call, struct err *err);
int api_volume_set(struct call *call, struct err *err);
int api_volume_resize(struct call *call, struct err *err);
int api_volume_rename(struct call *call, struct err *err);
int api_volume_destroy(struct call *call, struct err *err);
int api_volume_rollback(struct call *call, struct err *err);
int api_volume_clone(struct call *call, struct err *err);
int api_volume_copy(struct call *call, struct err *err);
int api_volume_promote(struct call *call, struct err *err);
int api_exports_list(struct call *call, struct err *err);
int api_export_start(struct call *call, struct err *err);
int api_export_get(struct call *call, struct err *err);
int api_export_cancel(struct call *call, struct err *err);
int api_volume_deploy(struct call *call, struct err *err);
int api_deploy_info(struct call *call, struct err *err);
int api_deploy_change(struct call *call, struct err *err);
int api_deploy_cancel(struct call *call, struct err *err);
int api_snapshots_list(struct call *call, struct err *err);
int api_snapshots_create(struct call *call, struct err *err);
int api_snapshots_destroy(struct call *call, struct err *err);
int api_snapshot_hold(struct call *call, struct err *err);
int api_snapshot_release(struct call *call, struct err *err);
int api_snapshot_set(struct call *call, struct err *err);
int api_snapshot_rename(struct call *call, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volumes as the text of their JSON. There may be ten thousand in one answer: a tree of small
 * objects for each member of each would take most of its time.
 */
#ifndef API_VOLUME_TEXT_H
#define API_VOLUME_TEXT_H

#include <quoin/base_text.h>
#include <quoin/control_health.h>

/* Appends {...}. `deploy` is what arrives in it; NULL = nothing does. */
void volume_print(struct text *t, const struct control_volume_info *info,
		  const struct control_deploy_info *deploy);

/* The same for GET /v1/top. */
void volume_top_print(struct text *t, const struct control_pool_health *pool,
		      const struct control_volume_health *volume);

#endif

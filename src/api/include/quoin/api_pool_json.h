/* SPDX-License-Identifier: Apache-2.0 */
/* Answers on pools, volumes and snapshots as JSON. Each returns a new reference. */
#ifndef QUOIN_API_POOL_JSON_H
#define QUOIN_API_POOL_JSON_H

#include <jansson.h>

#include <quoin/control_export.h>
#include <quoin/control_found.h>

json_t *api_pool_encode(const struct control_pool_info *info);
json_t *api_pool_found_encode(const struct control_pool_found *found);
json_t *api_history_encode(const struct control_history_line *line);
json_t *api_deploy_encode(const struct control_deploy_info *info);
json_t *api_export_encode(const struct control_export_info *info);
json_t *api_snapshot_encode(const struct control_snapshot_info *info);

#endif

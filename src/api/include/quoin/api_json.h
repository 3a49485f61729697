/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON of the API beyond the specifications of quoin/control_json.h: what the server answers,
 * and what it takes. docs/openapi.json describes it all for others.
 */
#ifndef QUOIN_API_JSON_H
#define QUOIN_API_JSON_H

#include <jansson.h>

#include <quoin/base_err.h>

struct control;
struct control_target_info;

#define API_BODY_MAX (64 * 1024)

/* Parses a request body. -EINVAL. */
MUST_CHECK int api_body_parse(const char *data, size_t length, json_t **ret_json, struct err *err);

/* {"size": BYTES or "20G"}. -EINVAL. */
MUST_CHECK int api_resize_decode(const json_t *json, uint64_t *ret_size_bytes, struct err *err);

/* {"error": {"code": WORD, "message": SENTENCE}}. A new reference, as from all below. */
json_t *api_error_encode(const struct err *err);

/* The word and the HTTP status for a negative errno. */
const char *api_error_word(int code);
unsigned api_error_status(int code);

/* All that is known of the target; it exists. */
json_t *api_target_encode(struct control *control, const char *name);
json_t *api_namespaces_encode(struct control *control, const char *name);
json_t *api_namespace_encode(struct control *control, const char *name, unsigned nsid);
json_t *api_stats_encode(const struct control_target_info *info);
json_t *api_worker_encode(struct control *control, unsigned index);

#endif

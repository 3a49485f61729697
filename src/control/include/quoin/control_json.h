/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Specifications as JSON, one table for both directions: the state file and the API say the same
 * words. Decoders take foreign bytes: unknown keys, wrong types and numbers out of range are
 * errors with a sentence, never assertions.
 */
#ifndef QUOIN_CONTROL_JSON_H
#define QUOIN_CONTROL_JSON_H

#include <jansson.h>

#include <quoin/control_spec.h>

/* A new reference. */
json_t *control_target_spec_to_json(const struct control_target_spec *spec);
json_t *control_namespace_spec_to_json(const struct control_namespace_spec *ns);

/*
 * Keys that are absent keep their defaults. `ret_spec` is initialised by this function; on
 * failure it is left as it was. -EINVAL.
 */
MUST_CHECK int control_target_spec_from_json(const json_t *json,
					     struct control_target_spec *ret_spec, struct err *err);
MUST_CHECK int control_namespace_spec_from_json(const json_t *json,
						struct control_namespace_spec *ret_ns,
						struct err *err);

#endif

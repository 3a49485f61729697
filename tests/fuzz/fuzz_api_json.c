/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of HTTP requests: the first byte chooses the decoder, the rest is the body. What is
 * taken must come out as JSON that is taken again, and mean the same.
 */
#include <stddef.h>
#include <stdint.h>

#include <quoin/api_json.h>
#include <quoin/base_assert.h>
#include <quoin/control_json.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void target(const json_t *json)
{
	struct control_target_spec spec;
	struct control_target_spec again;
	struct err err;
	json_t *out;
	json_t *out_again;
	int r;

	if (control_target_spec_from_json(json, &spec, &err) < 0)
		return;
	if (control_target_spec_check(&spec, true, &err) == 0)
		control_target_spec_identify(&spec);
	out = control_target_spec_to_json(&spec);
	r = control_target_spec_from_json(out, &again, &err);
	ASSERT(r == 0);
	out_again = control_target_spec_to_json(&again);
	ASSERT(json_equal(out, out_again));
	json_decref(out);
	json_decref(out_again);
	control_target_spec_fini(&spec);
	control_target_spec_fini(&again);
}

static void namespace(const json_t *json)
{
	struct control_namespace_spec ns;
	struct err err;

	if (control_namespace_spec_from_json(json, &ns, &err) < 0)
		return;
	if (control_namespace_spec_check(&ns, true, &err) < 0)
		return;
	control_namespace_spec_identify(&ns);
	json_decref(control_namespace_spec_to_json(&ns));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *json = NULL;
	uint64_t bytes = 0;
	struct err err;

	if (size == 0 || size > API_BODY_MAX)
		return 0;
	if (api_body_parse((const char *)data + 1, size - 1, &json, &err) < 0) {
		/* The sentence may quote the body: the answer must be JSON all the same. */
		json_decref(api_error_encode(&err));
		return 0;
	}
	if (data[0] % 3 == 0)
		target(json);
	else if (data[0] % 3 == 1)
	namespace(json);
	else if (api_resize_decode(json, &bytes, &err) == 0) ASSERT_U64(bytes - 1, <, INT64_MAX);
	json_decref(json);
	return 0;
}

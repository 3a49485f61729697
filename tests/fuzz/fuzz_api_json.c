/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of HTTP requests: the first byte chooses the decoder, the rest is the body. What is
 * taken must come out as JSON that is taken again, and mean the same.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <quoin/api_ask.h>
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

/* What is taken is within the limits of the door. */
static void ask(const json_t *json)
{
	struct api_ask ask;
	struct err err;

	if (api_ask_decode(json, UINT64_MAX, 0, &ask, &err) < 0)
		return;
	ASSERT_U64(ask.name_count, <=, API_NAMES_MAX);
	ASSERT_U64(ask.path_count, <=, API_NAMES_MAX);
	ASSERT_U64(ask.reserve_permille, <=, 1000);
	ASSERT_U64(ask.size, <=, INT64_MAX);
	for (unsigned i = 0; i < ask.path_count; i++)
		ASSERT(ask.paths[i] != NULL);
	if (ask.given & ASK_NAME)
		ASSERT(ask.name != NULL && strlen(ask.name) <= CONTROL_OBJECT_MAX);
	ASSERT_U64(api_ask_volume_set(&ask).given, <, 64);
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
	switch (data[0] % 4) {
	case 0:
		target(json);
		break;
	case 1:
		namespace
		(json);
		break;
	case 2:
		if (api_resize_decode(json, &bytes, &err) == 0)
			ASSERT_U64(bytes - 1, <, INT64_MAX);
		break;
	default:
		ask(json);
		break;
	}
	json_decref(json);
	return 0;
}

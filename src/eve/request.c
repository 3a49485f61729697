/* SPDX-License-Identifier: Apache-2.0 */
/* Decoders of what is said back; see request.h. */
#include "request.h"

#include <errno.h>
#include <string.h>

#include <jansson.h>

static bool is_word(const char *line, size_t length, const char *word)
{
	return length == strlen(word) && memcmp(line, word, length) == 0;
}

/* Plain decimal, up to 18 digits. */
static bool number_read(const char *text, size_t length, uint64_t *ret)
{
	uint64_t number = 0;

	if (length == 0 || length > 18)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		number = number * 10 + (uint64_t)(text[i] - '0');
	}
	*ret = number;
	return true;
}

int eve_request_decode(const char *line, size_t length, struct eve_request *ret_request)
{
	static const char epoch[] = "epoch ";
	const size_t skip = sizeof(epoch) - 1;
	struct eve_request request = {.send = is_word(line, length, "send")};

	if (!request.send && length > skip && memcmp(line, epoch, skip) == 0)
		request.has_epoch = number_read(line + skip, length - skip, &request.epoch);
	if (!request.send && !request.has_epoch)
		return -EINVAL;
	*ret_request = request;
	return 0;
}

void eve_answer_decode(const char *body, size_t length, struct eve_request *ret_request)
{
	json_t *json = length <= EVE_ANSWER_MAX ? json_loadb(body, length, 0, NULL) : NULL;
	const json_t *epoch = json_object_get(json, "controller_epoch");

	*ret_request = (struct eve_request){.send = false};
	if (json_is_integer(epoch) && json_integer_value(epoch) >= 0) {
		ret_request->has_epoch = true;
		ret_request->epoch = (uint64_t)json_integer_value(epoch);
	}
	json_decref(json);
}

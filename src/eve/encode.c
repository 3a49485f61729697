/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to bytes; see encode.h. */
#include "encode.h"

#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_endian.h>
#include <quoin/base_text.h>

#include "json.h"

void eve_bytes_fini(struct eve_bytes *bytes)
{
	free(bytes->data);
	memset(bytes, 0, sizeof(*bytes));
}

struct eve_bytes eve_bytes_copy(const struct eve_bytes *bytes)
{
	struct eve_bytes copy = {.data = xmalloc(bytes->length + 1), .length = bytes->length};

	memcpy(copy.data, bytes->data, bytes->length);
	return copy;
}

bool eve_bytes_same(const struct eve_bytes *a, const struct eve_bytes *b)
{
	return a->length == b->length &&
	       (a->length == 0 || memcmp(a->data, b->data, a->length) == 0);
}

struct eve_bytes eve_encode(const ProtobufCMessage *message, enum eve_format format)
{
	struct eve_bytes bytes;
	json_t *json;

	if (format == EVE_BINARY) {
		bytes.length = protobuf_c_message_get_packed_size(message);
		bytes.data = xmalloc(bytes.length + 1);
		protobuf_c_message_pack(message, bytes.data);
		return bytes;
	}
	json = eve_json_encode(message);
	bytes.data = (uint8_t *)json_dumps(json, JSON_COMPACT);
	ASSERT(bytes.data != NULL);
	bytes.length = strlen((const char *)bytes.data);
	json_decref(json);
	return bytes;
}

void eve_frame_append(struct text *t, unsigned kind, const struct eve_bytes *message)
{
	uint8_t head[EVE_FRAME_HEAD] = {0};

	le32_put(head, (uint32_t)message->length);
	head[4] = (uint8_t)kind;
	text_append(t, (const char *)head, sizeof(head));
	text_append(t, (const char *)message->data, message->length);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A message as the bytes that are handed on. */
#ifndef EVE_ENCODE_H
#define EVE_ENCODE_H

#include <protobuf-c/protobuf-c.h>

#include <quoin/eve_config.h>

/* Zeroed = none. */
struct eve_bytes {
	uint8_t *data; /* owned */
	size_t length;
};

void eve_bytes_fini(struct eve_bytes *bytes);
struct eve_bytes eve_bytes_copy(const struct eve_bytes *bytes);
bool eve_bytes_same(const struct eve_bytes *a, const struct eve_bytes *b);

/* Binary: fields in rising order, as the common libraries do. JSON: one line without its end. */
struct eve_bytes eve_encode(const ProtobufCMessage *message, enum eve_format format);

/* As on the socket: its length, its kind (1 info, 2 metrics, 3 hardwarehealth), zeroes, itself. */
#define EVE_FRAME_HEAD 8
struct text;
void eve_frame_append(struct text *t, unsigned kind, const struct eve_bytes *message);

#endif

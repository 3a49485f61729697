/* SPDX-License-Identifier: Apache-2.0 */
/* Messages as proto3 JSON, by their descriptors: any message that eve.proto has. */
#ifndef EVE_JSON_H
#define EVE_JSON_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

/* A new reference. The message's texts are valid UTF-8. */
json_t *eve_json_encode(const ProtobufCMessage *message);

#endif

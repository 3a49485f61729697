/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON mapping of proto3: names in lowerCamelCase, enumerations by name, 64-bit numbers as
 * decimal texts, timestamps as RFC 3339, and what is at its default left out. Only the kinds of
 * fields that eve.proto has are known; another one is our bug.
 */
#include "json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <quoin/base_assert.h>

#include "google/protobuf/timestamp.pb-c.h"

#define NAME_MAX_BYTES 64
#define TEXT_MAX 48

/* Each '_' goes, and the letter behind it becomes a capital: g_u_i_d is gUID. */
static const char *name_encode(const char *name, char text[NAME_MAX_BYTES])
{
	size_t length = 0;
	bool capital = false;

	for (; *name && length < NAME_MAX_BYTES - 1; name++) {
		if (*name == '_') {
			capital = true;
			continue;
		}
		text[length++] =
			capital && *name >= 'a' && *name <= 'z' ? (char)(*name - 'a' + 'A') : *name;
		capital = false;
	}
	text[length] = '\0';
	return text;
}

/* 0, 3, 6 or 9 digits of the second's fraction. */
static json_t *timestamp_encode(const ProtobufCMessage *message)
{
	const Google__Protobuf__Timestamp *stamp = (const void *)message;
	const time_t seconds = (time_t)stamp->seconds;
	const int32_t nanos = stamp->nanos;
	char text[TEXT_MAX];
	size_t length;
	struct tm tm;

	gmtime_r(&seconds, &tm);
	length = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	if (nanos % 1000 != 0)
		snprintf(text + length, sizeof(text) - length, ".%09" PRId32 "Z", nanos);
	else if (nanos % 1000000 != 0)
		snprintf(text + length, sizeof(text) - length, ".%06" PRId32 "Z", nanos / 1000);
	else if (nanos != 0)
		snprintf(text + length, sizeof(text) - length, ".%03" PRId32 "Z", nanos / 1000000);
	else
		snprintf(text + length, sizeof(text) - length, "Z");
	return json_string(text);
}

static json_t *double_encode(double value)
{
	if (isnan(value))
		return json_string("NaN");
	if (isinf(value))
		return json_string(value > 0 ? "Infinity" : "-Infinity");
	return json_real(value);
}

static json_t *enum_encode(const ProtobufCEnumDescriptor *descriptor, int value)
{
	const ProtobufCEnumValue *found = protobuf_c_enum_descriptor_get_value(descriptor, value);

	return found ? json_string(found->name) : json_integer(value);
}

/* NULL: it is at its default. */
static json_t *uint64_encode(uint64_t value)
{
	char text[TEXT_MAX];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return value == 0 ? NULL : json_string(text);
}

static json_t *int64_encode(int64_t value)
{
	char text[TEXT_MAX];

	snprintf(text, sizeof(text), "%" PRId64, value);
	return value == 0 ? NULL : json_string(text);
}

static json_t *message_encode(const ProtobufCMessage *message)
{
	if (!message)
		return NULL;
	if (message->descriptor == &google__protobuf__timestamp__descriptor)
		return timestamp_encode(message);
	return eve_json_encode(message);
}

static json_t *text_encode(const char *text)
{
	return text[0] == '\0' ? NULL : json_string(text);
}

/* The value at `at`. NULL: it is at its default. */
static json_t *value_encode(const ProtobufCFieldDescriptor *field, const void *at)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_UINT64:
		return uint64_encode(*(const uint64_t *)at);
	case PROTOBUF_C_TYPE_INT64:
		return int64_encode(*(const int64_t *)at);
	case PROTOBUF_C_TYPE_UINT32:
		return *(const uint32_t *)at ? json_integer(*(const uint32_t *)at) : NULL;
	case PROTOBUF_C_TYPE_DOUBLE:
		return *(const double *)at != 0 ? double_encode(*(const double *)at) : NULL;
	case PROTOBUF_C_TYPE_ENUM:
		return *(const int *)at ? enum_encode(field->descriptor, *(const int *)at) : NULL;
	case PROTOBUF_C_TYPE_STRING:
		return text_encode(*(char *const *)at);
	case PROTOBUF_C_TYPE_MESSAGE:
		return message_encode(*(ProtobufCMessage *const *)at);
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_BOOL:
	case PROTOBUF_C_TYPE_BYTES:
		break;
	}
	UNREACHABLE();
}

/* Only messages are repeated. */
static json_t *repeated_encode(const ProtobufCMessage *message,
			       const ProtobufCFieldDescriptor *field)
{
	const char *base = (const char *)message;
	const size_t count = *(const size_t *)(const void *)(base + field->quantifier_offset);
	ProtobufCMessage *const *items =
		*(ProtobufCMessage *const *const *)(const void *)(base + field->offset);
	json_t *all;

	ASSERT(field->type == PROTOBUF_C_TYPE_MESSAGE);
	if (count == 0)
		return NULL;
	all = json_array();
	for (size_t i = 0; i < count; i++)
		ASSERT(json_array_append_new(all, message_encode(items[i])) == 0);
	return all;
}

json_t *eve_json_encode(const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *descriptor = message->descriptor;
	json_t *json = json_object();
	char name[NAME_MAX_BYTES];

	for (unsigned i = 0; i < descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
		json_t *value =
			field->label == PROTOBUF_C_LABEL_REPEATED
				? repeated_encode(message, field)
				: value_encode(field, (const char *)message + field->offset);

		if (value)
			ASSERT(json_object_set_new(json, name_encode(field->name, name), value) ==
			       0);
	}
	return json;
}

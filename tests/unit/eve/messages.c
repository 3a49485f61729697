/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints messages for round_trip.py, a line each: the message's type, its bytes in hexadecimal, its
 * JSON. First of random states, through what fills messages, then messages with anything in them.
 *
 *   eve-messages SEED COUNT
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_text.h>

#include "encode.h"
#include "rig.h"

#define DEPTH_MAX 3

static void print(const ProtobufCMessage *message)
{
	struct eve_bytes binary = eve_encode(message, EVE_BINARY);
	struct eve_bytes json = eve_encode(message, EVE_JSON);

	printf("%s ", message->descriptor->short_name);
	for (size_t i = 0; i < binary.length; i++)
		printf("%02x", binary.data[i]);
	printf(" %s\n", (const char *)json.data);
	eve_bytes_fini(&binary);
	eve_bytes_fini(&json);
}

/* --- States --------------------------------------------------------------------------------- */

static void state_print(struct random *random)
{
	struct eve_arena arena = {.blocks = NULL};
	struct eve_totals totals = {.count = 0};
	struct eve_view view;
	const struct eve_fill fill = {.arena = &arena,
				      .view = &view,
				      .totals = &totals,
				      .device = "01234567-89ab-cdef-0123-456789abcdef",
				      .version = "1",
				      .now_ms = random_below(random, UINT64_C(4000000000000))};

	rig_view_random(&view, random);
	print(&eve_fill_info(&fill, eve_fill_device(&fill), NULL)->base);
	for (unsigned p = 0; p < view.pool_count; p++) {
		const struct eve_pool_view *pool = view.pools[p];

		for (unsigned v = 0; v < pool->volume_count; v++) {
			const struct control_volume_health *volume = &pool->volumes[v];
			struct eve_volume_memory memory = {.shown_bytes = 0};
			struct eve_total_entry key = {.born = 0};

			memcpy(key.guid, volume->guid, sizeof(key.guid));
			eve_totals_note(&totals, &key, volume->io, 1);
			print(&eve_fill_info(&fill, NULL,
					     eve_fill_volume(&fill, pool, volume, &memory))
				       ->base);
		}
	}
	print(&eve_fill_metrics(&fill)->base);
	print(&eve_fill_hardware(&fill)->base);
	eve_totals_fini(&totals);
	eve_arena_fini(&arena);
	eve_view_fini(&view);
}

/* --- Anything ------------------------------------------------------------------------------- */

struct draw {
	struct random *random;
	struct eve_arena *arena;
	unsigned depth;
};

static ProtobufCMessage *message_draw(const struct draw *draw,
				      const ProtobufCMessageDescriptor *descriptor);

static void *message_at(const struct draw *draw, const ProtobufCFieldDescriptor *field)
{
	const struct draw below = {draw->random, draw->arena, draw->depth + 1};

	return draw->depth < DEPTH_MAX ? message_draw(&below, field->descriptor) : NULL;
}

static uint64_t number_draw(const struct draw *draw)
{
	return random_u64(draw->random) >> random_below(draw->random, 64);
}

static void value_draw(const struct draw *draw, const ProtobufCFieldDescriptor *field, void *at)
{
	static const char *const texts[] = {"", "a", "/dev/sd\"b\\", "\xC3\xA4\xE2\x82\xAC", "0"};
	const ProtobufCEnumDescriptor *values;

	switch ((int)field->type) {
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_INT64:
		*(uint64_t *)at = number_draw(draw);
		return;
	case PROTOBUF_C_TYPE_UINT32:
		*(uint32_t *)at = (uint32_t)number_draw(draw);
		return;
	case PROTOBUF_C_TYPE_DOUBLE:
		*(double *)at = (double)(number_draw(draw) >> 16) / 256;
		return;
	case PROTOBUF_C_TYPE_ENUM:
		values = field->descriptor;
		*(int *)at = values->values[random_below(draw->random, values->n_values)].value;
		return;
	case PROTOBUF_C_TYPE_STRING:
		*(char **)at = eve_arena_text(draw->arena,
					      texts[random_below(draw->random, ARRAY_SIZE(texts))]);
		return;
	case PROTOBUF_C_TYPE_MESSAGE:
		*(void **)at = message_at(draw, field);
		return;
	default:
		UNREACHABLE();
	}
}

static void repeated_draw(const struct draw *draw, const ProtobufCFieldDescriptor *field,
			  ProtobufCMessage *message)
{
	const size_t count = draw->depth < DEPTH_MAX ? random_below(draw->random, 4) : 0;
	void **all = eve_arena_take(draw->arena, count * sizeof(*all));

	for (size_t i = 0; i < count; i++)
		all[i] = message_at(draw, field);
	*(size_t *)(void *)((char *)message + field->quantifier_offset) = count;
	*(void ***)(void *)((char *)message + field->offset) = all;
}

/* A time that RFC 3339 has: to the end of the year 9999. */
static void time_draw(const struct draw *draw, ProtobufCMessage *message)
{
	static const int32_t steps[] = {1, 1000, 1000000, 1000000000};
	Google__Protobuf__Timestamp *time = (void *)message;
	const int32_t step = steps[random_below(draw->random, ARRAY_SIZE(steps))];

	time->seconds = (int64_t)random_below(draw->random, UINT64_C(253402300799));
	time->nanos = (int32_t)random_below(draw->random, 1000000000) / step * step;
}

static ProtobufCMessage *message_draw(const struct draw *draw,
				      const ProtobufCMessageDescriptor *descriptor)
{
	ProtobufCMessage *message = eve_arena_take(draw->arena, descriptor->sizeof_message);

	protobuf_c_message_init(descriptor, message);
	if (descriptor == &google__protobuf__timestamp__descriptor) {
		time_draw(draw, message);
		return message;
	}
	for (unsigned i = 0; i < descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &descriptor->fields[i];

		if (random_chance(draw->random, 1, 4))
			continue;
		if (field->label == PROTOBUF_C_LABEL_REPEATED)
			repeated_draw(draw, field, message);
		else
			value_draw(draw, field, (char *)message + field->offset);
	}
	return message;
}

static void anything_print(struct random *random)
{
	const ProtobufCMessageDescriptor *const all[] = {
		&eve__zinfo_msg__descriptor, &eve__zmetric_msg__descriptor,
		&eve__zhardware_health__descriptor, &eve__storage_children__descriptor};
	struct eve_arena arena = {.blocks = NULL};
	const struct draw draw = {random, &arena, 0};

	print(message_draw(&draw, all[random_below(random, ARRAY_SIZE(all))]));
	eve_arena_fini(&arena);
}

int main(int argc, char **argv)
{
	struct random random;

	if (argc != 3)
		return 2;
	random_init(&random, strtoull(argv[1], NULL, 10));
	for (unsigned long i = 0; i < strtoul(argv[2], NULL, 10); i++) {
		state_print(&random);
		anything_print(&random);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Specifications to and from JSON. One table of fields per shape serves both directions, so a
 * key that can be read can also be written and the other way round.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/control_json.h>

/* FIELD_CHOICE: a text that is left out while it is empty, that is, not chosen. */
enum field_kind {
	FIELD_TEXT,
	FIELD_CHOICE,
	FIELD_UNSIGNED,
	FIELD_BOOL,
	FIELD_DOORBELLS,
	FIELD_UUID
};

struct field {
	const char *key;
	enum field_kind kind;
	size_t offset;
	size_t size;
};

#define FIELD(type, key, kind, member)                                                       \
	{                                                                                    \
		key, kind, offsetof(struct type, member), sizeof(((struct type *)0)->member) \
	}

static const struct field target_fields[] = {
	FIELD(control_target_spec, "name", FIELD_TEXT, name),
	FIELD(control_target_spec, "transport", FIELD_TEXT, transport),
	FIELD(control_target_spec, "listen", FIELD_CHOICE, listen),
	FIELD(control_target_spec, "queues", FIELD_UNSIGNED, queues),
	FIELD(control_target_spec, "queue_entries", FIELD_UNSIGNED, queue_entries),
	FIELD(control_target_spec, "max_namespaces", FIELD_UNSIGNED, max_namespaces),
	FIELD(control_target_spec, "poll_us", FIELD_UNSIGNED, poll_us),
	FIELD(control_target_spec, "doorbells", FIELD_DOORBELLS, doorbells),
	FIELD(control_target_spec, "intx", FIELD_BOOL, intx),
	FIELD(control_target_spec, "serial", FIELD_CHOICE, serial),
	FIELD(control_target_spec, "model", FIELD_TEXT, model),
	FIELD(control_target_spec, "uuid", FIELD_UUID, uuid),
};

static const struct field namespace_fields[] = {
	FIELD(control_namespace_spec, "nsid", FIELD_UNSIGNED, nsid),
	FIELD(control_namespace_spec, "volume", FIELD_TEXT, volume),
	FIELD(control_namespace_spec, "read_only", FIELD_BOOL, read_only),
	FIELD(control_namespace_spec, "block_size", FIELD_UNSIGNED, block_size),
	FIELD(control_namespace_spec, "nguid", FIELD_UUID, nguid),
	FIELD(control_namespace_spec, "uuid", FIELD_UUID, uuid),
};

/* One kind of object: its fields, and the key that its decoder reads itself. */
struct shape {
	const struct field *fields;
	size_t count;
	const char *other_key; /* or NULL */
};

static const struct shape target_shape = {target_fields, ARRAY_SIZE(target_fields), "namespaces"};
static const struct shape namespace_shape = {namespace_fields, ARRAY_SIZE(namespace_fields), NULL};

static const char *const doorbell_words[] = {
	[CONTROL_DOORBELLS_SHADOW] = "shadow",
	[CONTROL_DOORBELLS_MAPPED] = "mapped",
};

/* --- Out ---------------------------------------------------------------------------------- */

static json_t *field_encode(const struct field *f, const void *object)
{
	const void *at = (const char *)object + f->offset;
	char text[CONTROL_UUID_TEXT_MAX];

	switch (f->kind) {
	case FIELD_TEXT:
	case FIELD_CHOICE:
		return json_string(at);
	case FIELD_UNSIGNED:
		return json_integer(*(const unsigned *)at);
	case FIELD_BOOL:
		return json_boolean(*(const bool *)at);
	case FIELD_DOORBELLS:
		return json_string(doorbell_words[*(const enum control_doorbells *)at]);
	case FIELD_UUID:
		return json_string(control_uuid_format(at, text));
	}
	UNREACHABLE();
}

static bool field_is_unset(const struct field *f, const void *object)
{
	const void *at = (const char *)object + f->offset;

	if (f->kind == FIELD_CHOICE)
		return *(const char *)at == '\0';
	return f->kind == FIELD_UUID && control_uuid_is_zero(at);
}

static json_t *object_encode(const struct shape *shape, const void *object)
{
	json_t *json = json_object();

	ASSERT(json != NULL);
	for (size_t i = 0; i < shape->count; i++) {
		const struct field *f = &shape->fields[i];

		if (!field_is_unset(f, object))
			ASSERT(json_object_set_new(json, f->key, field_encode(f, object)) == 0);
	}
	return json;
}

json_t *control_namespace_spec_to_json(const struct control_namespace_spec *ns)
{
	return object_encode(&namespace_shape, ns);
}

json_t *control_target_spec_to_json(const struct control_target_spec *spec)
{
	json_t *json = object_encode(&target_shape, spec);
	json_t *all = json_array();

	ASSERT(all != NULL);
	for (unsigned i = 0; i < spec->namespace_count; i++)
		ASSERT(json_array_append_new(
			       all, control_namespace_spec_to_json(&spec->namespaces[i])) == 0);
	ASSERT(json_object_set_new(json, "namespaces", all) == 0);
	return json;
}

/* --- In ----------------------------------------------------------------------------------- */

static int wrong_type(const struct field *f, const char *wanted, struct err *err)
{
	return err_set(err, -EINVAL, "\"%s\" must be %s", f->key, wanted);
}

static int text_decode(const struct field *f, const json_t *value, char *at, struct err *err)
{
	const char *text = json_string_value(value);

	if (!text)
		return wrong_type(f, "a string", err);
	/* Jansson refuses an escaped NUL unless asked, so strlen is the length. */
	if (strlen(text) >= f->size)
		return err_set(err, -EINVAL, "\"%s\" is longer than %zu characters", f->key,
			       f->size - 1);
	memcpy(at, text, strlen(text) + 1);
	return 0;
}

static int unsigned_decode(const struct field *f, const json_t *value, unsigned *at,
			   struct err *err)
{
	const json_int_t number = json_integer_value(value);

	if (!json_is_integer(value) || number < 0 || number > UINT32_MAX)
		return wrong_type(f, "a whole number, 0 to 4294967295", err);
	*at = (unsigned)number;
	return 0;
}

static int doorbells_decode(const struct field *f, const json_t *value, enum control_doorbells *at,
			    struct err *err)
{
	const char *text = json_string_value(value);

	for (unsigned i = 0; text && i < ARRAY_SIZE(doorbell_words); i++) {
		if (strcmp(text, doorbell_words[i]) == 0) {
			*at = (enum control_doorbells)i;
			return 0;
		}
	}
	return wrong_type(f, "\"shadow\" or \"mapped\"", err);
}

static int field_decode(const struct field *f, const json_t *value, void *object, struct err *err)
{
	void *at = (char *)object + f->offset;
	const char *text;

	switch (f->kind) {
	case FIELD_TEXT:
	case FIELD_CHOICE:
		return text_decode(f, value, at, err);
	case FIELD_UNSIGNED:
		return unsigned_decode(f, value, at, err);
	case FIELD_BOOL:
		if (!json_is_boolean(value))
			return wrong_type(f, "true or false", err);
		*(bool *)at = json_is_true(value);
		return 0;
	case FIELD_DOORBELLS:
		return doorbells_decode(f, value, at, err);
	case FIELD_UUID:
		text = json_string_value(value);
		if (!text || control_uuid_parse(text, at) < 0)
			return wrong_type(f, "a UUID: 32 hexadecimal digits", err);
		return 0;
	}
	UNREACHABLE();
}

static const struct field *field_find(const struct shape *shape, const char *key)
{
	for (size_t i = 0; i < shape->count; i++) {
		if (strcmp(shape->fields[i].key, key) == 0)
			return &shape->fields[i];
	}
	return NULL;
}

static int object_decode(const struct shape *shape, const json_t *json, void *object,
			 struct err *err)
{
	json_t *items = (json_t *)json;
	const char *key;
	json_t *value;

	json_object_foreach(items, key, value)
	{
		const struct field *f = field_find(shape, key);
		int r;

		if (shape->other_key && strcmp(key, shape->other_key) == 0)
			continue;
		if (!f)
			return err_set(err, -EINVAL, "\"%.64s\" is not a known key", key);
		r = field_decode(f, value, object, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int control_namespace_spec_from_json(const json_t *json, struct control_namespace_spec *ret_ns,
				     struct err *err)
{
	struct control_namespace_spec ns;
	int r;

	memset(&ns, 0, sizeof(ns));
	if (!json_is_object(json))
		return err_set(err, -EINVAL, "a namespace must be an object");
	r = object_decode(&namespace_shape, json, &ns, err);
	if (r < 0)
		return r;
	*ret_ns = ns;
	return 0;
}

static int namespaces_decode(const json_t *json, struct control_target_spec *spec, struct err *err)
{
	const json_t *all = json_object_get(json, "namespaces");

	if (!all)
		return 0;
	if (!json_is_array(all))
		return err_set(err, -EINVAL, "\"namespaces\" must be an array");
	for (size_t i = 0; i < json_array_size(all); i++) {
		struct control_namespace_spec *ns = control_target_spec_add(spec);
		int r;

		if (!ns)
			return err_set(err, -EINVAL, "more than %d namespaces",
				       CONTROL_NAMESPACES_MAX);
		r = control_namespace_spec_from_json(json_array_get(all, i), ns, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int control_target_spec_from_json(const json_t *json, struct control_target_spec *ret_spec,
				  struct err *err)
{
	struct control_target_spec spec;
	int r;

	if (!json_is_object(json))
		return err_set(err, -EINVAL, "a target must be an object");
	control_target_spec_init(&spec);
	r = object_decode(&target_shape, json, &spec, err);
	if (r == 0)
		r = namespaces_decode(json, &spec, err);
	if (r < 0) {
		control_target_spec_fini(&spec);
		return r;
	}
	*ret_spec = spec;
	return 0;
}

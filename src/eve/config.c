/* SPDX-License-Identifier: Apache-2.0 */
/* Settings by one table of keys, to JSON and from it; see quoin/eve_config.h. */
#include <quoin/eve_config.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/control_spec.h>

enum setting_kind { SETTING_DEVICE, SETTING_PATH, SETTING_URL, SETTING_FORMAT, SETTING_SECONDS };

struct setting {
	const char *key;
	enum setting_kind kind;
	size_t offset;
	unsigned size; /* of a text */
	unsigned least, most;
};

#define TEXT(key, kind, member)                                        \
	{                                                              \
		key, kind, offsetof(struct eve_config, member),        \
			sizeof(((struct eve_config *)0)->member), 0, 0 \
	}
#define SECONDS(key, member, least, most)                                                 \
	{                                                                                 \
		key, SETTING_SECONDS, offsetof(struct eve_config, member), 0, least, most \
	}

static const struct setting settings[] = {
	TEXT("device", SETTING_DEVICE, device),
	TEXT("socket", SETTING_PATH, socket),
	TEXT("directory", SETTING_PATH, directory),
	TEXT("controller", SETTING_URL, controller),
	{"format", SETTING_FORMAT, offsetof(struct eve_config, format), 0, 0, 0},
	SECONDS("info_s", info_s, 30, 86400),
	SECONDS("metrics_s", metrics_s, 5, 3600),
	SECONDS("hardware_s", hardware_s, 21600, 604800),
};

static const char *const formats[] = {[EVE_BINARY] = "binary", [EVE_JSON] = "json"};

void eve_config_init(struct eve_config *config)
{
	memset(config, 0, sizeof(*config));
	config->info_s = EVE_INFO_S;
	config->metrics_s = EVE_METRICS_S;
	config->hardware_s = EVE_HARDWARE_S;
}

bool eve_config_is_on(const struct eve_config *config)
{
	return config->socket[0] != '\0' || config->directory[0] != '\0' ||
	       config->controller[0] != '\0';
}

json_t *eve_config_encode(const struct eve_config *config)
{
	json_t *json = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		const void *at = (const char *)config + settings[i].offset;
		json_t *value;

		if (settings[i].kind == SETTING_SECONDS)
			value = json_integer(*(const unsigned *)at);
		else if (settings[i].kind == SETTING_FORMAT)
			value = json_string(formats[*(const enum eve_format *)at]);
		else
			value = json_string(at);
		ASSERT(json_object_set_new(json, settings[i].key, value) == 0);
	}
	return json;
}

/* --- From JSON ----------------------------------------------------------------------------------
 */

/* Printable ASCII without what a shell, a URL or an HTTP request could take for more. */
static bool is_plain(const char *text)
{
	for (; *text; text++) {
		if (*text <= ' ' || *text > '~')
			return false;
	}
	return true;
}

static const char *text_wrong(const struct setting *s, const char *text)
{
	uint8_t uuid[16];

	if (text[0] == '\0')
		return NULL;
	if (strlen(text) >= s->size)
		return "it is too long";
	if (s->kind == SETTING_DEVICE)
		return control_uuid_parse(text, uuid) < 0 ? "it must be a UUID" : NULL;
	if (s->kind == SETTING_PATH)
		return text[0] != '/' ? "it must be an absolute path" : NULL;
	if (strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0)
		return "it must begin with http:// or https://";
	return is_plain(text) && !strpbrk(text, "?#\"\\") ? NULL : "it has signs that none has";
}

static int text_set(const struct setting *s, const json_t *value, char *at, struct err *err)
{
	const char *text = json_is_null(value) ? "" : json_string_value(value);
	const char *wrong = text ? text_wrong(s, text) : "it must be a text";

	if (wrong)
		return err_set(err, -EINVAL, "\"%s\": %s", s->key, wrong);
	snprintf(at, s->size, "%s", text);
	return 0;
}

static int format_set(const json_t *value, enum eve_format *at, struct err *err)
{
	const char *text = json_string_value(value);

	for (unsigned i = 0; text && i < ARRAY_SIZE(formats); i++) {
		if (strcmp(formats[i], text) == 0) {
			*at = (enum eve_format)i;
			return 0;
		}
	}
	return err_set(err, -EINVAL, "\"format\" must be \"binary\" or \"json\"");
}

static int seconds_set(const struct setting *s, const json_t *value, unsigned *at, struct err *err)
{
	if (!json_is_integer(value) || json_integer_value(value) < (json_int_t)s->least ||
	    json_integer_value(value) > (json_int_t)s->most)
		return err_set(err, -EINVAL, "\"%s\" must be %u to %u", s->key, s->least, s->most);
	*at = (unsigned)json_integer_value(value);
	return 0;
}

static int setting_set(const struct setting *s, const json_t *value, struct eve_config *config,
		       struct err *err)
{
	void *at = (char *)config + s->offset;

	if (s->kind == SETTING_FORMAT)
		return format_set(value, at, err);
	if (s->kind == SETTING_SECONDS)
		return seconds_set(s, value, at, err);
	return text_set(s, value, at, err);
}

static const struct setting *find(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		if (strcmp(settings[i].key, key) == 0)
			return &settings[i];
	}
	return NULL;
}

int eve_config_change(struct eve_config *config, const json_t *changes, struct err *err)
{
	json_t *items = (json_t *)changes;
	struct eve_config next = *config;
	const char *key;
	json_t *value;

	if (!json_is_object(changes))
		return err_set(err, -EINVAL, "the settings must be an object");
	json_object_foreach(items, key, value)
	{
		const struct setting *s = find(key);
		int r;

		if (!s)
			return err_set(err, -EINVAL, "\"%.64s\" is not a known key", key);
		r = setting_set(s, value, &next, err);
		if (r < 0)
			return r;
	}
	if (next.controller[0] != '\0' && next.device[0] == '\0')
		return err_set(err, -EINVAL,
			       "a controller must know which device it is: set \"device\" to its "
			       "UUID");
	*config = next;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identities. They are drawn once, when a target or namespace is made, and kept in its
 * specification: a guest finds its disks by them, so they must survive every restart.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <quoin/base_random.h>
#include <quoin/control_spec.h>

bool control_uuid_is_zero(const uint8_t uuid[16])
{
	static const uint8_t zero[16];

	return memcmp(uuid, zero, sizeof(zero)) == 0;
}

/* A random UUID (RFC 4122, 4.4). */
static void uuid_draw(uint8_t uuid[16])
{
	random_system_fill(uuid, 16);
	uuid[6] = (uint8_t)((uuid[6] & 0x0F) | 0x40);
	uuid[8] = (uint8_t)((uuid[8] & 0x3F) | 0x80);
}

void control_namespace_spec_identify(struct control_namespace_spec *ns)
{
	if (control_uuid_is_zero(ns->uuid))
		uuid_draw(ns->uuid);
	/* The NGUID may be any number that is unique; the UUID is one already. */
	if (control_uuid_is_zero(ns->nguid))
		memcpy(ns->nguid, ns->uuid, sizeof(ns->nguid));
}

void control_target_spec_identify(struct control_target_spec *spec)
{
	if (control_uuid_is_zero(spec->uuid))
		uuid_draw(spec->uuid);
	if (spec->serial[0] == '\0') {
		int length = snprintf(spec->serial, sizeof(spec->serial), "QN");

		for (int i = 0; i < 8; i++)
			length += snprintf(spec->serial + length,
					   sizeof(spec->serial) - (size_t)length, "%02X",
					   spec->uuid[i]);
	}
	for (unsigned i = 0; i < spec->namespace_count; i++)
		control_namespace_spec_identify(&spec->namespaces[i]);
}

char *control_uuid_format(const uint8_t uuid[16], char text[CONTROL_UUID_TEXT_MAX])
{
	static const char digits[] = "0123456789abcdef";
	char *at = text;

	/* Without snprintf(): there is one in each of ten thousand volumes. */
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		*at++ = digits[uuid[i] >> 4];
		*at++ = digits[uuid[i] & 0xF];
	}
	*at = '\0';
	return text;
}

static unsigned hex_value(char c)
{
	return isdigit((unsigned char)c) ? (unsigned)(c - '0')
					 : (unsigned)(tolower((unsigned char)c) - 'a') + 10;
}

int control_uuid_parse(const char *text, uint8_t ret_uuid[16])
{
	const size_t length = strlen(text);
	const bool dashes = length == 36;
	uint8_t uuid[16] = {0};
	unsigned digits = 0;

	if (length != 32 && length != 36)
		return -EINVAL;
	for (size_t i = 0; i < length; i++) {
		if (dashes && (i == 8 || i == 13 || i == 18 || i == 23)) {
			if (text[i] != '-')
				return -EINVAL;
			continue;
		}
		if (!isxdigit((unsigned char)text[i]))
			return -EINVAL;
		uuid[digits / 2] = (uint8_t)(uuid[digits / 2] << 4 | hex_value(text[i]));
		digits++;
	}
	memcpy(ret_uuid, uuid, sizeof(uuid));
	return 0;
}

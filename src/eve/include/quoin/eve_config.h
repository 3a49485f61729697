/* SPDX-License-Identifier: Apache-2.0 */
/* Where messages for EVE go, and how often. All ways are off at first. */
#ifndef QUOIN_EVE_CONFIG_H
#define QUOIN_EVE_CONFIG_H

#include <jansson.h>

#include <quoin/base.h>
#include <quoin/base_err.h>

#define EVE_DEVICE_MAX 36
#define EVE_SOCKET_MAX 107 /* what a UNIX socket's address takes */
#define EVE_DIRECTORY_MAX 1023
#define EVE_URL_MAX 1023

#define EVE_INFO_S 600
#define EVE_METRICS_S 60
#define EVE_HARDWARE_S 43200

enum eve_format { EVE_BINARY, EVE_JSON };

struct eve_config {
	char device[EVE_DEVICE_MAX + 1]; /* the device's UUID; "" = not known here */
	char socket[EVE_SOCKET_MAX + 1]; /* each is an absolute path, or "" = off */
	char directory[EVE_DIRECTORY_MAX + 1];
	char controller[EVE_URL_MAX + 1]; /* http:// or https://, without a path; wants `device` */
	enum eve_format format;
	unsigned info_s, metrics_s, hardware_s; /* each wait is 0.3 to 1.0 of it */
};

void eve_config_init(struct eve_config *config);

/*
 * Changes what the object names; "" or null switches a way off. -EINVAL, with nothing changed: a
 * key or value that is none, or a whole that makes no sense.
 */
MUST_CHECK int eve_config_change(struct eve_config *config, const json_t *changes, struct err *err);

/* The same keys. A new reference. */
json_t *eve_config_encode(const struct eve_config *config);

bool eve_config_is_on(const struct eve_config *config);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person asks a target to be: the shape that the command line sends, that the API
 * accepts and that the state file keeps. Plain data; nothing here touches the world.
 */
#ifndef QUOIN_CONTROL_SPEC_H
#define QUOIN_CONTROL_SPEC_H

#include <quoin/base.h>
#include <quoin/base_err.h>

#define CONTROL_NAME_MAX 63
#define CONTROL_QUEUES_MAX 64
#define CONTROL_QUEUE_ENTRIES_MAX 1024
#define CONTROL_NAMESPACES_MAX 64
#define CONTROL_LISTEN_MAX 107 /* sun_path without its NUL */
#define CONTROL_VOLUME_MAX 1023
#define CONTROL_SERIAL_MAX 20
#define CONTROL_MODEL_MAX 40
#define CONTROL_NAMESPACES_DEFAULT 16
#define CONTROL_QUEUES_DEFAULT CONTROL_QUEUES_MAX
#define CONTROL_POLL_US_MAX 1000000
#define CONTROL_UUID_TEXT_MAX 37

enum control_doorbells {
	CONTROL_DOORBELLS_SHADOW, /* register writes; the guest may set up a doorbell buffer */
	CONTROL_DOORBELLS_MAPPED, /* the guest writes a shared page, which is polled */
};

struct control_namespace_spec {
	unsigned nsid; /* 0 = the lowest free one */
	char volume[CONTROL_VOLUME_MAX + 1];
	bool read_only;
	unsigned block_size; /* 512, 4096, or 0 = the volume's own */
	uint8_t nguid[16];   /* all zero = not chosen yet */
	uint8_t uuid[16];
};

struct control_target_spec {
	char name[CONTROL_NAME_MAX + 1];
	char transport[CONTROL_NAME_MAX + 1];
	char listen[CONTROL_LISTEN_MAX + 1]; /* "" = RUNTIME_DIR/NAME.sock */
	unsigned queues;
	unsigned queue_entries;
	unsigned max_namespaces;
	unsigned poll_us; /* 0 = the controller's default */
	enum control_doorbells doorbells;
	bool intx;
	char serial[CONTROL_SERIAL_MAX + 1]; /* "" = made from the uuid */
	char model[CONTROL_MODEL_MAX + 1];
	uint8_t uuid[16]; /* all zero = not chosen yet */
	unsigned namespace_count;
	struct control_namespace_spec *namespaces; /* owned */
};

/* Defaults for all; no name, no namespaces. Pair: fini, which accepts a zeroed spec. */
void control_target_spec_init(struct control_target_spec *spec);
void control_target_spec_fini(struct control_target_spec *spec);
void control_target_spec_copy(struct control_target_spec *to,
			      const struct control_target_spec *from);

/* Appends one namespace with defaults. NULL when CONTROL_NAMESPACES_MAX are there. */
struct control_namespace_spec *control_target_spec_add(struct control_target_spec *spec);
void control_target_spec_remove(struct control_target_spec *spec, unsigned nsid);
struct control_namespace_spec *control_target_spec_find(struct control_target_spec *spec,
							unsigned nsid);

/* [A-Za-z0-9][A-Za-z0-9._-]{0,62}. -EINVAL. */
MUST_CHECK int control_name_check(const char *name, struct err *err);

/*
 * The shape of a volume: POOL/NAME[@SNAP][,ro], file:/ABSOLUTE[,opts] or null:SIZE[,opts]; with
 * `test_volumes` also error:...:VOLUME and delay:...:VOLUME, of the last two. -EINVAL, -ENOTSUP.
 */
MUST_CHECK int control_volume_check(const char *volume, bool test_volumes, struct err *err);

/*
 * Everything that can be judged without looking at the world, and free nsids given out in order.
 * -EINVAL, -ENOTSUP.
 */
MUST_CHECK int control_target_spec_check(struct control_target_spec *spec, bool test_volumes,
					 struct err *err);
MUST_CHECK int control_namespace_spec_check(const struct control_namespace_spec *ns,
					    bool test_volumes, struct err *err);

/* Chooses what was left open: uuid, serial, and the namespaces' NGUID and UUID. */
void control_target_spec_identify(struct control_target_spec *spec);
void control_namespace_spec_identify(struct control_namespace_spec *ns);

bool control_uuid_is_zero(const uint8_t uuid[16]);
char *control_uuid_format(const uint8_t uuid[16], char text[CONTROL_UUID_TEXT_MAX]);

/* 32 hexadecimal digits, with or without the four dashes of a UUID. -EINVAL. */
MUST_CHECK int control_uuid_parse(const char *text, uint8_t ret_uuid[16]);

#endif

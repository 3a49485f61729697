/* SPDX-License-Identifier: Apache-2.0 */
/* Names of volumes and snapshots: "POOL/NAME" and "POOL/NAME@SNAP". NAME may have '/' itself. */
#ifndef CONTROL_OBJECT_H
#define CONTROL_OBJECT_H

#include <quoin/control_pool_types.h>

struct control_object {
	char pool[CONTROL_NAME_MAX + 1];
	char volume[CONTROL_NAME_MAX + 1];
	char snapshot[CONTROL_NAME_MAX + 1]; /* "" = the volume itself */
};

/* True for what a pool can be called: names on drives are anybody's bytes. */
bool control_object_pool_name_good(const char *name);

/* -EINVAL: it is not such a name. */
MUST_CHECK int control_object_split(const char *name, struct control_object *ret_object,
				    struct err *err);

/*
 * A target's volume that is in a pool, "POOL/NAME[@SNAP][,ro]": its object, and whether it is to be
 * read only. -ENOENT: it is of another kind; -EINVAL.
 */
MUST_CHECK int control_object_of_volume(const char *volume, struct control_object *ret_object,
					bool *ret_read_only, struct err *err);

#endif

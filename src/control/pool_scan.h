/* SPDX-License-Identifier: Apache-2.0 */
/* Looking for drives of pools that are not imported. Nothing is locked and nothing is written. */
#ifndef CONTROL_POOL_SCAN_H
#define CONTROL_POOL_SCAN_H

#include <sys/types.h>

#include "pool.h"

struct scan_drive {
	char *path;
	dev_t device;
	ino_t inode;
	bool labelled;
	char *trouble; /* why its label is not known; NULL: it is, or there is none */
	struct pool_label label;
};

struct control_scan {
	struct control_pools *pools;
	unsigned count;
	struct scan_drive *drives; /* CONTROL_SCAN_MAX of them */
};

/*
 * As control_pool_scan() says. A drive that was named must be there and readable; what a directory
 * holds need not.
 */
MUST_CHECK int control_scan_run(struct control_scan *scan, struct control_pools *pools,
				const char *const *paths, unsigned count, struct err *err);
void control_scan_fini(struct control_scan *scan);

/* What is wrong with the drive at the path, or with the first that has something (path NULL). */
const char *control_scan_trouble(const struct control_scan *scan, const char *path);

/* The newest label of the pool that has the GUID, or NULL. */
const struct pool_label *control_scan_newest(const struct control_scan *scan,
					     const uint8_t guid[16]);

/* The drives of that pool; the texts are the scan's. */
unsigned control_scan_paths(const struct control_scan *scan, const uint8_t guid[16],
			    const char *ret_paths[CONTROL_DRIVES_MAX]);

/*
 * The GUID of the pool of this name (or with this GUID as text). -ENOENT; -EINVAL: there are
 * several of the name.
 */
MUST_CHECK int control_scan_choose(const struct control_scan *scan, const char *name,
				   uint8_t ret_guid[16], struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* An export from inside: the file, and what a format does with it. */
#ifndef IMAGE_EXPORT_PRIVATE_H
#define IMAGE_EXPORT_PRIVATE_H

#include <limits.h>

#include <quoin/image_export.h>

#define QCOW2_CLUSTER_BYTES (64 * KiB)

/* The second table that is being filled; see export_qcow2.c. */
struct qcow2 {
	uint64_t l1_offset, l1_count;
	uint64_t clusters;  /* in the file so far */
	uint64_t l2_number; /* of the table below; UINT64_MAX = none yet */
	uint8_t *l2;	    /* one cluster */
};

struct image_export {
	char *path;
	const char *name; /* its last component */
	int directory_fd;
	int fd;
	char temporary[NAME_MAX + 1]; /* the name it has meanwhile; "" = none */
	bool replace;
	bool named; /* linked: it stays */
	enum image_format format;
	uint64_t size_bytes;
	uint64_t unsynced_bytes;
	struct qcow2 qcow2;
};

/* True when all bytes are zero. bytes > 0. */
bool image_is_zero(const uint8_t *data, size_t bytes);

/* All of it. A sentence when it fails. */
MUST_CHECK int image_write_at(struct image_export *out, uint64_t offset, const void *data,
			      size_t bytes, struct err *err);

/* A sentence about the file for what the system said. Returns `code`. */
int image_say(const struct image_export *out, int code, const char *what, struct err *err);

MUST_CHECK int image_qcow2_begin(struct image_export *out, struct err *err);
MUST_CHECK int image_qcow2_write(struct image_export *out, uint64_t offset, const uint8_t *data,
				 size_t bytes, struct err *err);
MUST_CHECK int image_qcow2_finish(struct image_export *out, struct err *err);

#endif

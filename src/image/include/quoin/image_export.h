/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk written to an image file, front to back. What is all zeroes is left out: a hole of a raw
 * file, an absent cluster of qcow2.
 *
 * The file has its name only when it is whole: it is made without one (O_TMPFILE) and linked at
 * the end, so whatever ends the program leaves nothing behind. File systems that cannot do that
 * get a file with a temporary name beside it, which only a kill leaves behind.
 *
 * Calls block. One thread at a time.
 */
#ifndef QUOIN_IMAGE_EXPORT_H
#define QUOIN_IMAGE_EXPORT_H

#include <quoin/base.h>
#include <quoin/base_err.h>

enum image_format { IMAGE_RAW, IMAGE_QCOW2 };

/* Writes begin at multiples of it, and only the last one may end elsewhere. */
#define IMAGE_EXPORT_UNIT (64 * KiB)

struct image_export;

struct image_export_params {
	const char *path; /* absolute */
	enum image_format format;
	uint64_t size_bytes; /* of the disk */
	bool replace;	     /* a regular file that is there */
};

/* "raw" or "qcow2". -EINVAL. */
MUST_CHECK int image_format_parse(const char *text, enum image_format *ret_format, struct err *err);

/*
 * -EEXIST (it is there), -EISDIR, -EINVAL (it is no regular file, or too large for the format),
 * -ENOENT, -ENOTDIR, -EACCES, -EROFS (its directory), -EFBIG.
 */
MUST_CHECK int image_export_begin(const struct image_export_params *params,
				  struct image_export **ret_export, struct err *err);

/* -ENOSPC when the file system has less free than `bytes` of data. */
MUST_CHECK int image_export_room(const struct image_export *out, uint64_t bytes, struct err *err);

/* Offsets ascend. -ENOSPC, -EDQUOT, -EFBIG, -EIO. */
MUST_CHECK int image_export_write(struct image_export *out, uint64_t offset, const void *data,
				  size_t bytes, struct err *err);

/* Makes it durable, then gives it its name. -EEXIST: something took the name meanwhile. */
MUST_CHECK int image_export_commit(struct image_export *out, struct err *err);

/* What was not committed is gone. NULL is allowed. */
void image_export_free(struct image_export *out);

#endif

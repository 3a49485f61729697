/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where images come from. A source is the disk that an image holds, to be read at any place; what
 * the image file itself is made of is the *original*, which a source can be asked for instead.
 *
 * [fiber] everywhere, on the loop it was opened for. Reads of several fibers run side by side. A
 * source that failed once fails for ever, with its reason in `problem`: close it and open another.
 */
#ifndef QUOIN_IMAGE_SOURCE_H
#define QUOIN_IMAGE_SOURCE_H

#include <quoin/base.h>
#include <quoin/base_err.h>
#include <quoin/loop.h>

#define IMAGE_IDENTITY_MAX 255
#define IMAGE_FORMAT_MAX 15

struct image_source;

struct image_source_ops {
	/* Range within the source. 0, or negative errno with `problem` set. */
	int (*read)(struct image_source *source, uint64_t offset, void *data, size_t length);

	/*
	 * What is at `offset`: up to `length` bytes, of one kind, more than 0 of them. A source
	 * that does not know says that all is data.
	 */
	int (*extent)(struct image_source *source, uint64_t offset, uint64_t *length,
		      bool *ret_zero);

	/* What is under way, and all that comes, fails soon. */
	void (*stop)(struct image_source *source);

	/* Nothing is under way. */
	void (*close)(struct image_source *source);
};

struct image_source {
	const struct image_source_ops *ops;
	uint64_t size_bytes;		       /* of the disk */
	uint64_t original_bytes;	       /* of what it came in */
	bool original;			       /* the two are the same bytes */
	char format[IMAGE_FORMAT_MAX + 1];     /* as qemu calls it */
	char identity[IMAGE_IDENTITY_MAX + 1]; /* another one: it is another image now */
	char problem[ERR_TEXT_MAX];
};

/* What is wanted. The strings are borrowed for the call. */
struct image_ask {
	const char *source; /* an absolute path, http(s)://, nbd:// */
	const char *format; /* as it was found before; "" = look */
	bool original;
};

/* How sources are opened: by image_opener_nbd(), or by what a test puts in its place. */
struct image_opener {
	int (*open)(const struct image_opener *opener, struct loop *loop,
		    const struct image_ask *ask, struct image_source **ret_source, struct err *err);
	const char *directory; /* for sockets */
};

/*
 * Through programs of the system, each a child that dies with us: nbdkit for files as they are and
 * for http, qemu-nbd for formats, talked to by libnbd on a thread. The directory is borrowed.
 *   -EINVAL  it is no source, or no image (the sentence has qemu's words)
 *   -ENOENT, -EISDIR, -EACCES, -ENODATA (empty), -EHOSTUNREACH, -ETIMEDOUT, -EIO
 *   -ENOPKG  a program is not installed
 */
void image_opener_nbd(struct image_opener *ret_opener, const char *directory);

#endif

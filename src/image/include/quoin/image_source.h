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

#include <stdatomic.h>

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

	/* What is under way, its opening too, and all that comes, fails soon. */
	void (*stop)(struct image_source *source);

	/* Nothing is under way. */
	void (*close)(struct image_source *source);
};

enum image_access {
	IMAGE_RANDOM,	  /* at any place */
	IMAGE_SEQUENTIAL, /* each byte once, from the first to the last: reads follow each other */
	IMAGE_STAGED,	  /* at any place, in a file of ours that all of it is brought to first */
};

struct image_source {
	const struct image_source_ops *ops;
	uint64_t size_bytes;		   /* of the disk */
	uint64_t original_bytes;	   /* of what it came in */
	uint64_t data_bytes;		   /* of the disk, no zeroes, at most; 0 = look for it */
	bool original;			   /* the two are the same bytes */
	bool has_sum;			   /* all of the original went by: */
	uint8_t sum[32];		   /* its SHA-256 */
	atomic_uint access;		   /* enum image_access; may be looked at from the start */
	_Atomic uint64_t staged_bytes;	   /* the same: what is in our file by now */
	char format[IMAGE_FORMAT_MAX + 1]; /* as qemu calls it */
	char identity[IMAGE_IDENTITY_MAX + 1]; /* another one: it is another image now */
	char problem[ERR_TEXT_MAX];
};

/* An opening that is under way, for other fibers of the loop. All zeroes at first. */
struct image_opening {
	bool given_up;
	struct image_source *source; /* what it will be, to be looked at; NULL = not under way */
};

/* The opening ends soon, with -ECANCELED; one that comes later does so at once. */
void image_opening_give_up(struct image_opening *opening);

/* What is wanted. The strings are borrowed for the call. */
struct image_ask {
	const char *source; /* an absolute path, http(s)://, nbd:// */
	const char *format; /* as it was found before; "" = look */
	bool original;
	bool look; /* only original_bytes and identity: it is not read */
	bool sum;  /* has_sum, if it costs no second reading */
	bool late; /* it is of use only when all of it is here: it may be staged for `sum` */
	uint64_t rate_bytes;	       /* a second, for staging; 0 = as fast as it comes */
	struct image_opening *opening; /* NULL: nobody will give it up */
};

/* How sources are opened: by image_opener_nbd(), or by what a test puts in its place. */
struct image_opener {
	int (*open)(const struct image_opener *opener, struct loop *loop,
		    const struct image_ask *ask, struct image_source **ret_source, struct err *err);
	const char *directory; /* for sockets */
	const char *staging;   /* for images that must be whole before they are read; NULL = none */
	void *data;	       /* the opener's own */
};

/*
 * Through programs of the system, each a child that dies with us: nbdkit for files as they are and
 * for http, qemu-nbd for formats, talked to by libnbd on a thread. A web server without byte ranges
 * is read in order; a format that wants more is staged. The directories are borrowed.
 *   -EINVAL  it is no source, or no image (the sentence has qemu's words)
 *   -ENOENT, -EISDIR, -EACCES, -ENODATA (empty), -EHOSTUNREACH, -ETIMEDOUT, -EIO
 *   -ENOPKG  a program is not installed; -ECANCELED
 */
void image_opener_nbd(struct image_opener *ret_opener, const char *directory, const char *staging);

#endif

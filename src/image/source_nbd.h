/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A source on a thread of its own: the thread starts the children, speaks to them with libnbd, and
 * may wait for whatever it likes without holding up a loop. Fibers give it calls and park.
 */
#ifndef IMAGE_SOURCE_NBD_H
#define IMAGE_SOURCE_NBD_H

#include <pthread.h>
#include <stdatomic.h>

#include <libnbd.h>

#include <quoin/base_child.h>
#include <quoin/image_source.h>
#include <quoin/loop_fiber.h>

#define NBD_CHILDREN_MAX 2
#define NBD_OPEN_MS 10000  /* for one step of opening */
#define NBD_STALL_MS 30000 /* without an answer while one is due */

enum nbd_call_kind { NBD_CALL_OPEN, NBD_CALL_READ, NBD_CALL_EXTENT };

/* On the stack of the fiber that waits for it. */
struct nbd_call {
	struct list node;
	enum nbd_call_kind kind;
	struct nbd_source *from;
	struct fiber *fiber;
	struct loop_message message;
	uint64_t offset, length;
	void *data;
	bool zero; /* what an extent is */
	int result;
	bool done; /* the loop's */
};

struct nbd_source {
	struct image_source source;
	struct loop *loop;
	const char *directory; /* borrowed, as the opener's is */
	char *text;
	char *format; /* owned; "" = look */
	bool original;
	pthread_t thread;
	int wake_fd;
	atomic_bool stop;
	pthread_mutex_t lock; /* of the two below */
	struct list calls;    /* new ones */
	bool ended;	      /* the thread takes no more */

	/* The thread's. */
	struct nbd_handle *nbd;
	bool extents_known;
	struct list flying;
	uint64_t heard_ms; /* when an answer came last, or when there was none due */
	unsigned child_count;
	struct child children[NBD_CHILDREN_MAX];
	char *socket_dir; /* NULL = none */
	struct err err;	  /* why it is dead: err.code < 0; set before calls end with it */
};

/* The thread's main. */
void *nbd_source_main(void *arg);

/* --- In the thread, while it opens ------------------------------------------------------------ */

/*
 * nbd_plan.c: looks at what the source is, starts children, and says where the NBD export is: an
 * URI, or the path of a socket. Sets format, identity and sizes of the original.
 */
struct nbd_place {
	char *uri;    /* owned; NULL */
	char *socket; /* the same */
};
MUST_CHECK int nbd_plan(struct nbd_source *source, struct nbd_place *ret_place);

/* nbd_http.c: one request for the head. -ENOENT (404), -EACCES (401, 403), -EHOSTUNREACH ... */
struct nbd_http_head {
	uint64_t size_bytes;
	bool has_size;
	bool ranges; /* it says that it has them */
	char identity[IMAGE_IDENTITY_MAX + 1];
};
MUST_CHECK int nbd_http_head(const char *url, const atomic_bool *stop,
			     struct nbd_http_head *ret_head, struct err *err);

#endif

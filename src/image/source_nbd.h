/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A source on a thread of its own: the thread starts the children, speaks to them with libnbd, or
 * to a web server without byte ranges itself, and may wait for whatever it likes without holding up
 * a loop. Fibers give it calls and park. Everything that the thread waits for ends when wake_fd has
 * something to say and `stop` is set, but for the resolver of names.
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
#define NBD_SCRATCH "scratch" /* a directory beside the sockets */
#define NBD_OPEN_MS 10000     /* for one step of opening */
#define NBD_STALL_MS 30000    /* without an answer while one is due */
#define NBD_CLOSE_MS 2000     /* for a thread to end, before it is left to itself */
#define NBD_LOOK_MS 200	      /* waited for without looking whether it is to stop */

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
	char *directory;
	char *staging; /* NULL = none */
	char *text;
	char *format;	      /* "" = look */
	struct image_ask ask; /* without what it borrows */
	int wake_fd;
	atomic_bool stop;
	pthread_mutex_t lock; /* of the next four */
	struct list calls;    /* new ones */
	bool ended;	      /* the thread takes no more */
	bool gone;	      /* it touches nothing of this any more */
	bool abandoned;	      /* nobody waits for that: it frees this */

	/* The thread's. */
	struct nbd_stream *stream; /* of a source that is read in order */
	char *staged;		   /* path of our file; NULL = none */
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

/* By the last who has it. */
void nbd_source_free(struct nbd_source *source);

/* --- In the thread, while it opens ------------------------------------------------------------ */

/*
 * nbd_plan.c: looks at what the source is, starts children, and says where the NBD export is: an
 * URI, or the path of a socket; neither, when source->stream has it, or nothing is to be read. Sets
 * format, identity and sizes of the original.
 */
struct nbd_place {
	char *uri;    /* owned; NULL */
	char *socket; /* the same */
};
MUST_CHECK int nbd_plan(struct nbd_source *source, struct nbd_place *ret_place);

/* nbd_stage.c: all of the stream into a file of ours, whose path is source->staged then. */
struct nbd_stream;
MUST_CHECK int nbd_stage(struct nbd_source *source, struct nbd_stream *stream);
/* The first of the stream alone, to be looked at; sets source->staged, too. */
MUST_CHECK int nbd_stage_head(struct nbd_source *source, struct nbd_stream *stream);
/* Room for the whole original. -ENOSPC, -EOPNOTSUPP: there is no place for it. */
MUST_CHECK int nbd_stage_room(struct nbd_source *source, struct err *err);
/* The file loses its name; who has it open keeps it. */
void nbd_stage_forget(struct nbd_source *source);

#endif

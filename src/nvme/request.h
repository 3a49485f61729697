/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command on its way, and the namespace it works on.
 *
 * Life of a request: taken from the pool when its SQE is fetched, executed, completed once with
 * nvme_request_complete(); it goes back to the pool when its CQE is posted. A reset makes all
 * requests in flight "of an old life": their completion then only gives the request back.
 */
#ifndef NVME_REQUEST_H
#define NVME_REQUEST_H

#include <quoin/block.h>
#include <quoin/guest.h>

#include "queue.h"
#include "spec.h"

#define NVME_MDTS_BYTES ((uint64_t)NVME_PAGE << NVME_MDTS_SHIFT)
#define NVME_PIECES_MAX ((unsigned)(1U << NVME_MDTS_SHIFT) + 1)

enum nvme_request_state {
	NVME_REQUEST_FREE,
	NVME_REQUEST_RUNNING,  /* executing, or at the block layer */
	NVME_REQUEST_PARKED,   /* waits for something without end: an event, a queue to empty */
	NVME_REQUEST_FINISHED, /* status known, CQE not posted */
};

struct nvme_request {
	/* Hot: a read of one page touches these three cache lines, `block`, and pieces[0]. */
	struct nvme_controller *controller;
	struct nvme_request *next_free;
	struct nvme_sq *sq;
	struct nvme_cq *cq;
	struct nvme_namespace *namespace; /* counted in its in_flight, or NULL */
	uint32_t life;			  /* the controller's, when the command was fetched */
	uint32_t result;		  /* CQE DW0 */
	uint16_t status;
	uint16_t sq_id;
	uint8_t state;	 /* enum nvme_request_state */
	bool reserved;	 /* a slot of `cq` is promised to it */
	bool bucket;	 /* a piece without memory: SGL bit bucket */
	bool stepping;	 /* inside nvme_request_step() */
	bool step_again; /* a step was asked for meanwhile */
	struct nvme_command command;
	struct guest_hold hold;
	uint8_t *bounce;	     /* from the controller's pool, or NULL */
	struct nvme_namespace *gate; /* its exclusive use (`wait`) ends with the command, or NULL */
	uint64_t slba;
	uint64_t data_bytes;
	unsigned piece_count;
	struct block_request block;

	/* Cold: commands of several steps, bounce buffers, waiting. */
	struct list node;	   /* a CQ's finished list, or who waits for what it needs */
	struct nvme_wait wait;	   /* for exclusive use of a namespace */
	struct iovec bounce_piece; /* what the drive gets of `bounce` */
	void (*resume)(struct nvme_request *req); /* with the bounce buffer it waited for */
	bool (*step)(struct nvme_request *req);
	void (*then)(struct nvme_request *req); /* after nvme_request_flush_all() */
	int step_result;			/* first error of the steps */
	unsigned index;
	uint64_t cursor;
	struct nvme_request *partner; /* the other half of a fused pair, or NULL */
	union {
		struct iovec pieces[NVME_PIECES_MAX];
		/* Copy, once its ranges were read. */
		struct block_extent sources[NVME_PIECES_MAX];
	};
};

/*
 * nvme_namespaces are slots of the controller; slot nsid - 1 is in use when `channel` is set.
 * Exclusive use (format, detach, fused commands): see gate.c.
 */
struct nvme_namespace {
	struct nvme_controller *controller;
	unsigned nsid;
	struct block_channel *channel; /* NULL: not there */
	unsigned lba_shift;
	uint64_t block_count;
	bool attached; /* the guest may detach and attach it (namespace attachment) */
	bool read_only;
	bool formatting; /* commands end with "format in progress" */
	uint8_t nguid[16];
	uint8_t uuid[16];
	unsigned in_flight;
	struct list gate_waiters; /* struct nvme_wait; the first one owns the gate when granted */
	bool gate_granted;
	struct list gated_requests;  /* struct nvme_request, through node */
	struct nvme_wait *detaching; /* the transport's, while nvme_namespace_detach() waits */
	bool was_attached;	     /* when that began */
	struct nvme_wait detach_gate;
	uint8_t format_phase; /* see format.c */
	uint64_t format_done_bytes;
	struct nvme_request *formatter; /* while formatting */
	struct nvme_format_note format_note;
	void (*remember_format)(void *data, struct nvme_format_note *note);
	void *remember_data;
};

/* --- Requests (request.c) ------------------------------------------------------------------ */

/* `count` requests; -ENOMEM. */
MUST_CHECK int nvme_requests_init(struct nvme_controller *c, unsigned count);
void nvme_requests_fini(struct nvme_controller *c);

/*
 * Ends a command, exactly once, from anywhere in the loop's thread: status (with NVME_DNR where
 * due) and CQE DW0. Gives back namespace, hold and bounce buffer, counts, logs errors, posts the
 * CQE now or when its ring has room and memory. `req` is gone after this.
 */
void nvme_request_complete(struct nvme_request *req, uint16_t status, uint32_t dw0);

/* A free request for a command of `sq`, running; NULL when the pool, or the part of it that is
 * not kept back for the admin queue, is used up. */
struct nvme_request *nvme_request_take(struct nvme_controller *c, struct nvme_sq *sq);

/* Back to the pool: its CQE is posted, or nobody wants it. */
void nvme_request_free(struct nvme_request *req);

/* True when a reset came since the command was fetched: end it without further work. */
bool nvme_request_abandoned(const struct nvme_request *req);

/*
 * The command will wait for an outside event (AER, Delete SQ): gives back its CQ slot, and no
 * reset, shutdown or deletion waits for it. Whoever parked it completes it later; on a reset its
 * owner must complete it too (with any status; nothing is posted).
 */
void nvme_request_park(struct nvme_request *req);

/*
 * Runs req->step without recursion: now, or, when called from inside a step, once that returns.
 * A step returns false when it ended the request, true when a later event calls this again.
 */
void nvme_request_step(struct nvme_request *req);

/* --- Exclusive use of a namespace (gate.c) -------------------------------------------------- */

void nvme_gate_init(struct nvme_namespace *ns);

/* New commands queue up; wait->done() is called, maybe at once, when none is in flight and all
 * earlier owners have left. */
void nvme_gate_enter(struct nvme_namespace *ns, struct nvme_wait *wait);

/* Waits no longer for the gate that was not granted to it yet. */
void nvme_gate_cancel(struct nvme_namespace *ns, struct nvme_wait *wait);

/* The owner leaves; commands that queued up are looked at anew (they may find it detached). */
void nvme_gate_leave(struct nvme_namespace *ns, struct nvme_wait *wait);

/* Counts a command in; false when the gate is shut: the command then waits and is executed anew
 * by nvme_io_resume() later. */
bool nvme_gate_pass(struct nvme_namespace *ns, struct nvme_request *req);

/* Counts a command out. */
void nvme_gate_out(struct nvme_namespace *ns);

/* Ends a command that waits before a gate as aborted, and the other half of its fused pair. */
void nvme_gate_abort(struct nvme_request *req);

/* Ends all commands that wait before the gates (reset). */
void nvme_gates_abandon(struct nvme_controller *c);

#endif

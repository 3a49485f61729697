/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's verbs, without HTTP: workers, targets, and the files that remember them. Those on
 * pools and their volumes are in quoin/control_pool.h.
 *
 * One thread at a time calls these functions (never a worker). They block until the workers have
 * done their part, but never wait for a client.
 *
 * A verb that changes something saves the state before it says yes: what was answered with 0 is
 * still there after a kill. A verb that cannot save undoes itself.
 */
#ifndef QUOIN_CONTROL_H
#define QUOIN_CONTROL_H

#include <quoin/base.h>
#include <quoin/base_err.h>
#include <quoin/control_spec.h>

#define CONTROL_TARGETS_MAX 256
#define CONTROL_WORKERS_MAX 64
#define CONTROL_MEMORY_MIN (96 * MiB)
#define CONTROL_MEMORY_DEFAULT (256 * MiB)

struct control;
struct health_drives;
struct health_events;

struct control_params {
	const char *state_dir;	 /* exists or is created with mode 0700; locked */
	const char *runtime_dir; /* default place of the targets' sockets; the same */
	unsigned workers;      /* 0 = default: one per CPU in `cpus`, else by the machine's size */
	const char *cpus;      /* "0-3,8": workers are pinned, in turn; NULL = not pinned */
	uint64_t memory_bytes; /* bound on what targets and pools may take; 0 = default */
	const char *event_program, *event_url; /* events are handed on; NULL = not */
	const char *event_severity;	       /* these: this or worse; NULL = warning */
	const char *test_smart; /* recorded answers in the place of drives'; NULL = none */
	bool test_volumes;	/* error: and delay: may be used */
};

/*
 * Locks the state directory, starts the workers, restores pools and targets. One that cannot be
 * restored is kept as failed; a state file that cannot be understood is an error. -EBUSY (another
 * daemon has the directory), -EINVAL, -EUCLEAN (state file), ...
 */
MUST_CHECK int control_new(const struct control_params *params, struct control **ret_control,
			   struct err *err);

/*
 * Disconnects clients, waits for I/O in flight, closes the pools; then control_free() waits for
 * nothing. The last call but that one. -ETIMEDOUT when volumes do not answer: the process can only
 * end.
 */
MUST_CHECK int control_stop(struct control *control, struct err *err);

/* Disconnects clients, waits for I/O in flight, stops the workers. NULL is allowed. */
void control_free(struct control *control);

/*
 * Loops find out things that the thread of the verbs is to act on: targets may start that waited
 * for a volume. `wake` is called then, in any thread, and that thread calls control_errands_run()
 * soon after. NULL: nobody listens any more.
 */
void control_on_errand(struct control *control, void (*wake)(void *data), void *data);
void control_errands_run(struct control *control);

/* The journal of what happened; its functions may be called from any thread. */
struct health_events *control_events(struct control *control);

/* The S.M.A.R.T. watch over the drives of imported pools; the same. */
struct health_drives *control_drives(struct control *control);

unsigned control_worker_count(const struct control *control);

struct control_worker_info {
	int cpu; /* -1 = not pinned */
	unsigned targets;
	unsigned pools; /* at home here */
	uint64_t turns;
	uint64_t sleeps;
	uint64_t io_submitted;
	uint64_t io_batches;
	uint64_t messages;
};

/* index < control_worker_count(). */
void control_worker_info(const struct control *control, unsigned index,
			 struct control_worker_info *ret_info);

/* --- Targets ------------------------------------------------------------------------------ */

unsigned control_target_count(const struct control *control);

/* The name of the index-th target, in order of creation; valid until the next verb. */
const char *control_target_name(const struct control *control, unsigned index);

struct control_namespace_info {
	uint64_t capacity_bytes; /* 0 when the target is not running */
	unsigned block_size;
	bool read_only;
};

struct control_client_info {
	bool connected;
	int pid;		  /* 0 = unknown */
	uint64_t connections;	  /* since the target started */
	uint64_t protocol_errors; /* messages refused, clients dropped */
	unsigned memory_regions;
	bool memory_private;  /* the client does not share its RAM: it cannot work */
	char last_error[160]; /* why the last client was dropped; "" = none */
};

struct control_stats {
	uint64_t reads, writes, flushes, others;
	uint64_t read_bytes, written_bytes;
	uint64_t errors; /* commands completed with an error status */
	uint64_t mmio_doorbells;
	uint64_t interrupts;
	uint64_t polls_idle; /* polls that found nothing */
	uint64_t wakeups;
	unsigned in_flight;
	unsigned io_queues;
	bool enabled; /* CSTS.RDY */
	bool fatal;   /* CSTS.CFS */
	bool shadow_active;
};

struct control_target_info {
	const struct control_target_spec *spec; /* borrowed until the next verb */
	const char *socket_path;		/* the same */
	const char *failure;			/* why it does not run, or NULL */
	unsigned worker;
	struct control_client_info client; /* zero when it does not run, as is `stats` */
	struct control_stats stats;
};

/* -ENOENT. */
MUST_CHECK int control_target_info(struct control *control, const char *name,
				   struct control_target_info *ret_info, struct err *err);

/* index < spec->namespace_count. */
void control_namespace_info(struct control *control, const char *name, unsigned index,
			    struct control_namespace_info *ret_info);

/* -EEXIST, -EINVAL, -ENOSPC (too many, or beyond --memory), or what the volumes say. */
MUST_CHECK int control_target_create(struct control *control,
				     const struct control_target_spec *spec, struct err *err);
MUST_CHECK int control_target_destroy(struct control *control, const char *name, struct err *err);

/* Tries a failed target again. 0 when it runs already. */
MUST_CHECK int control_target_start(struct control *control, const char *name, struct err *err);

MUST_CHECK int control_namespace_attach(struct control *control, const char *name,
					const struct control_namespace_spec *ns, unsigned *ret_nsid,
					struct err *err);
MUST_CHECK int control_namespace_detach(struct control *control, const char *name, unsigned nsid,
					struct err *err);
MUST_CHECK int control_namespace_resize(struct control *control, const char *name, unsigned nsid,
					uint64_t size_bytes, struct err *err);

/* Looks at the volume's size again, as after a file or device grew outside. */
MUST_CHECK int control_namespace_rescan(struct control *control, const char *name, unsigned nsid,
					struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A target: one NVMe controller offered on a UNIX socket by the vfio-user protocol.
 *
 * The target lives on one loop. The functions below are called from the control thread (not from
 * a loop) and return when the loop has done its part; they never wait for a client, and for a
 * drive that does not answer no longer than `patience_ms`.
 * One client at a time; when it leaves, however abruptly, the controller is reset and the next may
 * connect.
 */
#ifndef QUOIN_VFIO_USER_H
#define QUOIN_VFIO_USER_H

#include <quoin/base.h>
#include <quoin/base_err.h>
#include <quoin/block.h>
#include <quoin/loop.h>
#include <quoin/nvme.h>

struct vfio_user_target;

struct vfio_user_target_params {
	struct loop *loop;
	const char *name; /* for messages */
	const char
		*socket_path; /* created with mode 0600 and locked; a left-over one is replaced */
	unsigned queue_pairs;
	unsigned queue_entries;
	unsigned namespaces;  /* NN */
	unsigned poll_us;     /* 0 = default */
	unsigned patience_ms; /* with drives that do not answer, see below; 0 = default */
	enum nvme_doorbell_mode doorbells;
	bool intx;
	const char *serial;
	const char *model;
	uint8_t uuid[16];
};

/* Listens. -EADDRINUSE (another process serves this socket), -ENAMETOOLONG, -EACCES ... */
MUST_CHECK int vfio_user_target_new(const struct vfio_user_target_params *params,
				    struct vfio_user_target **ret_target, struct err *err);

#define VFIO_USER_PATIENCE_MS 5000 /* the default */

/*
 * Disconnects the client, removes the socket, waits for I/O in flight. -ETIMEDOUT when a drive does
 * not answer: nobody can connect any more, and the call may be made again.
 */
MUST_CHECK int vfio_user_target_stop(struct vfio_user_target *target, struct err *err);

/* Stops it first, then without an end to its patience. NULL is allowed. */
void vfio_user_target_free(struct vfio_user_target *target);

struct vfio_user_namespace {
	unsigned nsid;
	struct block_device *device; /* borrowed until detached */
	uint8_t nguid[16];
	uint8_t uuid[16];
	bool read_only;

	/* As in struct nvme_namespace_params. */
	uint32_t block_bytes;
	void (*remember_format)(void *data, struct nvme_format_note *note);
	void *remember_data;
};

MUST_CHECK int vfio_user_target_attach(struct vfio_user_target *target,
				       const struct vfio_user_namespace *ns, struct err *err);

/* Waits for the namespace's commands in flight. -ETIMEDOUT: they do not end; it stays attached. */
MUST_CHECK int vfio_user_target_detach(struct vfio_user_target *target, unsigned nsid,
				       struct err *err);

/* Tells the guest that the device's capacity changed. */
void vfio_user_target_resized(struct vfio_user_target *target, unsigned nsid);

struct vfio_user_target_info {
	bool connected;
	int client_pid;		  /* 0 = unknown */
	uint64_t connections;	  /* since start */
	uint64_t protocol_errors; /* messages refused, clients dropped */
	unsigned memory_regions;
	bool memory_private;  /* the client's RAM is not shared with us: it cannot work */
	char last_error[160]; /* why the last client was dropped; "" = none */
	struct nvme_stats nvme;
};

void vfio_user_target_info(struct vfio_user_target *target, struct vfio_user_target_info *ret_info);

#endif

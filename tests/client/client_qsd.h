/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A qemu-storage-daemon of one's own, with one disk exported as vhost-user-blk: an independent
 * back end for the vhost-user client, and what qcow2 is measured with. Errors: negative errno.
 */
#ifndef CLIENT_QSD_H
#define CLIENT_QSD_H

#include "client_daemon.h"

/*
 * The export runs in an iothread, as QEMU's manual advises for speed. `process` is good for
 * daemon_alive(), daemon_stop() and the measuring of client_daemon.h; set process.cpus before
 * the start to keep all its threads there. Its words are in the file log of process.dir.
 *
 * QEMU 7.2 does not end on SIGTERM once a client left with requests in flight: reap them all and
 * call vhost_stop() before, or use SIGKILL.
 */
struct qsd {
	struct daemon process;
	char socket[DAEMON_PATH_MAX];
};

/* Paths must not contain a comma or a quote. */
struct qsd_disk {
	const char *path;    /* a file or a block device, there already */
	const char *format;  /* "qcow2", "raw" */
	const char *aio;     /* "io_uring", "native" (wants `direct`); NULL = threads */
	const char *options; /* more of --blockdev, as "l2-cache-size=32M"; NULL = none */
	bool direct;	     /* O_DIRECT */
	unsigned queues;     /* 0 = 1 */
};

/*
 * Makes a fresh directory. The program is $QUOIN_QSD or Debian's (package qemu-system-common).
 * -ENOENT: there is none.
 */
MUST_CHECK int qsd_init(struct qsd *qsd);

/* Kills what runs and removes the directory. */
void qsd_fini(struct qsd *qsd);

/* Returns when the socket is there. -ECHILD (it died: see the log), -ETIMEDOUT. */
MUST_CHECK int qsd_start(struct qsd *qsd, const struct qsd_disk *disk);

/*
 * A new image by $QUOIN_QEMU_IMG or Debian's qemu-img (package qemu-utils). `options` is -o:
 * "cluster_size=64k,extended_l2=on,preallocation=metadata"; NULL = the defaults. -ENOENT: no
 * such program; -EIO: it failed, its words are in the log.
 */
MUST_CHECK int qsd_image_create(struct qsd *qsd, const char *format, const char *options,
				const char *path, uint64_t size);

#endif

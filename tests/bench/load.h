/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One load for every kind of disk. A port is how requests reach a disk: the NVMe client of
 * tests/client, or a vhost-user client. The load keeps `depth` requests in flight on each of
 * `queues` queues from one thread, and takes the time of each from submission to the moment its end
 * is seen. With `flush` a request is a write and the flush that follows it.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <quoin/base.h>

#define LOAD_QUEUES_MAX 4
#define LOAD_DEPTH_MAX 64
#define LOAD_BLOCK_MAX (128 * KiB)

enum load_op { LOAD_READ, LOAD_WRITE, LOAD_FLUSH };

struct load_request {
	unsigned queue;
	unsigned slot; /* below LOAD_DEPTH_MAX: its buffer, and what reap() gives back */
	enum load_op op;
	uint64_t offset;
	uint32_t length_bytes; /* up to LOAD_BLOCK_MAX */
};

struct load_done {
	unsigned slot;
	bool failed;
};

struct load_port;

struct load_port_ops {
	void (*submit)(struct load_port *port, const struct load_request *request);
	/* What was submitted to the queue since is told to the disk. */
	void (*ring)(struct load_port *port, unsigned queue);
	unsigned (*reap)(struct load_port *port, unsigned queue, struct load_done *done,
			 unsigned max);
	/* Sleeps until one of the first `queues` queues has something, or some milliseconds. */
	void (*wait)(struct load_port *port, unsigned queues);
	/* Of the process that serves the disk, so far. */
	uint64_t (*cpu_ns)(struct load_port *port);
	void (*close)(struct load_port *port);
};

struct load_port {
	const struct load_port_ops *ops;
	uint64_t size_bytes;
};

struct load_job {
	bool write;
	bool random; /* else each queue goes through its part of the region from its begin on */
	bool flush;
	uint32_t block_bytes;
	unsigned depth, queues;
	uint64_t region_bytes; /* from 0 on; 0 = the whole disk */
	unsigned run_ms;       /* reads, and `flush`: after a fifth of it to get going */
	uint64_t total_bytes;  /* not 0: ends when so much was done, without a start */
	uint64_t seed;
};

/* Plain writes end with one flush, whose time counts. */
static inline bool load_flushes_last(const struct load_job *job)
{
	return job->write && !job->flush && job->total_bytes == 0;
}

struct load_result {
	uint64_t count, errors;
	double iops;
	uint64_t p50_ns, p99_ns, p999_ns, max_ns;
	double cpu_us; /* of the serving process, per request; < 0: not known */
};

/* -EIO: the disk stopped answering. */
MUST_CHECK int load_run(struct load_port *port, const struct load_job *job,
			struct load_result *ret);

/* Allocating load buffers, what a port has one of for each (queue, slot). */
static inline unsigned load_buffer(unsigned queue, unsigned slot)
{
	return queue * LOAD_DEPTH_MAX + slot;
}

struct daemon;

/* An NVMe disk of `daemon` at the socket `path`. */
MUST_CHECK int port_nvme_open(struct daemon *daemon, const char *path, struct load_port **ret_port);

/* A new qcow2 file of `size_bytes`, made at `path`. -ENOENT: there is no qemu-storage-daemon. */
MUST_CHECK int port_qcow2_open(const char *path, uint64_t size_bytes, struct load_port **ret_port);

#endif

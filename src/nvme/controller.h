/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller from inside: shared by the files of this room, nobody else.
 *
 *   controller.c life of the whole
 *   pci.c        configuration space, MSI-X capability, FLR, BAR dispatch
 *   registers.c  CAP..ACQ, the enable / reset / shutdown machine
 *   request.c    the pool of commands in flight, completion
 *   queue.c      submission and completion rings, fetch, post
 *   queue_admin.c Create and Delete I/O queues
 *   doorbell.c   MMIO, shadow and mapped doorbells; the poller
 *   interrupt.c  MSI-X, INTx, coalescing
 *   data.c       PRP and SGL to pieces of guest memory; copies
 *   gate.c       exclusive use of a namespace
 *   io*.c        NVM commands
 *   admin.c ...  admin commands: identify.c, feature.c, log.c, event.c, format.c
 *   namespace.c  attach, detach, resize
 *
 * Status values without NVME_DNR invite the guest to try again.
 */
#ifndef NVME_CONTROLLER_H
#define NVME_CONTROLLER_H

#include <stdatomic.h>

#include <quoin/base_assert.h>
#include <quoin/base_endian.h>
#include <quoin/base_math.h>
#include <quoin/nvme.h>

#include "admin.h"
#include "data.h"
#include "doorbell.h"
#include "event.h"
#include "feature.h"
#include "interrupt.h"
#include "io.h"
#include "log.h"
#include "pci.h"
#include "queue.h"
#include "registers.h"
#include "request.h"
#include "spec.h"

/* Kept back for the admin queue, so that I/O cannot starve it. */
#define NVME_ADMIN_REQUESTS 32

struct nvme_controller {
	struct loop *loop;
	struct guest_memory *memory;
	struct nvme_params params; /* serial and model point to the copies below */
	char serial[21];
	char model[41];

	uint32_t life;	    /* changes at every reset: older requests are abandoned */
	unsigned in_flight; /* requests that may still touch guest memory */
	bool stopped;	    /* no fetching: shutdown, failed, or not enabled */
	struct nvme_request *requests;
	unsigned request_count;
	unsigned request_fresh;		    /* requests from here on were never used */
	struct nvme_request *free_requests; /* last in, first out: the warm ones */
	unsigned free_count;
	uint64_t kicks; /* namespaces (bit nsid - 1) with commands the drive holds back */

	struct nvme_registers registers;
	const struct nvme_request *newest; /* that was started, running or not any more */
	struct nvme_doorbells doorbells;
	struct nvme_interrupts interrupts;
	struct nvme_bounce_pool bounces;
	struct nvme_stats stats;

	struct nvme_sq *live[NVME_QUEUES_MAX]; /* submission queues in service */
	unsigned live_count;

	struct nvme_pci pci;
	struct nvme_features features;
	struct nvme_log log;
	struct nvme_events events;

	/* Behind this struct, in this order: as many as there may be, by params. */
	struct nvme_sq *sqs; /* with the admin queue */
	struct nvme_cq *cqs;
	struct nvme_namespace *namespaces; /* slot nsid - 1 */
	size_t memory_bytes;

	/* Last, as it is used late. */
	struct nvme_request shutdown; /* flushes the namespaces when the guest shuts down */
};

#endif

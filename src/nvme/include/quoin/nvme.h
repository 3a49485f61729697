/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An NVMe controller as a PCI function (NVMe 1.4 semantics, PCIe transport): configuration space,
 * BAR0 (registers, doorbells, MSI-X table and PBA), queues, commands. It sees the guest only as
 * guest memory and interrupts; a transport carries register accesses in and interrupts out.
 *
 * Everything runs in the thread of `params->loop`. Nothing here blocks: what must wait for a
 * drive ends in a callback.
 */
#ifndef QUOIN_NVME_H
#define QUOIN_NVME_H

#include <quoin/base.h>
#include <quoin/block.h>
#include <quoin/guest.h>
#include <quoin/loop.h>

#define NVME_QUEUE_PAIRS_MAX 64 /* I/O queue pairs */
#define NVME_NAMESPACES_MAX 64	/* NN is at most this */
#define NVME_QUEUE_ENTRIES_MAX 1024
#define NVME_MDTS_SHIFT 7 /* maximum data transfer: 2^7 pages = 512 KiB */
#define NVME_CONFIG_SIZE 4096
#define NVME_BAR_SIZE 0x8000
#define NVME_BAR_DOORBELLS 0x1000 /* one page: the only part a client may map */
#define NVME_BAR_MSIX_TABLE 0x4000
#define NVME_BAR_MSIX_PBA 0x5000

struct nvme_controller;

/* What the controller needs of its transport. Called in the loop's thread. */
struct nvme_transport_ops {
	/* Signals MSI-X vector `vector`; the transport latches it when it has nobody to tell. */
	void (*msix_fire)(void *transport, unsigned vector);

	/* The INTx line has this level now (called on every change, not repeated). */
	void (*intx_set)(void *transport, bool level);

	/* Is a message of `vector` latched, for the Pending Bit Array? NULL: never. */
	bool (*msix_pending)(void *transport, unsigned vector);
};

enum nvme_doorbell_mode {
	NVME_DOORBELLS_SHADOW, /* MMIO, and Doorbell Buffer Config is offered */
	NVME_DOORBELLS_MAPPED, /* the client writes a shared page; the controller polls it */
};

struct nvme_params {
	struct loop *loop;
	struct guest_memory *memory; /* borrowed, outlives the controller */
	const struct nvme_transport_ops *transport;
	void *transport_data;
	unsigned queue_pairs;	/* 1..NVME_QUEUE_PAIRS_MAX */
	unsigned queue_entries; /* power of two, 2..NVME_QUEUE_ENTRIES_MAX (MQES + 1) */
	unsigned namespaces;	/* NN, fixed for life */
	unsigned commands_max;	/* in flight over all queues; bounds memory */
	unsigned poll_us;	/* keep polling this long after the last command; 0 = default */
	enum nvme_doorbell_mode doorbells;
	uint32_t *doorbell_page; /* mapped mode: the shared page; borrowed */
	bool intx;		 /* offer INTx */
	const char *serial;	 /* <= 20 printable ASCII characters, unique per controller */
	const char *model;	 /* <= 40 */
	uint8_t uuid[16];	 /* subsystem identity: SUBNQN is made from it */
};

/* -EINVAL (a parameter out of range), -ENOMEM. */
MUST_CHECK int nvme_controller_new(const struct nvme_params *params, struct nvme_controller **ret);

/* After nvme_controller_reset() completed, with all namespaces detached. NULL is allowed. */
void nvme_controller_free(struct nvme_controller *controller);

/* --- PCI function ------------------------------------------------------------------------- */

/* Any offset and length within the space; reads and writes never fail (reserved reads 0). */
void nvme_config_read(struct nvme_controller *controller, unsigned offset, void *data,
		      unsigned length);
void nvme_config_write(struct nvme_controller *controller, unsigned offset, const void *data,
		       unsigned length);
void nvme_bar_read(struct nvme_controller *controller, unsigned offset, void *data,
		   unsigned length);
void nvme_bar_write(struct nvme_controller *controller, unsigned offset, const void *data,
		    unsigned length);

struct nvme_wait {
	struct list node;
	void (*done)(struct nvme_wait *wait);
};

enum nvme_reset {
	NVME_RESET_FUNCTION,   /* DEVICE_RESET: the PCI function, configuration space included */
	NVME_RESET_DISCONNECT, /* the client is gone: the same, and nobody is interrupted */
};

/*
 * Resets; done() is called, maybe before this returns, when no command is in flight and no guest
 * memory will be touched.
 */
void nvme_controller_reset(struct nvme_controller *controller, enum nvme_reset kind,
			   struct nvme_wait *wait);

/* Regions were added to, or taken from, the guest memory: look again at what was out of reach. */
void nvme_controller_memory_changed(struct nvme_controller *controller);

/* The transport took an INTx unmask: true when the line is (still) high. */
bool nvme_controller_intx_level(const struct nvme_controller *controller);

/* --- Namespaces --------------------------------------------------------------------------- */

struct nvme_format_note {
	unsigned nsid;
	uint32_t block_bytes;
	int result; /* set before done(): 0 or negative errno */
	void (*done)(struct nvme_format_note *note);
};

struct nvme_namespace_params {
	unsigned nsid;		       /* 1..params.namespaces */
	struct block_channel *channel; /* borrowed until detached */
	uint8_t nguid[16];	       /* non-zero, unique in the world, stable */
	uint8_t uuid[16];
	bool read_only;
	uint32_t block_bytes; /* 512 or 4096; 0 = the device's logical block size */

	/*
	 * The guest formats the namespace to blocks of another size: to be remembered durably, and
	 * given as block_bytes next time, or the guest cannot read its disk. Takes `note` until
	 * note->done(note), in the loop's thread. NULL: nobody remembers, only one format is
	 * offered.
	 */
	void (*remember_format)(void *data, struct nvme_format_note *note);
	void *remember_data;
};

/* Tells the guest by an event when one is due. -EEXIST, -EINVAL (nsid, channel's limits). */
MUST_CHECK int nvme_namespace_attach(struct nvme_controller *controller,
				     const struct nvme_namespace_params *params);

/* done() when no command uses the namespace any more. -ENOENT (also while it is detaching). */
MUST_CHECK int nvme_namespace_detach(struct nvme_controller *controller, unsigned nsid,
				     struct nvme_wait *wait);

/*
 * Takes a detach back whose drive does not answer: the namespace is there again, and done() will
 * not be called. False when it was called already.
 */
MUST_CHECK bool nvme_namespace_detach_cancel(struct nvme_controller *controller, unsigned nsid);

/* The capacity of the namespace's block device changed. */
void nvme_namespace_resized(struct nvme_controller *controller, unsigned nsid);

/* --- Counters ------------------------------------------------------------------------------ */

struct nvme_stats {
	uint64_t reads, writes, flushes, others;
	uint64_t read_bytes, written_bytes;
	uint64_t errors;	 /* commands completed with an error status */
	uint64_t mmio_doorbells; /* doorbell writes that came as register writes */
	uint64_t interrupts;
	uint64_t polls_idle; /* polls that found nothing */
	uint64_t wakeups;    /* times the poller was armed and went to sleep */
	unsigned in_flight;
	unsigned io_queues; /* submission queues that exist */
	bool enabled;	    /* CSTS.RDY */
	bool fatal;	    /* CSTS.CFS */
	bool shadow_active;
};

void nvme_controller_stats(const struct nvme_controller *controller, struct nvme_stats *ret_stats);

#endif

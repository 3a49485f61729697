/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts to the client: eventfds by index and vector, as SET_IRQS assigns them.
 *
 * MSI-X: a vector that fires while it has no eventfd is latched, and fires when it gets one: the
 * client takes eventfds away for a moment whenever the guest masks a vector.
 * INTx: a level. Rising, and every unmask while it is high, signals the eventfd; an unmask comes
 * as a message or, with KVM, as a signal on the "resample" eventfd.
 * ERR has one eventfd, which is accepted and never signalled: QEMU would stop the guest.
 */
#ifndef VFIO_USER_IRQ_H
#define VFIO_USER_IRQ_H

#include <quoin/base_bitmap.h>
#include <quoin/loop.h>

#include "wire.h"

#define VFIO_VECTORS_MAX 256

struct vfio_irqs {
	struct loop *loop;
	unsigned counts[VFIO_IRQ_COUNT]; /* vectors of each index */
	int msix[VFIO_VECTORS_MAX];	 /* eventfds, -1 = none */
	uint64_t pending[BITMAP_WORDS(VFIO_VECTORS_MAX)];
	int intx;
	bool intx_level;
	bool intx_masked;
	int resample;
	struct loop_watch resample_watch;
	int err;
	uint64_t signals; /* eventfds written to */
};

/* `vectors` for MSI-X, at most VFIO_VECTORS_MAX. */
void vfio_irqs_init(struct vfio_irqs *irqs, struct loop *loop, unsigned vectors, bool intx);

/* Closes all eventfds and forgets what is latched. The level stays: it is the device's. */
void vfio_irqs_clear(struct vfio_irqs *irqs);

/* Forgets what is latched: the device was reset. */
void vfio_irqs_forget(struct vfio_irqs *irqs);

/*
 * Does what a SET_IRQS asks for; takes the descriptors it uses out of `fds`. -EINVAL (nothing is
 * changed then), -ENOMEM.
 */
MUST_CHECK int vfio_irqs_set(struct vfio_irqs *irqs, const struct vfio_irq_set *set, int *fds,
			     unsigned fd_count);

/* What GET_IRQ_INFO tells about an index < VFIO_IRQ_COUNT. */
uint32_t vfio_irqs_flags(const struct vfio_irqs *irqs, unsigned index);

/* `vector` < counts[VFIO_IRQ_MSIX]. */
void vfio_irqs_fire(struct vfio_irqs *irqs, unsigned vector);
void vfio_irqs_intx(struct vfio_irqs *irqs, bool level);

#endif

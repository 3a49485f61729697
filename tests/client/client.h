/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The test client: an NVMe host over vfio-user in user space. It shares nothing with the server
 * but the room `base`, so that both can be held against each other.
 *
 *   client_wire.h    messages as bytes
 *   client_socket.h  one connection
 *   client_device.h  regions, memory, interrupts: what a virtual machine monitor does
 *   client_ram.h     guest memory
 *   client_nvme.h    NVMe structures and numbers
 *   client_queue.h   rings and doorbells, with the fast path
 *   client_prp.h     data pointers
 *   client_host.h    the driver
 *   client_daemon.h  a quoind to test against
 *
 * And a virtio-blk driver over vhost-user, on the same memory and sockets:
 *
 *   client_vhost_wire.h   messages, rings and requests as bytes
 *   client_vhost_queue.h  rings, with the fast path
 *   client_vhost.h        the driver
 *   client_qsd.h          a qemu-storage-daemon to drive
 */
#ifndef CLIENT_H
#define CLIENT_H

#include "client_daemon.h"
#include "client_host.h"
#include "client_prp.h"
#include "client_qsd.h"
#include "client_vhost.h"

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Version negotiation: the client's version and JSON in, ours out. */
#ifndef VFIO_USER_VERSION_H
#define VFIO_USER_VERSION_H

#include "wire.h"

/* QEMU reads the whole reply, header included, into the buffer of its request. */
#define VFIO_VERSION_REPLY_MAX 214
#define VFIO_VERSION_TEXT_MAX 65536

/* What a client may say of itself. */
struct vfio_capabilities {
	uint64_t fds_max;
	uint64_t data_max_bytes;
};

/*
 * Reads a client's JSON (`text` may be NULL: all defaults). Unknown keys are ignored.
 * -EINVAL: not JSON, a known key of the wrong type or with an impossible value.
 */
MUST_CHECK int vfio_capabilities_parse(const char *text, size_t length,
				       struct vfio_capabilities *ret_capabilities);

/*
 * Answers the payload of a VERSION command: writes ours to `reply`, at most
 * VFIO_VERSION_REPLY_MAX - VFIO_HEADER_BYTES bytes, and its size to *ret_bytes.
 * -EINVAL: the client's payload, or its major version, is no good.
 */
MUST_CHECK int vfio_version_negotiate(const uint8_t *payload, size_t size_bytes, uint8_t *reply,
				      size_t *ret_bytes);

#endif

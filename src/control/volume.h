/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes from inside: from a namespace's specification to an open block device. */
#ifndef CONTROL_VOLUME_H
#define CONTROL_VOLUME_H

#include <sys/stat.h>

#include <quoin/block.h>
#include <quoin/control_spec.h>

/* The block_open() words for a namespace: its volume with its read-only and block-size options. */
char *control_volume_spec(const struct control_namespace_spec *ns);

/* True when it is a file: volume of this file. */
bool control_volume_is_file(const char *volume, const struct stat *st);

/* True when it has the shape of POOL/NAME: no other kind has that. */
bool control_volume_in_pool(const char *volume);

/*
 * True when two namespaces cannot have them together: file: volumes of the same file or device, as
 * the file system sees it now, or the same volume of a pool, unless both only read it.
 */
bool control_volume_clash(const struct control_namespace_spec *a,
			  const struct control_namespace_spec *b);

/* The volume with its size replaced, when it is one that carries its size (null:). Else false. */
bool control_volume_set_size(char volume[CONTROL_VOLUME_MAX + 1], uint64_t size_bytes);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Fields that several structures on disk have: texts with a NUL, and roots of trees. */
#ifndef POOL_FORMAT_FIELD_H
#define POOL_FORMAT_FIELD_H

#include <errno.h>

#include <quoin/base_assert.h>

#include "format/node.h"

/* A NUL within the field and no control characters before it; empty counts. */
static inline bool field_text_valid(const void *field, size_t bytes)
{
	const uint8_t *text = field;
	const size_t length = strnlen(field, bytes);

	for (size_t i = 0; i < length; i++)
		if (text[i] < 0x20)
			return false;
	return length < bytes;
}

/* What stands behind the NUL is nobody's, and does not travel. */
static inline void field_text_copy(void *to, const void *from, size_t bytes)
{
	const size_t length = strnlen(from, bytes);

	ASSERT_U64(length, <, bytes);
	memcpy(to, from, length);
	memset((uint8_t *)to + length, 0, bytes - length);
}

/* A pointer to a tree of this kind, or to nothing. */
MUST_CHECK static inline int field_root_get(const uint8_t *from, enum node_kind kind,
					    struct node_ptr *ret_root)
{
	struct node_ptr root;
	int r = node_ptr_decode(from, &root);

	if (r < 0)
		return r;
	if (root.vaddr != 0 && root.kind != kind)
		return -EUCLEAN;
	*ret_root = root;
	return 0;
}

static inline bool field_bytes_zero(const uint8_t *from, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (from[i] != 0)
			return false;
	return true;
}

#endif

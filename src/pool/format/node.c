/* SPDX-License-Identifier: Apache-2.0 */
/* Pointers to pages, map entries, and their checks. */
#include <errno.h>

#include <quoin/codec.h>

#include "format/node.h"

_Static_assert(CODEC_CHECK_BYTES == sizeof(((struct node_ptr *)0)->check), "a whole check");
_Static_assert(CHECK_BYTES <= CODEC_CHECK_BYTES, "an entry has the first bytes of a check");

void node_ptr_encode(const struct node_ptr *ptr, uint8_t to[NODE_PTR_BYTES])
{
	memset(to, 0, NODE_PTR_BYTES);
	if (ptr->vaddr == 0)
		return;
	le48_put(to, ptr->vaddr);
	to[6] = ptr->level;
	to[7] = ptr->kind;
	le32_put(to + 8, ptr->epoch);
	le64_put(to + 12, ptr->live);
	memcpy(to + 20, ptr->check, sizeof(ptr->check));
	/* 36..55: a portable hash, once there is encryption. */
	le48_put(to + 56, ptr->ckpt);
}

int node_ptr_decode(const uint8_t from[NODE_PTR_BYTES], struct node_ptr *ret_ptr)
{
	static const uint8_t nothing[NODE_PTR_BYTES];
	struct node_ptr ptr = {.vaddr = le48_get(from)};

	if (ptr.vaddr == 0) {
		if (memcmp(from, nothing, NODE_PTR_BYTES) != 0)
			return -EUCLEAN;
		*ret_ptr = ptr;
		return 0;
	}
	ptr.level = from[6];
	ptr.kind = from[7];
	ptr.epoch = le32_get(from + 8);
	ptr.live = le64_get(from + 12);
	memcpy(ptr.check, from + 20, sizeof(ptr.check));
	ptr.ckpt = le48_get(from + 56);
	if (ptr.level > NODE_LEVELS_MAX || ptr.kind == NODE_NONE || ptr.kind >= NODE_KIND_COUNT ||
	    vaddr_segment(ptr.vaddr) == 0)
		return -EUCLEAN;
	*ret_ptr = ptr;
	return 0;
}

void entry_encode(const struct entry *entry, uint8_t to[ENTRY_BYTES])
{
	le48_put(to, entry->vaddr);
	le48_put(to + 6, entry->seq);
	le32_put(to + 12, entry->epoch);
	le16_put(to + 16, entry->salt);
	le16_put(to + 18, entry->prop);
	memcpy(to + 20, entry->check, CHECK_BYTES);
}

void entry_decode(const uint8_t from[ENTRY_BYTES], struct entry *ret_entry)
{
	ret_entry->vaddr = le48_get(from);
	ret_entry->seq = le48_get(from + 6);
	ret_entry->epoch = le32_get(from + 12);
	ret_entry->salt = le16_get(from + 16);
	ret_entry->prop = le16_get(from + 18);
	memcpy(ret_entry->check, from + 20, CHECK_BYTES);
}

void entry_check_make(const void *block, uint64_t seq, uint8_t ret_check[CHECK_BYTES])
{
	uint8_t check[CODEC_CHECK_BYTES];

	codec_check128(block, PAGE_BYTES, seq, check);
	memcpy(ret_check, check, CHECK_BYTES);
}

bool entry_check_matches(const void *block, const uint8_t raw[ENTRY_BYTES])
{
	uint8_t check[CHECK_BYTES];

	entry_check_make(block, entry_seq(raw), check);
	return memcmp(check, raw + 20, CHECK_BYTES) == 0;
}

void node_check_make(const void *page, uint64_t seed, uint8_t ret_check[16])
{
	codec_check128(page, PAGE_BYTES, seed, ret_check);
}

bool node_check_matches(const void *page, uint64_t seed, const uint8_t check[16])
{
	uint8_t made[16];

	node_check_make(page, seed, made);
	return memcmp(made, check, sizeof(made)) == 0;
}

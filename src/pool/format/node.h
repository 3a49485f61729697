/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes on disk: pages, pointers to pages, and map entries. docs/FORMAT.md has every bit.
 *
 * Everything is little endian. The unit is the 4 KiB page (metadata) or block (data); both live in
 * a *slot* of a segment. A slot's address, the vaddr, is 48 bits: segment 24, slot 24. No segment
 * has number 0, so vaddr 0 means "nothing".
 *
 * All metadata but labels, bitmaps and the log hangs in trees of one kind: a leaf page of records
 * and inner pages of 64 pointers, addressed by page index. A pointer carries the check of the page
 * it points to, seeded with what the page is for, so a page that was lost, rotted or came from
 * elsewhere is seen before it is used.
 */
#ifndef POOL_FORMAT_NODE_H
#define POOL_FORMAT_NODE_H

#include <string.h>

#include <quoin/base.h>
#include <quoin/base_endian.h>

#define PAGE_BYTES 4096
#define PAGE_SHIFT 12
#define SECTOR_BYTES 512 /* smallest write a volume takes */
#define SECTORS_PER_BLOCK 8

#define NODE_FANOUT 64 /* pointers in an inner page */
#define NODE_FANOUT_SHIFT 6
#define NODE_LEVELS_MAX 7 /* levels above the leaf; beyond any 64-bit byte size */
#define NODE_PTR_BYTES 64

#define LEAF_ENTRIES 128 /* a map leaf covers 512 KiB of a volume */
#define LEAF_SHIFT 7
#define ENTRY_BYTES 32
#define CHECK_BYTES 12

#define VADDR_SLOT_BITS 24
#define VADDR_SLOT_MASK ((UINT64_C(1) << VADDR_SLOT_BITS) - 1)
#define SEGMENT_MAX (UINT64_C(1) << 24)
#define SEQ_MAX ((UINT64_C(1) << 48) - 1)

static inline uint64_t vaddr_make(uint64_t segment, uint64_t slot)
{
	return segment << VADDR_SLOT_BITS | slot;
}
static inline uint32_t vaddr_segment(uint64_t vaddr)
{
	return (uint32_t)(vaddr >> VADDR_SLOT_BITS);
}
static inline uint32_t vaddr_slot(uint64_t vaddr)
{
	return (uint32_t)(vaddr & VADDR_SLOT_MASK);
}

/* 48 and 40-bit little-endian fields. */
static inline uint64_t le48_get(const uint8_t *p)
{
	return (uint64_t)le32_get(p) | (uint64_t)le16_get(p + 4) << 32;
}
static inline void le48_put(uint8_t *p, uint64_t v)
{
	le32_put(p, (uint32_t)v);
	le16_put(p + 4, (uint16_t)(v >> 32));
}
static inline uint64_t le40_get(const uint8_t *p)
{
	return (uint64_t)le32_get(p) | (uint64_t)p[4] << 32;
}
static inline void le40_put(uint8_t *p, uint64_t v)
{
	le32_put(p, (uint32_t)v);
	p[4] = (uint8_t)(v >> 32);
}

/* What a tree is for: part of the seed of its pages' checks. */
enum node_kind {
	NODE_NONE,
	NODE_MAP,	/* leaf: 128 map entries */
	NODE_VOLUMES,	/* leaf: 8 volume records */
	NODE_SNAPSHOTS, /* leaf: 8 snapshot records */
	NODE_SEGMENTS,	/* leaf: 8 segment records */
	NODE_DEADLIST,	/* leaf: deadlist page */
	NODE_HISTORY,	/* leaf: 8 history records */
	NODE_BITMAP,	/* no tree: a page of a segment's bitmap */
	NODE_SHARES,	/* leaf: a byte for each of 4096 slots */
	NODE_KIND_COUNT,
};

/* A pointer to a page, decoded. vaddr 0: nothing there, all other fields are 0 too. */
struct node_ptr {
	uint64_t vaddr;
	uint64_t live;	/* map: blocks below that are no hole; deadlist: entries; else leaves */
	uint64_t ckpt;	/* 48 bits: the checkpoint that wrote the page */
	uint32_t epoch; /* map: birth of the page, >= birth of all below; deadlist: newest entry */
	uint8_t level;	/* 0 = leaf */
	uint8_t kind;	/* enum node_kind */
	uint8_t check[16];
};

/* A map entry, decoded. In memory and on disk it otherwise stays in its 32 bytes. */
struct entry {
	uint64_t vaddr; /* 0: a hole */
	uint64_t seq;	/* 48 bits; 0 only in the all-zero entry "never written" */
	uint32_t epoch; /* birth */
	uint16_t salt;	/* 0 until encryption */
	uint16_t prop;	/* 0: one block, stored as it is */
	uint8_t check[CHECK_BYTES];
};

/* The seed of a page's check. Pages of a deadlist may move within it: their index counts as 0. */
static inline uint64_t node_seed(enum node_kind kind, unsigned level, uint64_t index)
{
	const uint64_t where = kind == NODE_DEADLIST && level == 0 ? 0 : index;

	return (uint64_t)kind << 56 | (uint64_t)level << 48 | where;
}

void node_ptr_encode(const struct node_ptr *ptr, uint8_t to[NODE_PTR_BYTES]);

/*
 * -EUCLEAN: bytes that no writer makes: an unknown kind or level, or a "nothing" with content.
 * Whether it fits where it stands (kind, level, segment) is judged by who follows it.
 */
MUST_CHECK int node_ptr_decode(const uint8_t from[NODE_PTR_BYTES], struct node_ptr *ret_ptr);

void entry_encode(const struct entry *entry, uint8_t to[ENTRY_BYTES]);
void entry_decode(const uint8_t from[ENTRY_BYTES], struct entry *ret_entry);

static inline uint64_t entry_vaddr(const uint8_t raw[ENTRY_BYTES])
{
	return le48_get(raw);
}
static inline uint64_t entry_seq(const uint8_t raw[ENTRY_BYTES])
{
	return le48_get(raw + 6);
}
static inline uint32_t entry_epoch(const uint8_t raw[ENTRY_BYTES])
{
	return le32_get(raw + 12);
}

/* The leaf of the reference table that a data block is in, and its byte there. */
static inline uint64_t shares_leaf_index(uint64_t vaddr)
{
	return vaddr >> VADDR_SLOT_BITS << 6 | (vaddr & VADDR_SLOT_MASK) >> PAGE_SHIFT;
}
static inline unsigned shares_leaf_slot(uint64_t vaddr)
{
	return vaddr & (PAGE_BYTES - 1);
}
static inline uint64_t shares_vaddr(uint64_t leaf, unsigned slot)
{
	return leaf >> 6 << VADDR_SLOT_BITS | (leaf & 63) << PAGE_SHIFT | slot;
}

/* The check of a data block: 96 bits of XXH3-128, seeded with the entry's seq. */
void entry_check_make(const void *block, uint64_t seq, uint8_t ret_check[CHECK_BYTES]);
bool entry_check_matches(const void *block, const uint8_t raw[ENTRY_BYTES]);

/* The check of a page, as its pointer carries it. */
void node_check_make(const void *page, uint64_t seed, uint8_t ret_check[16]);
bool node_check_matches(const void *page, uint64_t seed, const uint8_t check[16]);

/* Leaf pages that `level` levels above the leaf can address: 64^level. */
static inline uint64_t node_span_pages(unsigned level)
{
	return UINT64_C(1) << (NODE_FANOUT_SHIFT * level);
}

/* The fewest levels that address `pages` leaf pages. */
static inline unsigned node_levels_for(uint64_t pages)
{
	unsigned level = 0;

	while (level < NODE_LEVELS_MAX && node_span_pages(level) < pages)
		level++;
	return level;
}

#endif

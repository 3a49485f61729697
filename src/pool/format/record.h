/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes on disk: the records in the leaf pages of the volume, snapshot, segment and history trees
 * (8 of 512 bytes each; record n is in page n / 8), and the pages of deadlists and bitmaps.
 */
#ifndef POOL_FORMAT_RECORD_H
#define POOL_FORMAT_RECORD_H

#include "format/node.h"

#define RECORD_BYTES 512
#define RECORDS_PER_PAGE 8
#define VOLUME_NAME_BYTES 64 /* with the NUL; snapshots too */

#define SEGMENT_COLUMNS_MAX 4
#define SEGMENT_BITMAPS_MAX 8
#define BITMAP_PAGE_SLOTS 32768 /* bits of a page */

#define SNAPSHOT_HOLDS_MAX 4
#define HOLD_TAG_BYTES 32 /* with the NUL */

#define DEADLIST_ENTRIES 252
#define DEADLIST_ENTRY_BYTES 16
#define HISTORY_TEXT_BYTES 480

enum segment_class { SEGMENT_DATA = 1, SEGMENT_META, SEGMENT_LOG };
enum segment_profile { PROFILE_SINGLE = 1, PROFILE_MIRROR };

struct segment_column {
	uint16_t drive; /* index in the superblock's table */
	uint32_t chunk; /* 0 = the first after the front label */
};

/* A page of the segment's bitmap: which slots the trees of this checkpoint refer to. */
struct segment_bitmap {
	uint64_t vaddr; /* 0: all clear */
	uint8_t check[16];
};

struct segment_record {
	uint8_t class;	 /* enum segment_class; 0 = no such segment, and all is 0 */
	uint8_t profile; /* enum segment_profile */
	uint8_t column_count;
	uint16_t group; /* data: the drive group it lies in */
	uint32_t slot_count;
	uint32_t used; /* bits set in the bitmap; log segments have no bitmap */
	uint64_t birth_ckpt;
	struct segment_column columns[SEGMENT_COLUMNS_MAX];
	struct segment_bitmap bitmaps[SEGMENT_BITMAPS_MAX];
};

/* The index that seeds the check of a bitmap page (NODE_BITMAP, level 0). */
static inline uint64_t segment_bitmap_index(uint32_t segment, unsigned page)
{
	return (uint64_t)segment * SEGMENT_BITMAPS_MAX + page;
}

enum volume_state { VOLUME_NONE, VOLUME_LIVE, VOLUME_DESTROYING };
enum full_policy { FULL_ERROR, FULL_PAUSE };
/* What is not plain needs FEATURE_KINDS: another reader would take it for a disk. */
enum volume_kind { VOLUME_PLAIN, VOLUME_ARRIVING, VOLUME_HIDDEN };

/* A list of blocks that the snapshot before has and this volume or snapshot has no more. */
struct deadlist {
	struct node_ptr root; /* NODE_DEADLIST */
	uint64_t pages;	      /* page indices are below; some may be gone */
	uint64_t data, meta;  /* entries, by the class of their segment */
};

struct volume_record {
	uint8_t state;	/* enum volume_state */
	uint8_t policy; /* enum full_policy */
	uint8_t read_only;
	uint8_t kind; /* enum volume_kind */
	uint8_t guid[16];
	uint64_t size_bytes;
	struct node_ptr root;
	struct deadlist dead;
	uint32_t origin;	  /* snapshot it was cloned from, 0 = none */
	uint32_t last_snapshot;	  /* newest of its own chain, or the origin; 0 = none */
	uint32_t free_epoch;	  /* destroying: entries born after are freed */
	uint64_t free_cursor;	  /* destroying: blocks below are done */
	uint64_t referenced;	  /* data blocks the head maps */
	uint64_t referenced_meta; /* pages of its map */
	uint64_t unique;    /* of `referenced`, born after last_snapshot: no snapshot has them */
	uint32_t charge_to; /* destroying: whose use shrinks as it is freed; 0 = its own */
	uint64_t used_data, used_meta;	      /* slots charged to it, its snapshots' included */
	uint64_t quota_bytes, refquota_bytes; /* 0 = none */
	uint64_t reservation_bytes, refreservation_bytes;
	uint64_t created_s;
	char name[VOLUME_NAME_BYTES];
};

struct snapshot_record {
	uint8_t state; /* enum volume_state */
	uint8_t hold_count;
	uint8_t guid[16];
	uint32_t volume; /* whose chain it is in */
	uint32_t epoch;	 /* blocks born up to here may be in it */
	uint32_t prev;	 /* the snapshot before, or the volume's origin; 0 = none */
	uint64_t created_s;
	uint64_t size_bytes;
	struct node_ptr root;
	struct deadlist dead;
	uint64_t referenced, referenced_meta;
	uint64_t unique; /* data blocks only this snapshot has */
	char name[VOLUME_NAME_BYTES];
	char holds[SNAPSHOT_HOLDS_MAX][HOLD_TAG_BYTES];
};

struct history_record {
	uint64_t time_s;
	char text[HISTORY_TEXT_BYTES];
};

struct dead_entry {
	uint64_t vaddr;
	uint32_t epoch; /* birth */
};

/* All zero bytes decode as "none" (class or state 0). -EUCLEAN for what no writer makes. */
void segment_record_encode(const struct segment_record *record, uint8_t to[RECORD_BYTES]);
MUST_CHECK int segment_record_decode(const uint8_t from[RECORD_BYTES], struct segment_record *ret);
void volume_record_encode(const struct volume_record *record, uint8_t to[RECORD_BYTES]);
MUST_CHECK int volume_record_decode(const uint8_t from[RECORD_BYTES], struct volume_record *ret);
void snapshot_record_encode(const struct snapshot_record *record, uint8_t to[RECORD_BYTES]);
MUST_CHECK int snapshot_record_decode(const uint8_t from[RECORD_BYTES],
				      struct snapshot_record *ret);
void history_record_encode(const struct history_record *record, uint8_t to[RECORD_BYTES]);
MUST_CHECK int history_record_decode(const uint8_t from[RECORD_BYTES], struct history_record *ret);

/* Sets the page's header from its entries. count <= DEADLIST_ENTRIES. */
void deadlist_page_encode(const struct dead_entry *entries, unsigned count, uint8_t to[PAGE_BYTES]);
/* Fills at most DEADLIST_ENTRIES. */
MUST_CHECK int deadlist_page_decode(const uint8_t from[PAGE_BYTES], struct dead_entry *ret_entries,
				    unsigned *ret_count);

/*
 * True when `name` is NUL-terminated within its field, begins with a letter or digit, and is made
 * of [A-Za-z0-9._:-] and '/', with no component that is empty, "." or "..". False when empty.
 */
bool record_name_valid(const char *name, size_t field_bytes);

#endif

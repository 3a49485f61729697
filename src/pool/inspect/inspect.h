/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the checker share. A check is one fiber; everything hangs in one struct.
 *
 * Bytes from drives are never trusted: a vaddr is followed only when inspect_vaddr_valid() says so,
 * a page is looked at only when its check fits, and every slot is owned at most once, so that a
 * walk over forged trees ends when all slots were visited.
 */
#ifndef POOL_INSPECT_INSPECT_H
#define POOL_INSPECT_INSPECT_H

#include <errno.h>

#include <quoin/disk.h>
#include <quoin/pool_inspect.h>

#include "format/logblock.h"
#include "format/record.h"
#include "format/super.h"

#define INSPECT_TRUNKS 3 /* checkpoints whose superblocks are compared: the newest */
#define INSPECT_NAME_BYTES 160
#define INSPECT_HISTORY_LINES 4096 /* line n is record n mod 4096 */

/* One place in a ring of superblocks. */
struct inspect_ring_slot {
	int result; /* of super_decode(), or of reading */
	uint64_t ckpt;
};

struct inspect_drive {
	struct disk *disk; /* borrowed */
	struct disk_channel *channel;
	const char *path;
	uint8_t guid[16];
	uint64_t newest; /* its own newest checkpoint; 0 = none */
	struct inspect_ring_slot ring[2][SUPER_RING_SLOTS];
};

struct inspect_segment {
	struct segment_record record; /* class 0: there is no such segment */
	bool seed;		      /* from the superblock; the table was not read yet */
	uint64_t *owned;	      /* a bit per slot that a tree refers to; NULL = none */
	uint64_t *logged;	      /* the same for the log */
};

struct inspect_volume {
	struct volume_record rec;
	bool done, damaged; /* damaged: what was found is not all */
	struct pool_inspect_numbers found;
};

struct inspect_snapshot {
	struct snapshot_record rec;
	bool chained, damaged;
	struct pool_inspect_numbers found;
};

struct inspect_fetcher;
struct inspect_shares;

struct inspect {
	const struct pool_inspect_params *params;
	struct pool_inspect_result *result;
	struct err *err;
	int error; /* what ends the check: -ECANCELED, -ENOMEM */
	struct inspect_drive *drives;
	unsigned drive_count;
	struct inspect_drive
		*columns[SUPER_DRIVES_MAX]; /* by the superblock's table; NULL = away */
	struct super super;
	uint64_t newest;     /* checkpoint of the pool, whichever is looked at */
	uint32_t slot_count; /* of every segment */
	struct inspect_segment *segments;
	uint32_t segment_count, segment_capacity; /* numbers are below */
	uint8_t *chunks[SUPER_DRIVES_MAX];	  /* a bit per chunk that is taken */
	struct inspect_volume *volumes;
	uint32_t volume_count;
	struct inspect_snapshot *snapshots;
	uint32_t snapshot_count;
	uint64_t meta_slots_total; /* no walk is longer */
	bool incomplete;	   /* something could not be read: what it owns is not known */
	struct inspect_fetcher *fetcher;
	struct inspect_shares *shares;
};

/* --- Life (check.c) ------------------------------------------------------------------------ */

/* NULL: there is no memory. */
struct inspect *inspect_new(const struct pool_inspect_params *params,
			    struct pool_inspect_result *result, struct err *err);
/* Gives `result` back, with the sentence that in->error asks for. */
MUST_CHECK int inspect_free(struct inspect *in, int result);

/* --- Findings (find.c) --------------------------------------------------------------------- */

/* Where something stands, for sentences. */
struct inspect_place {
	const char *structure;
	char name[INSPECT_NAME_BYTES]; /* "the map of volume 'x'" */
	uint64_t vaddr;
	unsigned drive;
	uint64_t offset;
};

struct inspect_place inspect_place(const char *structure, const char *format, ...)
	PRINTF_LIKE(2, 3);
/* By severity (quoin/pool_inspect.h). `code` is a word for programs, the sentence for people. */
void inspect_note(struct inspect *in, const char *code, const struct inspect_place *place,
		  const char *format, ...) PRINTF_LIKE(4, 5);
void inspect_copy(struct inspect *in, const char *code, const struct inspect_place *place,
		  const char *format, ...) PRINTF_LIKE(4, 5);
void inspect_damage(struct inspect *in, const char *code, const struct inspect_place *place,
		    const char *format, ...) PRINTF_LIKE(4, 5);
/* False: the check is to end; in->error says why. */
bool inspect_tick(struct inspect *in);
/* The record's name, or its number when it has none. */
void inspect_volume_name(const struct inspect *in, uint32_t id, char to[INSPECT_NAME_BYTES]);
void inspect_snapshot_name(const struct inspect *in, uint32_t id, char to[INSPECT_NAME_BYTES]);

/* --- Drives (drives.c) --------------------------------------------------------------------- */

MUST_CHECK int inspect_drives_open(struct inspect *in);
void inspect_drives_close(struct inspect *in);
void inspect_labels_check(struct inspect *in);
/* One read of one drive; parks. */
MUST_CHECK int inspect_read(struct inspect *in, struct inspect_drive *drive, uint64_t offset,
			    void *buffer, size_t length);

/* --- Segments and slots (segments.c, space.c) ---------------------------------------------- */

MUST_CHECK int inspect_segments_load(struct inspect *in);
void inspect_segments_free(struct inspect *in);
const struct inspect_segment *inspect_segment(const struct inspect *in, uint64_t vaddr);
bool inspect_vaddr_valid(const struct inspect *in, uint64_t vaddr, enum segment_class class);
bool inspect_owned(const struct inspect *in, uint64_t vaddr);
/* -EEXIST, and a finding: it has an owner already. The vaddr is valid. */
MUST_CHECK int inspect_own(struct inspect *in, uint64_t vaddr, const struct inspect_place *place);
MUST_CHECK int inspect_own_logged(struct inspect *in, uint64_t vaddr,
				  const struct inspect_place *place);
void inspect_bitmaps_own(struct inspect *in);
void inspect_bitmaps_check(struct inspect *in);

/* --- References (shares.c) ----------------------------------------------------------------- */

MUST_CHECK int inspect_shares_load(struct inspect *in);
/* True: the table grants the slot one owner more, which is taken off. */
bool inspect_share_take(struct inspect *in, uint64_t vaddr);
/* After all owners: what was granted and not taken. */
void inspect_shares_check(struct inspect *in);
void inspect_shares_free(struct inspect *in);

/* --- Trees (tree.c) ------------------------------------------------------------------------ */

/* A walk over a tree of records or a deadlist: each page is owned, judged and handed out. */
struct inspect_walk {
	struct inspect *in;
	enum node_kind kind;
	struct inspect_place place; /* of the tree */
	uint64_t *pages;	    /* counts its pages; into the bill */
	void (*leaf)(struct inspect_walk *walk, uint64_t index, const struct node_ptr *ptr,
		     const uint8_t *page);
	bool again;   /* its pages were owned before */
	bool damaged; /* something could not be read */
};

void inspect_walk(struct inspect_walk *walk, const struct node_ptr *root);
/* A record that no writer makes: what it was is not known. */
void inspect_record_bad(struct inspect_walk *walk, const struct inspect_place *place);
/* Decodes and judges a pointer in an inner page. False: it is not to be followed. */
bool inspect_child(struct inspect *in, const uint8_t *raw, const struct node_ptr *parent,
		   const struct inspect_place *place, struct node_ptr *ret_child);

/* --- Tables (tables.c) --------------------------------------------------------------------- */

MUST_CHECK int inspect_tables_load(struct inspect *in);
void inspect_tables_check(struct inspect *in);
void inspect_tables_free(struct inspect *in);
const struct inspect_snapshot *inspect_snapshot(const struct inspect *in, uint32_t id);
/* 0 when there is none. */
uint32_t inspect_epoch(const struct inspect *in, uint32_t snapshot);

/* --- Chains (chain.c) ---------------------------------------------------------------------- */

void inspect_chains_check(struct inspect *in);
void inspect_objects_tell(struct inspect *in);

/* --- The log (log.c) ----------------------------------------------------------------------- */

/* Hears of the log: each block that counts, then each record in it. */
struct inspect_log_visit {
	void (*block)(struct inspect_log_visit *visit, const struct log_header *header);
	void (*record)(struct inspect_log_visit *visit, const struct log_record *record);
	void (*block_end)(struct inspect_log_visit *visit);
};

/* `visit` may be NULL. */
MUST_CHECK int inspect_log_check(struct inspect *in, struct inspect_log_visit *visit);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of metadata that rot. A pool with volumes, snapshots, a clone, deadlists, holds, history
 * and a log that was not replayed is made once, and the power cut; every place where metadata lies
 * is found through its trees. Then, each time on fresh drives, one byte of one page is flipped:
 *
 *   in one copy:     all reads right, all verbs work, and what was read was mended and counted
 *   in all copies:   never wrong data, no assertion, no hang: the import says why it fails, or what
 *                    cannot be read is an error, or the pool's state tells what it cost; what was
 *                    mended in one copy is never passed over in silence
 *
 * QUOIN_FLIP_ALL=1: every byte of every page (hours). Default: one byte of each, from the seed
 * QUOIN_FLIP_SEED. QUOIN_FLIP_BYTES: how many of each page; QUOIN_FLIP_PAGES: of how many pages of
 * each kind.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <quoin/base_assert.h>

#include "engine/import.h"
#include "engine_rig.h"

#define DRIVE_BYTES (34 * MiB)
#define BLOCKS 256 /* of each volume */
#define BYTES (BLOCKS * RIG_BLOCK)
#define AT_ONCE 64 /* blocks of a read */
#define TARGETS_MAX 1024
#define COPIES_MAX 8
#define BYTES_DEFAULT 1
#define ALL_COPIES UINT32_MAX

static const char *const objects[] = {"vol", "vol@one", "vol@two", "vol@three", "clone", "late"};
#define OBJECTS ARRAY_SIZE(objects)
#define DESTROYED 2 /* vol@two, by the verb that is tried */

enum target_kind {
	TARGET_SUPER,
	TARGET_OLD_SUPER,
	TARGET_HEARTBEAT,
	TARGET_SEGMENTS,
	TARGET_BITMAP,
	TARGET_OLD_TABLE,
	TARGET_VOLUMES,
	TARGET_SNAPSHOTS,
	TARGET_HISTORY,
	TARGET_MAP,
	TARGET_DEADLIST,
	TARGET_LOG,
	TARGET_KINDS
};
static const char *const kind_names[] = {
	"superblock", "older superblock", "heartbeat", "segments", "bitmap",   "older table",
	"volumes",    "snapshots",	  "history",   "map",	   "deadlist", "log"};

/* One page of metadata, and where its copies are. */
struct target {
	enum target_kind kind;
	unsigned copies;
	struct {
		unsigned drive;
		uint64_t offset;
	} at[COPIES_MAX];
};

struct tally {
	unsigned pages, flips, refused, eio, mended, verb_errors, told;
};

struct campaign {
	struct engine_rig rig;
	struct disk_sim_image *images[RIG_DRIVES_MAX];
	struct target targets[TARGETS_MAX];
	unsigned target_count;
	uint8_t *expected[OBJECTS];
	uint8_t *data;
	struct tally tally[2][TARGET_KINDS]; /* one copy, all copies */

	/* Of the flip under way. */
	const struct target *target;
	uint32_t copy; /* or ALL_COPIES */
	uint64_t byte;
	unsigned eio;
	bool destroyed; /* vol@two */
	bool read;	/* and seen to be bad */
	bool told;	/* by an error, or the pool's state */
};

/* What went wrong, and how to see it again. */
#define FAIL(c, ...)                                                                               \
	do {                                                                                       \
		print_error("seed %llu, %s, page %u, byte %llu, copy %d: ",                        \
			    (unsigned long long)(c)->rig.seed, kind_names[(c)->target->kind],      \
			    (unsigned)((c)->target - (c)->targets), (unsigned long long)(c)->byte, \
			    (int)(c)->copy);                                                       \
		fail_msg(__VA_ARGS__);                                                             \
	} while (0)

static struct tally *tally_of(struct campaign *c)
{
	return &c->tally[c->copy == ALL_COPIES][c->target->kind];
}

/* --- The pool ----------------------------------------------------------------------------------
 */

static void write_some(struct campaign *c, const char *name, uint64_t first, unsigned count,
		       unsigned step)
{
	struct rig_volume volume;

	assert_int_equal(rig_volume_open(&c->rig, name, &volume), 0);
	for (unsigned i = 0; i < count; i++) {
		random_fill(&c->rig.random, c->data, RIG_BLOCK);
		assert_int_equal(rig_io(&volume, BLOCK_WRITE, (first + i * step) * RIG_BLOCK,
					c->data, RIG_BLOCK),
				 0);
	}
	assert_int_equal(rig_io(&volume, BLOCK_FLUSH, 0, NULL, 0), 0);
	rig_volume_close(&volume);
}

static void cut(struct campaign *c, const char *name)
{
	assert_int_equal(pool_snapshot_create(c->rig.pool, &name, 1, NULL), 0);
}

/* What only the log has: blocks, parts of blocks, a range, a snapshot; in several groups. */
static void log_fill(struct campaign *c)
{
	struct rig_volume volume;

	write_some(c, "vol", 5, 100, 2);
	write_some(c, "clone", 40, 30, 1);
	write_some(c, "vol", 64, 100, 1);
	cut(c, "vol@three");
	assert_int_equal(rig_volume_open(&c->rig, "vol", &volume), 0);
	random_fill(&c->rig.random, c->data, 512);
	assert_int_equal(rig_io(&volume, BLOCK_WRITE, 512, c->data, 512), 0);
	assert_int_equal(
		rig_io(&volume, BLOCK_DISCARD, 180 * RIG_BLOCK, NULL, UINT64_C(40) * RIG_BLOCK), 0);
	assert_int_equal(rig_io(&volume, BLOCK_FLUSH, 0, NULL, 0), 0);
	rig_volume_close(&volume);
	write_some(c, "late", 0, 30, 3);
	/* So long that the log says that its last group is durable. */
	assert_int_equal(fiber_sleep_ns(50 * NS_PER_MS), 0);
}

static void pool_make(void *arg)
{
	struct campaign *c = arg;
	const struct pool_volume_params params = {.size_bytes = BYTES};

	rig_format(&c->rig);
	assert_int_equal(rig_open(&c->rig), 0);
	assert_int_equal(pool_volume_create(c->rig.pool, "vol", &params, NULL), 0);
	write_some(c, "vol", 0, BLOCKS, 1);
	cut(c, "vol@one");
	write_some(c, "vol", 0, BLOCKS / 3, 3);
	cut(c, "vol@two");
	assert_int_equal(pool_volume_clone(c->rig.pool, "vol@one", "clone", NULL), 0);
	write_some(c, "vol", 1, BLOCKS / 2, 2);
	write_some(c, "clone", 10, 20, 4);
	assert_int_equal(pool_snapshot_hold(c->rig.pool, "vol@one", "kept", NULL), 0);
	assert_int_equal(pool_history_add(c->rig.pool, "a line"), 0);
	/* The last checkpoint has what no log tells of. */
	assert_int_equal(pool_volume_create(c->rig.pool, "late", &params, NULL), 0);
	log_fill(c);
	rig_power_cut(&c->rig);
	rig_close(&c->rig);
}

/* --- Where its metadata is ----------------------------------------------------------------------
 */

static struct target *target_add(struct campaign *c, enum target_kind kind)
{
	ASSERT_U64(c->target_count, <, TARGETS_MAX);
	c->targets[c->target_count].kind = kind;
	return &c->targets[c->target_count++];
}

static void copy_add(struct target *target, unsigned drive, uint64_t offset)
{
	ASSERT_U64(target->copies, <, COPIES_MAX);
	target->at[target->copies].drive = drive;
	target->at[target->copies++].offset = offset;
}

static void page_add(struct campaign *c, enum target_kind kind, uint64_t vaddr)
{
	const struct pool *pool = c->rig.pool;
	const struct segment *s = space_segment(pool->space, vaddr_segment(vaddr));
	struct target *target;

	assert_non_null(s);
	target = target_add(c, kind);
	for (unsigned i = 0; i < s->column_count; i++)
		copy_add(target, s->columns[i].drive,
			 LABEL_BYTES + ((uint64_t)s->columns[i].chunk << pool->raid.chunk_shift) +
				 ((uint64_t)vaddr_slot(vaddr) << PAGE_SHIFT));
	/* Snapshots share pages with their volume. */
	for (unsigned i = 0; i + 1 < c->target_count; i++) {
		if (c->targets[i].at[0].drive == target->at[0].drive &&
		    c->targets[i].at[0].offset == target->at[0].offset) {
			memset(target, 0, sizeof(*target));
			c->target_count--;
			return;
		}
	}
}

struct finder {
	struct map_walk walk;
	struct campaign *campaign;
	enum target_kind kind;
};

static int page_found(struct map_walk *walk, const struct page_ref *ref)
{
	const struct finder *finder = container_of(walk, struct finder, walk);

	page_add(finder->campaign, finder->kind, ref->ptr.vaddr);
	return 0;
}

static void tree_find(struct campaign *c, enum target_kind kind, enum node_kind node,
		      const struct node_ptr *root)
{
	struct finder finder = {
		.walk = {.pages = c->rig.pool->pages, .kind = node, .page_done = page_found},
		.campaign = c,
		.kind = kind,
	};

	assert_int_equal(map_walk(&finder.walk, root), 0);
}

static void supers_find(struct campaign *c)
{
	const struct pool *pool = c->rig.pool;

	for (uint64_t ckpt = pool->super.ckpt; ckpt > 0 && ckpt + 3 > pool->super.ckpt; ckpt--) {
		struct target *target =
			target_add(c, ckpt == pool->super.ckpt ? TARGET_SUPER : TARGET_OLD_SUPER);

		for (unsigned i = 0; i < 2 * c->rig.drive_count; i++)
			copy_add(target, i / 2,
				 super_offset(DRIVE_BYTES, i % 2, ckpt % SUPER_RING_SLOTS));
	}
	for (unsigned i = 0; i < c->rig.drive_count; i++)
		copy_add(target_add(c, TARGET_HEARTBEAT), i, LABEL_HEARTBEAT);
}

static void segments_find(struct campaign *c)
{
	const struct pool *pool = c->rig.pool;

	tree_find(c, TARGET_SEGMENTS, NODE_SEGMENTS, &pool->super.segments);
	for (uint32_t id = 0; id < space_segment_limit(pool->space); id++) {
		const struct segment *s = space_segment(pool->space, id);

		for (unsigned p = 0; s && s->class != SEGMENT_LOG && p < SEGMENT_BITMAPS_MAX; p++) {
			if (s->bitmaps[p].vaddr != 0)
				page_add(c, TARGET_BITMAP, s->bitmaps[p].vaddr);
		}
	}
}

static int old_leaf(struct map_walk *walk, const struct page_ref *ref, const uint8_t *page)
{
	struct campaign *c = container_of(walk, struct finder, walk)->campaign;

	page_add(c, TARGET_OLD_TABLE, ref->ptr.vaddr);
	for (unsigned i = 0; i < RECORDS_PER_PAGE; i++) {
		struct segment_record record;

		assert_int_equal(segment_record_decode(page + (size_t)i * RECORD_BYTES, &record),
				 0);
		for (unsigned p = 0; p < SEGMENT_BITMAPS_MAX; p++) {
			if (record.bitmaps[p].vaddr != 0)
				page_add(c, TARGET_OLD_TABLE, record.bitmaps[p].vaddr);
		}
	}
	return 0;
}

/* Segments and bitmaps of the checkpoints before, where they are not those of the newest. */
static void old_tables_find(struct campaign *c)
{
	const uint64_t newest = c->rig.pool->super.ckpt;

	for (uint64_t ckpt = newest - 1; ckpt > 0 && ckpt + 3 > newest; ckpt--) {
		struct finder finder = {
			.walk = {.pages = c->rig.pool->pages,
				 .kind = NODE_SEGMENTS,
				 .leaf = old_leaf},
			.campaign = c,
		};
		const unsigned slot = ckpt % SUPER_RING_SLOTS;
		struct super super;
		uint8_t page[PAGE_BYTES];

		disk_sim_peek(c->rig.drives[0], super_offset(DRIVE_BYTES, false, slot), page,
			      PAGE_BYTES);
		assert_int_equal(super_decode(page, false, slot, &super), 0);
		assert_int_equal(map_walk(&finder.walk, &super.segments), 0);
	}
}

static void log_find(struct campaign *c)
{
	const struct pool *pool = c->rig.pool;

	for (uint64_t n = pool->super.log_head; n < pool->log.fill; n++)
		page_add(c, TARGET_LOG, log_block_vaddr(&pool->log, n));
}

static void maps_find(struct campaign *c)
{
	const struct pool *pool = c->rig.pool;

	for (uint32_t i = 0; i < pool->volume_limit; i++) {
		const struct volume *v = pool->volumes[i];

		if (!v)
			continue;
		tree_find(c, TARGET_MAP, NODE_MAP, &v->rec.root);
		tree_find(c, TARGET_DEADLIST, NODE_DEADLIST, &v->rec.dead.root);
	}
	for (uint32_t i = 0; i < pool->snapshot_limit; i++) {
		const struct snapshot *s = pool->snapshots[i];

		if (!s)
			continue;
		tree_find(c, TARGET_MAP, NODE_MAP, &s->rec.root);
		tree_find(c, TARGET_DEADLIST, NODE_DEADLIST, &s->rec.dead.root);
	}
}

/* Through the eyes of an import that writes nothing. */
static void targets_find(void *arg)
{
	struct campaign *c = arg;
	const struct pool *pool;

	c->rig.read_only = true;
	assert_int_equal(rig_open(&c->rig), 0);
	pool = c->rig.pool;
	supers_find(c);
	segments_find(c);
	tree_find(c, TARGET_VOLUMES, NODE_VOLUMES, &pool->super.volumes);
	tree_find(c, TARGET_SNAPSHOTS, NODE_SNAPSHOTS, &pool->super.snapshots);
	tree_find(c, TARGET_HISTORY, NODE_HISTORY, &pool->super.history);
	maps_find(c);
	old_tables_find(c);
	log_find(c);
	assert_int_equal(rig_close(&c->rig), 0);
	c->rig.read_only = false;
}

/* --- What is in its volumes --------------------------------------------------------------------
 */

static void volumes_read(void *arg)
{
	struct campaign *c = arg;

	assert_int_equal(rig_open(&c->rig), 0);
	for (size_t i = 0; i < OBJECTS; i++) {
		struct rig_volume volume;

		assert_int_equal(rig_volume_open(&c->rig, objects[i], &volume), 0);
		assert_int_equal(rig_io(&volume, BLOCK_READ, 0, c->expected[i], BYTES), 0);
		rig_volume_close(&volume);
	}
	assert_int_equal(rig_close(&c->rig), 0);
}

static void piece_check(struct campaign *c, struct rig_volume *volume, size_t object,
			uint64_t block, unsigned count)
{
	const size_t length = (size_t)count * RIG_BLOCK;
	int r;

	memset(c->data, 0xee, length);
	r = rig_io(volume, BLOCK_READ, block * RIG_BLOCK, c->data, length);
	if (r == 0) {
		if (memcmp(c->data, c->expected[object] + block * RIG_BLOCK, length) != 0)
			FAIL(c, "%s: blocks %llu on are wrong", objects[object],
			     (unsigned long long)block);
		return;
	}
	if (c->copy != ALL_COPIES)
		FAIL(c, "%s: block %llu: error %d", objects[object], (unsigned long long)block, r);
	if (count == 1)
		c->eio++;
	for (unsigned i = 0; count > 1 && i < count; i++)
		piece_check(c, volume, object, block + i, 1);
}

static void object_check(struct campaign *c, size_t object)
{
	struct rig_volume volume;
	struct err err = {.code = 0};

	if (object == DESTROYED && c->destroyed)
		return;
	if (pool_device_open(c->rig.pool, objects[object], true, &volume.device, &err) < 0) {
		/* A snapshot that waits for a checkpoint which cannot be made. */
		if (c->copy != ALL_COPIES || err.code == -ENOENT)
			FAIL(c, "%s: %s", objects[object], err.text);
		c->eio += BLOCKS;
		return;
	}
	assert_int_equal(block_channel_open(volume.device, c->rig.loop, &volume.channel), 0);
	for (uint64_t b = 0; b < BLOCKS; b += AT_ONCE)
		piece_check(c, &volume, object, b, AT_ONCE);
	rig_volume_close(&volume);
}

/* --- Work that goes through its metadata ---------------------------------------------------------
 */

/* The same content again: so it stays what is expected, whatever comes of it. */
static int rewrite(struct campaign *c, const char *name, const uint8_t *content)
{
	struct rig_volume volume;
	int r;

	r = rig_volume_open(&c->rig, name, &volume);
	if (r < 0)
		return r;
	for (unsigned b = 0; r == 0 && b < BLOCKS; b += 37) {
		memcpy(c->data, content + (size_t)b * RIG_BLOCK, RIG_BLOCK);
		r = rig_io(&volume, BLOCK_WRITE, (uint64_t)b * RIG_BLOCK, c->data, RIG_BLOCK);
	}
	if (r == 0)
		r = rig_io(&volume, BLOCK_FLUSH, 0, NULL, 0);
	rig_volume_close(&volume);
	return r;
}

static int history_read(struct campaign *c)
{
	struct pool_history_line line;
	uint64_t cursor = 0;
	unsigned lines = 0;
	int r;

	while ((r = pool_history_read(c->rig.pool, &cursor, &line)) == 0)
		lines++;
	if (r == -ENOENT && lines == 0)
		FAIL(c, "no history");
	return r == -ENOENT ? 0 : r;
}

static int verbs(struct campaign *c)
{
	struct err err = {.code = 0};
	int r = history_read(c);

	if (r == 0)
		r = rewrite(c, "vol", c->expected[0]);
	if (r == 0)
		r = rewrite(c, "clone", c->expected[4]);
	if (r == 0 && !c->destroyed) {
		r = pool_snapshot_destroy(c->rig.pool, objects[DESTROYED], &err);
		/* When it fails it may be done, or not. */
		c->destroyed = true;
	}
	if (r == 0)
		r = pool_sync(c->rig.pool);
	return r;
}

static bool byte_mended(const struct campaign *c, unsigned copy)
{
	uint8_t now, good;
	const unsigned drive = c->target->at[copy].drive;
	const uint64_t offset = c->target->at[copy].offset + c->byte;
	const unsigned other = (copy + 1) % c->target->copies;

	disk_sim_peek(c->rig.drives[drive], offset, &now, 1);
	disk_sim_peek(c->rig.drives[c->target->at[other].drive],
		      c->target->at[other].offset + c->byte, &good, 1);
	return now == good;
}

/* Opens, reads all, works, closes. False: it could not be opened. */
static bool session(struct campaign *c)
{
	struct pool_status status;
	int r = rig_open(&c->rig);

	if (r < 0) {
		if (c->copy != ALL_COPIES)
			FAIL(c, "not opened: %s", c->rig.err.text);
		if (c->rig.err.text[0] == '\0')
			FAIL(c, "not opened, and not said why");
		c->told = true;
		return false;
	}
	for (size_t i = 0; i < OBJECTS; i++)
		object_check(c, i);
	assert_int_equal(fiber_sleep_ns(10 * NS_PER_MS), 0);
	pool_status(c->rig.pool, &status);
	if (c->copy != ALL_COPIES && status.check_errors > 0) {
		tally_of(c)->mended++;
		/* What the log has is in a checkpoint from now on. */
		if (c->target->kind != TARGET_LOG && !byte_mended(c, c->copy))
			FAIL(c, "counted, and not mended");
	}
	r = verbs(c);
	tally_of(c)->verb_errors += r < 0;
	pool_status(c->rig.pool, &status);
	c->read = c->read || status.check_errors > 0;
	c->told = c->told || r < 0 || status.problem[0] != '\0';
	if (r < 0 && c->copy != ALL_COPIES)
		FAIL(c, "a verb failed: %d", r);
	r = rig_close(&c->rig);
	if (r < 0 && c->copy != ALL_COPIES)
		FAIL(c, "not closed: %d", r);
	return true;
}

static void flip_run(void *arg)
{
	struct campaign *c = arg;
	struct tally *tally = tally_of(c);

	c->eio = 0;
	c->destroyed = c->read = c->told = false;
	tally->flips++;
	if (!session(c)) {
		tally->refused++;
		return;
	}
	if (!session(c))
		tally->refused++;
	tally->eio += c->eio > 0;
	c->told = c->told || c->eio > 0;
}

static void flip(struct campaign *c, const struct target *target, uint64_t byte, uint32_t copy)
{
	for (unsigned i = 0; i < c->rig.drive_count; i++)
		disk_sim_image_restore(c->rig.drives[i], c->images[i]);
	c->target = target;
	c->byte = byte;
	c->copy = copy;
	for (unsigned i = 0; i < target->copies; i++) {
		if (copy == ALL_COPIES || copy == i)
			disk_sim_rot(c->rig.drives[target->at[i].drive],
				     target->at[i].offset + byte, 1, byte + 1);
	}
	rig_run(&c->rig, flip_run, c);
	tally_of(c)->told += c->told;
}

/* --- The campaign ------------------------------------------------------------------------------
 */

static void images_save(struct campaign *c)
{
	for (unsigned i = 0; i < c->rig.drive_count; i++)
		c->images[i] = disk_sim_image_save(c->rig.drives[i]);
}

static void campaign_init(struct campaign *c, uint64_t seed, unsigned drives)
{
	memset(c, 0, sizeof(*c));
	rig_init(&c->rig, seed, drives, DRIVE_BYTES);
	c->rig.mirror = drives > 1;
	c->rig.delta_records = 4096;
	c->data = aligned_alloc(RIG_BLOCK, AT_ONCE * RIG_BLOCK);
	for (size_t i = 0; i < OBJECTS; i++)
		c->expected[i] = aligned_alloc(RIG_BLOCK, BYTES);
	rig_run(&c->rig, pool_make, c);
	rig_power_on(&c->rig);
	images_save(c);
	rig_run(&c->rig, targets_find, c);
	rig_run(&c->rig, volumes_read, c);
	c->rig.quiet = true;
}

static void campaign_fini(struct campaign *c)
{
	for (unsigned i = 0; i < c->rig.drive_count; i++)
		disk_sim_image_free(c->images[i]);
	for (size_t i = 0; i < OBJECTS; i++)
		free(c->expected[i]);
	free(c->data);
	rig_fini(&c->rig);
}

static void report(const struct campaign *c)
{
	for (unsigned all = 0; all < 2; all++) {
		print_message("%s, flipped in %s:\n", c->rig.mirror ? "mirror" : "one drive",
			      all ? "all copies" : "one copy");
		for (unsigned k = 0; k < TARGET_KINDS; k++) {
			const struct tally *t = &c->tally[all][k];

			if (t->flips > 0)
				print_message("  %-16s %4u pages %7u flips %7u mended %7u refused "
					      "%7u EIO %7u verbs failed %7u told\n",
					      kind_names[k], t->pages, t->flips, t->mended,
					      t->refused, t->eio, t->verb_errors, t->told);
		}
	}
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static void campaign(unsigned drives)
{
	const bool every = setting("QUOIN_FLIP_ALL", 0) != 0;
	const uint64_t some = setting("QUOIN_FLIP_BYTES", BYTES_DEFAULT);
	const uint64_t pages = setting("QUOIN_FLIP_PAGES", TARGETS_MAX);
	struct campaign *c = malloc(sizeof(*c));

	campaign_init(c, setting("QUOIN_FLIP_SEED", 1), drives);
	for (unsigned i = 0; i < c->target_count; i++) {
		const struct target *target = &c->targets[i];
		bool was_read;

		if (c->tally[0][target->kind].pages == pages)
			continue;
		c->tally[0][target->kind].pages++;
		c->tally[1][target->kind].pages++;
		for (uint64_t n = 0; n < (every ? PAGE_BYTES : some); n++) {
			const uint64_t byte = every ? n : random_below(&c->rig.random, PAGE_BYTES);

			flip(c, target, byte,
			     (uint32_t)random_below(&c->rig.random, target->copies));
			was_read = c->read;
			flip(c, target, byte, ALL_COPIES);
			/* Of a checkpoint that one could go back to, the counters of drives tell.
			 */
			if (was_read && !c->told && !(c->read && target->kind == TARGET_OLD_TABLE))
				FAIL(c, "damage that nobody told");
		}
	}
	report(c);
	campaign_fini(c);
	free(c);
}

static void one_drive(void **state)
{
	campaign(1);
}

static void mirror(void **state)
{
	campaign(2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_drive),
		cmocka_unit_test(mirror),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

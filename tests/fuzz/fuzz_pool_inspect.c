/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole small pool, changed behind everybody's back, before the offline checker, which must come
 * to its end whatever it reads. The input is a list of changes of 8 bytes:
 *
 *   0 what (below), modulo; its highest bit: made on one drive only, checks as they come
 *   1 which: number of a volume, snapshot, segment; level of a page
 *   2 offset u16 in the page or record, modulo
 *   4 value u32, which replaces four bytes there
 *
 * All checks above a change are made right again, up to the superblock: a check keeps a fuzzer out,
 * but not an attacker. The pool is made once; each input begins with its drives as they were.
 */
#include <stdlib.h>

#include <quoin/base_assert.h>
#include <quoin/base_endian.h>

#include "inspect_rig.h"
#include "tamper.h"

#define CHANGE_BYTES 8
#define CHANGES_MAX 16
#define ONE_DRIVE 0x80
#define DRIVE_BYTES (32 * MiB)
#define BLOCKS 700

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	struct engine_rig *rig;
	const uint8_t *data;
	size_t size;
};

/* --- The pool ------------------------------------------------------------------------------ */

static void blocks_write(struct engine_rig *rig, const char *name, uint64_t first, uint64_t count)
{
	struct rig_volume volume;
	uint8_t *data = aligned_alloc(RIG_BLOCK, count * RIG_BLOCK);

	random_fill(&rig->random, data, count * RIG_BLOCK);
	ASSERT(rig_volume_open(rig, name, &volume) == 0);
	ASSERT(rig_io(&volume, BLOCK_WRITE, first * RIG_BLOCK, data, count * RIG_BLOCK) == 0);
	rig_volume_close(&volume);
	free(data);
}

static void snapshot_make(struct engine_rig *rig, const char *name)
{
	ASSERT(pool_snapshot_create(rig->pool, &name, 1, NULL) == 0);
}

/* Two snapshots, a clone, deadlists, and records in the log. */
static void pool_make(void *arg)
{
	struct engine_rig *rig = arg;
	const struct pool_volume_params params = {.size_bytes = BLOCKS * RIG_BLOCK};

	rig_format(rig);
	ASSERT(rig_open(rig) == 0);
	ASSERT(pool_volume_create(rig->pool, "v", &params, NULL) == 0);
	for (uint64_t at = 0; at < BLOCKS; at += 100)
		blocks_write(rig, "v", at, 100);
	snapshot_make(rig, "v@a");
	blocks_write(rig, "v", 0, 50);
	ASSERT(pool_sync(rig->pool) == 0);
	snapshot_make(rig, "v@b");
	blocks_write(rig, "v", 20, 50);
	ASSERT(pool_volume_clone(rig->pool, "v@a", "c", NULL) == 0);
	blocks_write(rig, "c", 300, 10);
	ASSERT(pool_sync(rig->pool) == 0);
	blocks_write(rig, "v", 400, 8);
	snapshot_make(rig, "v@c");
}

static void pool_cut(void *arg)
{
	struct engine_rig *rig = arg;

	rig_close(rig);
}

/* One rig for all inputs, with its drives as they are to be. */
struct stage {
	struct engine_rig rig;
	struct disk_sim_image *images[RIG_DRIVES_MAX];
};

static struct stage *stage_get(void)
{
	static struct stage stage;

	if (stage.images[0])
		return &stage;
	rig_init(&stage.rig, 5, 2, DRIVE_BYTES);
	stage.rig.mirror = true;
	rig_run(&stage.rig, pool_make, &stage.rig);
	/* Power goes, so that the log stays to be read. */
	rig_power_cut(&stage.rig);
	rig_run(&stage.rig, pool_cut, &stage.rig);
	rig_power_on(&stage.rig);
	for (unsigned i = 0; i < stage.rig.drive_count; i++)
		stage.images[i] = disk_sim_image_save(stage.rig.drives[i]);
	return &stage;
}

/* --- Changes ------------------------------------------------------------------------------- */

static void replace_in(const struct tamper_change *change, uint8_t *bytes, unsigned limit)
{
	le32_put(bytes + change->at % (limit - 3), (uint32_t)change->value);
}

static void in_page(const struct tamper_change *change, uint8_t *bytes)
{
	replace_in(change, bytes, PAGE_BYTES);
}

static void in_record(const struct tamper_change *change, uint8_t *bytes)
{
	replace_in(change, bytes, RECORD_BYTES);
}

/* The superblock is changed as bytes: encoding it would refuse what it must not hold. */
static void super_change(struct tamper *t, const struct tamper_change *change)
{
	uint8_t page[PAGE_BYTES];
	struct super changed;
	const unsigned slot = (unsigned)(t->super.ckpt % SUPER_RING_SLOTS);

	super_encode(&t->super, false, page);
	in_page(change, page);
	tamper_super_seal(page, false, slot);
	if (super_decode(page, false, slot, &changed) < 0)
		return;
	t->super = changed;
	tamper_super(t);
}

static void one_drive(struct tamper *t, const struct tamper_change *change, uint8_t which)
{
	disk_sim_rot(t->rig->drives[which % t->rig->drive_count],
		     (change->value * PAGE_BYTES + change->at) % (DRIVE_BYTES - PAGE_BYTES), 16,
		     change->value);
}

static void apply(struct tamper *t, const uint8_t *raw)
{
	const uint8_t which = raw[1];
	const struct tamper_change page = {
		.apply = in_page, .at = le16_get(raw + 2), .value = le32_get(raw + 4)};
	struct tamper_change record = page;
	const enum node_kind kind = which & 1 ? NODE_VOLUMES : NODE_SNAPSHOTS;

	record.apply = in_record;
	if (raw[0] & ONE_DRIVE) {
		one_drive(t, &page, which);
		return;
	}
	switch (raw[0] % 10) {
	case 0:
		super_change(t, &page);
		break;
	case 1:
		(void)!tamper_record(t, NODE_SEGMENTS, which % TAMPER_SEGMENTS, &record);
		break;
	case 2:
		(void)!tamper_record(t, NODE_VOLUMES, which % 8, &record);
		break;
	case 3:
		(void)!tamper_record(t, NODE_SNAPSHOTS, which % 8, &record);
		break;
	case 4:
		(void)!tamper_record(t, NODE_HISTORY, which % 8, &record);
		break;
	case 5:
		(void)!tamper_map(t, kind, 1 + (which >> 1) % 3, (which >> 4) % 3, &page);
		break;
	case 6:
		(void)!tamper_deadlist(t, kind, 1 + (which >> 1) % 3, &page);
		break;
	case 7:
		(void)!tamper_bitmap(t, which % TAMPER_SEGMENTS, &page);
		break;
	case 8:
		(void)!tamper_log(t, t->super.log_head + which % 8, &page);
		break;
	default:
		(void)!tamper_page(t, which & 1 ? &t->super.segments : &t->super.volumes,
				   t->super.segments.level, 0, &page);
		tamper_super(t);
	}
}

static void changes_apply(void *arg)
{
	const struct input *input = arg;
	struct tamper t;

	for (size_t i = 0; i < CHANGES_MAX && (i + 1) * CHANGE_BYTES <= input->size; i++) {
		/* What was changed may lead elsewhere now. */
		if (!tamper_load(&t, input->rig))
			return;
		apply(&t, input->data + i * CHANGE_BYTES);
	}
}

/* --- The checker --------------------------------------------------------------------------- */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stage *stage = stage_get();
	struct input input = {&stage->rig, data, size};
	struct inspect_rig inspect = {.data = true};

	for (unsigned i = 0; i < stage->rig.drive_count; i++)
		disk_sim_image_restore(stage->rig.drives[i], stage->images[i]);
	rig_run(&stage->rig, changes_apply, &input);
	inspect_rig_run(&stage->rig, &inspect);
	/* What was left alone is clean: else the pool above is not what it should be. */
	if (size < CHANGE_BYTES)
		ASSERT(inspect.result_code == 0 && inspect.code_count == 0);
	inspect_rig_fini(&inspect);
	return 0;
}

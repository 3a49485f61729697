/* SPDX-License-Identifier: Apache-2.0 */
/* Simulated drives, a raid and the smallest space, for the tests of raid and pages. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>

#include "raid_rig.h"

#define TURNS_MAX 100000000

struct errand {
	void (*main)(void *arg);
	void *arg;
	bool ended;
};

static void changed(void *data, struct drive *drive)
{
	struct raid_rig *rig = data;

	rig->changes++;
}

static bool may_fault(void *data, const struct drive *drive)
{
	const struct raid_rig *rig = data;

	return rig->may_fault;
}

static void segments_init(struct raid_rig *rig)
{
	for (unsigned class = SEGMENT_DATA; class <= SEGMENT_LOG; class ++) {
		struct segment *segment = &rig->space.segments[class];

		segment->id = class;
		segment->class = (uint8_t) class;
		segment->profile = rig->count > 1 ? PROFILE_MIRROR : PROFILE_SINGLE;
		segment->column_count = (uint8_t)rig->count;
		segment->slot_count = RIG_SLOTS;
		for (unsigned i = 0; i < rig->count; i++)
			segment->columns[i] =
				(struct segment_column){.drive = (uint16_t)i, .chunk = class - 1};
	}
}

void raid_rig_init(struct raid_rig *rig, uint64_t seed, unsigned drives)
{
	memset(rig, 0, sizeof(*rig));
	rig->sim = loop_sim_new(seed);
	rig->loop = loop_sim_add(rig->sim);
	rig->count = drives;
	rig->may_fault = true;
	raid_init(&rig->raid, rig->loop, RIG_CHUNK_SHIFT);
	rig->raid.space = &rig->space;
	rig->raid.changed = changed;
	rig->raid.may_fault = may_fault;
	rig->raid.data = rig;
	for (unsigned i = 0; i < drives; i++) {
		const struct disk_sim_params params = {
			.seed = seed + i,
			.size_bytes = RIG_DRIVE_BYTES,
			.logical_block_bytes = 512,
			.discard = true,
			.discard_zeroes = true,
			.plan = disk_sim_plan_default(),
		};
		const struct super_drive info = {
			.guid = {(uint8_t)(i + 1)},
			.size_bytes = RIG_DRIVE_BYTES,
			.chunk_count = 6,
			.state = DRIVE_ONLINE,
		};

		rig->media[i] = disk_sim_new(&params);
		ASSERT(disk_sim_open(rig->media[i], &rig->disks[i]) == 0);
		ASSERT(raid_drive_add(&rig->raid, &info, rig->disks[i], "simulated") == 0);
	}
	segments_init(rig);
}

void raid_rig_fini(struct raid_rig *rig)
{
	raid_fini(&rig->raid);
	for (unsigned i = 0; i < rig->count; i++) {
		disk_close(rig->disks[i]);
		disk_sim_free(rig->media[i]);
	}
	loop_sim_free(rig->sim);
}

static void errand_main(void *arg)
{
	struct errand *errand = arg;

	errand->main(errand->arg);
	errand->ended = true;
}

void raid_rig_run(struct raid_rig *rig, void (*main)(void *arg), void *arg)
{
	struct errand errand = {.main = main, .arg = arg};

	ASSERT(fiber_start(rig->loop, false, errand_main, &errand, NULL) == 0);
	ASSERT(loop_sim_run(rig->sim, NULL, UINT64_MAX, TURNS_MAX));
	ASSERT(errand.ended);
}

void raid_rig_fault(struct raid_rig *rig, unsigned drive, unsigned ops, uint64_t count, int result)
{
	const struct disk_sim_fault fault = {.ops = ops, .count = count, .result = result};

	ASSERT(disk_sim_fault_add(rig->media[drive], &fault) == 0);
}

uint64_t raid_rig_offset(enum segment_class class, unsigned slot)
{
	return LABEL_BYTES + ((uint64_t)(class - 1) << RIG_CHUNK_SHIFT) +
	       (uint64_t)slot * PAGE_BYTES;
}

void raid_rig_rot(struct raid_rig *rig, unsigned drive, uint64_t offset)
{
	uint8_t block[512];
	const uint64_t start = offset - offset % sizeof(block);

	disk_sim_peek(rig->media[drive], start, block, sizeof(block));
	block[offset - start] ^= 0x40;
	ASSERT(raid_label_write(&rig->raid, &rig->raid.drives[drive], start, block,
				sizeof(block)) == 0);
}

/* --- The space -------------------------------------------------------------------------------- */

struct segment *space_segment(const struct space *space, uint32_t id)
{
	struct space *own = (struct space *)(uintptr_t)space;

	return id >= SEGMENT_DATA && id <= SEGMENT_LOG ? &own->segments[id] : NULL;
}

bool space_vaddr_valid(const struct space *space, uint64_t vaddr, enum segment_class class)
{
	return vaddr_segment(vaddr) == class && vaddr_slot(vaddr) < RIG_SLOTS;
}

unsigned space_alloc(struct space *space, enum segment_class class, unsigned want,
		     uint64_t *ret_vaddr)
{
	bool *used = space->used[class];
	unsigned first = 0;
	unsigned count = 0;

	if (space->run_max > 0)
		want = MIN(want, space->run_max);
	while (first < RIG_SLOTS && used[first])
		first++;
	while (count < want && first + count < RIG_SLOTS && !used[first + count])
		used[first + count++] = true;
	if (count > 0)
		*ret_vaddr = vaddr_make(class, first);
	return count;
}

int space_segment_add(struct space *space UNUSED, enum segment_class class UNUSED,
		      unsigned group UNUSED, uint64_t ckpt UNUSED,
		      struct segment **ret_segment UNUSED)
{
	return -ENOSPC;
}

void space_unalloc(struct space *space, uint64_t vaddr, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const unsigned slot = vaddr_slot(vaddr) + i;

		ASSERT(space->used[vaddr_segment(vaddr)][slot]);
		ASSERT(!space->ref[vaddr_segment(vaddr)][slot]);
		space->used[vaddr_segment(vaddr)][slot] = false;
	}
}

void space_ref(struct space *space, uint64_t vaddr)
{
	ASSERT(space->used[vaddr_segment(vaddr)][vaddr_slot(vaddr)]);
	ASSERT(!space->ref[vaddr_segment(vaddr)][vaddr_slot(vaddr)]);
	space->ref[vaddr_segment(vaddr)][vaddr_slot(vaddr)] = true;
}

void space_unref(struct space *space, uint64_t vaddr)
{
	ASSERT(space->ref[vaddr_segment(vaddr)][vaddr_slot(vaddr)]);
	space->ref[vaddr_segment(vaddr)][vaddr_slot(vaddr)] = false;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known, as messages. Pure: the same view makes the same message, so that two of them can
 * be compared byte by byte; what changes all the time (exact sizes, counters) is in metrics alone.
 *
 * A place for what this version cannot do stays empty: compression, parity, scrub and resilver.
 */
#ifndef EVE_FILL_H
#define EVE_FILL_H

#include "arena.h"
#include "totals.h"
#include "view.h"

#include "eve.pb-c.h"

struct eve_fill {
	struct eve_arena *arena;
	const struct eve_view *view;
	const struct eve_totals *totals; /* for metrics */
	const char *device;		 /* a UUID or "" */
	const char *version;		 /* of this program */
	uint64_t now_ms;		 /* wall clock */
};

/* What must be known of a volume's last message, so that it does not change all the time. */
struct eve_volume_memory {
	uint64_t shown_bytes;
	unsigned shown_percent;
	uint64_t error_ms; /* since when it is in error; 0 = it is not */
};

/* Of a volume what its message is made of; all else is zero. */
struct eve_volume_seen {
	struct control_volume_health volume;
	bool suspended; /* its pool */
};

/* --- State ---------------------------------------------------------------------------------- */

Eve__ZInfoDevice *eve_fill_device(const struct eve_fill *fill);
Eve__ZInfoVolume *eve_fill_volume(const struct eve_fill *fill, const struct eve_pool_view *pool,
				  const struct control_volume_health *volume,
				  struct eve_volume_memory *memory);

/*
 * True: nothing that its message is made of differs from what was seen the last time, which was the
 * same volume with this memory. It has been seen now.
 */
bool eve_fill_volume_same(const struct control_volume_health *volume, bool suspended,
			  const struct eve_volume_memory *memory, struct eve_volume_seen *seen);

/* It is gone: its identity and nothing else. */
Eve__ZInfoVolume *eve_fill_gone(struct eve_arena *arena, const uint8_t guid[16]);

/* One of the two is NULL. */
Eve__ZInfoMsg *eve_fill_info(const struct eve_fill *fill, Eve__ZInfoDevice *device,
			     Eve__ZInfoVolume *volume);

/* --- Periodic ------------------------------------------------------------------------------- */

Eve__ZMetricMsg *eve_fill_metrics(const struct eve_fill *fill);
Eve__ZHardwareHealth *eve_fill_hardware(const struct eve_fill *fill);

/* --- Shared by the files that fill ----------------------------------------------------------- */

Google__Protobuf__Timestamp *eve_fill_time(struct eve_arena *arena, uint64_t time_ms);
Eve__DiskDescription *eve_fill_disk(const struct eve_fill *fill,
				    const struct control_drive_info *info);

/* How drives lie in a pool: those directly under it, and groups of several. */
struct eve_group {
	uint64_t guid; /* the same as long as the pool lives */
	bool mirrored;
	unsigned count;
	unsigned drives[CONTROL_DRIVES_MAX]; /* indices */
};

struct eve_layout {
	unsigned flat_count;
	unsigned flat[CONTROL_DRIVES_MAX];
	bool mirrored; /* of the flat ones */
	unsigned group_count;
	struct eve_group groups[CONTROL_DRIVES_MAX];
};

void eve_layout_find(const struct control_pool_info *info, struct eve_layout *ret_layout);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated drive from inside: contents at rest (sim_image.c), cache (sim_cache.c), decisions
 * (sim_plan.c), life (sim.c), requests (sim_io.c), what was asked (sim_trace.c) and what a crash
 * may have left of it (sim_crash.c). */
#ifndef DISK_SIM_H
#define DISK_SIM_H

#include <quoin/base_random.h>
#include <quoin/disk_sim.h>
#include <quoin/disk_sim_trace.h>

#include "driver.h"

#define SIM_PAGE_BYTES 4096

struct sim_fault {
	struct disk_sim_fault fault;
	uint64_t seen;
};

struct disk_sim_image;

/* Bytes by page. */
struct sim_content {
	uint8_t **pages;	      /* NULL: zeroes */
	uint64_t *own;		      /* bit per page: it is nobody else's; others are of `under` */
	struct disk_sim_image *under; /* NULL: zeroes */
	uint64_t size_bytes;
};

/* A content that does not change while anyone but its maker uses it. */
struct disk_sim_image {
	unsigned users;
	struct sim_content content;
};

/* What reads return, and of the dirty units what a power cut leaves. */
struct sim_cache {
	struct sim_content now;
	struct sim_content medium; /* of dirty units, else meaningless; no pages: never any */
	uint64_t *dirty;	   /* bit per unit; none outside [dirty_begin, dirty_end) */
	uint64_t dirty_begin;
	uint64_t dirty_end;
	uint64_t unit_bytes;
	uint64_t unit_count; /* of the largest size */
};

struct disk_sim {
	struct disk_sim_params params; /* params.plan is the one in force */
	struct random random;	       /* when, and how it ends */
	struct random loss_random;
	struct random fault_random;
	struct sim_cache cache;
	struct sim_fault faults[DISK_SIM_FAULTS_MAX];
	unsigned fault_count;
	uint64_t *bad; /* bit per unit that cannot be read; NULL: none */
	uint64_t size_bytes;
	uint64_t own_sequence;
	struct sim_disk *open; /* NULL: closed */
	struct disk_sim_trace *trace;
	bool powered;
	int gone;	 /* 0, or what requests end with */
	int flush_error; /* of the first flush that failed since the open */
	struct disk_sim_stats stats;
};

struct sim_disk {
	struct disk disk;
	struct disk_sim *sim;
	struct list in_flight; /* disk_request.io.node */
};

/*
 * Of a request: `step` is 0 once it can leave nothing on the drive, else SIM_ACCEPTED and
 * the marks of the faults that struck it; `progress_bytes` is the offset where it really goes;
 * `retries` is its number in the trace.
 */
#define SIM_ACCEPTED 1U
#define SIM_MARK(kind) (2U << (kind))

static inline bool sim_changes(const struct disk_request *request)
{
	return request->op != DISK_READ && request->op != DISK_FLUSH;
}

/* Which units of a change survive: by block, or by unit where a block is torn. */
struct sim_dice {
	struct random *random;
	unsigned percent;
	unsigned tear_percent;
	uint64_t block_units;
	uint64_t block; /* that was decided last */
	bool torn;
	bool kept;
};

/* --- sim_image.c --------------------------------------------------------------------------- */

/* Zeroes. */
void sim_content_init(struct sim_content *content, uint64_t size_bytes);
void sim_content_fini(struct sim_content *content);

/* The content is the image's now, of the same size. */
void sim_content_over(struct sim_content *content, struct disk_sim_image *image);

/* New bytes; NULL: zeroes. */
void sim_content_put(struct sim_content *content, uint64_t offset, const void *data,
		     uint64_t length);
void sim_content_get(const struct sim_content *content, uint64_t offset, void *data,
		     uint64_t length);
void sim_content_flip(struct sim_content *content, uint64_t at, uint8_t bits);

/* Bytes of one page to the same place of another content. */
void sim_content_copy(struct sim_content *to, const struct sim_content *from, uint64_t offset,
		      uint64_t length);

/* With one user: the same as the image, to be changed; what the content is, which goes on. */
struct disk_sim_image *sim_image_over(struct disk_sim_image *under);
struct disk_sim_image *sim_image_freeze(struct sim_content *content);
void sim_image_ref(struct disk_sim_image *image);
void sim_image_unref(struct disk_sim_image *image);

/* --- sim_cache.c --------------------------------------------------------------------------- */

/* The content is the image's; NULL: zeroes. */
void sim_cache_init(struct sim_cache *cache, uint64_t size_bytes, uint64_t unit_bytes,
		    struct disk_sim_image *image);
void sim_cache_fini(struct sim_cache *cache);

/* Another content, all of it on the medium. */
void sim_cache_replace(struct sim_cache *cache, struct disk_sim_image *image);

/* Makes whole units ready for new content; `durable`: it will be on the medium at once. */
void sim_cache_change(struct sim_cache *cache, uint64_t offset, uint64_t length, bool durable);

/* Durable zeroes. */
void sim_cache_erase(struct sim_cache *cache, uint64_t offset, uint64_t length);

/* All is on the medium. */
void sim_cache_flush(struct sim_cache *cache);

/* Writes the dirty units back that the dice choose. */
void sim_cache_write_back_some(struct sim_cache *cache, struct sim_dice *dice);

/* What is not on the medium is gone. */
void sim_cache_lose(struct sim_cache *cache);

/* Flips these bits of one byte, wherever it is held. */
void sim_cache_flip(struct sim_cache *cache, uint64_t at, uint8_t bits);

/* --- sim_plan.c ---------------------------------------------------------------------------- */

uint64_t sim_plan_latency_ns(struct disk_sim *sim);

/* Decides about an accepted request: its result, marks and place; and how much longer it takes. */
uint64_t sim_plan_strike(struct disk_sim *sim, struct disk_request *request);

struct sim_dice sim_dice_of(struct disk_sim *sim, unsigned percent);
bool sim_dice_keep(struct sim_dice *dice, uint64_t unit);

/* Units that cannot be read. */
bool sim_bad_within(const struct disk_sim *sim, uint64_t offset, uint64_t length);
void sim_bad_clear(struct disk_sim *sim, uint64_t offset, uint64_t length);

/* --- sim.c --------------------------------------------------------------------------------- */

/* A closed drive with this content, NULL: zeroes. */
struct disk_sim *sim_new(const struct disk_sim_params *params, struct disk_sim_image *image);

/* --- sim_io.c ------------------------------------------------------------------------------ */

void sim_submit(struct disk_channel *channel, struct disk_request *request);

/* The requests in flight leave each block with this chance and end with `error`. */
void sim_requests_cut(struct sim_disk *disk, int error, unsigned percent);

/* --- sim_trace.c --------------------------------------------------------------------------- */

/* An accepted change or flush was submitted; the request as it will be done. */
void sim_trace_submitted(struct disk_sim *sim, struct disk_request *request);
void sim_trace_ended(struct disk_sim *sim, struct disk_request *request, int result);

/* A change is done in part, unit by unit: those that are named, as they now stand. */
void sim_trace_partial(struct disk_sim *sim, const struct disk_request *request);
void sim_trace_unit(struct disk_sim *sim, const struct disk_request *request, uint64_t index);

/* Nothing more is recorded. */
void sim_trace_detach(struct disk_sim *sim);

#endif

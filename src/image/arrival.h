/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A volume whose image is still arriving: which pieces are here, who waits for which, and how a
 * piece gets in without touching what guests wrote. docs/DESIGN.md, section 7.
 *
 * Everything is called in the home loop's thread; [fiber] only in a fiber of it.
 *
 * Invariants
 *   A1  A piece that is here is never filled again.
 *   A2  In a piece that is not here, a block that reads as anything but zeroes is newer than the
 *       image or came from it; a block of zeroes is still the image's to fill. A crash makes pieces
 *       of what came after the last record not here again. So what may leave a block of zeroes
 *       (written in whole or in part, discarded) goes to the volume only once the record has its
 *       piece.
 *   A3  While a piece is locked no request writes into it, and none that does is in flight.
 *   A4  What the record says is here was durable on the volume before.
 */
#ifndef IMAGE_ARRIVAL_H
#define IMAGE_ARRIVAL_H

#include <quoin/block.h>
#include <quoin/loop_fiber.h>

#define ARRIVAL_PIECE_BYTES (1 * MiB)
#define ARRIVAL_BLOCK_BYTES 4096
#define ARRIVAL_LOCKS_MAX 8 /* fills at a time */

/* Words of the bitmap in a page of the record. */
#define ARRIVAL_PAGE_PIECES (4096 * 8)

struct arrival_lock {
	bool taken;
	uint64_t piece;
	struct fiber *waiter; /* its filler, while requests drain */
};

struct arrival {
	struct loop *loop;
	struct block_device *lower;    /* borrowed; the volume as the pool has it */
	struct block_channel *channel; /* of the home loop */
	uint64_t image_bytes;
	uint64_t piece_count;
	uint64_t here_count;
	uint64_t *here;	 /* bit per piece */
	uint64_t *safe;	 /* the same: here, and the record has it */
	uint64_t *dirty; /* bit per page of the record */
	bool complete;	 /* atomic: all is here and settled, requests go straight down */
	int verdict;	 /* < 0: what is not here will not come, so requests for it fail with it */
	bool condemned;	 /* nothing of it may be shown: every request fails */
	struct list running; /* arrival_sub: writes into pieces that are not here */
	struct list waiting; /* block_request.node */
	struct list punches; /* the same: what may leave zeroes, and wants safe pieces */
	struct list spare;   /* arrival_sub */
	struct fiber *puncher;
	struct arrival_lock locks[ARRIVAL_LOCKS_MAX];
	unsigned in_flight; /* requests of guests, waiting ones too */
	unsigned devices;

	/* A guest waits for the piece. Any number of times. */
	void (*demand)(void *data, uint64_t piece);
	/* [fiber] What `here` says is durable when this returns 0. */
	int (*persist)(void *data);
	void *data;
};

/* `lower` is borrowed until fini. Nothing is here. -ENOMEM. */
MUST_CHECK int arrival_init(struct arrival *arrival, struct loop *loop, struct block_device *lower,
			    uint64_t image_bytes);

/* No device is left and nothing under way. */
void arrival_fini(struct arrival *arrival);

static inline uint64_t arrival_pages(const struct arrival *arrival)
{
	return (arrival->piece_count + ARRIVAL_PAGE_PIECES - 1) / ARRIVAL_PAGE_PIECES;
}

bool arrival_is_here(const struct arrival *arrival, uint64_t piece);

/* The lowest piece >= `from` that is not here; piece_count when there is none. */
uint64_t arrival_next_absent(const struct arrival *arrival, uint64_t from);

/* Bytes of the image in a piece: the last one may be short. */
size_t arrival_piece_bytes(const struct arrival *arrival, uint64_t piece);

/*
 * [fiber] Puts a piece in: `data`, ARRIVAL_PIECE_BYTES with zeroes behind the image's end, where
 * nobody wrote; `scratch` is as large. 0 also when it came meanwhile. Negative errno of the volume:
 * it is not here.
 */
MUST_CHECK int arrival_fill(struct arrival *arrival, uint64_t piece, const void *data,
			    void *scratch);

/* The image has zeroes there: nothing to write. */
void arrival_fill_zeroes(struct arrival *arrival, uint64_t piece);

/* Something changed: who waits is looked at again, and demands again. */
void arrival_retry(struct arrival *arrival);

/* [fiber] Makes durable what the volume has. */
MUST_CHECK int arrival_flush(struct arrival *arrival);

/* The rest will not come (negative errno), or may again (0). */
void arrival_judge(struct arrival *arrival, int verdict);
void arrival_condemn(struct arrival *arrival);

/* All is here, durable and trusted: requests go straight down from now on. */
void arrival_complete(struct arrival *arrival);

/*
 * The block device that guests get; block_close() from any thread. It is counted in `devices` until
 * its goodbye has reached the home loop, and keeps `lower` no longer than the arrival.
 */
struct block_device *arrival_device_new(struct arrival *arrival, bool read_only, const char *name);

struct arrival_span {
	enum block_op op;
	unsigned flags; /* enum block_flags */
	uint64_t offset;
	void *data; /* NULL: a flush */
	size_t length;
};

/* [fiber] One request on a channel, waited for. */
MUST_CHECK int arrival_io(struct block_channel *channel, const struct arrival_span *span);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is to be told, and who has heard of it. State is one object for all pools together and one
 * for each volume; an object has its newest message and a version, and each consumer the version
 * that it took. So a newer state replaces one that was not handed on, nothing grows with the time
 * that somebody does not listen, and "again" is a version taken back.
 *
 * Counters and drives are objects too, of which a consumer is given each version once at most.
 *
 * No clock and no lock of its own: time comes with the calls, the lock is the caller's.
 */
#ifndef EVE_STORE_H
#define EVE_STORE_H

#include <quoin/base_random.h>

#include "encode.h"
#include "fill.h"

#define EVE_CONSUMERS_MAX 8
#define EVE_SETTLE_MS 1500		  /* what changes back within this is not told */
#define EVE_GONE_KEPT_MS (60 * 60 * 1000) /* who comes later does not hear of it */
#define EVE_REFUSED_MS (60 * 1000)	  /* until a refused message is tried again; doubles */
#define EVE_REFUSED_MAX_MS (60 * 60 * 1000)

enum eve_kind { EVE_KIND_INFO, EVE_KIND_METRICS, EVE_KIND_HARDWARE, EVE_KINDS };

struct eve_heard {
	uint64_t version;
	uint64_t again_ms; /* not before this */
	unsigned refusals;
};

struct eve_object {
	enum eve_kind kind;
	bool is_volume;
	uint8_t guid[16]; /* of a volume */
	uint8_t pool[16];
	bool gone;
	uint64_t gone_ms;
	struct eve_volume_memory memory;
	struct eve_volume_seen seen;
	struct eve_bytes body;	  /* without the envelope's time: what is compared; binary */
	struct eve_bytes message; /* that is handed on */
	uint64_t version;	  /* 0 = there is no message yet */
	uint64_t differs_ms;	  /* since when it is not what the message says; 0 = it is */
	uint64_t look;		  /* the last one that saw it */
	unsigned out;		  /* items of it that are being handed on */
	struct eve_heard heard[EVE_CONSUMERS_MAX];
};

struct eve_store {
	uint64_t version; /* the newest */
	uint64_t changes; /* of state */
	bool attached[EVE_CONSUMERS_MAX];
	unsigned ways[EVE_CONSUMERS_MAX]; /* of who attached it */
	unsigned cursors[EVE_CONSUMERS_MAX];
	struct eve_object device, metrics, hardware;
	unsigned count, room;
	struct eve_object **volumes; /* in no order */
};

void eve_store_init(struct eve_store *store);
void eve_store_fini(struct eve_store *store);

/* --- Producers ------------------------------------------------------------------------------ */

struct eve_object *eve_store_volume(struct eve_store *store, const uint8_t guid[16]);

/* Nobody has an item of it. */
void eve_store_drop(struct eve_store *store, struct eve_object *object);

/*
 * The object is `body` now; true when that has to be told: then eve_store_put() with the message.
 * A volume that is new is told at once, changes when they lasted. Takes `body`.
 */
MUST_CHECK bool eve_store_differs(struct eve_object *object, struct eve_bytes *body,
				  uint64_t now_ms);

/* A new version. Takes `message`. */
void eve_store_put(struct eve_store *store, struct eve_object *object, struct eve_bytes *message);

/* Everybody who is there has heard that it is gone, and it is long ago. */
bool eve_store_is_over(const struct eve_store *store, const struct eve_object *object,
		       uint64_t now_ms);

/* --- Consumers ------------------------------------------------------------------------------ */

/* Its number, to which nothing was told; -ENOSPC. `way` is kept for who asks. */
MUST_CHECK int eve_store_attach(struct eve_store *store, unsigned way);
void eve_store_detach(struct eve_store *store, unsigned consumer);

/* All state is told to it again; what was refused too. */
void eve_store_again(struct eve_store *store, unsigned consumer);

struct eve_item {
	struct eve_object *object;
	enum eve_kind kind;
	char key[48]; /* "device", "metrics", a volume's UUID ... */
	bool gone;
	uint64_t version;
	struct eve_bytes message; /* owned */
};

/*
 * The next one that it has not heard; it stays the caller's until eve_store_done(). False: there
 * is none; then *ret_wait_ms says when to ask again, UINT64_MAX for when something is put.
 */
MUST_CHECK bool eve_store_next(struct eve_store *store, unsigned consumer, uint64_t now_ms,
			       struct eve_item *ret_item, uint64_t *ret_wait_ms);

enum eve_outcome {
	EVE_TAKEN,
	EVE_REFUSED, /* this message is not taken, others may be */
	EVE_FAILED   /* it was not handed on; counters are lost then */
};

void eve_store_done(struct eve_store *store, unsigned consumer, struct eve_item *item,
		    enum eve_outcome outcome, uint64_t now_ms);

/* States that it has not heard. */
unsigned eve_store_pending(const struct eve_store *store, unsigned consumer);

/* --- Times ---------------------------------------------------------------------------------- */

/* 0.3 to 1.0 of the period, drawn. */
uint64_t eve_jitter_ms(struct random *random, unsigned period_s);

#endif

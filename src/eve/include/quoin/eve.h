/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells an EVE controller, or an agent before it, how the storage is, in EVE's own protocol:
 * StorageInfo and ZInfoVolume when something changed, StorageMetric and ZMetricVolume each minute,
 * ZHardwareHealth twice a day. docs/EVE.md has the messages, the ways out, and what is in them.
 *
 * A thread of its own looks at what the daemon knows once a second, and one for each way out hands
 * messages on. They use what is kept for everybody (quoin/control_health.h): no loop, no verb and
 * no drive is waited for, and none waits for them. A way that hangs or refuses holds up itself.
 *
 * Functions may be called from any thread, but eve_configure() by one at a time.
 */
#ifndef QUOIN_EVE_H
#define QUOIN_EVE_H

#include <quoin/base.h>
#include <quoin/base_err.h>
#include <quoin/eve_config.h>

struct control;
struct eve;

struct eve_params {
	struct control *control; /* borrowed, and outlives it */
	const char *state_dir;	 /* of the daemon */
	const char *version;	 /* of this program */
};

/*
 * Goes on with the configuration that was saved. -EUCLEAN: that cannot be understood; -EPROTO: a
 * newer version wrote it; -EAGAIN: there is no thread.
 */
MUST_CHECK int eve_new(const struct eve_params *params, struct eve **ret_eve, struct err *err);

/* Waits for nobody who is told. Before control_stop(). NULL is allowed. */
void eve_free(struct eve *eve);

void eve_config_get(struct eve *eve, struct eve_config *ret_config);

/* Saves it and goes on with it. Everything is told anew. */
MUST_CHECK int eve_configure(struct eve *eve, const struct eve_config *config, struct err *err);

/* All state is told again, to all, now; with counters and drives. */
void eve_send(struct eve *eve);

enum eve_way { EVE_SOCKET, EVE_DIRECTORY, EVE_CONTROLLER, EVE_WAYS };

struct eve_way_status {
	bool on;
	unsigned peers;	    /* of the socket */
	unsigned pending;   /* states that are not told yet */
	uint64_t delivered; /* messages, since the start */
	uint64_t failed;    /* tries that were not */
	uint64_t refused;   /* messages that were not taken as they are */
	uint64_t last_ms;   /* wall clock, of the last delivery; 0 = none */
	char problem[192];  /* "" = nothing is wrong */
};

struct eve_status {
	struct eve_way_status ways[EVE_WAYS];
	unsigned objects;	    /* pools together are one, each volume is one */
	uint64_t looks;		    /* at what there is, since the start */
	uint64_t changes;	    /* of state, that they found */
	char counters_problem[192]; /* they cannot be saved: they may fall at a restart */
};

void eve_status(struct eve *eve, struct eve_status *ret_status);

/* "socket", "directory", "controller". */
const char *eve_way_word(enum eve_way way);

/* The messages as of now, as proto3 JSON: {"info": [...], "metrics": ..., "hardwarehealth": ...}.
 */
json_t *eve_messages(struct eve *eve);

/* The same in binary, each in a frame as on the socket. */
struct text;
void eve_frames(struct eve *eve, struct text *ret_frames);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images that arrive in a pool's volumes. docs/DESIGN.md, section 7; docs/FORMAT.md, section 10.
 *
 * Everything is called in the thread of the pool's home loop, [fiber] from a fiber of it. Sentences
 * are ready for people. A deployment is freed before its pool is closed.
 */
#ifndef QUOIN_IMAGE_DEPLOY_H
#define QUOIN_IMAGE_DEPLOY_H

#include <quoin/base.h>
#include <quoin/base_err.h>
#include <quoin/block.h>
#include <quoin/image_digest.h>
#include <quoin/image_source.h>
#include <quoin/pool.h>

#define IMAGE_SOURCE_MAX 3000 /* characters */

/* Records of arriving volumes have such names; nobody else's may. */
#define IMAGE_RECORD_PREFIX "quoin:arriving/"

struct image_deploy;

/* Told when a deployment was refused, has its volume, is done, or failed. Lives longer than it. */
struct image_watcher {
	void (*changed)(void *data);
	void *data;
};

struct image_deploy_params {
	struct pool *pool;
	const char *name; /* of the volume to be made */
	const struct image_opener *opener;
	const char *source;
	uint64_t size_bytes; /* of the volume; 0 = the image's */
	bool first;	     /* not attached before all of it is here and right */
	bool has_sha256;
	uint8_t sha256[IMAGE_DIGEST_BYTES]; /* of the original */
	struct image_digests digests;	    /* taken on success; count 0 = none */
	uint64_t rate_bytes;		    /* a second; 0 = as fast as it comes */
	const struct image_watcher *watcher;
};

/*
 *   opening --> refused                  no volume was made
 *      |
 *      v
 *   arriving <-> waiting, paused --> verifying --> done
 *      |                                |
 *      +------------> failed <----------+
 */
enum image_state {
	IMAGE_OPENING,
	IMAGE_REFUSED,
	IMAGE_ARRIVING,
	IMAGE_WAITING,
	IMAGE_PAUSED,
	IMAGE_VERIFYING,
	IMAGE_DONE,
	IMAGE_FAILED,
};

struct image_info {
	enum image_state state;
	bool first;
	char problem[ERR_TEXT_MAX]; /* why it was refused, waits or failed; "" */
	char source[IMAGE_SOURCE_MAX + 1];
	uint64_t image_bytes, here_bytes; /* of it, with what needs no fetch */
	uint64_t fetched_bytes;		  /* since it was started or resumed */
	uint64_t verified_bytes, verify_bytes;
	uint64_t rate_limit, rate_now; /* bytes a second */
	int code;		       /* negative errno of a refusal */
	bool open;		       /* the source is, or is being opened: */
	enum image_access access;
	uint64_t original_bytes, passed_bytes; /* in order, or into our file */
	bool again;			       /* in order, and not for the first time */
};

/* Opens the source in the background; then the volume is there, or it is refused. -ENOMEM. */
MUST_CHECK int image_deploy_new(const struct image_deploy_params *params,
				struct image_deploy **ret_deploy);

/*
 * [fiber] After an import: goes on with the next arriving volume from `cursor` on (0 at first), and
 * clears away what a crash left half made. -ENOENT: there are no more; any other: this one cannot
 * go on, and the sentence names it.
 */
struct image_resume {
	struct pool *pool;
	const struct image_opener *opener;
	const struct image_watcher *watcher;
	unsigned cursor;
};
MUST_CHECK int image_deploy_resume(struct image_resume *resume, struct image_deploy **ret_deploy,
				   struct err *err);

const char *image_deploy_name(const struct image_deploy *deploy);
const char *image_deploy_source(const struct image_deploy *deploy);
void image_deploy_info(const struct image_deploy *deploy, struct image_info *ret_info);

/* No guest has its volume, and nothing is left to do. */
bool image_deploy_idle(const struct image_deploy *deploy);

/* The volume for a guest. -EBUSY: not yet, or it failed. */
MUST_CHECK int image_deploy_device(struct image_deploy *deploy, bool read_only,
				   struct block_device **ret_device, struct err *err);

/* [fiber] */
MUST_CHECK int image_deploy_pause(struct image_deploy *deploy, bool on);
MUST_CHECK int image_deploy_rate(struct image_deploy *deploy, uint64_t rate_bytes);
/* What waits is tried again at once. */
void image_deploy_retry(struct image_deploy *deploy);

/* [fiber] Stops, an opening too. What is here stays, to be gone on from. No guest has it any more.
 */
void image_deploy_free(struct image_deploy *deploy);

/* [fiber] The same, and the volume is destroyed when it is not done. */
MUST_CHECK int image_deploy_cancel(struct image_deploy *deploy, struct err *err);

#endif

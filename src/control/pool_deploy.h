/* SPDX-License-Identifier: Apache-2.0 */
/* Images that arrive in a pool: in its home loop, [fiber] everywhere. */
#ifndef CONTROL_POOL_DEPLOY_H
#define CONTROL_POOL_DEPLOY_H

#include <quoin/control_health.h>

#include "pool.h"

/* With the pool: goes on with what was arriving; stops it all, to be gone on with. */
void control_deploys_resume(struct control_pool *pool, const struct image_opener *opener);
void control_deploys_stop(struct control_pool *pool);

/* Tries at once what waits for its source. */
void control_deploys_retry(struct control_pool *pool);

/* Where what may still be read comes from; the texts are the deployments'. Returns how many. */
unsigned control_deploys_sources(const struct control_pool *pool,
				 const char *ret_sources[CONTROL_DEPLOYS_MAX]);

/* Forgets what is done and used by nobody: then the volume is one like all others. */
void control_deploys_sweep(struct control_pool *pool);

/* The one of this volume that is not done or refused; NULL. */
struct image_deploy *control_deploys_active(const struct control_pool *pool, const char *name);

/* -EBUSY, when there is one. */
MUST_CHECK int control_deploys_check(const struct pool_args *args);

/* The volume is destroyed with it. */
MUST_CHECK int control_deploys_cancel(const struct pool_args *args);

/* One is on its way into the volume, or failed there. */
bool control_deploys_has(const struct control_pool *pool, const char *name);

/* `state` is "" when there is none. */
void control_deploys_info(const struct control_pool *pool, const char *name,
			  struct control_deploy_info *ret_info);

/* All of them, for the board. Returns how many. */
unsigned control_deploys_look(const struct control_pool *pool,
			      struct control_deploy_health ret[CONTROL_DEPLOYS_MAX]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Work for the thread of the verbs that no request asked for; see errand.h. */
#include "errand.h"

#include "pool_use.h"
#include "private.h"
#include "sources.h"

void control_errand_init(struct control_errand *errand)
{
	atomic_init(&errand->due, false);
	pthread_mutex_init(&errand->lock, NULL);
	errand->wake = NULL;
}

void control_errand_fini(struct control_errand *errand)
{
	pthread_mutex_destroy(&errand->lock);
}

void control_errand_ask(struct control_errand *errand)
{
	if (atomic_exchange(&errand->due, true))
		return;
	pthread_mutex_lock(&errand->lock);
	if (errand->wake)
		errand->wake(errand->data);
	pthread_mutex_unlock(&errand->lock);
}

bool control_errand_take(struct control_errand *errand)
{
	return atomic_exchange(&errand->due, false);
}

/* --- For the server ----------------------------------------------------------------------------
 */

void control_on_errand(struct control *control, void (*wake)(void *data), void *data)
{
	struct control_errand *errand = &control->errand;

	pthread_mutex_lock(&errand->lock);
	errand->wake = wake;
	errand->data = data;
	/* It may have been asked for when nobody listened. */
	if (wake && atomic_load(&errand->due))
		wake(data);
	pthread_mutex_unlock(&errand->lock);
}

void control_errands_run(struct control *control)
{
	if (!control_errand_take(&control->errand))
		return;
	for (unsigned i = 0; i < control->pools.count; i++) {
		struct control_pool *pool = control->pools.pools[i];

		/* A volume is there now, or may be attached now: who waited for it can go on. */
		if (atomic_exchange(&pool->deploys_changed, false))
			control_pool_wake_targets(control, pool->name);
	}
	control_sources_tend(control);
	control_scheduler_errand(&control->scheduler);
}

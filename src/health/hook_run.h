/* SPDX-License-Identifier: Apache-2.0 */
/* One try to hand an event on. Blocking, with a time limit, ended by *stop within 100 ms. */
#ifndef HEALTH_HOOK_RUN_H
#define HEALTH_HOOK_RUN_H

#include <stdatomic.h>

#include <quoin/base_err.h>
#include <quoin/health_event.h>

struct hook_try {
	const char *where; /* path or address */
	const struct health_event *event;
	const char *json;
	unsigned timeout_ms;
	const atomic_bool *stop;
};

/* Negative errno with a sentence. -ETIMEDOUT; -ECANCELED: stopped. */
MUST_CHECK int hook_program_run(const struct hook_try *try, struct err *err);
MUST_CHECK int hook_url_post(const struct hook_try *try, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The thread of the verbs; see verbs.h. */
#include "verbs.h"

#include <errno.h>
#include <string.h>

#include <quoin/api_json.h>
#include <quoin/base_log.h>
#include <quoin/control.h>

static void refuse(struct api_job *job)
{
	struct err err;

	err_set(&err, -EBUSY, "quoind is stopping");
	memset(&job->reply, 0, sizeof(job->reply));
	job->reply.status = 503;
	job->reply.json = api_error_encode(&err);
}

static void run(struct api_verbs *verbs, struct api_job *job)
{
	pthread_mutex_lock(&verbs->running);
	api_dispatch(&verbs->context, &job->request, &job->reply);
	pthread_mutex_unlock(&verbs->running);
	log_debug("%s %s: %u", job->request.method, job->request.path, job->reply.status);
}

/* In any thread. */
static void on_errand(void *data)
{
	struct api_verbs *verbs = data;

	pthread_mutex_lock(&verbs->lock);
	verbs->errands = true;
	pthread_cond_signal(&verbs->work);
	pthread_mutex_unlock(&verbs->lock);
}

/* With the lock held, which is let go meanwhile. */
static void errands_run(struct api_verbs *verbs)
{
	verbs->errands = false;
	pthread_mutex_unlock(&verbs->lock);
	pthread_mutex_lock(&verbs->running);
	control_errands_run(verbs->context.control);
	pthread_mutex_unlock(&verbs->running);
	pthread_mutex_lock(&verbs->lock);
}

static void *thread_main(void *arg)
{
	struct api_verbs *verbs = arg;

	pthread_mutex_lock(&verbs->lock);
	while (!verbs->stopping || !list_empty(&verbs->jobs)) {
		struct list *node;
		struct api_job *job;
		bool stopping;

		if (verbs->errands && !verbs->stopping)
			errands_run(verbs);
		node = list_pop(&verbs->jobs);
		if (!node && !verbs->stopping && !verbs->errands)
			pthread_cond_wait(&verbs->work, &verbs->lock);
		if (!node)
			continue;
		job = container_of(node, struct api_job, node);
		stopping = verbs->stopping;
		pthread_mutex_unlock(&verbs->lock);
		if (stopping)
			refuse(job);
		else
			run(verbs, job);
		job->done(job);
		pthread_mutex_lock(&verbs->lock);
	}
	pthread_mutex_unlock(&verbs->lock);
	return NULL;
}

int api_verbs_start(struct api_verbs *verbs, const struct api_context *context)
{
	int r;

	verbs->context = *context;
	verbs->stopping = verbs->errands = false;
	list_init(&verbs->jobs);
	pthread_mutex_init(&verbs->running, NULL);
	pthread_mutex_init(&verbs->lock, NULL);
	pthread_cond_init(&verbs->work, NULL);
	r = pthread_create(&verbs->thread, NULL, thread_main, verbs);
	if (r == 0)
		pthread_setname_np(verbs->thread, "verbs");
	if (r == 0)
		control_on_errand(context->control, on_errand, verbs);
	return -r;
}

void api_verbs_add(struct api_verbs *verbs, struct api_job *job)
{
	bool stopping;

	pthread_mutex_lock(&verbs->lock);
	stopping = verbs->stopping;
	if (!stopping) {
		list_append(&verbs->jobs, &job->node);
		pthread_cond_signal(&verbs->work);
	}
	pthread_mutex_unlock(&verbs->lock);
	if (!stopping)
		return;
	refuse(job);
	job->done(job);
}

void api_verbs_stop(struct api_verbs *verbs)
{
	control_on_errand(verbs->context.control, NULL, NULL);
	pthread_mutex_lock(&verbs->lock);
	verbs->stopping = true;
	pthread_cond_signal(&verbs->work);
	pthread_mutex_unlock(&verbs->lock);
	pthread_join(verbs->thread, NULL);
}

void api_verbs_fini(struct api_verbs *verbs)
{
	pthread_cond_destroy(&verbs->work);
	pthread_mutex_destroy(&verbs->lock);
	pthread_mutex_destroy(&verbs->running);
}

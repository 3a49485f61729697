/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Helper threads of a real loop, for system calls that block. A thread is started when a job
 * finds none idle, up to OFFLOAD_THREADS_MAX; all end with the loop. When not even the first can
 * be started the job runs in the loop: slow, but right.
 */
#include "real.h"

void offload_init(struct offload *offload)
{
	*offload = (struct offload){0};
	ASSERT(pthread_mutex_init(&offload->lock, NULL) == 0);
	ASSERT(pthread_cond_init(&offload->more, NULL) == 0);
	list_init(&offload->jobs);
	/* Of the thread that makes the loop: helpers must not share a pinned loop's CPU. */
	if (sched_getaffinity(0, sizeof(offload->cpus), &offload->cpus) < 0)
		CPU_ZERO(&offload->cpus);
}

void offload_fini(struct offload *offload)
{
	pthread_mutex_lock(&offload->lock);
	ASSERT(list_empty(&offload->jobs));
	offload->stop = true;
	pthread_cond_broadcast(&offload->more);
	pthread_mutex_unlock(&offload->lock);
	for (unsigned i = 0; i < offload->thread_count; i++)
		pthread_join(offload->threads[i], NULL);
	pthread_cond_destroy(&offload->more);
	pthread_mutex_destroy(&offload->lock);
}

static void deliver_done(struct loop_message *message)
{
	struct loop_job *job = container_of(message, struct loop_job, message);

	job->done(job);
}

static void run_job(struct loop_job *job)
{
	job->work(job);
	job->message.deliver = deliver_done;
	loop_message_send(job->loop, &job->message);
}

static struct loop_job *next_job(struct offload *offload)
{
	struct list *node;

	pthread_mutex_lock(&offload->lock);
	offload->idle++;
	while (list_empty(&offload->jobs) && !offload->stop)
		pthread_cond_wait(&offload->more, &offload->lock);
	offload->idle--;
	node = list_pop(&offload->jobs);
	offload->job_count -= node != NULL;
	pthread_mutex_unlock(&offload->lock);
	return node == NULL ? NULL : container_of(node, struct loop_job, node);
}

static void *helper_main(void *arg)
{
	struct offload *offload = arg;
	struct loop_job *job;

	while ((job = next_job(offload)) != NULL)
		run_job(job);
	return NULL;
}

/* True when there is a thread that will take the job. */
static bool have_helper(struct offload *offload, bool busy)
{
	pthread_t *thread = &offload->threads[offload->thread_count];

	if (busy && offload->thread_count < OFFLOAD_THREADS_MAX &&
	    real_thread_start(thread, &offload->cpus, helper_main, offload) == 0)
		offload->thread_count++;
	return offload->thread_count > 0;
}

void offload_job(struct loop *loop, struct loop_job *job)
{
	struct offload *offload = &real_of(loop)->offload;
	bool busy;

	pthread_mutex_lock(&offload->lock);
	busy = offload->job_count >= offload->idle;
	pthread_mutex_unlock(&offload->lock);

	if (!have_helper(offload, busy)) {
		run_job(job);
		return;
	}
	pthread_mutex_lock(&offload->lock);
	list_append(&offload->jobs, &job->node);
	offload->job_count++;
	pthread_cond_signal(&offload->more);
	pthread_mutex_unlock(&offload->lock);
}

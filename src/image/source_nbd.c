/* SPDX-License-Identifier: Apache-2.0 */
/* The side of the loop: calls that fibers give to the thread. See source_nbd.h. */
#include "source_nbd.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <quoin/base_assert.h>
#include <quoin/base_text.h>

static struct nbd_source *nbd_source_of(struct image_source *source)
{
	return container_of(source, struct nbd_source, source);
}

static void wake(struct nbd_source *source)
{
	const uint64_t one = 1;

	/* A counter that is full wakes too. */
	if (write(source->wake_fd, &one, sizeof(one)) < 0)
		ASSERT(errno == EAGAIN);
}

static int call_run(struct nbd_source *source, struct nbd_call *call)
{
	call->from = source;
	call->fiber = fiber_self();
	call->result = -ECANCELED;
	pthread_mutex_lock(&source->lock);
	call->done = source->ended || atomic_load(&source->stop);
	if (!call->done)
		list_append(&source->calls, &call->node);
	pthread_mutex_unlock(&source->lock);
	wake(source);
	while (!call->done)
		fiber_park();
	/* The thread wrote the reason before it sent the message; one that was stopped may be at
	 * it. */
	if (call->result < 0)
		snprintf(source->source.problem, sizeof(source->source.problem), "%s",
			 atomic_load(&source->stop) ? "it was given up" : source->err.text);
	return call->result;
}

static int nbd_source_read(struct image_source *source, uint64_t offset, void *data, size_t length)
{
	struct nbd_call call = {
		.kind = NBD_CALL_READ, .offset = offset, .data = data, .length = length};

	return call_run(nbd_source_of(source), &call);
}

static int nbd_source_extent(struct image_source *source, uint64_t offset, uint64_t *length,
			     bool *ret_zero)
{
	struct nbd_call call = {.kind = NBD_CALL_EXTENT, .offset = offset, .length = *length};
	const int r = call_run(nbd_source_of(source), &call);

	if (r < 0)
		return r;
	*length = call.length;
	*ret_zero = call.zero;
	return 0;
}

void nbd_source_free(struct nbd_source *source)
{
	base_close(&source->wake_fd);
	pthread_mutex_destroy(&source->lock);
	free(source->directory);
	free(source->staging);
	free(source->text);
	free(source->format);
	free(source);
}

/* What the thread has not taken yet ends here: it may be where nothing wakes it. */
static void nbd_source_stop(struct image_source *base)
{
	struct nbd_source *source = nbd_source_of(base);
	struct list *node;

	pthread_mutex_lock(&source->lock);
	atomic_store(&source->stop, true);
	while ((node = list_pop(&source->calls)) != NULL) {
		struct nbd_call *call = container_of(node, struct nbd_call, node);

		call->done = true;
		fiber_wake(call->fiber);
	}
	pthread_mutex_unlock(&source->lock);
	wake(source);
}

/*
 * The thread ends at once, but for one that waits for the resolver of names. That one is left to
 * itself after a while: it has all that it needs, and frees it.
 */
static void nbd_source_close(struct image_source *base)
{
	struct nbd_source *source = nbd_source_of(base);
	bool gone = false;

	nbd_source_stop(base);
	for (unsigned i = 0; i < NBD_CLOSE_MS && !gone; i++) {
		fiber_sleep_ns(i == 0 ? 0 : NS_PER_MS);
		pthread_mutex_lock(&source->lock);
		gone = source->gone;
		source->abandoned = !gone && i == NBD_CLOSE_MS - 1;
		pthread_mutex_unlock(&source->lock);
	}
	if (gone)
		nbd_source_free(source);
}

static const struct image_source_ops nbd_source_ops = {
	.read = nbd_source_read,
	.extent = nbd_source_extent,
	.stop = nbd_source_stop,
	.close = nbd_source_close,
};

static int thread_start(struct nbd_source *source)
{
	pthread_attr_t detached;
	pthread_t thread;
	sigset_t all;
	sigset_t before;
	int r;

	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&thread, &detached, nbd_source_main, source);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&detached);
	return -r;
}

static struct nbd_source *nbd_source_new(const struct image_opener *opener, struct loop *loop,
					 const struct image_ask *ask)
{
	struct nbd_source *source = xcalloc(1, sizeof(*source));

	source->source.ops = &nbd_source_ops;
	source->loop = loop;
	source->directory = xstrdup(opener->directory);
	source->staging = opener->staging ? xstrdup(opener->staging) : NULL;
	source->text = xstrdup(ask->source);
	source->format = xstrdup(ask->format);
	source->ask = *ask;
	source->ask.source = source->ask.format = NULL;
	source->ask.opening = NULL;
	pthread_mutex_init(&source->lock, NULL);
	list_init(&source->calls);
	list_init(&source->flying);
	source->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return source;
}

static int nbd_open(const struct image_opener *opener, struct loop *loop,
		    const struct image_ask *ask, struct image_source **ret_source, struct err *err)
{
	struct image_opening nobody = {.given_up = false};
	struct image_opening *opening = ask->opening ? ask->opening : &nobody;
	struct nbd_call call = {.kind = NBD_CALL_OPEN};
	struct nbd_source *source;
	int r;

	if (opening->given_up)
		return err_set(err, -ECANCELED, "it was given up");
	source = nbd_source_new(opener, loop, ask);
	r = source->wake_fd < 0 ? -errno : thread_start(source);
	if (r < 0) {
		nbd_source_free(source);
		return err_set(err, r, "cannot start a thread for %s: %s", ask->source,
			       strerror(-r));
	}
	opening->source = &source->source;
	r = call_run(source, &call);
	opening->source = NULL;
	if (r < 0) {
		err_set(err, r, "%s", source->source.problem);
		nbd_source_close(&source->source);
		return r;
	}
	*ret_source = &source->source;
	return 0;
}

void image_opener_nbd(struct image_opener *ret_opener, const char *directory, const char *staging)
{
	*ret_opener =
		(struct image_opener){.open = nbd_open, .directory = directory, .staging = staging};
}

void image_opening_give_up(struct image_opening *opening)
{
	opening->given_up = true;
	if (opening->source)
		opening->source->ops->stop(opening->source);
}

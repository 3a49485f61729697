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
	pthread_mutex_lock(&source->lock);
	call->done = source->ended;
	if (source->ended)
		call->result = -ECANCELED;
	else
		list_append(&source->calls, &call->node);
	pthread_mutex_unlock(&source->lock);
	wake(source);
	while (!call->done)
		fiber_park();
	/* The thread wrote the reason before it sent the message. */
	if (call->result < 0)
		snprintf(source->source.problem, sizeof(source->source.problem), "%s",
			 source->err.text);
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

static void nbd_source_free(struct nbd_source *source)
{
	base_close(&source->wake_fd);
	pthread_mutex_destroy(&source->lock);
	free(source->text);
	free(source->format);
	free(source);
}

static void nbd_source_stop(struct image_source *base)
{
	struct nbd_source *source = nbd_source_of(base);

	atomic_store(&source->stop, true);
	wake(source);
}

/* The thread looks at `stop` several times a second at the most, so this is short. */
static void nbd_source_close(struct image_source *base)
{
	struct nbd_source *source = nbd_source_of(base);

	nbd_source_stop(base);
	pthread_join(source->thread, NULL);
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
	sigset_t all;
	sigset_t before;
	int r;

	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&source->thread, NULL, nbd_source_main, source);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

static int nbd_open(const struct image_opener *opener, struct loop *loop,
		    const struct image_ask *ask, struct image_source **ret_source, struct err *err)
{
	struct nbd_source *source = xcalloc(1, sizeof(*source));
	struct nbd_call call = {.kind = NBD_CALL_OPEN};
	int r;

	source->source.ops = &nbd_source_ops;
	source->loop = loop;
	source->directory = opener->directory;
	source->text = xstrdup(ask->source);
	source->format = xstrdup(ask->format);
	source->original = ask->original;
	pthread_mutex_init(&source->lock, NULL);
	list_init(&source->calls);
	list_init(&source->flying);
	source->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = source->wake_fd < 0 ? -errno : thread_start(source);
	if (r < 0) {
		nbd_source_free(source);
		return err_set(err, r, "cannot start a thread for %s: %s", ask->source,
			       strerror(-r));
	}
	r = call_run(source, &call);
	if (r < 0) {
		err_set(err, r, "%s", source->source.problem);
		nbd_source_close(&source->source);
		return r;
	}
	*ret_source = &source->source;
	return 0;
}

void image_opener_nbd(struct image_opener *ret_opener, const char *directory)
{
	*ret_opener = (struct image_opener){.open = nbd_open, .directory = directory};
}

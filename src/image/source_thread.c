/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The side of the thread: opens, then moves bytes between libnbd and the buffers of calls, and ends
 * every call exactly once, whatever becomes of the server. It never waits for longer than
 * NBD_LOOK_MS without looking whether it is to stop.
 */
#include "source_nbd.h"

#include "nbd_stream.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <quoin/base_assert.h>
#include <quoin/base_clock.h>
#include <quoin/base_text.h>

/* --- The end of a call --------------------------------------------------------------------------
 */

static void deliver(struct loop_message *message)
{
	struct nbd_call *call = container_of(message, struct nbd_call, message);

	call->done = true;
	fiber_wake(call->fiber);
}

/* The fiber may return, and the call be gone, at once. */
static void call_end(struct nbd_call *call, int result)
{
	struct loop *loop = call->from->loop;

	list_remove(&call->node);
	call->result = result;
	call->message.deliver = deliver;
	loop_message_send(loop, &call->message);
}

/* What is wrong, with what the children said of it; the first reason stays. */
static void die(struct nbd_source *source, int code, const char *what)
{
	if (source->err.code < 0)
		return;
	err_set(&source->err, code, "%s: %s", source->text, what);
	for (unsigned i = 0; i < source->child_count; i++) {
		const char *reason = child_reason(&source->children[i]);

		if (reason[0] != '\0') {
			err_set(&source->err, code, "%s: %s", source->text, reason);
			return;
		}
	}
}

/* --- Answers
 * -------------------------------------------------------------------------------------- */

static int answered(void *data, int *error)
{
	struct nbd_call *call = data;
	struct nbd_source *source = call->from;

	source->heard_ms = clock_now_ms(CLOCK_MONOTONIC);
	if (*error != 0)
		die(source, -EIO, "it cannot be read");
	call_end(call, *error != 0 ? -EIO : 0);
	return 1;
}

/* The first extent is what was asked for; more than that may come, and less. */
static int extent_came(void *data, const char *context, uint64_t offset, uint32_t *entries,
		       size_t entry_count, int *error)
{
	struct nbd_call *call = data;

	if (strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0 || offset != call->offset ||
	    entry_count < 2)
		return 0;
	call->length = 0;
	call->zero = (entries[1] & LIBNBD_STATE_ZERO) != 0;
	for (size_t i = 0; i + 1 < entry_count; i += 2) {
		if (((entries[i + 1] & LIBNBD_STATE_ZERO) != 0) != call->zero)
			break;
		call->length += entries[i];
	}
	return 0;
}

static void call_submit(struct nbd_source *source, struct nbd_call *call)
{
	const nbd_completion_callback done = {.callback = answered, .user_data = call};
	const nbd_extent_callback extent = {.callback = extent_came, .user_data = call};
	int64_t r = -1;

	if (source->err.code < 0) {
		call_end(call, source->err.code);
		return;
	}
	/* Nothing was due before this one. */
	if (list_empty(&source->flying))
		source->heard_ms = clock_now_ms(CLOCK_MONOTONIC);
	list_append(&source->flying, &call->node);
	if (call->kind == NBD_CALL_READ)
		r = nbd_aio_pread(source->nbd, call->data, call->length, call->offset, done, 0);
	else if (source->extents_known)
		r = nbd_aio_block_status(source->nbd, call->length, call->offset, extent, done, 0);
	else
		call_end(call, 0); /* all of it is data */
	if (r < 0 && (call->kind == NBD_CALL_READ || source->extents_known)) {
		die(source, -EIO, nbd_get_error() ? nbd_get_error() : "it cannot be asked");
		call_end(call, source->err.code);
	}
}

/* --- Waiting
 * -------------------------------------------------------------------------------------- */

/* Until the handle or the loop wants something, or for NBD_LOOK_MS. */
static void turn(struct nbd_source *source)
{
	struct pollfd fds[2] = {{.fd = source->wake_fd, .events = POLLIN}, {.fd = -1}};
	uint64_t count;

	if (source->nbd && source->err.code == 0) {
		const unsigned direction = nbd_aio_get_direction(source->nbd);

		fds[1].fd = nbd_aio_get_fd(source->nbd);
		fds[1].events = (short)((direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
					(direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0));
	}
	if (poll(fds, 2, NBD_LOOK_MS) <= 0)
		return;
	if (fds[0].revents && read(source->wake_fd, &count, sizeof(count)) < 0)
		ASSERT(errno == EAGAIN || errno == EINTR);
	if (fds[1].revents & (POLLIN | POLLHUP | POLLERR))
		nbd_aio_notify_read(source->nbd);
	else if (fds[1].revents & POLLOUT)
		nbd_aio_notify_write(source->nbd);
}

static struct nbd_call *call_next(struct nbd_source *source)
{
	struct list *node;

	pthread_mutex_lock(&source->lock);
	node = list_pop(&source->calls);
	pthread_mutex_unlock(&source->lock);
	return node ? container_of(node, struct nbd_call, node) : NULL;
}

static void health_look(struct nbd_source *source)
{
	if (source->err.code < 0)
		return;
	if (nbd_aio_is_dead(source->nbd) || nbd_aio_is_closed(source->nbd))
		die(source, -EPIPE, "the connection was lost");
	else if (!list_empty(&source->flying) &&
		 clock_now_ms(CLOCK_MONOTONIC) - source->heard_ms > NBD_STALL_MS)
		die(source, -ETIMEDOUT, "no answer for 30 s");
}

/* --- Opening
 * -------------------------------------------------------------------------------------- */

static int connect_start(struct nbd_source *source, const struct nbd_place *place)
{
	int r;

	source->nbd = nbd_create();
	if (!source->nbd)
		return -ENOMEM;
	r = nbd_add_meta_context(source->nbd, LIBNBD_CONTEXT_BASE_ALLOCATION);
	if (r == 0 && place->uri)
		r = nbd_aio_connect_uri(source->nbd, place->uri);
	else if (r == 0)
		r = nbd_aio_connect_unix(source->nbd, place->socket);
	if (r == 0)
		return 0;
	die(source, -ECONNREFUSED, nbd_get_error() ? nbd_get_error() : "cannot connect");
	return source->err.code;
}

static int connect_wait(struct nbd_source *source)
{
	const uint64_t start_ms = clock_now_ms(CLOCK_MONOTONIC);

	while (!nbd_aio_is_ready(source->nbd)) {
		if (atomic_load(&source->stop))
			return -ECANCELED;
		if (nbd_aio_is_dead(source->nbd) || nbd_aio_is_closed(source->nbd)) {
			die(source, -EIO, nbd_get_error() ? nbd_get_error() : "it was refused");
			return source->err.code;
		}
		if (clock_now_ms(CLOCK_MONOTONIC) - start_ms > NBD_OPEN_MS) {
			die(source, -ETIMEDOUT, "no answer for 10 s");
			return source->err.code;
		}
		turn(source);
	}
	return 0;
}

static void sizes_take(struct nbd_source *source)
{
	struct image_source *base = &source->source;
	const int64_t size = nbd_get_size(source->nbd);

	source->extents_known =
		nbd_can_meta_context(source->nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) == 1;
	base->size_bytes = size > 0 ? (uint64_t)size : 0;
	snprintf(base->format, sizeof(base->format), "%s", source->format);
	base->original = source->ask.original || strcmp(source->format, "raw") == 0;
	if (base->original_bytes == 0)
		base->original_bytes = base->size_bytes;
}

/* What comes from the stream is the original, and the disk. */
static void sizes_of_stream(struct nbd_source *source)
{
	struct image_source *base = &source->source;

	base->size_bytes = base->original_bytes;
	base->original = true;
	snprintf(base->format, sizeof(base->format), "%s", source->format);
}

static int open_it(struct nbd_source *source)
{
	struct nbd_place place = {.uri = NULL};
	int r = nbd_plan(source, &place);
	const bool there = place.uri || place.socket;

	if (r == 0 && there)
		r = connect_start(source, &place);
	if (r == 0 && there)
		r = connect_wait(source);
	if (r == 0 && there)
		sizes_take(source);
	if (r == 0 && source->stream)
		sizes_of_stream(source);
	if (r == 0 && (there || source->stream) && source->source.size_bytes == 0) {
		/* Whatever the children said, it is not why. */
		r = err_set(&source->err, -ENODATA, "%s is empty", source->text);
	}
	if (r == -ECANCELED)
		die(source, -ECANCELED, "cancelled");
	else if (r < 0)
		die(source, r, strerror(-r));
	free(place.uri);
	free(place.socket);
	return r;
}

/* --- Life
 * ----------------------------------------------------------------------------------------- */

static void socket_dir_remove(struct nbd_source *source)
{
	DIR *dir = source->socket_dir ? opendir(source->socket_dir) : NULL;
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	/* What it had in there has no name. */
	if (dir)
		unlinkat(dirfd(dir), NBD_SCRATCH, AT_REMOVEDIR);
	if (dir)
		closedir(dir);
	if (source->socket_dir)
		rmdir(source->socket_dir);
	free(source->socket_dir);
	source->socket_dir = NULL;
}

/* Everybody who waits is told, and waits for nothing of ours. */
static void calls_fail(struct nbd_source *source)
{
	struct nbd_call *call;
	struct list *node;

	/* libnbd ends what it has in flight by calling back; then it touches no buffer any more. */
	nbd_close(source->nbd);
	source->nbd = NULL;
	while ((node = list_pop(&source->flying)) != NULL) {
		call_end(container_of(node, struct nbd_call, node), source->err.code);
	}
	while ((call = call_next(source)) != NULL)
		call_end(call, source->err.code);
}

/* Of a stream: it moves only when somebody wants more of it. */
static void call_serve(struct nbd_source *source, struct nbd_call *call)
{
	list_append(&source->flying, &call->node);
	if (source->err.code == 0 && call->kind == NBD_CALL_READ) {
		ASSERT_U64(call->offset, ==, nbd_stream_at(source->stream));
		if (nbd_stream_read(source->stream, call->data, call->length, &source->err) == 0)
			source->heard_ms = clock_now_ms(CLOCK_MONOTONIC);
	}
	call_end(call, source->err.code);
}

static void serve(struct nbd_source *source)
{
	while (!atomic_load(&source->stop)) {
		struct nbd_call *call;

		turn(source);
		while ((call = call_next(source)) != NULL) {
			if (source->stream)
				call_serve(source, call);
			else
				call_submit(source, call);
		}
		if (source->err.code == 0 && source->nbd)
			health_look(source);
		if (source->err.code < 0)
			calls_fail(source);
	}
}

/* Nothing of the source is touched behind this, unless nobody else will. */
static void leave(struct nbd_source *source)
{
	bool abandoned;

	pthread_mutex_lock(&source->lock);
	source->gone = true;
	abandoned = source->abandoned;
	pthread_mutex_unlock(&source->lock);
	if (abandoned)
		nbd_source_free(source);
}

void *nbd_source_main(void *arg)
{
	struct nbd_source *source = arg;
	struct nbd_call *call;
	int r;

	pthread_setname_np(pthread_self(), "image-source");
	r = open_it(source);
	/* All are connected, or never will be: a daemon that is killed leaves no socket, no file.
	 */
	socket_dir_remove(source);
	nbd_stage_forget(source);
	/* The first call is the one that waits for this, unless it was given up. */
	while ((call = call_next(source)) == NULL && !atomic_load(&source->stop))
		turn(source);
	if (call) {
		ASSERT(call->kind == NBD_CALL_OPEN);
		call_end(call, r);
	}
	serve(source);
	if (source->err.code == 0)
		die(source, -ECANCELED, "closed");
	pthread_mutex_lock(&source->lock);
	source->ended = true;
	pthread_mutex_unlock(&source->lock);
	calls_fail(source);
	nbd_stream_close(source->stream);
	/* The last one serves the ones before. */
	while (source->child_count > 0)
		child_stop(&source->children[--source->child_count]);
	leave(source);
	return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volumes for Prometheus. There may be ten thousand of them with fifteen samples each, so what a
 * sample costs counts: the labels of a volume are made once for all of its samples, and numbers
 * are printed as such. They are printed piece by piece, as they are sent: a text of many megabytes
 * takes longer to be stored and read again than to be printed, so it is even printed twice, once
 * for its length.
 */
#include "metrics.h"

#include <stdlib.h>
#include <string.h>

#include "routes.h"

/* Copied first: a family goes over all of them. */
struct volumes {
	unsigned pool_count;
	unsigned counts[CONTROL_POOLS_MAX];
	struct control_volume_health *of[CONTROL_POOLS_MAX];
	struct text labels; /* of each in turn, with a NUL behind it */
};

static uint64_t size_bytes(const struct control_volume_health *v, unsigned kind UNUSED)
{
	return v->size_bytes;
}

static uint64_t used_bytes(const struct control_volume_health *v, unsigned kind UNUSED)
{
	return v->used_bytes;
}

static uint64_t referenced_bytes(const struct control_volume_health *v, unsigned kind UNUSED)
{
	return v->referenced_bytes;
}

static uint64_t paused(const struct control_volume_health *v, unsigned kind UNUSED)
{
	return v->paused;
}

static uint64_t errors(const struct control_volume_health *v, unsigned kind UNUSED)
{
	return v->io->errors;
}

static uint64_t in_flight(const struct control_volume_health *v, unsigned kind UNUSED)
{
	return v->io->in_flight;
}

static uint64_t requests(const struct control_volume_health *v, unsigned kind)
{
	return v->io->requests[kind];
}

static uint64_t bytes(const struct control_volume_health *v, unsigned kind)
{
	return v->io->bytes[kind];
}

static uint64_t ns(const struct control_volume_health *v, unsigned kind)
{
	return v->io->ns[kind];
}

struct family {
	const char *name, *type, *help;
	bool is_ns;
	unsigned kinds; /* 1: it has no kind */
	uint64_t (*get)(const struct control_volume_health *v, unsigned kind);
};

static const struct family families[] = {
	{"quoin_volume_size_bytes", "gauge", "Its size.", false, 1, size_bytes},
	{"quoin_volume_used_bytes", "gauge", "All that is charged to it, snapshots included.",
	 false, 1, used_bytes},
	{"quoin_volume_referenced_bytes", "gauge", "What it maps.", false, 1, referenced_bytes},
	{"quoin_volume_request_errors_total", "counter", "Requests that failed.", false, 1, errors},
	{"quoin_volume_paused", "gauge", "1 when its writes wait for space.", false, 1, paused},
	{"quoin_volume_requests_in_flight", "gauge", "Requests under way.", false, 1, in_flight},
	{"quoin_volume_requests_total", "counter", "Requests of guests.", false, CONTROL_IO_KINDS,
	 requests},
	{"quoin_volume_request_bytes_total", "counter", "Bytes of them.", false, CONTROL_IO_KINDS,
	 bytes},
	{"quoin_volume_request_seconds_total", "counter", "Time of all of them together.", true,
	 CONTROL_IO_KINDS, ns},
};

static void volume_put(struct text *t, const struct family *f, const char *labels,
		       const struct control_volume_health *v)
{
	static const char *const kinds[CONTROL_IO_KINDS] = {",kind=\"read\"", ",kind=\"write\"",
							    ",kind=\"other\""};

	for (unsigned kind = 0; kind < f->kinds; kind++)
		metrics_line(t, f->name, labels, f->kinds > 1 ? kinds[kind] : "",
			     (struct metrics_value){f->get(v, kind), f->is_ns});
}

static void labels_make(struct volumes *all, const char *pool, unsigned index)
{
	for (unsigned i = 0; i < all->counts[index]; i++) {
		const struct metrics_label labels[] = {
			{"pool", pool}, {"volume", all->of[index][i].name}, {NULL, NULL}};

		metrics_labels(&all->labels, labels);
		text_append(&all->labels, "", 1);
	}
}

static void gather(struct call *call, struct volumes *all)
{
	CLEANUP_FREE struct control_pool_health *h = xcalloc(1, sizeof(*h));

	while (all->pool_count < CONTROL_POOLS_MAX &&
	       control_health_pool(call->control, all->pool_count, h)) {
		const unsigned i = all->pool_count++;

		all->counts[i] = control_health_volumes(call->control, h->info.name, &all->of[i]);
		labels_make(all, h->info.name, i);
	}
}

/* --- Piece by piece --------------------------------------------------------------------------- */

#define PIECE_BYTES (32 * KiB)

/* The sample to be printed next. */
struct place {
	size_t family;
	bool begun; /* its head is printed */
	unsigned pool, volume;
	size_t labels; /* where those of the volume are */
};

struct stream {
	struct api_stream api;
	struct volumes all;
	struct place place;
	struct text piece;
	size_t taken; /* of the piece */
};

/* False: there is no other sample. */
static bool sample_put(struct stream *s)
{
	struct place *at = &s->place;
	const struct family *f = &families[at->family];
	const char *labels;

	if (at->family == ARRAY_SIZE(families))
		return false;
	if (!at->begun)
		metrics_head(&s->piece, f->name, f->type, f->help);
	at->begun = true;
	while (at->pool < s->all.pool_count && at->volume == s->all.counts[at->pool]) {
		at->pool++;
		at->volume = 0;
	}
	if (at->pool == s->all.pool_count) {
		*at = (struct place){.family = at->family + 1};
		return true;
	}
	labels = s->all.labels.data + at->labels;
	volume_put(&s->piece, f, labels, &s->all.of[at->pool][at->volume++]);
	at->labels += strlen(labels) + 1;
	return true;
}

/* The next piece; false: there is none. */
static bool piece_make(struct stream *s)
{
	s->piece.length = s->taken = 0;
	while (s->piece.length < PIECE_BYTES && sample_put(s))
		;
	return s->piece.length > 0;
}

static size_t stream_read(struct api_stream *api, char *bytes, size_t room)
{
	struct stream *s = container_of(api, struct stream, api);
	size_t length;

	if (s->taken == s->piece.length && !piece_make(s))
		return 0;
	length = MIN(room, s->piece.length - s->taken);
	memcpy(bytes, s->piece.data + s->taken, length);
	s->taken += length;
	return length;
}

static void stream_free(struct api_stream *api)
{
	struct stream *s = container_of(api, struct stream, api);

	for (unsigned i = 0; i < s->all.pool_count; i++)
		free(s->all.of[i]);
	text_fini(&s->all.labels);
	text_fini(&s->piece);
	free(s);
}

void metrics_volumes(struct call *call, struct text *head)
{
	struct stream *s = xcalloc(1, sizeof(*s));

	s->api.read = stream_read;
	s->api.free = stream_free;
	s->api.length = head->length;
	gather(call, &s->all);
	while (piece_make(s))
		s->api.length += s->piece.length;
	text_fini(&s->piece);
	/* From the beginning. */
	s->piece = *head;
	text_init(head);
	s->place = (struct place){.family = 0};
	call->reply.stream = &s->api;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A line on the terminal; see progress.h. */
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH_DEFAULT 80

bool progress_wanted(const struct invocation *in)
{
	return isatty(STDERR_FILENO) && !in->json;
}

unsigned progress_percent(uint64_t done, uint64_t all)
{
	return all == 0 ? 0 : (unsigned)((double)MIN(done, all) * 100 / (double)all);
}

void progress_bar(struct text *t, unsigned cells, uint64_t done, uint64_t all)
{
	const unsigned full =
		all == 0 ? 0 : (unsigned)((double)MIN(done, all) * (double)cells / (double)all);

	text_printf(t, "[");
	for (unsigned i = 0; i < cells; i++)
		text_printf(t, "%c", i < full ? '#' : '.');
	text_printf(t, "]");
}

void progress_left(struct text *t, uint64_t seconds)
{
	text_printf(t, ", %" PRIu64 ":%02" PRIu64 ":%02" PRIu64 " left", seconds / 3600,
		    seconds / 60 % 60, seconds % 60);
}

static int width(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return WIDTH_DEFAULT;
	return size.ws_col;
}

void progress_draw(uint64_t done, uint64_t all, const char *words)
{
	struct text t;

	text_init(&t);
	progress_bar(&t, PROGRESS_BAR, done, all);
	text_printf(&t, " %s", words);
	/* The last column is left free: some terminals go to the next line there. */
	fprintf(stderr, "\r\033[K%.*s", width() - 1, t.data);
	fflush(stderr);
	text_fini(&t);
}

void progress_clear(void)
{
	fprintf(stderr, "\r\033[K");
}

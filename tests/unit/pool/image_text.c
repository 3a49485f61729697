/* SPDX-License-Identifier: Apache-2.0 */
/* Images of drives to text and back. */
#include <inttypes.h>
#include <string.h>

#include "image_text.h"

#define RUN_GAP 4  /* bytes that are equal, and cheaper repeated than a new run */
#define RUN_MAX 32 /* bytes of a line */

/* --- Writing -----------------------------------------------------------------------------------
 */

static void fill(uint8_t *page, const uint8_t *word)
{
	for (size_t i = 0; i < IMAGE_PAGE; i += 4)
		memcpy(page + i, word, 4);
}

/* The run of other bytes at or after `at`: its end; *at: its start. IMAGE_PAGE: none. */
static size_t run_next(const uint8_t *page, const uint8_t *base, size_t *at)
{
	size_t end;

	while (*at < IMAGE_PAGE && page[*at] == base[*at])
		(*at)++;
	end = *at;
	for (size_t i = *at; i < IMAGE_PAGE && i - *at < RUN_MAX && i < end + RUN_GAP; i++) {
		if (page[i] != base[i])
			end = i + 1;
	}
	return end;
}

static size_t cost(const uint8_t *page, const uint8_t *base)
{
	size_t bytes = 0;

	for (size_t at = 0, end; (end = run_next(page, base, &at)) > at; at = end)
		bytes += 6 + 2 * (end - at);
	return bytes;
}

static void runs_write(const uint8_t *page, const uint8_t *base, FILE *to)
{
	for (size_t at = 0, end; (end = run_next(page, base, &at)) > at; at = end) {
		fprintf(to, "%zx ", at);
		for (size_t i = at; i < end; i++)
			fprintf(to, "%02x", page[i]);
		fputc('\n', to);
	}
}

/* The page from which the text is shortest. */
static void page_write(const struct image *image, unsigned index, FILE *to)
{
	const struct image_page *page = &image->pages[index];
	const uint8_t *best;
	uint8_t base[IMAGE_PAGE] = {0};
	size_t least = cost(page->bytes, base);
	size_t filled;
	unsigned like = index;

	fprintf(to, "page %" PRIu64 " ", page->number);
	fill(base, page->bytes);
	filled = cost(page->bytes, base);
	for (unsigned i = 0; i < index; i++) {
		const size_t c = cost(page->bytes, image->pages[i].bytes);

		if (c < least && c < filled) {
			least = c;
			like = i;
		}
	}
	best = base;
	if (like < index) {
		fprintf(to, "like %u\n", like);
		best = image->pages[like].bytes;
	} else if (filled < least) {
		fprintf(to, "fill %02x%02x%02x%02x\n", base[0], base[1], base[2], base[3]);
	} else {
		fprintf(to, "zero\n");
		memset(base, 0, sizeof(base));
	}
	runs_write(page->bytes, best, to);
}

void image_write(const struct image *image, FILE *to)
{
	unsigned index = 0;

	for (unsigned drive = 0; drive < image->drive_count; drive++) {
		fprintf(to, "drive %" PRIu64 "\n", image->drive_bytes);
		for (; index < image->page_count && image->pages[index].drive == drive; index++)
			page_write(image, index, to);
	}
}

/* --- Reading -----------------------------------------------------------------------------------
 */

static bool hex_read(const char *text, uint8_t *to, size_t at)
{
	unsigned byte;

	for (; *text != '\0' && *text != '\n'; text += 2) {
		if (at >= IMAGE_PAGE || sscanf(text, "%2x", &byte) != 1 || text[1] == '\0')
			return false;
		to[at++] = (uint8_t)byte;
	}
	return true;
}

static bool page_begin(struct image *image, const char *line)
{
	struct image_page *page = &image->pages[image->page_count];
	uint8_t word[IMAGE_PAGE];
	char how[8], what[16] = "";
	unsigned like;

	if (image->drive_count == 0 || image->page_count == IMAGE_PAGES_MAX ||
	    sscanf(line, "page %" SCNu64 " %7s %15s", &page->number, how, what) < 2)
		return false;
	page->drive = image->drive_count - 1;
	memset(page->bytes, 0, IMAGE_PAGE);
	if (strcmp(how, "fill") == 0 && hex_read(what, word, 0))
		fill(page->bytes, word);
	else if (strcmp(how, "like") == 0 && sscanf(what, "%u", &like) == 1 &&
		 like < image->page_count)
		memcpy(page->bytes, image->pages[like].bytes, IMAGE_PAGE);
	else if (strcmp(how, "zero") != 0)
		return false;
	image->page_count++;
	return true;
}

static bool line_read(struct image *image, const char *line)
{
	unsigned at;
	int used;

	if (sscanf(line, "drive %" SCNu64, &image->drive_bytes) == 1) {
		image->drive_count++;
		return true;
	}
	if (strncmp(line, "page ", 5) == 0)
		return page_begin(image, line);
	return image->page_count > 0 && sscanf(line, "%x %n", &at, &used) == 1 &&
	       hex_read(line + used, image->pages[image->page_count - 1].bytes, at);
}

bool image_read(struct image *image, const char *path)
{
	FILE *file = fopen(path, "r");
	char line[256];
	bool good = file != NULL;

	image->drive_count = 0;
	image->page_count = 0;
	while (good && fgets(line, sizeof(line), file))
		good = line_read(image, line);
	if (file)
		fclose(file);
	return good && image->drive_count > 0;
}

const uint8_t *image_page(const struct image *image, unsigned drive, uint64_t number)
{
	for (unsigned i = 0; i < image->page_count; i++) {
		if (image->pages[i].drive == drive && image->pages[i].number == number)
			return image->pages[i].bytes;
	}
	return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The drives of a pool as text, small enough to be kept with the sources:
 *
 *   drive SIZE                 the next drive; pages that are not named are zero
 *   page NUMBER zero           a page of PAGE_BYTES that begins as zeroes,
 *   page NUMBER fill XXXXXXXX  or as four bytes over and over,
 *   page NUMBER like INDEX     or as the page that was INDEX-th in the file, from 0
 *   AT HEX                     bytes of it that are others; AT in hexadecimal
 */
#ifndef TESTS_POOL_IMAGE_TEXT_H
#define TESTS_POOL_IMAGE_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define IMAGE_PAGE 4096
#define IMAGE_PAGES_MAX 4096 /* that are not zero */

struct image_page {
	unsigned drive;
	uint64_t number;
	uint8_t bytes[IMAGE_PAGE];
};

struct image {
	unsigned drive_count;
	uint64_t drive_bytes;
	unsigned page_count;
	struct image_page pages[IMAGE_PAGES_MAX]; /* by drive and number, ascending */
};

void image_write(const struct image *image, FILE *to);

/* False: no file, or not such a text. */
bool image_read(struct image *image, const char *path);

/* The page, or NULL: it is zero. */
const uint8_t *image_page(const struct image *image, unsigned drive, uint64_t number);

#endif

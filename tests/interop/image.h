/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a snapshot may show that was made while commands ran: for each block the contents it had at
 * some time between the request and the answer. All blocks together must be of one instant: no
 * write that came after another one's end may be in it without that one.
 *
 * Times are counts of the model's clock. A content may be seen from the submission of the command
 * that made it until the completion of the one that replaced it. At the first look the image
 * becomes what was found; from then on nothing may differ.
 */
#ifndef INTEROP_IMAGE_H
#define INTEROP_IMAGE_H

#include <quoin/base.h>

struct host;
struct image;

/* How a content is spelled out in a block; and back, UINT64_MAX when a block spells none. */
void content_spell(uint64_t value, uint8_t *block, unsigned bytes);
uint64_t content_unspell(const uint8_t *block, unsigned bytes);

struct image *image_new(uint64_t block_count, unsigned block_bytes);
void image_free(struct image *image);

/* The block may have `value`, from and until these times. */
void image_may(struct image *image, uint64_t block, uint64_t value, uint64_t from, uint64_t until);

/* Reads namespace 1 of `host` on queue 1 and compares. False: see stderr. */
bool image_verify(struct image *image, struct host *host);

#endif

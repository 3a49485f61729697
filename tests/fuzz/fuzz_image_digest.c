/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of digests, and the record of an image that arrives, whose check is mended. What parses
 * must come back the same when it is written again.
 */
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/codec.h>
#include <quoin/image_digest.h>

#include "record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void digest_list(const uint8_t *data, size_t size)
{
	struct image_digests list;
	struct err err = {.code = 0};
	int r = image_digests_parse((const char *)data, size, &list, &err);

	ASSERT((r < 0) == (err.text[0] != '\0'));
	if (r < 0)
		return;
	for (uint64_t i = 0; i < list.count; i++) {
		uint8_t again[IMAGE_DIGEST_BYTES];
		char text[IMAGE_DIGEST_HEX + 1];

		ASSERT(image_digest_parse(image_digest_format(list.digests[i], text), again) == 0);
		ASSERT(memcmp(again, list.digests[i], sizeof(again)) == 0);
	}
	image_digests_fini(&list);
}

static void record_page(const uint8_t *data, size_t size)
{
	uint8_t page[RECORD_PAGE_BYTES] = {0};
	uint8_t again[RECORD_PAGE_BYTES];
	struct record record;
	struct record same;

	memcpy(page, data, size < sizeof(page) ? size : sizeof(page));
	codec_check128(page + 24, sizeof(page) - 24, UINT64_C(0x51554f494e415231), page + 8);
	if (record_decode(page, &record) < 0)
		return;
	record_encode(&record, again);
	ASSERT(record_decode(again, &same) == 0);
	ASSERT(same.image_bytes == record.image_bytes);
	ASSERT(strcmp(same.source, record.source) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	digest_list(data, size);
	record_page(data, size);
	return 0;
}

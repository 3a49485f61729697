/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of block devices: any text is parsed or refused with words; what was parsed is within
 * its limits; a null device that was parsed can be opened, used and closed. Files are not opened.
 */
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/block.h>
#include <quoin/block_spec.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct block_spec *spec)
{
	ASSERT_U64(spec->wrapper_count, <=, BLOCK_WRAPPERS_MAX);
	ASSERT(spec->block_bytes == 0 || spec->block_bytes == 512 || spec->block_bytes == 4096);
	ASSERT(memchr(spec->path, '\0', sizeof(spec->path)) != NULL);
	ASSERT((spec->base == BLOCK_BASE_FILE) == (spec->path[0] != '\0'));
	for (unsigned i = 0; i < spec->wrapper_count; i++) {
		const struct block_wrapper *w = &spec->wrappers[i];

		if (w->kind == BLOCK_WRAPPER_ERROR)
			ASSERT(w->error.result < 0 && w->error.every > 0);
	}
}

static void open_null(const char *text, const struct block_spec *spec)
{
	struct block_description description;
	struct block_device *device;
	struct err err;

	if (block_open(text, &device, &err) < 0) {
		ASSERT(strlen(err.text) > 0);
		return;
	}
	block_describe(device, &description);
	ASSERT_U64(description.wrappers, ==, spec->wrapper_count);
	ASSERT_U64(description.limits.capacity_bytes, <=, spec->size_bytes);
	block_close(device);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct err err = {0};
	struct block_spec spec;

	if (!text)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	if (block_spec_parse(text, &spec, &err) < 0) {
		ASSERT(err.code < 0 && strlen(err.text) > 0);
	} else {
		check(&spec);
		if (spec.base == BLOCK_BASE_NULL)
			open_null(text, &spec);
	}
	free(text);
	return 0;
}

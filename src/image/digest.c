/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of digests as text; see quoin/image_digest.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_math.h>
#include <quoin/image_digest.h>

#define IMAGE_BYTES_MAX (UINT64_C(1) << 52)

struct reader {
	const char *at, *end;
	unsigned long long line;
};

/* The next line without its '\n'; NULL: there is none that ends. */
static const char *line_read(struct reader *reader, size_t *ret_length)
{
	const char *start = reader->at;
	const char *stop = memchr(start, '\n', (size_t)(reader->end - start));

	reader->line++;
	if (!stop)
		return NULL;
	*ret_length = (size_t)(stop - start);
	reader->at = stop + 1;
	return start;
}

static bool line_is(struct reader *reader, const char *wanted)
{
	size_t length = 0;
	const char *line = line_read(reader, &length);

	return line && length == strlen(wanted) && memcmp(line, wanted, length) == 0;
}

/* "size N", plain decimal, 1 to IMAGE_BYTES_MAX. */
static bool size_read(struct reader *reader, uint64_t *ret_bytes)
{
	size_t length = 0;
	const char *line = line_read(reader, &length);
	uint64_t value = 0;

	if (!line || length < 6 || length > 5 + 16 || memcmp(line, "size ", 5) != 0)
		return false;
	for (size_t i = 5; i < length; i++) {
		if (line[i] < '0' || line[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(line[i] - '0');
	}
	*ret_bytes = value;
	return value > 0 && value <= IMAGE_BYTES_MAX;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool hex_read(const char *text, size_t length, uint8_t ret[IMAGE_DIGEST_BYTES])
{
	uint8_t digest[IMAGE_DIGEST_BYTES];

	if (length != IMAGE_DIGEST_HEX)
		return false;
	for (size_t i = 0; i < IMAGE_DIGEST_BYTES; i++) {
		const int high = nibble(text[2 * i]);
		const int low = nibble(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		digest[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(ret, digest, sizeof(digest));
	return true;
}

int image_digest_parse(const char *text, uint8_t ret[IMAGE_DIGEST_BYTES])
{
	return hex_read(text, strlen(text), ret) ? 0 : -EINVAL;
}

char *image_digest_format(const uint8_t digest[IMAGE_DIGEST_BYTES], char text[IMAGE_DIGEST_HEX + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < IMAGE_DIGEST_BYTES; i++) {
		text[2 * i] = digits[digest[i] >> 4];
		text[2 * i + 1] = digits[digest[i] & 15];
	}
	text[IMAGE_DIGEST_HEX] = '\0';
	return text;
}

static int digests_read(struct reader *reader, struct image_digests *list, struct err *err)
{
	const uint64_t left = (uint64_t)(reader->end - reader->at);

	list->count = div_round_up(list->image_bytes, IMAGE_PIECE_BYTES);
	/* Before memory is asked for: a size is quickly written. */
	if (left != list->count * (IMAGE_DIGEST_HEX + 1))
		return err_set(err, -EINVAL,
			       "an image of %llu bytes has %llu digests of one line each, and as "
			       "many must follow line 3",
			       (unsigned long long)list->image_bytes,
			       (unsigned long long)list->count);
	list->digests = calloc(list->count, sizeof(*list->digests));
	if (!list->digests)
		return err_set(err, -ENOMEM, "out of memory");
	for (uint64_t i = 0; i < list->count; i++) {
		size_t length = 0;
		const char *line = line_read(reader, &length);

		if (!line || !hex_read(line, length, list->digests[i]))
			return err_set(err, -EINVAL, "line %llu is not 64 hexadecimal digits",
				       reader->line);
	}
	return 0;
}

int image_digests_parse(const char *text, size_t length, struct image_digests *ret, struct err *err)
{
	struct reader reader = {.at = text, .end = text + length};
	struct image_digests list = {.digests = NULL};
	int r;

	if (!line_is(&reader, "quoin-digests 1"))
		return err_set(err, -EINVAL,
			       "it is no list of digests: it does not begin with \"quoin-digests "
			       "1\"");
	if (!size_read(&reader, &list.image_bytes))
		return err_set(err, -EINVAL, "line 2 is not \"size BYTES\"");
	if (!line_is(&reader, "piece 1048576"))
		return err_set(err, -EINVAL, "line 3 is not \"piece 1048576\"");
	r = digests_read(&reader, &list, err);
	if (r < 0)
		image_digests_fini(&list);
	else
		*ret = list;
	return r;
}

void image_digests_fini(struct image_digests *digests)
{
	free(digests->digests);
	*digests = (struct image_digests){.digests = NULL};
}

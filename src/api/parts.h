/* SPDX-License-Identifier: Apache-2.0 */
/* Small parts of which answers are made. None of them fails: memory is there, or we are not. */
#ifndef API_PARTS_H
#define API_PARTS_H

#include <jansson.h>

#include <quoin/base.h>

/* Both take `value`. */
void part_put(json_t *json, const char *key, json_t *value);
void part_append(json_t *array, json_t *value);

/* No larger than what integers of JSON hold in other languages: a counter stops there. */
json_int_t part_integer(uint64_t value);
json_t *part_number(uint64_t value);

/* As it is, as it may be asked for again. What is not UTF-8 has '?' for bytes that are not ASCII.
 */
json_t *part_text(const char *value);
json_t *part_text_or_null(const char *value);

/* For people to read: without control characters. */
json_t *part_words(const char *value);
json_t *part_words_or_null(const char *value);

json_t *part_uuid(const uint8_t value[16]);

struct part_member {
	const char *key;
	json_t *value; /* taken */
};

void part_put_all(json_t *json, const struct part_member *members, size_t count);

/* PART_PUT(json, {"key", value}, ...) */
#define PART_PUT(json, ...)                                         \
	do {                                                        \
		const struct part_member members[] = {__VA_ARGS__}; \
		part_put_all((json), members, ARRAY_SIZE(members)); \
	} while (0)

#endif

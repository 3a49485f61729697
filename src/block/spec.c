/* SPDX-License-Identifier: Apache-2.0 */
/* Parses the text that names a block device. Tables of keys; nothing is opened here. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_math.h>
#include <quoin/base_size.h>
#include <quoin/block_spec.h>

#define VALUE_MAX 64

/* One KEY[=VALUE], cut out of the text. */
struct option {
	char key[VALUE_MAX];
	char value[VALUE_MAX];
	bool has_value;
};

static int bad(struct err *err, const char *what, const char *text)
{
	err_set(err, -EINVAL, "%s: \"%.200s\"; see quoin(1) for how a device is named", what, text);
	return -EINVAL;
}

/* Takes the option that ends at `end` (exclusive). */
static int option_take(const char *start, const char *end, struct option *ret, struct err *err)
{
	const char *equals = memchr(start, '=', (size_t)(end - start));
	const char *key_end = equals ? equals : end;
	const size_t value_length = equals ? (size_t)(end - equals - 1) : 0;

	if (key_end == start || key_end - start >= VALUE_MAX || value_length >= VALUE_MAX)
		return bad(err, "an option is empty or too long", start);
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->key, start, (size_t)(key_end - start));
	ret->has_value = equals != NULL;
	if (equals)
		memcpy(ret->value, equals + 1, value_length);
	return 0;
}

static int number(const struct option *option, uint64_t max, uint64_t *ret, struct err *err)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(option->value, &end, 10);
	if (option->value[0] < '0' || option->value[0] > '9' || *end != '\0' || errno != 0 ||
	    value > max)
		return bad(err, "an option wants a number in range", option->key);
	*ret = value;
	return 0;
}

/* --- Names of operations and errors -------------------------------------------------------- */

struct name {
	const char *text;
	int value;
};

static const struct name op_names[] = {
	{"read", 1 << BLOCK_READ},	     {"write", 1 << BLOCK_WRITE},
	{"flush", 1 << BLOCK_FLUSH},	     {"discard", 1 << BLOCK_DISCARD},
	{"zeroes", 1 << BLOCK_WRITE_ZEROES}, {"copy", 1 << BLOCK_COPY},
	{"any", (int)BLOCK_FAULT_OPS_ALL},
};

static const struct name errno_names[] = {
	{"EIO", EIO},
	{"ENOSPC", ENOSPC},
	{"ENXIO", ENXIO},
	{"EINVAL", EINVAL},
	{"ENOMEM", ENOMEM},
	{"EROFS", EROFS},
	{"EILSEQ", EILSEQ},
	{"ENODATA", ENODATA},
	{"ETIMEDOUT", ETIMEDOUT},
	{"EOPNOTSUPP", EOPNOTSUPP},
	{"EBUSY", EBUSY},
	{"EAGAIN", EAGAIN},
	{"EDQUOT", EDQUOT},
	{"EREMOTEIO", EREMOTEIO},
	{"EPERM", EPERM},
};

static const struct name *name_find(const struct name *names, size_t count, const char *text,
				    size_t length)
{
	for (size_t i = 0; i < count; i++) {
		if (strlen(names[i].text) == length && memcmp(names[i].text, text, length) == 0)
			return &names[i];
	}
	return NULL;
}

static int ops_parse(const char *text, unsigned *ret_ops, struct err *err)
{
	unsigned ops = 0;

	for (;;) {
		const size_t length = strcspn(text, "+");
		const struct name *found = name_find(op_names, ARRAY_SIZE(op_names), text, length);

		if (!found)
			return bad(err, "no such operation", text);
		ops |= (unsigned)found->value;
		if (text[length] == '\0')
			break;
		text += length + 1;
	}
	*ret_ops = ops;
	return 0;
}

#define ERRNO_MAX 4095

static int errno_parse(const struct option *option, int *ret_result, struct err *err)
{
	const struct name *found = name_find(errno_names, ARRAY_SIZE(errno_names), option->value,
					     strlen(option->value));
	uint64_t value;
	int r;

	if (found) {
		*ret_result = -found->value;
		return 0;
	}
	r = number(option, ERRNO_MAX, &value, err);
	if (r < 0)
		return r;
	if (value == 0)
		return bad(err, "an error number is not 0", option->key);
	*ret_result = -(int)value;
	return 0;
}

/* --- Wrappers ------------------------------------------------------------------------------ */

/* 1: taken, 0: not one of these keys, negative: error. */
static int match_option(struct block_fault_match *match, const struct option *option,
			struct err *err)
{
	int r = 1;

	if (strcmp(option->key, "op") == 0)
		r = ops_parse(option->value, &match->ops, err);
	else if (strcmp(option->key, "offset") == 0)
		r = size_parse(option->value, &match->offset);
	else if (strcmp(option->key, "length") == 0)
		r = size_parse(option->value, &match->length_bytes);
	else
		return 0;
	if (r < 0)
		return bad(err, "cannot read the value of an option", option->key);
	return 1;
}

static int error_option(struct block_error_rule *rule, const struct option *option, struct err *err)
{
	const int r = match_option(&rule->match, option, err);

	if (r != 0)
		return r;
	if (strcmp(option->key, "errno") == 0)
		return errno_parse(option, &rule->result, err);
	if (strcmp(option->key, "after") == 0)
		return number(option, UINT64_MAX, &rule->after, err);
	if (strcmp(option->key, "count") == 0)
		return number(option, UINT64_MAX, &rule->count, err);
	if (strcmp(option->key, "every") == 0) {
		const int taken = number(option, UINT64_MAX, &rule->every, err);

		return taken == 0 && rule->every == 0 ? bad(err, "every wants 1 or more", "0")
						      : taken;
	}
	if (strcmp(option->key, "off") == 0 && !option->has_value) {
		rule->match.ops = 0;
		return 0;
	}
	return bad(err, "error: has no such option", option->key);
}

static int delay_option(struct block_delay_rule *rule, const struct option *option, struct err *err)
{
	static const struct {
		const char *key;
		uint64_t unit_ns;
	} times[] = {{"us", NS_PER_US}, {"ms", NS_PER_MS}, {"jitter_us", NS_PER_US}};
	int r = match_option(&rule->match, option, err);

	if (r != 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		uint64_t value;

		if (strcmp(option->key, times[i].key) != 0)
			continue;
		r = number(option, 3600 * (NS_PER_S / times[i].unit_ns), &value, err);
		if (r < 0)
			return r;
		*(times[i].key[0] == 'j' ? &rule->jitter_ns : &rule->delay_ns) =
			value * times[i].unit_ns;
		return 0;
	}
	if (strcmp(option->key, "hold") != 0 || option->has_value)
		return bad(err, "delay: has no such option", option->key);
	rule->hold = true;
	return 0;
}

/* Parses "KEY=VALUE,..." up to the colon; *text is then behind it. */
static int wrapper_parse(const char **text, struct block_wrapper *wrapper, struct err *err)
{
	const char *colon = strchr(*text, ':');
	const char *at = *text;

	if (!colon)
		return bad(err, "error: and delay: want OPTIONS:DEVICE", *text);
	while (at < colon) {
		const char *comma = memchr(at, ',', (size_t)(colon - at));
		const char *end = comma ? comma : colon;
		struct option option;
		int r = option_take(at, end, &option, err);

		if (r == 0)
			r = wrapper->kind == BLOCK_WRAPPER_ERROR
				    ? error_option(&wrapper->error, &option, err)
				    : delay_option(&wrapper->delay, &option, err);
		if (r < 0)
			return r;
		at = comma ? comma + 1 : colon;
	}
	*text = colon + 1;
	return 0;
}

static bool skip_prefix(const char **text, const char *prefix)
{
	const size_t length = strlen(prefix);

	if (strncmp(*text, prefix, length) != 0)
		return false;
	*text += length;
	return true;
}

/* 1: a wrapper was taken, 0: there is none. */
static int wrapper_take(const char **text, struct block_spec *spec, struct err *err)
{
	struct block_wrapper wrapper;
	int r;

	memset(&wrapper, 0, sizeof(wrapper));
	if (skip_prefix(text, "error:")) {
		wrapper.kind = BLOCK_WRAPPER_ERROR;
		wrapper.error.match.ops = BLOCK_FAULT_OPS_ALL;
		wrapper.error.result = -EIO;
		wrapper.error.every = 1;
	} else if (skip_prefix(text, "delay:")) {
		wrapper.kind = BLOCK_WRAPPER_DELAY;
		wrapper.delay.match.ops = BLOCK_FAULT_OPS_ALL;
	} else {
		return 0;
	}
	if (spec->wrapper_count == BLOCK_WRAPPERS_MAX)
		return bad(err, "too many wrappers around a device", *text);
	r = wrapper_parse(text, &wrapper, err);
	if (r < 0)
		return r;
	spec->wrappers[spec->wrapper_count++] = wrapper;
	return 1;
}

/* --- Bases --------------------------------------------------------------------------------- */

static int base_option(struct block_spec *spec, const struct option *option, struct err *err)
{
	if (strcmp(option->key, "block") == 0) {
		if (strcmp(option->value, "512") != 0 && strcmp(option->value, "4096") != 0)
			return bad(err, "block= is 512 or 4096", option->value);
		spec->block_bytes = option->value[0] == '5' ? 512 : 4096;
		return 0;
	}
	if (spec->base == BLOCK_BASE_FILE && strcmp(option->key, "ro") == 0 && !option->has_value) {
		spec->read_only = true;
		return 0;
	}
	if (spec->base == BLOCK_BASE_FILE && strcmp(option->key, "cache") == 0) {
		spec->writeback = strcmp(option->value, "writeback") == 0;
		if (!spec->writeback && strcmp(option->value, "none") != 0)
			return bad(err, "cache= is none or writeback", option->value);
		return 0;
	}
	return bad(err, "a device has no such option (a comma in a path is written twice)",
		   option->key);
}

/* Options from `text`, which starts at a comma or at the end. */
static int base_options(struct block_spec *spec, const char *text, struct err *err)
{
	while (*text != '\0') {
		const char *start = text + 1;
		struct option option;
		int r;

		text = start + strcspn(start, ",");
		r = option_take(start, text, &option, err);
		if (r == 0)
			r = base_option(spec, &option, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int null_parse(struct block_spec *spec, const char *text, struct err *err)
{
	const size_t length = strcspn(text, ",");
	char size[VALUE_MAX];

	spec->base = BLOCK_BASE_NULL;
	if (length == 0 || length >= sizeof(size))
		return bad(err, "null: wants a size, like null:10G", text);
	memcpy(size, text, length);
	size[length] = '\0';
	if (size_parse(size, &spec->size_bytes) < 0)
		return bad(err, "null: wants a size, like null:10G", size);
	return base_options(spec, text + length, err);
}

static int file_parse(struct block_spec *spec, const char *text, struct err *err)
{
	size_t length = 0;

	spec->base = BLOCK_BASE_FILE;
	while (*text != '\0' && (*text != ',' || text[1] == ',')) {
		if (length + 1 >= sizeof(spec->path))
			return err_set(err, -ENAMETOOLONG,
				       "the path of a device is longer than %zu "
				       "bytes; use a shorter one",
				       sizeof(spec->path) - 1);
		spec->path[length++] = *text;
		text += *text == ',' ? 2 : 1;
	}
	spec->path[length] = '\0';
	if (length == 0)
		return bad(err, "file: wants a path, like file:/var/lib/disk.img", text);
	return base_options(spec, text, err);
}

int block_spec_parse(const char *text, struct block_spec *ret_spec, struct err *err)
{
	int r;

	memset(ret_spec, 0, sizeof(*ret_spec));
	if (strnlen(text, BLOCK_SPEC_MAX) == BLOCK_SPEC_MAX)
		return err_set(err, -ENAMETOOLONG,
			       "the name of a device is longer than %d bytes; "
			       "use a shorter one",
			       BLOCK_SPEC_MAX - 1);
	do
		r = wrapper_take(&text, ret_spec, err);
	while (r > 0);
	if (r < 0)
		return r;
	if (skip_prefix(&text, "null:"))
		return null_parse(ret_spec, text, err);
	if (skip_prefix(&text, "file:"))
		return file_parse(ret_spec, text, err);
	return bad(err, "a device is named null:SIZE or file:PATH", text);
}

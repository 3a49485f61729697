/* SPDX-License-Identifier: Apache-2.0 */
/* Options: one table for command line, configuration file and --help. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_size.h>
#include <quoin/base_text.h>

#include "options.h"

#define CONFIG_SIZE_MAX (64 * 1024)
#define WORKERS_MAX 64

enum kind { KIND_TEXT, KIND_SIZE, KIND_WORKERS, KIND_LOG_LEVEL, KIND_FLAG };

struct option {
	const char *name;
	const char *value; /* what --help calls it; NULL = takes none */
	enum kind kind;
	size_t offset;
	bool in_config;
	const char *help; /* NULL = not for users */
};

#define AT(member) offsetof(struct options, member)

static const struct option table[] = {
	{"config", "FILE", KIND_TEXT, AT(config), false,
	 "read options from FILE (root: /etc/quoin/quoind.conf if it exists)"},
	{"state-dir", "DIR", KIND_TEXT, AT(state_dir), true,
	 "where pools and targets are remembered"},
	{"socket", "PATH", KIND_TEXT, AT(socket), true,
	 "listen for quoin on PATH; targets' sockets go beside it"},
	{"memory", "N", KIND_SIZE, AT(memory_bytes), true,
	 "refuse pools and targets beyond N bytes of memory (default 256M, least 96M)"},
	{"workers", "N", KIND_WORKERS, AT(workers), true,
	 "worker threads (default: 1 on up to 4 CPUs, else a quarter of them)"},
	{"cpus", "LIST", KIND_TEXT, AT(cpus), true,
	 "pin workers to these CPUs, such as 0-3,8; one worker each unless --workers"},
	{"log-level", "LEVEL", KIND_LOG_LEVEL, AT(log_level), true,
	 "error, warning, info (default) or debug"},
	{"event-program", "PATH", KIND_TEXT, AT(event_program), true,
	 "run PATH for each event: TYPE SEVERITY OBJECT, the event as JSON on stdin"},
	{"event-url", "URL", KIND_TEXT, AT(event_url), true,
	 "POST each event as JSON to an http:// or https:// address"},
	{"event-severity", "SEVERITY", KIND_TEXT, AT(event_severity), true,
	 "of these events: notice, warning (default) or error, this or worse"},
	{"listen", "ADDR:PORT", KIND_TEXT, AT(listen), true,
	 "serve the web page and reading requests there too, with TLS and a token"},
	{"tls-certificate", "FILE", KIND_TEXT, AT(tls_certificate), true,
	 "its certificate, as PEM (default: one of its own, made at the first start)"},
	{"tls-key", "FILE", KIND_TEXT, AT(tls_key), true, "the key of that certificate, as PEM"},
	{"token-file", "FILE", KIND_TEXT, AT(token_file), true,
	 "the token (default: web.token in the state directory, made at the first start)"},
	{"test-smart", "DIR", KIND_TEXT, AT(test_smart), false, NULL},
	{"test-volumes", NULL, KIND_FLAG, AT(test_volumes), false, NULL},
	{"version", NULL, KIND_FLAG, AT(version), false, "print the version and leave"},
	{"help", NULL, KIND_FLAG, AT(help), false, "print this text and leave"},
};

void options_init(struct options *options)
{
	memset(options, 0, sizeof(*options));
	options->log_level = LOG_LEVEL_INFO;
}

void options_fini(struct options *options)
{
	free(options->config);
	free(options->state_dir);
	free(options->socket);
	free(options->cpus);
	free(options->event_program);
	free(options->event_url);
	free(options->event_severity);
	free(options->listen);
	free(options->tls_certificate);
	free(options->tls_key);
	free(options->token_file);
	free(options->test_smart);
	options_init(options);
}

void options_print_help(void)
{
	printf("usage: quoind [OPTION]...\n\n"
	       "The Quoin storage daemon. Talk to it with quoin(1).\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		char left[32];

		if (!table[i].help)
			continue;
		snprintf(left, sizeof(left), "--%s%s%s", table[i].name, table[i].value ? " " : "",
			 table[i].value ? table[i].value : "");
		printf("  %-26s %s\n", left, table[i].help);
	}
	printf("\nSizes take K, M, G, T (binary). See quoind(8).\n");
}

static const struct option *option_find(const char *name, size_t length)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (strlen(table[i].name) == length && memcmp(table[i].name, name, length) == 0)
			return &table[i];
	}
	return NULL;
}

static int level_set(enum log_level *level, const char *value, struct err *err)
{
	static const char *const words[] = {
		[LOG_LEVEL_ERROR] = "error",
		[LOG_LEVEL_WARNING] = "warning",
		[LOG_LEVEL_INFO] = "info",
		[LOG_LEVEL_DEBUG] = "debug",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(words[i], value) == 0) {
			*level = (enum log_level)i;
			return 0;
		}
	}
	return err_set(err, -EINVAL, "log-level must be error, warning, info or debug, not \"%s\"",
		       value);
}

static int workers_set(unsigned *workers, const char *value, struct err *err)
{
	char *end;
	const unsigned long number = strtoul(value, &end, 10);

	if (value[0] < '0' || value[0] > '9' || *end != '\0' || number < 1 || number > WORKERS_MAX)
		return err_set(err, -EINVAL, "workers must be 1 to %d, not \"%s\"", WORKERS_MAX,
			       value);
	*workers = (unsigned)number;
	return 0;
}

static int size_set(uint64_t *size, const char *name, const char *value, struct err *err)
{
	if (size_parse(value, size) < 0 || *size == 0)
		return err_set(err, -EINVAL, "%s must be a size such as 256M, not \"%s\"", name,
			       value);
	return 0;
}

static int option_set(struct options *options, const struct option *option, const char *value,
		      struct err *err)
{
	void *at = (char *)options + option->offset;

	switch (option->kind) {
	case KIND_TEXT:
		if (value[0] == '\0')
			return err_set(err, -EINVAL, "%s must not be empty", option->name);
		free(*(char **)at);
		*(char **)at = xstrdup(value);
		return 0;
	case KIND_SIZE:
		return size_set(at, option->name, value, err);
	case KIND_WORKERS:
		return workers_set(at, value, err);
	case KIND_LOG_LEVEL:
		return level_set(at, value, err);
	case KIND_FLAG:
		*(bool *)at = true;
		return 0;
	}
	return -EINVAL;
}

static uint32_t option_bit(const struct option *option)
{
	return UINT32_C(1) << (option - table);
}

/* One word of the command line, with the next one when the option wants it. */
static int argument_parse(struct options *options, char **argv, int *index, struct err *err)
{
	const char *word = argv[*index];
	const size_t length = word[0] == '-' && word[1] == '-' ? strcspn(word + 2, "=") : 0;
	const struct option *option = length > 0 ? option_find(word + 2, length) : NULL;
	const char *value;

	if (!option)
		return err_set(err, -EINVAL, "\"%s\" is not an option of quoind", word);
	value = word[2 + length] == '=' ? word + 3 + length : NULL;
	if (!option->value && value)
		return err_set(err, -EINVAL, "--%s takes no value", option->name);
	if (option->value && !value) {
		(*index)++;
		value = argv[*index];
		if (!value)
			return err_set(err, -EINVAL, "--%s needs a value: %s", option->name,
				       option->value);
	}
	options->given |= option_bit(option);
	return option_set(options, option, value, err);
}

int options_parse_arguments(struct options *options, int argc, char **argv, struct err *err)
{
	for (int i = 1; i < argc; i++) {
		int r = argument_parse(options, argv, &i, err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* --- Configuration file ---------------------------------------------------------------------- */

/* Cuts white space off both ends of [*text, *text + *length). */
static void trim(const char **text, size_t *length)
{
	while (*length > 0 && strchr(" \t\r", (*text)[0]) && (*text)[0] != '\0') {
		(*text)++;
		(*length)--;
	}
	while (*length > 0 && strchr(" \t\r", (*text)[*length - 1]) && (*text)[*length - 1] != '\0')
		(*length)--;
}

static int line_parse(struct options *options, const char *line, size_t length, struct err *err)
{
	CLEANUP_FREE char *value = NULL;
	const struct option *option;
	const char *equals;
	const char *rest;
	size_t key_length;
	size_t rest_length;

	trim(&line, &length);
	if (length == 0 || line[0] == '#')
		return 0;
	if (memchr(line, '\0', length))
		return err_set(err, -EINVAL, "there is a NUL byte");
	equals = memchr(line, '=', length);
	if (!equals)
		return err_set(err, -EINVAL, "write \"key = value\"");
	key_length = (size_t)(equals - line);
	rest = equals + 1;
	rest_length = length - key_length - 1;
	trim(&line, &key_length);
	trim(&rest, &rest_length);
	option = option_find(line, key_length);
	if (!option || !option->in_config)
		return err_set(err, -EINVAL, "\"%.*s\" is not a key",
			       (int)MIN(key_length, (size_t)64), line);
	if (options->given & option_bit(option))
		return 0;
	value = xasprintf("%.*s", (int)rest_length, rest);
	return option_set(options, option, value, err);
}

int options_parse_config(struct options *options, const char *name, const char *text, size_t length,
			 struct err *err)
{
	unsigned number = 0;

	if (length > CONFIG_SIZE_MAX)
		return err_set(err, -EINVAL, "%s is larger than %d bytes", name, CONFIG_SIZE_MAX);
	while (length > 0) {
		const char *end = memchr(text, '\n', length);
		const size_t line_length = end ? (size_t)(end - text) : length;
		int r;

		number++;
		r = line_parse(options, text, line_length, err);
		if (r < 0) {
			err_prefix(err, "%s, line %u", name, number);
			return r;
		}
		text += end ? line_length + 1 : length;
		length -= end ? line_length + 1 : length;
	}
	return 0;
}

int options_load_config(struct options *options, const char *path, struct err *err)
{
	CLEANUP_FREE char *text = xmalloc(CONFIG_SIZE_MAX + 1);
	FILE *file = fopen(path, "re");
	size_t length;
	int r;

	if (!file)
		return err_set(err, -errno, "cannot read %s: %s", path, strerror(errno));
	length = fread(text, 1, CONFIG_SIZE_MAX + 1, file);
	if (ferror(file))
		r = err_set(err, -EIO, "cannot read %s", path);
	else
		r = options_parse_config(options, path, text, length, err);
	fclose(file);
	return r;
}

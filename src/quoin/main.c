/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quoin: `quoin NOUN VERB ARGUMENT... --option value`, read against verb_table and handed to the
 * verb. Options may stand anywhere after the verb; "--" ends them.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include <quoin/api_paths.h>
#include <quoin/base_assert.h>
#include <quoin/base_text.h>

#include "suggest.h"
#include "verb.h"

const char *invocation_option(const struct invocation *in, const char *name)
{
	for (int i = 0; in->verb->options && in->verb->options[i].name; i++) {
		if (strcmp(in->verb->options[i].name, name) == 0)
			return in->values[i];
	}
	UNREACHABLE();
}

const char *invocation_next(const struct invocation *in, const char *name, int *cursor)
{
	while (*cursor < in->given_count) {
		const int i = (*cursor)++;

		if (strcmp(in->verb->options[in->given[i].option].name, name) == 0)
			return in->given[i].value;
	}
	return NULL;
}

int fail(int status, const char *format, ...)
{
	va_list args;

	fputs("quoin: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return status;
}

/* "unknown WHAT", and what may have been meant. */
static int unknown(const char *what, const struct suggest *suggest, const char *help)
{
	if (suggest->best)
		return fail(EXIT_USAGE, "unknown %s \"%s\": did you mean \"%s\"? See quoin %s",
			    what, suggest->word, suggest->best, help);
	return fail(EXIT_USAGE, "unknown %s \"%s\": see quoin %s", what, suggest->word, help);
}

/* --- Which verb --------------------------------------------------------------------------------
 */

static int unknown_noun(const char *noun)
{
	struct suggest suggest;

	suggest_init(&suggest, noun);
	for (const struct verb *v = verb_table; v->noun; v++)
		suggest_offer(&suggest, v->noun);
	return unknown("command", &suggest, "help");
}

static int unknown_verb(const char *noun, const char *name)
{
	CLEANUP_FREE char *help = xasprintf("help %s", noun);
	struct suggest suggest;

	if (!name || name[0] == '-')
		return fail(EXIT_USAGE, "%s what? See quoin %s", noun, help);
	suggest_init(&suggest, name);
	for (const struct verb *v = verb_table; v->noun; v++) {
		if (strcmp(v->noun, noun) == 0)
			suggest_offer(&suggest, v->name);
	}
	return unknown("verb", &suggest, help);
}

/* Takes one or two words off argv. */
static int verb_find(char ***argv, const struct verb **ret)
{
	const char *noun = (*argv)[0];
	bool known = false;

	for (const struct verb *v = verb_table; v->noun; v++) {
		if (strcmp(v->noun, noun) != 0)
			continue;
		known = true;
		if (v->name && (!(*argv)[1] || strcmp(v->name, (*argv)[1]) != 0))
			continue;
		*argv += v->name ? 2 : 1;
		*ret = v;
		return 0;
	}
	if (known && (*argv)[1] && strcmp((*argv)[1], "--help") == 0) {
		help_print(noun, NULL);
		exit(EXIT_DONE);
	}
	return known ? unknown_verb(noun, (*argv)[1]) : unknown_noun(noun);
}

/* --- Its options -------------------------------------------------------------------------------
 */

static int option_index(const struct verb_option *options, const char *name, size_t length)
{
	for (int i = 0; options && options[i].name; i++) {
		if (strlen(options[i].name) == length && memcmp(options[i].name, name, length) == 0)
			return i;
	}
	return -1;
}

/* `verb` is NULL before the first word that is no option. */
static int unknown_option(const struct verb *verb, const char *word)
{
	CLEANUP_FREE char *help = verb ? xasprintf("help %s%s%s", verb->noun, verb->name ? " " : "",
						   verb->name ? verb->name : "")
				       : xstrdup("help");
	CLEANUP_FREE char *name = xasprintf("%.*s", (int)strcspn(word + 2, "="), word + 2);
	struct suggest suggest;

	suggest_init(&suggest, name);
	for (int i = 0; verb && verb->options && verb->options[i].name; i++)
		suggest_offer(&suggest, verb->options[i].name);
	for (int i = 0; verb_common_options[i].name; i++)
		suggest_offer(&suggest, verb_common_options[i].name);
	if (suggest.best)
		return fail(EXIT_USAGE,
			    "unknown option \"%s\": did you mean \"--%s\"? See quoin %s", word,
			    suggest.best, help);
	return fail(EXIT_USAGE, "unknown option \"%s\": see quoin %s", word, help);
}

static int common_option_set(struct invocation *in, const char *name, const char *value)
{
	if (strcmp(name, "json") == 0) {
		in->json = true;
	} else if (strcmp(name, "socket") == 0) {
		free(in->client.socket_path);
		in->client.socket_path = xstrdup(value);
	} else {
		help_print(in->verb ? in->verb->noun : NULL, in->verb ? in->verb->name : NULL);
		exit(EXIT_DONE);
	}
	return EXIT_DONE;
}

static int own_option_set(struct invocation *in, int option, const char *value)
{
	if (in->given_count == GIVEN_MAX)
		return fail(EXIT_USAGE, "more than %d options", GIVEN_MAX);
	in->given[in->given_count].option = option;
	in->given[in->given_count++].value = value;
	in->values[option] = value;
	return EXIT_DONE;
}

/* One option, with the next word when it wants a value and has none. */
static int option_parse(struct invocation *in, char ***argv)
{
	const char *word = *(*argv)++;
	const size_t length = strcspn(word + 2, "=");
	const char *value = word[2 + length] == '=' ? word + 3 + length : NULL;
	const int own = in->verb ? option_index(in->verb->options, word + 2, length) : -1;
	const int common = option_index(verb_common_options, word + 2, length);
	const struct verb_option *option;

	if (own < 0 && common < 0)
		return unknown_option(in->verb, word);
	option = own >= 0 ? &in->verb->options[own] : &verb_common_options[common];
	if (!option->value && value)
		return fail(EXIT_USAGE, "--%s takes no value", option->name);
	if (option->value && !value) {
		value = **argv;
		if (!value)
			return fail(EXIT_USAGE, "--%s needs a value: %s", option->name,
				    option->value);
		(*argv)++;
	}
	if (own < 0)
		return common_option_set(in, option->name, value);
	return own_option_set(in, own, value ? value : "");
}

/* "-r" and "-v", where there is the long one; else `word`. */
static char *short_option(const struct invocation *in, char *word)
{
	static char recursive[] = "--recursive";
	static char verbose[] = "--verbose";
	char *const longs[] = {recursive, verbose};

	for (size_t i = 0; i < ARRAY_SIZE(longs); i++) {
		if (word[1] == longs[i][2] && word[2] == '\0' &&
		    option_index(in->verb->options, longs[i] + 2, strlen(longs[i] + 2)) >= 0)
			return longs[i];
	}
	return word;
}

static int words_parse(struct invocation *in, char **argv)
{
	while (*argv) {
		if (strcmp(*argv, "--") == 0) {
			in->rest = argv + 1;
			break;
		}
		if (strcmp(*argv, "-h") == 0)
			return common_option_set(in, "help", NULL);
		if (strncmp(*argv, "--", 2) == 0) {
			int status = option_parse(in, &argv);

			if (status != EXIT_DONE)
				return status;
			continue;
		}
		if ((*argv)[0] == '-' && short_option(in, *argv) != *argv) {
			*argv = short_option(in, *argv);
			continue;
		}
		if ((*argv)[0] == '-')
			return fail(EXIT_USAGE, "unknown option \"%s\": options begin with --",
				    *argv);
		if (in->argument_count == ARGUMENTS_MAX)
			return fail(EXIT_USAGE, "more than %d arguments", ARGUMENTS_MAX);
		in->arguments[in->argument_count++] = *argv++;
	}
	return EXIT_DONE;
}

static int counts_check(const struct invocation *in)
{
	const struct verb *v = in->verb;

	if (in->argument_count >= v->arguments_min && in->argument_count <= v->arguments_max)
		return EXIT_DONE;
	return fail(EXIT_USAGE, "too %s arguments: quoin %s%s%s%s%s",
		    in->argument_count < v->arguments_min ? "few" : "many", v->noun,
		    v->name ? " " : "", v->name ? v->name : "", v->arguments[0] ? " " : "",
		    v->arguments);
}

/* Common options may stand before the noun too. */
static int front_parse(struct invocation *in, char ***argv)
{
	while (**argv && strncmp(**argv, "--", 2) == 0) {
		int status = option_parse(in, argv);

		if (status != EXIT_DONE)
			return status;
	}
	return EXIT_DONE;
}

static int run(struct invocation *in, char **argv)
{
	char help[] = "help";
	char version[] = "version";
	struct err err;
	int status;

	if (*argv && strcmp(*argv, "-h") == 0)
		*argv = help;
	else if (*argv && strcmp(*argv, "--version") == 0)
		*argv = version;
	status = front_parse(in, &argv);
	if (status != EXIT_DONE)
		return status;
	if (!*argv) {
		help_print(NULL, NULL);
		return EXIT_USAGE;
	}
	status = verb_find(&argv, &in->verb);
	if (status == EXIT_DONE)
		status = words_parse(in, argv);
	if (status == EXIT_DONE)
		status = counts_check(in);
	if (status != EXIT_DONE)
		return status;
	if (!in->client.socket_path && api_socket_default(&in->client.socket_path, &err) < 0)
		return fail(EXIT_REFUSED, "%s", err.text);
	return in->verb->run(in);
}

int main(int argc, char **argv)
{
	struct invocation in = {.json = false};
	int status;

	curl_global_init(CURL_GLOBAL_DEFAULT);
	status = run(&in, argv + 1);
	client_fini(&in.client);
	curl_global_cleanup();
	if (fflush(stdout) != 0 || ferror(stdout))
		return fail(EXIT_REFUSED, "cannot write the output: %s", strerror(errno));
	return status;
}

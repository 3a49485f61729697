/* SPDX-License-Identifier: Apache-2.0 */
/* Help, from the table. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/api_paths.h>
#include <quoin/base_assert.h>
#include <quoin/base_text.h>

#include "verb.h"

static void option_print(const struct verb_option *option)
{
	CLEANUP_FREE char *left = xasprintf("--%s%s%s", option->name, option->value ? " " : "",
					    option->value ? option->value : "");

	printf("  %-24s %s\n", left, option->help);
}

static void options_print(const struct verb *verb)
{
	printf("\n");
	for (int i = 0; verb->options && verb->options[i].name; i++)
		option_print(&verb->options[i]);
	for (int i = 0; verb_common_options[i].name; i++)
		option_print(&verb_common_options[i]);
}

static void summary_print(const struct verb *verb)
{
	CLEANUP_FREE char *left = xasprintf("%s%s%s%s%s", verb->noun, verb->name ? " " : "",
					    verb->name ? verb->name : "",
					    verb->arguments[0] ? " " : "", verb->arguments);

	printf("  quoin %-30s %s\n", left, verb->help);
}

static void verb_print(const struct verb *verb)
{
	printf("usage: quoin %s%s%s%s%s%s\n\n%c%s.\n", verb->noun, verb->name ? " " : "",
	       verb->name ? verb->name : "", " [OPTION]...", verb->arguments[0] ? " " : "",
	       verb->arguments, verb->help[0] - 'a' + 'A', verb->help + 1);
	options_print(verb);
}

bool help_print(const char *noun, const char *name)
{
	unsigned found = 0;

	for (const struct verb *v = verb_table; v->noun; v++) {
		if (noun && strcmp(v->noun, noun) != 0)
			continue;
		if (name && (!v->name || strcmp(v->name, name) != 0))
			continue;
		if (noun && (name || !v->name)) {
			verb_print(v);
			return true;
		}
		if (found++ == 0)
			printf("usage: quoin NOUN VERB [OPTION]... [ARGUMENT]...\n\n");
		summary_print(v);
	}
	if (found > 0)
		printf("\nMore: quoin help NOUN VERB, quoin(1). Sizes take K, M, G, T (binary).\n"
		       "Exit codes: 0 done, 1 refused or failed, 2 usage.\n");
	return found > 0;
}

/* The table itself, for programs: completions and tests. */
static void help_json(void)
{
	json_t *all = json_array();

	for (const struct verb *v = verb_table; v->noun; v++) {
		json_t *options = json_array();

		for (int i = 0; v->options && v->options[i].name; i++)
			json_array_append_new(options, json_string(v->options[i].name));
		for (int i = 0; verb_common_options[i].name; i++)
			json_array_append_new(options, json_string(verb_common_options[i].name));
		json_array_append_new(all, json_pack("{s:s, s:s?, s:s, s:s, s:o}", "noun", v->noun,
						     "verb", v->name, "arguments", v->arguments,
						     "help", v->help, "options", options));
	}
	json_dumpf(all, stdout, JSON_INDENT(2));
	printf("\n");
	json_decref(all);
}

int verb_help(struct invocation *in)
{
	if (in->json) {
		help_json();
		return EXIT_DONE;
	}
	if (help_print(in->arguments[0], in->arguments[1]))
		return EXIT_DONE;
	return fail(EXIT_USAGE, "there is no help on \"%s%s%s\": see quoin help", in->arguments[0],
		    in->arguments[1] ? " " : "", in->arguments[1] ? in->arguments[1] : "");
}

int verb_version(struct invocation *in)
{
	if (in->json)
		printf("{\"version\": \"%s\"}\n", api_version());
	else
		printf("quoin %s\n", api_version());
	return EXIT_DONE;
}

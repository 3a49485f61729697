/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quoind's options: from the command line, and by the same names from a configuration file of
 * `key = value` lines. The command line wins.
 */
#ifndef QUOIND_OPTIONS_H
#define QUOIND_OPTIONS_H

#include <quoin/base.h>
#include <quoin/base_err.h>
#include <quoin/base_log.h>

struct options {
	char *config; /* the texts are owned; NULL = not given */
	char *state_dir;
	char *socket;
	char *cpus;
	char *event_program;
	char *event_url;
	char *event_severity;
	char *listen;
	char *tls_certificate;
	char *tls_key;
	char *token_file;
	char *test_smart;
	uint64_t memory_bytes; /* 0 = default */
	unsigned workers;      /* 0 = default */
	enum log_level log_level;
	bool test_volumes;
	bool help;
	bool version;
	uint32_t given; /* one bit per option, so that the file does not undo the command line */
};

void options_init(struct options *options);
void options_fini(struct options *options);

/* -EINVAL with a sentence. */
MUST_CHECK int options_parse_arguments(struct options *options, int argc, char **argv,
				       struct err *err);

/* `name` is for messages, `text` need not end with NUL. -EINVAL with file and line. */
MUST_CHECK int options_parse_config(struct options *options, const char *name, const char *text,
				    size_t length, struct err *err);

/* Reads and parses the file. */
MUST_CHECK int options_load_config(struct options *options, const char *path, struct err *err);

void options_print_help(void);

#endif

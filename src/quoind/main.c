/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quoind: wiring and privileges. Reads the options, prepares the process, starts the workers with
 * the remembered targets, then the API, and waits for the signal to stop.
 *
 * SIGTERM and SIGINT stop: clients are disconnected when their I/O is done, volumes closed.
 * SIGHUP is ignored: the log goes to stderr, there is nothing to open anew.
 */
#include <errno.h>
#include <libgen.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <quoin/api.h>
#include <quoin/api_paths.h>
#include <quoin/base_clock.h>
#include <quoin/base_log.h>
#include <quoin/base_text.h>
#include <quoin/control.h>
#include <quoin/eve.h>
#include <quoin/guest.h>

#include "notify.h"
#include "options.h"

#define CONFIG_DEFAULT "/etc/quoin/quoind.conf"
#define EXIT_USAGE 2
#define FILES_MAX 65536 /* 256 targets with 4 files for each queue pair's interrupt, and room */

/* A relative path as an absolute one: the tool and the state file need paths that stay true. */
static void make_absolute(char **path)
{
	CLEANUP_FREE char *directory = NULL;
	char *absolute;

	if (!*path || (*path)[0] == '/')
		return;
	directory = getcwd(NULL, 0);
	if (!directory)
		return;
	absolute = xasprintf("%s/%s", directory, *path);
	free(*path);
	*path = absolute;
}

static int options_complete(struct options *options, struct err *err)
{
	int r = 0;

	if (options->config)
		r = options_load_config(options, options->config, err);
	else if (geteuid() == 0 && access(CONFIG_DEFAULT, F_OK) == 0)
		r = options_load_config(options, CONFIG_DEFAULT, err);
	if (r == 0 && !options->state_dir)
		r = api_state_dir_default(&options->state_dir, err);
	if (r == 0 && !options->socket)
		r = api_socket_default(&options->socket, err);
	make_absolute(&options->state_dir);
	make_absolute(&options->socket);
	return r;
}

/* Signals are taken by the main thread alone: the threads made later inherit this mask. */
static sigset_t signals_prepare(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	/* A file beyond RLIMIT_FSIZE is an error of that write, not our end. */
	signal(SIGXFSZ, SIG_IGN);
	guest_sigbus_install();
	return set;
}

static void process_prepare(void)
{
	struct rlimit files;

	/*
	 * The I/O path does not allocate, so threads need no arenas of their own; and what a burst
	 * of API calls took goes back to the system.
	 */
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_TRIM_THRESHOLD, 128 * 1024);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = MIN(files.rlim_max, (rlim_t)FILES_MAX);
		if (setrlimit(RLIMIT_NOFILE, &files) < 0)
			log_debug("the limit of open files stays: %m");
	}
}

/* What runs. */
struct parts {
	struct control *control;
	struct eve *eve;
	struct api_server *server;
};

static int control_start(const struct options *options, struct control **ret, struct err *err)
{
	CLEANUP_FREE char *copy = xstrdup(options->socket);
	const struct control_params params = {
		.state_dir = options->state_dir,
		.runtime_dir = dirname(copy),
		.workers = options->workers,
		.cpus = options->cpus,
		.memory_bytes = options->memory_bytes,
		.event_program = options->event_program,
		.event_url = options->event_url,
		.event_severity = options->event_severity,
		.test_smart = options->test_smart,
		.test_volumes = options->test_volumes,
	};

	return control_new(&params, ret, err);
}

static int eve_start(const struct options *options, struct control *control, struct eve **ret,
		     struct err *err)
{
	const struct eve_params params = {
		.control = control, .state_dir = options->state_dir, .version = api_version()};

	return eve_new(&params, ret, err);
}

static int api_start(const struct options *options, const struct parts *parts,
		     struct api_server **ret, struct err *err)
{
	const struct api_context context = {
		.control = parts->control,
		.eve = parts->eve,
		.process =
			{
				.state_dir = options->state_dir,
				.socket_path = options->socket,
				.supervisor = notify_wanted() ? "systemd" : "none",
				.memory_bytes = options->memory_bytes ? options->memory_bytes
								      : CONTROL_MEMORY_DEFAULT,
				.started_ns = clock_now_ns(CLOCK_BOOTTIME),
			},
		.listen =
			{
				.address = options->listen,
				.certificate = options->tls_certificate,
				.key = options->tls_key,
				.token_file = options->token_file,
			},
	};

	return api_server_new(&context, ret, err);
}

static void ready(const struct options *options, const struct api_server *server)
{
	const char *url = api_server_url(server);

	log_info("quoind %s serves on %s", api_version(), options->socket);
	if (url)
		log_info("the web page is at %s", url);
	notify_send("READY=1");
}

static int serve(const struct options *options, struct err *err)
{
	const sigset_t signals = signals_prepare();
	struct parts parts = {.control = NULL};
	struct err hung = {.code = 0};
	int number = 0;
	int r;

	process_prepare();
	r = control_start(options, &parts.control, err);
	if (r == 0)
		r = eve_start(options, parts.control, &parts.eve, err);
	if (r == 0)
		r = api_start(options, &parts, &parts.server, err);
	if (r == 0) {
		ready(options, parts.server);
		sigwait(&signals, &number);
		log_info("%s: stopping", strsignal(number));
		notify_send("STOPPING=1");
	}
	api_server_free(parts.server);
	eve_free(parts.eve);
	/* What waits for a drive that hangs cannot be freed; the end of the process does it. */
	if (parts.control && control_stop(parts.control, &hung) < 0) {
		log_error("stopping without waiting any longer: %s", hung.text);
		return r;
	}
	control_free(parts.control);
	return r;
}

static int usage_error(const struct err *err)
{
	fprintf(stderr, "quoind: %s; see quoind --help\n", err->text);
	return EXIT_USAGE;
}

static int run(struct options *options, int argc, char **argv)
{
	struct err err = {.code = 0};

	if (options_parse_arguments(options, argc, argv, &err) < 0)
		return usage_error(&err);
	if (options->help) {
		options_print_help();
		return 0;
	}
	if (options->version) {
		printf("quoind %s\n", api_version());
		return 0;
	}
	if (options_complete(options, &err) < 0)
		return usage_error(&err);
	log_set_level(options->log_level);
	if (serve(options, &err) == 0)
		return 0;
	log_error("%s", err.text);
	return 1;
}

int main(int argc, char **argv)
{
	struct options options;
	int status;

	options_init(&options);
	status = run(&options, argc, argv);
	options_fini(&options);
	return status;
}

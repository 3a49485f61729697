/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quoin top: the terminal, the keys and the clock; top_view.c has the rates, top_draw.c the lines.
 * Where stdout is no terminal, or with --once, it looks twice, prints once and ends. Signals and
 * keys are waited for together, so that the terminal is always given back as it was.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <quoin/base_clock.h>

#include "show.h"
#include "top.h"
#include "words.h"

#define INTERVAL_DEFAULT_S 2 /* the daemon looks at its pools as often */
#define INTERVAL_MAX_S 3600
#define SCREEN_ON "\033[?1049h\033[?25l"
#define SCREEN_OFF "\033[?25h\033[?1049l"

struct top {
	struct invocation *in;
	int interval_ms;
	enum top_order order;
	json_t *before, *now;
	int signals;	       /* a signalfd */
	bool keys;	       /* stdin is a terminal: it is read key by key */
	struct termios cooked; /* as it was */
	struct err err;	       /* told when the terminal is given back */
};

enum wish { WISH_NONE, WISH_SORT, WISH_QUIT };

/* --- Looking ---------------------------------------------------------------------------------- */

static int look(struct top *top)
{
	const struct client_request request = {"GET", "/v1/top", NULL};
	json_t *answer = NULL;

	if (client_send(&top->in->client, &request, &answer, &top->err) < 0)
		return EXIT_REFUSED;
	json_decref(top->before);
	top->before = top->now;
	top->now = answer;
	return EXIT_DONE;
}

static void json_print(const struct top_view *view, bool once)
{
	json_t *json = top_view_encode(view);

	json_dumpf(json, stdout, once ? JSON_INDENT(2) : JSON_COMPACT);
	printf("\n");
	json_decref(json);
}

static void screen_print(const struct top *top, const struct top_view *view)
{
	struct winsize size = {.ws_row = 0};
	struct text t;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0)
		size = (struct winsize){.ws_row = 24, .ws_col = 80};
	text_init(&t);
	/* The last line is left free: a newline there would scroll. */
	top_view_draw(view, top->order, size.ws_col, size.ws_row - 1U, &t);
	printf("\033[H");
	for (char *at = t.data; at && *at;) {
		char *end = strchr(at, '\n');

		printf("%.*s\033[K\n", (int)(end - at), at);
		at = end + 1;
	}
	printf("\033[J");
	text_fini(&t);
}

static void show(const struct top *top, bool once)
{
	struct top_view view;
	struct text t;

	top_view_make(&view, top->before, top->now, top->order);
	if (top->in->json) {
		json_print(&view, once);
	} else if (once) {
		text_init(&t);
		top_view_draw(&view, top->order, 0, 0, &t);
		printf("%s", t.data);
		text_fini(&t);
	} else {
		screen_print(top, &view);
	}
	fflush(stdout);
	top_view_fini(&view);
}

/* --- Waiting ---------------------------------------------------------------------------------- */

static enum wish key_read(void)
{
	char key = '\0';

	if (read(STDIN_FILENO, &key, 1) != 1)
		return WISH_QUIT;
	if (key == 'q' || key == 'Q')
		return WISH_QUIT;
	return key == 's' ? WISH_SORT : WISH_NONE;
}

/* Until `until_ns`, or until somebody wants something. A new size is a wish to draw anew. */
static enum wish wait(const struct top *top, uint64_t until_ns)
{
	struct pollfd fds[] = {{.fd = top->signals, .events = POLLIN},
			       {.fd = top->keys ? STDIN_FILENO : -1, .events = POLLIN}};
	const uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);
	const uint64_t left_ms = now_ns < until_ns ? (until_ns - now_ns) / NS_PER_MS + 1 : 0;
	struct signalfd_siginfo info;

	if (poll(fds, ARRAY_SIZE(fds), (int)left_ms) <= 0)
		return WISH_NONE;
	if (fds[0].revents != 0 && read(top->signals, &info, sizeof(info)) == sizeof(info) &&
	    info.ssi_signo != SIGWINCH)
		return WISH_QUIT;
	return fds[1].revents != 0 ? key_read() : WISH_NONE;
}

/* False: it is over. */
static bool pause_between(struct top *top, bool drawn)
{
	const uint64_t until =
		clock_now_ns(CLOCK_MONOTONIC) + (uint64_t)top->interval_ms * NS_PER_MS;

	while (clock_now_ns(CLOCK_MONOTONIC) < until) {
		const enum wish wish = wait(top, until);

		if (wish == WISH_QUIT)
			return false;
		if (wish == WISH_SORT)
			top->order = (enum top_order)((top->order + 1) % TOP_ORDERS);
		if (drawn)
			show(top, false);
	}
	return true;
}

/* --- Its life --------------------------------------------------------------------------------- */

static void terminal_take(struct top *top)
{
	struct termios raw;

	printf(SCREEN_ON);
	top->keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &top->cooked) == 0;
	if (!top->keys)
		return;
	raw = top->cooked;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

static void terminal_give_back(const struct top *top)
{
	printf(SCREEN_OFF);
	fflush(stdout);
	if (top->keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &top->cooked);
}

static int signals_take(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int once(struct top *top)
{
	int status = look(top);

	if (status == EXIT_DONE && pause_between(top, false))
		status = look(top);
	if (status == EXIT_DONE)
		show(top, true);
	return status;
}

/* With --json a line for each look, for programs that read along. */
static int follow(struct top *top)
{
	const bool screen = !top->in->json;
	int status = look(top);

	if (status != EXIT_DONE)
		return status;
	if (screen)
		terminal_take(top);
	if (screen)
		show(top, false);
	while (status == EXIT_DONE && pause_between(top, screen) && !ferror(stdout)) {
		status = look(top);
		if (status == EXIT_DONE)
			show(top, false);
	}
	if (screen)
		terminal_give_back(top);
	return status;
}

static int interval_get(const struct invocation *in, int *ret_ms)
{
	const char *text = invocation_option(in, "interval");
	char *end = NULL;
	double seconds = INTERVAL_DEFAULT_S;

	if (text)
		seconds = strtod(text, &end);
	if (text && (end == text || *end != '\0' || !(seconds >= 0.1 && seconds <= INTERVAL_MAX_S)))
		return fail(EXIT_USAGE, "--interval must be seconds, 0.1 to %d, not \"%s\"",
			    INTERVAL_MAX_S, text);
	*ret_ms = (int)(seconds * 1000);
	return EXIT_DONE;
}

int verb_top(struct invocation *in)
{
	struct top top = {.in = in};
	const bool terminal = isatty(STDOUT_FILENO);
	int status = interval_get(in, &top.interval_ms);

	if (status != EXIT_DONE)
		return status;
	top.signals = signals_take();
	if (top.signals < 0)
		return fail(EXIT_REFUSED, "signals cannot be waited for: %s", strerror(errno));
	if (invocation_option(in, "once") || (!terminal && !in->json))
		status = once(&top);
	else
		status = follow(&top);
	if (status != EXIT_DONE)
		fail(status, "%s", top.err.text);
	json_decref(top.before);
	json_decref(top.now);
	close(top.signals);
	return status;
}

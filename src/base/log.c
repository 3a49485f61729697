/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log sink. One write(2) per line, so lines of different threads do not mix. Control
 * characters are replaced: names come from outside, and must not forge lines or steer a terminal.
 */
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <quoin/base_log.h>

static _Atomic int level_max = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&level_max, (int)level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&level_max, memory_order_relaxed);
}

void log_write(enum log_level level, const char *format, ...)
{
	static const char *const names[] = {"error: ", "warning: ", "", "debug: "};
	static const char *const priorities[] = {"<3>", "<4>", "<6>", "<7>"};
	const bool journal = getenv("JOURNAL_STREAM") != NULL;
	char line[1024];
	va_list args;
	int length;

	if (!log_enabled(level))
		return;
	length = snprintf(line, sizeof(line), "%s%s", journal ? priorities[level] : "",
			  names[level]);
	va_start(args, format);
	length += vsnprintf(line + length, sizeof(line) - (size_t)length, format, args);
	va_end(args);
	if (length > (int)sizeof(line) - 2)
		length = (int)sizeof(line) - 2;
	for (int i = 0; i < length; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == '\x7f')
			line[i] = '?';
	line[length] = '\n';
	/* A log that cannot be written has nobody left to be told. */
	if (write(STDERR_FILENO, line, (size_t)length + 1) < 0)
		return;
}

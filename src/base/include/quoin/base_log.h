/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log sink: the one mutable global of the program. Any thread may log. Rooms below
 * `control` log at debug only. Lines go to stderr, with a <N> priority prefix when
 * systemd asked for it (JOURNAL_STREAM is set).
 */
#ifndef QUOIN_BASE_LOG_H
#define QUOIN_BASE_LOG_H

#include <quoin/base.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Messages above `level` are dropped. Default: LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                           \
	do {                                                     \
		if (UNLIKELY(log_enabled(LOG_LEVEL_DEBUG)))      \
			log_write(LOG_LEVEL_DEBUG, __VA_ARGS__); \
	} while (0)

#endif

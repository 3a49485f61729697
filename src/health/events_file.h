/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of the journal. Lines are appended; a file that is full is renamed to events.1, over
 * the one that was there. A line that is cut short by a crash is cut off when the file is opened,
 * and a write that failed leaves no part of a line behind.
 */
#ifndef HEALTH_EVENTS_FILE_H
#define HEALTH_EVENTS_FILE_H

#include <quoin/health_events.h>

struct events_file {
	int directory_fd; /* borrowed */
	int fd;		  /* -1 = not open */
	uint64_t bytes;	  /* whole lines */
	uint32_t bytes_max;
};

/* Calls `take` for each event of both files in order; returns how many lines were no events. */
uint64_t events_file_load(struct events_file *file,
			  void (*take)(void *data, const struct health_event *event), void *data);

/* All or nothing, durably. Negative errno. */
MUST_CHECK int events_file_write(struct events_file *file, const char *lines, size_t length);

void events_file_close(struct events_file *file);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the state directory, for the rooms above that keep one there. */
#ifndef QUOIN_CONTROL_FILE_H
#define QUOIN_CONTROL_FILE_H

#include <quoin/base.h>

/*
 * Replaces the file `name` in the directory with `data`, durably and at once. Any thread, but one
 * at a time for a name.
 */
MUST_CHECK int control_file_replace(int directory_fd, const char *name, const char *data);

#endif

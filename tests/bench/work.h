/* SPDX-License-Identifier: Apache-2.0 */
/* A directory for large files that goes when the program ends, however it ends. */
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

#include <quoin/base.h>

#define BENCH_WORK_MAX 300

/*
 * Makes a directory below `dir`. Returns in a child of the calling process, with 0; the process
 * itself waits for the child, removes the directory and those of daemons, and ends with the child's
 * exit status. On a signal that ends programs it ends the child first, with all that was started.
 * Negative errno: no child was made.
 */
MUST_CHECK int bench_work_begin(const char *dir, char ret_path[BENCH_WORK_MAX]);

#endif

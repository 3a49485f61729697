/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An error of the control path: a code and one sentence for a person that says what failed, on
 * which object, and what to do next. Functions that take a `struct err *` fill it exactly when
 * they fail; NULL is allowed and means the caller does not want the words.
 */
#ifndef QUOIN_BASE_ERR_H
#define QUOIN_BASE_ERR_H

#include <quoin/base.h>

#define ERR_TEXT_MAX 512

struct err {
	int code; /* negative errno */
	char text[ERR_TEXT_MAX];
};

/* Sets code and sentence; returns `code` so that `return err_set(...)` reads well. */
int err_set(struct err *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);

/* Puts words and ": " before the sentence that is there. Returns the code. */
int err_prefix(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

#endif

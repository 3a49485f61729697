/* SPDX-License-Identifier: Apache-2.0 */
/* Errors of the control path: a code with a sentence. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_err.h>

int err_set(struct err *err, int code, const char *format, ...)
{
	va_list args;

	ASSERT(code < 0);
	if (!err)
		return code;
	err->code = code;
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	return code;
}

int err_prefix(struct err *err, const char *format, ...)
{
	char words[ERR_TEXT_MAX];
	size_t length;
	va_list args;

	if (!err)
		return 0;
	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	length = strlen(words);
	if (length + 2 < sizeof(words))
		snprintf(words + length, sizeof(words) - length, ": %s", err->text);
	memcpy(err->text, words, sizeof(words));
	return err->code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Heads and samples; see metrics.h. */
#include "metrics.h"

#include <string.h>

#include <quoin/health_event.h>

#define LABEL_MAX 512
#define WHOLE_MAX 9007199254740992.0 /* 2^53 */
#define FRACTION_DIGITS 9

void metrics_head(struct text *t, const char *name, const char *type, const char *help)
{
	text_printf(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Backslash, quote and newline are escaped; the newline is a space by then. */
static void value_print(struct text *t, const char *value)
{
	char clean[LABEL_MAX];

	health_text_copy(clean, sizeof(clean), value);
	for (const char *c = clean; *c; c++) {
		if (*c == '\\' || *c == '"')
			text_append(t, "\\", 1);
		text_append(t, c, 1);
	}
}

void metrics_labels(struct text *t, const struct metrics_label *labels)
{
	for (unsigned i = 0; labels[i].value; i++) {
		text_word(t, i == 0 ? "" : ",");
		text_word(t, labels[i].name);
		text_append(t, "=\"", 2);
		value_print(t, labels[i].value);
		text_append(t, "\"", 1);
	}
}

/* Whole numbers come out as they are, up to where there are others between them. */
static void number_print(struct text *t, double value)
{
	if (value >= 0 && value <= WHOLE_MAX && value == (double)(uint64_t)value)
		text_number(t, (uint64_t)value);
	else
		text_printf(t, "%.17g", value);
}

void metrics_sample(struct text *t, struct metrics_name name, const struct metrics_label *labels,
		    double value)
{
	text_word(t, name.family);
	text_word(t, name.suffix);
	if (labels && labels[0].value) {
		text_append(t, "{", 1);
		metrics_labels(t, labels);
		text_append(t, "}", 1);
	}
	text_append(t, " ", 1);
	number_print(t, value);
	text_append(t, "\n", 1);
}

/* Seconds, to the last digit. */
static void ns_print(struct text *t, uint64_t ns)
{
	char digits[FRACTION_DIGITS + 1] = {'.'};
	uint64_t rest = ns % NS_PER_S;
	size_t length = sizeof(digits);

	text_number(t, ns / NS_PER_S);
	if (rest == 0)
		return;
	for (size_t i = FRACTION_DIGITS; i > 0; i--) {
		digits[i] = (char)('0' + rest % 10);
		rest /= 10;
	}
	while (digits[length - 1] == '0')
		length--;
	text_append(t, digits, length);
}

void metrics_line(struct text *t, const char *family, const char *labels, const char *more,
		  struct metrics_value value)
{
	text_word(t, family);
	text_append(t, "{", 1);
	text_word(t, labels);
	text_word(t, more);
	text_append(t, "} ", 2);
	if (value.is_ns)
		ns_print(t, value.number);
	else
		text_number(t, value.number);
	text_append(t, "\n", 1);
}

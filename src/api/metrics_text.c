/* SPDX-License-Identifier: Apache-2.0 */
/* Heads and samples; see metrics.h. */
#include "metrics.h"

#include <string.h>

#include <quoin/health_event.h>

#define LABEL_MAX 512

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

void metrics_sample(struct text *t, struct metrics_name name, const struct metrics_label *labels,
		    double value)
{
	text_printf(t, "%s%s", name.family, name.suffix);
	for (unsigned i = 0; labels && labels[i].value; i++) {
		text_printf(t, "%s%s=\"", i == 0 ? "{" : ",", labels[i].name);
		value_print(t, labels[i].value);
		text_printf(t, "\"");
	}
	/* Whole numbers up to 2^53 come out as they are. */
	text_printf(t, "%s %.17g\n", labels && labels[0].value ? "}" : "", value);
}

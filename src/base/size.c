/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes and times as text. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <quoin/base_size.h>

static const char units[] = "KMGTPE";

/* The shift of a unit ("", "B", "K", "KB", "KiB", any case), or -1. */
static int unit_shift(const char *unit)
{
	const char *found;

	if (unit[0] == '\0' || strcasecmp(unit, "B") == 0)
		return 0;
	found = strchr(units, toupper((unsigned char)unit[0]));
	if (!found)
		return -1;
	if (unit[1] != '\0' && strcasecmp(unit + 1, "B") != 0 && strcasecmp(unit + 1, "iB") != 0)
		return -1;
	return 10 * (int)(found - units + 1);
}

/* Reads decimal digits from *text into *value and counts them. -ERANGE. */
static int digits(const char **text, uint64_t *value, unsigned *count)
{
	*value = 0;
	*count = 0;
	for (; isdigit((unsigned char)**text); (*text)++, (*count)++) {
		if (__builtin_mul_overflow(*value, 10U, value) ||
		    __builtin_add_overflow(*value, (uint64_t)(**text - '0'), value))
			return -ERANGE;
	}
	return 0;
}

int size_parse(const char *text, uint64_t *ret_bytes)
{
	uint64_t whole;
	uint64_t fraction = 0;
	uint64_t scale = 1;
	unsigned count;
	unsigned fraction_count = 0;
	int shift;
	int r = digits(&text, &whole, &count);

	if (r < 0)
		return r;
	if (count == 0)
		return -EINVAL;
	if (*text == '.') {
		text++;
		r = digits(&text, &fraction, &fraction_count);
		if (r < 0 || fraction_count == 0 || fraction_count > 6)
			return -EINVAL;
	}
	while (*text == ' ')
		text++;
	shift = unit_shift(text);
	if (shift < 0 || (shift == 0 && fraction_count > 0))
		return -EINVAL;
	for (unsigned i = 0; i < fraction_count; i++)
		scale *= 10;
	if (whole > UINT64_MAX >> shift)
		return -ERANGE;
	whole <<= shift;
	fraction = (uint64_t)(((unsigned __int128)fraction << shift) / scale);
	if (__builtin_add_overflow(whole, fraction, &whole))
		return -ERANGE;
	*ret_bytes = whole;
	return 0;
}

char *size_format(uint64_t bytes, char text[SIZE_TEXT_MAX])
{
	unsigned shift = 0;

	while (shift < 60 && bytes >> shift >= 1024)
		shift += 10;
	if (shift == 0)
		snprintf(text, SIZE_TEXT_MAX, "%llu B", (unsigned long long)bytes);
	else
		snprintf(text, SIZE_TEXT_MAX, "%.1f %ciB",
			 (double)bytes / (double)(UINT64_C(1) << shift), units[shift / 10 - 1]);
	return text;
}

char *duration_format(uint64_t ns, char text[SIZE_TEXT_MAX])
{
	if (ns < 1000)
		snprintf(text, SIZE_TEXT_MAX, "%llu ns", (unsigned long long)ns);
	else if (ns < NS_PER_MS)
		snprintf(text, SIZE_TEXT_MAX, "%.1f us", (double)ns / 1e3);
	else if (ns < NS_PER_S)
		snprintf(text, SIZE_TEXT_MAX, "%.1f ms", (double)ns / 1e6);
	else
		snprintf(text, SIZE_TEXT_MAX, "%.1f s", (double)ns / 1e9);
	return text;
}

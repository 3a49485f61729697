/* SPDX-License-Identifier: Apache-2.0 */
/* Volume specifications: which kinds there are, and what the room below opens them from. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <quoin/base_size.h>
#include <quoin/base_text.h>

#include "volume.h"

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* What follows the last wrapper, as quoin/block_fault.h writes them: "delay:ms=5:null:1G". */
static const char *innermost(const char *volume)
{
	while (has_prefix(volume, "error:") || has_prefix(volume, "delay:")) {
		volume = strchr(strchr(volume, ':') + 1, ':');
		if (!volume)
			return "";
		volume++;
	}
	return volume;
}

static int null_check(const char *volume, struct err *err)
{
	char size[SIZE_TEXT_MAX * 2];
	uint64_t bytes;
	const char *text = volume + strlen("null:");
	const size_t length = strcspn(text, ",");

	if (length >= sizeof(size))
		return err_set(err, -EINVAL, "\"%s\" has no size that can be read", volume);
	memcpy(size, text, length);
	size[length] = '\0';
	if (size_parse(size, &bytes) < 0)
		return err_set(err, -EINVAL,
			       "\"%s\" has no size that can be read: write null:SIZE, for "
			       "example null:10G",
			       volume);
	if (bytes == 0)
		return err_set(err, -EINVAL, "\"%s\": the size must not be zero", volume);
	return 0;
}

int control_volume_check(const char *volume, bool test_volumes, struct err *err)
{
	const bool wrapped = has_prefix(volume, "error:") || has_prefix(volume, "delay:");
	const char *inner = innermost(volume);

	if (volume[0] == '\0')
		return err_set(err, -EINVAL, "the volume is empty");
	if (wrapped && !test_volumes)
		return err_set(err, -ENOTSUP,
			       "\"%s\": error: and delay: are for tests and not enabled here",
			       volume);
	if (has_prefix(inner, "null:"))
		return null_check(inner, err);
	if (has_prefix(inner, "file:/"))
		return 0;
	if (has_prefix(inner, "file:"))
		return err_set(err, -EINVAL, "\"%s\": the path must be absolute", volume);
	if (!strchr(inner, ':') && strchr(inner, '/') && inner[0] != '/')
		return err_set(err, -ENOTSUP,
			       "\"%s\": pools come with a later version; this one has file:/PATH "
			       "and null:SIZE",
			       volume);
	return err_set(err, -EINVAL, "\"%s\" is not a volume: write file:/PATH or null:SIZE",
		       volume);
}

char *control_volume_spec(const struct control_namespace_spec *ns)
{
	struct text t;
	const bool file = has_prefix(innermost(ns->volume), "file:");

	text_init(&t);
	text_printf(&t, "%s", ns->volume);
	/* A null volume has no mode: there the front end alone refuses writes. */
	if (ns->read_only && file)
		text_printf(&t, ",ro");
	if (ns->block_size != 0)
		text_printf(&t, ",block=%u", ns->block_size);
	return text_detach(&t);
}

/* -ENOENT when the volume is not a file: or nothing is there. */
static int volume_stat(const char *volume, struct stat *ret_stat)
{
	CLEANUP_FREE char *path = NULL;
	const char *inner = innermost(volume);

	if (!has_prefix(inner, "file:"))
		return -ENOENT;
	inner += strlen("file:");
	path = xstrdup(inner);
	/* Options follow the path; a path that has commas itself is tried whole first. */
	if (stat(path, ret_stat) == 0)
		return 0;
	path[strcspn(path, ",")] = '\0';
	return stat(path, ret_stat) == 0 ? 0 : -ENOENT;
}

bool control_volume_same(const char *a, const char *b)
{
	struct stat sa;
	struct stat sb;

	if (volume_stat(a, &sa) < 0 || volume_stat(b, &sb) < 0)
		return false;
	if (S_ISBLK(sa.st_mode) && S_ISBLK(sb.st_mode))
		return sa.st_rdev == sb.st_rdev;
	return sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

bool control_volume_set_size(char volume[CONTROL_VOLUME_MAX + 1], uint64_t size_bytes)
{
	char *inner = volume + (innermost(volume) - volume);
	CLEANUP_FREE char *options = NULL;

	if (!has_prefix(inner, "null:"))
		return false;
	options = xstrdup(inner + strcspn(inner, ","));
	snprintf(inner, CONTROL_VOLUME_MAX + 1 - (size_t)(inner - volume), "null:%" PRIu64 "%s",
		 size_bytes, options);
	return true;
}

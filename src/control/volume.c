/* SPDX-License-Identifier: Apache-2.0 */
/* Volume specifications: which kinds there are, and what the room below opens them from. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <quoin/base_text.h>
#include <quoin/block_spec.h>

#include "object.h"
#include "volume.h"

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_wrapped(const char *volume)
{
	return has_prefix(volume, "error:") || has_prefix(volume, "delay:");
}

/* What the wrappers are around: "delay:ms=5:null:1G" -> "null:1G". */
static const char *innermost(const char *volume)
{
	while (is_wrapped(volume)) {
		const char *colon = strchr(volume + strlen("error:"), ':');

		if (!colon)
			break;
		volume = colon + 1;
	}
	return volume;
}

/* Kinds that this version does not have, and words that are no volume at all. */
static int kind_check(const char *volume, struct err *err)
{
	const char *inner = innermost(volume);

	if (has_prefix(inner, "null:") || has_prefix(inner, "file:/"))
		return 0;
	if (has_prefix(inner, "file:"))
		return err_set(err, -EINVAL, "\"%s\": the path must be absolute", volume);
	return err_set(err, -EINVAL,
		       "\"%s\" is not a volume: write POOL/NAME, file:/PATH or null:SIZE", volume);
}

int control_volume_check(const char *volume, bool test_volumes, struct err *err)
{
	struct control_object object;
	struct block_spec spec;
	bool read_only;
	int r;

	if (volume[0] == '\0')
		return err_set(err, -EINVAL, "the volume is empty");
	if (control_volume_in_pool(volume))
		return control_object_of_volume(volume, &object, &read_only, err);
	if (is_wrapped(volume) && !test_volumes)
		return err_set(err, -ENOTSUP,
			       "\"%s\": error: and delay: are for tests and not enabled here",
			       volume);
	r = kind_check(volume, err);
	if (r == 0)
		r = block_spec_parse(volume, &spec, err);
	if (r < 0)
		return r;
	if (spec.base == BLOCK_BASE_NULL && spec.size_bytes == 0)
		return err_set(err, -EINVAL, "\"%s\": the size must not be zero", volume);
	return 0;
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
	struct block_spec spec;

	if (block_spec_parse(volume, &spec, NULL) < 0 || spec.base != BLOCK_BASE_FILE)
		return -ENOENT;
	return stat(spec.path, ret_stat) < 0 ? -ENOENT : 0;
}

static bool same_file(const char *a, const char *b)
{
	struct stat sa;
	struct stat sb;

	if (volume_stat(a, &sa) < 0 || volume_stat(b, &sb) < 0)
		return false;
	if (S_ISBLK(sa.st_mode) && S_ISBLK(sb.st_mode))
		return sa.st_rdev == sb.st_rdev;
	return sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

bool control_volume_is_file(const char *volume, const struct stat *st)
{
	struct stat own;

	return volume_stat(volume, &own) == 0 && own.st_dev == st->st_dev &&
	       own.st_ino == st->st_ino;
}

bool control_volume_in_pool(const char *volume)
{
	struct control_object object;
	bool read_only;

	return control_object_of_volume(volume, &object, &read_only, NULL) != -ENOENT;
}

bool control_volume_clash(const struct control_namespace_spec *a,
			  const struct control_namespace_spec *b)
{
	struct control_object oa;
	struct control_object ob;
	bool ro_a = false;
	bool ro_b = false;

	if (control_object_of_volume(a->volume, &oa, &ro_a, NULL) < 0 ||
	    control_object_of_volume(b->volume, &ob, &ro_b, NULL) < 0)
		return same_file(a->volume, b->volume);
	if (strcmp(oa.pool, ob.pool) != 0 || strcmp(oa.volume, ob.volume) != 0 ||
	    strcmp(oa.snapshot, ob.snapshot) != 0)
		return false;
	return !((ro_a || a->read_only) && (ro_b || b->read_only));
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

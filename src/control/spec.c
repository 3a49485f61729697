/* SPDX-License-Identifier: Apache-2.0 */
/* Target specifications: life, names, and everything that can be judged without the world. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_math.h>
#include <quoin/base_text.h>
#include <quoin/control_spec.h>

#define TRANSPORT "vfio-user"

void control_target_spec_init(struct control_target_spec *spec)
{
	memset(spec, 0, sizeof(*spec));
	snprintf(spec->transport, sizeof(spec->transport), "%s", TRANSPORT);
	snprintf(spec->model, sizeof(spec->model), "Quoin NVMe disk");
	spec->queues = CONTROL_QUEUES_DEFAULT;
	spec->queue_entries = CONTROL_QUEUE_ENTRIES_MAX;
	spec->max_namespaces = CONTROL_NAMESPACES_DEFAULT;
	spec->doorbells = CONTROL_DOORBELLS_SHADOW;
	spec->intx = true;
}

void control_target_spec_fini(struct control_target_spec *spec)
{
	free(spec->namespaces);
	memset(spec, 0, sizeof(*spec));
}

void control_target_spec_copy(struct control_target_spec *to,
			      const struct control_target_spec *from)
{
	const size_t size = from->namespace_count * sizeof(*from->namespaces);

	*to = *from;
	to->namespaces = NULL;
	if (size > 0)
		to->namespaces = memcpy(xmalloc(size), from->namespaces, size);
}

struct control_namespace_spec *control_target_spec_add(struct control_target_spec *spec)
{
	struct control_namespace_spec *all;

	if (spec->namespace_count == CONTROL_NAMESPACES_MAX)
		return NULL;
	all = xcalloc(spec->namespace_count + 1, sizeof(*all));
	if (spec->namespace_count > 0)
		memcpy(all, spec->namespaces, spec->namespace_count * sizeof(*all));
	free(spec->namespaces);
	spec->namespaces = all;
	return &all[spec->namespace_count++];
}

struct control_namespace_spec *control_target_spec_find(struct control_target_spec *spec,
							unsigned nsid)
{
	for (unsigned i = 0; i < spec->namespace_count; i++) {
		if (spec->namespaces[i].nsid == nsid)
			return &spec->namespaces[i];
	}
	return NULL;
}

void control_target_spec_remove(struct control_target_spec *spec, unsigned nsid)
{
	struct control_namespace_spec *ns = control_target_spec_find(spec, nsid);
	struct control_namespace_spec *end = spec->namespaces + spec->namespace_count;

	ASSERT(ns != NULL);
	memmove(ns, ns + 1, (size_t)(end - (ns + 1)) * sizeof(*ns));
	spec->namespace_count--;
}

int control_name_check(const char *name, struct err *err)
{
	const size_t length = strlen(name);

	if (length == 0 || length > CONTROL_NAME_MAX)
		return err_set(err, -EINVAL, "a name has 1 to %d characters", CONTROL_NAME_MAX);
	for (size_t i = 0; i < length; i++) {
		const unsigned char c = (unsigned char)name[i];

		if (c < 0x80 && (isalnum(c) || (i > 0 && strchr("._-", c))))
			continue;
		return err_set(err, -EINVAL,
			       "a name starts with a letter or digit and goes on with letters, "
			       "digits, '.', '_' and '-'");
	}
	return 0;
}

/* Identify Controller wants printable ASCII (NVMe 1.4, 5.15.2.1). */
static int ascii_check(const char *what, const char *text, struct err *err)
{
	for (const char *c = text; *c; c++) {
		if (*c < 0x20 || *c > 0x7E)
			return err_set(err, -EINVAL, "the %s must be printable ASCII", what);
	}
	return 0;
}

static int listen_check(const char *path, struct err *err)
{
	if (path[0] != '\0' && path[0] != '/')
		return err_set(err, -EINVAL, "the listen path \"%s\" must be absolute", path);
	return 0;
}

static int numbers_check(const struct control_target_spec *spec, struct err *err)
{
	if (spec->queues < 1 || spec->queues > CONTROL_QUEUES_MAX)
		return err_set(err, -EINVAL, "queues must be 1 to %d, not %u", CONTROL_QUEUES_MAX,
			       spec->queues);
	if (!is_power_of_two(spec->queue_entries) || spec->queue_entries < 2 ||
	    spec->queue_entries > CONTROL_QUEUE_ENTRIES_MAX)
		return err_set(err, -EINVAL,
			       "queue entries must be a power of two, 2 to %d, not %u",
			       CONTROL_QUEUE_ENTRIES_MAX, spec->queue_entries);
	if (spec->max_namespaces < 1 || spec->max_namespaces > CONTROL_NAMESPACES_MAX)
		return err_set(err, -EINVAL, "the number of namespaces must be 1 to %d, not %u",
			       CONTROL_NAMESPACES_MAX, spec->max_namespaces);
	if (spec->poll_us > CONTROL_POLL_US_MAX)
		return err_set(err, -EINVAL, "the polling time must be 0 to %d us, not %u",
			       CONTROL_POLL_US_MAX, spec->poll_us);
	return 0;
}

int control_namespace_spec_check(const struct control_namespace_spec *ns, bool test_volumes,
				 struct err *err)
{
	if (ns->block_size != 0 && ns->block_size != 512 && ns->block_size != 4096)
		return err_set(err, -EINVAL, "the block size must be 512 or 4096, not %u",
			       ns->block_size);
	return control_volume_check(ns->volume, test_volumes, err);
}

static unsigned nsid_lowest_free(struct control_target_spec *spec)
{
	unsigned nsid = 1;

	while (control_target_spec_find(spec, nsid))
		nsid++;
	return nsid;
}

static int namespaces_check(struct control_target_spec *spec, bool test_volumes, struct err *err)
{
	for (unsigned i = 0; i < spec->namespace_count; i++) {
		struct control_namespace_spec *ns = &spec->namespaces[i];
		int r = control_namespace_spec_check(ns, test_volumes, err);

		if (r < 0)
			return r;
		if (ns->nsid == 0)
			ns->nsid = nsid_lowest_free(spec);
		if (control_target_spec_find(spec, ns->nsid) != ns)
			return err_set(err, -EINVAL, "namespace %u is given twice", ns->nsid);
		if (ns->nsid > spec->max_namespaces)
			return err_set(err, -EINVAL,
				       "namespace %u is beyond the target's maximum of %u: raise "
				       "max-namespaces",
				       ns->nsid, spec->max_namespaces);
	}
	return 0;
}

int control_target_spec_check(struct control_target_spec *spec, bool test_volumes, struct err *err)
{
	int r = control_name_check(spec->name, err);

	if (r < 0)
		return r;
	if (strcmp(spec->transport, TRANSPORT) != 0)
		return err_set(err, -ENOTSUP,
			       "transport \"%s\" does not exist in this version, which has: %s",
			       spec->transport, TRANSPORT);
	r = listen_check(spec->listen, err);
	if (r < 0)
		return r;
	r = numbers_check(spec, err);
	if (r < 0)
		return r;
	r = ascii_check("serial number", spec->serial, err);
	if (r < 0)
		return r;
	r = ascii_check("model", spec->model, err);
	if (r < 0)
		return r;
	return namespaces_check(spec, test_volumes, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Version negotiation. Our reply is the same for everybody and small enough for QEMU's buffer.
 * It always has a `capabilities` object (Cloud Hypervisor panics without), and offers neither
 * write_multiple (a flag of QEMU 10 collides with it), nor a twin socket, nor migration.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include <quoin/base_assert.h>

#include "version.h"

#define OUR_MAJOR 0
#define OUR_MINOR 1

/* An unsigned number under `key`, if it is there at all. */
static int number_get(const json_t *object, const char *key, uint64_t *ret_value)
{
	const json_t *value = json_object_get(object, key);

	if (!value)
		return 0;
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return -EINVAL;
	*ret_value = (uint64_t)json_integer_value(value);
	return 0;
}

static int capabilities_get(const json_t *root, struct vfio_capabilities *capabilities)
{
	const json_t *object = json_object_get(root, "capabilities");

	if (!json_is_object(root) || (object && !json_is_object(object)))
		return -EINVAL;
	if (number_get(object, "max_msg_fds", &capabilities->fds_max) < 0 ||
	    number_get(object, "max_data_xfer_size", &capabilities->data_max_bytes) < 0)
		return -EINVAL;
	return capabilities->data_max_bytes > 0 ? 0 : -EINVAL;
}

int vfio_capabilities_parse(const char *text, size_t length,
			    struct vfio_capabilities *ret_capabilities)
{
	struct vfio_capabilities capabilities = {.fds_max = 1, .data_max_bytes = VFIO_DATA_MAX};
	json_t *root;
	int r = 0;

	if (text) {
		root = json_loadb(text, length, 0, NULL);
		r = root ? capabilities_get(root, &capabilities) : -EINVAL;
		json_decref(root);
	}
	if (r == 0)
		*ret_capabilities = capabilities;
	return r;
}

int vfio_version_negotiate(const uint8_t *payload, size_t size_bytes, uint8_t *reply,
			   size_t *ret_bytes)
{
	struct vfio_capabilities capabilities;
	struct vfio_version theirs, ours;
	char text[128];
	int length;

	if (size_bytes > VFIO_VERSION_TEXT_MAX ||
	    vfio_version_decode(payload, size_bytes, &theirs) < 0)
		return -EINVAL;
	if (theirs.major != OUR_MAJOR ||
	    vfio_capabilities_parse(theirs.text, theirs.text_length, &capabilities) < 0)
		return -EINVAL;
	length = snprintf(text, sizeof(text),
			  "{\"capabilities\":{\"max_msg_fds\":%d,\"max_data_xfer_size\":%d,"
			  "\"pgsizes\":4096}}",
			  VFIO_FDS_ANNOUNCED, VFIO_DATA_MAX);
	ASSERT(length > 0 && (size_t)length < sizeof(text));
	ours = (struct vfio_version){
		.major = OUR_MAJOR,
		.minor = MIN(theirs.minor, OUR_MINOR),
		.text = text,
		.text_length = (size_t)length,
	};
	*ret_bytes = vfio_version_encode(reply, &ours);
	ASSERT_U64(*ret_bytes, <=, VFIO_VERSION_REPLY_MAX - VFIO_HEADER_BYTES);
	return 0;
}

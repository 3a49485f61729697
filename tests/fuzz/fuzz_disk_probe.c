/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a drive holds: any contents are answered, with texts that are printable and end. The input
 * is a list of pieces that are put on a blank drive, so that a few bytes reach the places where
 * signatures stand: offset (3 bytes, little endian), length (2 bytes), then the bytes. The byte
 * before the first piece chooses the drive's size: some signatures need a large one, which is slow.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <quoin/base_assert.h>
#include <quoin/base_math.h>
#include <quoin/disk_probe.h>

#define SMALL_BYTES (4 * MiB)
#define LARGE_BYTES (64 * MiB)
#define HEAD_BYTES 5

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t size)
{
	const size_t length = strnlen(text, size);

	ASSERT_U64(length, <, size);
	for (size_t i = 0; i < length; i++)
		ASSERT(text[i] >= ' ' && text[i] <= '~');
}

static void fill(int fd, const uint8_t *data, size_t size)
{
	const uint64_t drive_bytes = size > 0 && data[0] == 1 ? LARGE_BYTES : SMALL_BYTES;

	ASSERT(ftruncate(fd, (off_t)drive_bytes) == 0);
	if (size > 0) {
		data++;
		size--;
	}
	while (size > HEAD_BYTES) {
		const uint64_t at = data[0] | data[1] << 8 | data[2] << 16;
		const size_t stated = (size_t)(data[3] | data[4] << 8);
		const size_t length = MIN(stated, size - HEAD_BYTES);

		data += HEAD_BYTES;
		if (at + length <= drive_bytes)
			ASSERT(pwrite(fd, data, length, (off_t)at) == (ssize_t)length);
		data += length;
		size -= HEAD_BYTES + length;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_FD int fd = memfd_create("drive", MFD_CLOEXEC);
	struct disk_probe_result result;
	struct err err = {0};
	char text[DISK_PROBE_TEXT_MAX];
	char path[64];

	ASSERT(fd >= 0);
	fill(fd, data, size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (disk_probe(path, &result, &err) < 0) {
		ASSERT(err.code < 0 && strlen(err.text) > 0);
		return 0;
	}
	ASSERT((result.count == 0) == (result.kind == DISK_PROBE_NOTHING));
	ASSERT((result.count == 0) == (result.type[0] == '\0'));
	check_text(result.type, sizeof(result.type));
	check_text(result.label, sizeof(result.label));
	check_text(result.uuid, sizeof(result.uuid));
	disk_probe_describe(&result, text, sizeof(text));
	check_text(text, sizeof(text));
	return 0;
}

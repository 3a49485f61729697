/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool-newer FILE WORD: makes the pool on FILE one that a later version wrote, in all superblocks
 * of both rings, with their checks made right again. WORD is what it has and this version does not
 * know: `version`, `incompat`, `ro_compat` or `compat` (the top bit of that word of features).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tamper.h"

#define TOP_BIT (UINT64_C(1) << 63)

static const struct {
	const char *word;
	unsigned at;
} features[] = {{"compat", 16}, {"ro_compat", 24}, {"incompat", 32}};

/* False: no such word. */
static bool page_change(uint8_t page[PAGE_BYTES], const char *word)
{
	if (strcmp(word, "version") == 0) {
		le32_put(page + 8, SUPER_VERSION + 1);
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		if (strcmp(word, features[i].word) == 0) {
			le64_put(page + features[i].at, TOP_BIT);
			return true;
		}
	}
	return false;
}

/* 1: changed; 0: there is no superblock; negative errno. */
static int slot_change(int fd, uint64_t size, unsigned number, const char *word)
{
	const unsigned slot = number % SUPER_RING_SLOTS;
	const bool back = number >= SUPER_RING_SLOTS;
	const uint64_t at = super_offset(size, back, slot);
	uint8_t page[PAGE_BYTES];

	if (pread(fd, page, PAGE_BYTES, (off_t)at) != PAGE_BYTES)
		return -EIO;
	if (memcmp(page, SUPER_MAGIC, strlen(SUPER_MAGIC)) != 0)
		return 0;
	if (!page_change(page, word))
		return -EINVAL;
	tamper_super_seal(page, back, slot);
	return pwrite(fd, page, PAGE_BYTES, (off_t)at) == PAGE_BYTES ? 1 : -EIO;
}

int main(int argc, char **argv)
{
	struct stat st;
	int changed = 0;
	int fd;

	if (argc != 3) {
		fprintf(stderr, "usage: pool-newer FILE version|incompat|ro_compat|compat\n");
		return 2;
	}
	fd = open(argv[1], O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		perror(argv[1]);
		return 1;
	}
	for (unsigned i = 0; i < 2 * SUPER_RING_SLOTS; i++) {
		const int r = slot_change(fd, (uint64_t)st.st_size, i, argv[2]);

		if (r < 0) {
			fprintf(stderr, "%s: %s\n", argv[1], strerror(-r));
			return 1;
		}
		changed += r;
	}
	close(fd);
	if (changed == 0)
		fprintf(stderr, "%s holds no pool\n", argv[1]);
	return changed == 0;
}

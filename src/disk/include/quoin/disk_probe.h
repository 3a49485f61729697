/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a file or block device holds, as far as libblkid knows: asked before it is overwritten.
 * Nothing is written, no lock is taken, and whoever may read the file may ask.
 *
 * The answer is a caution and no proof: "nothing" means that no known signature was found where it
 * belongs. Signatures with a wrong checksum count, too, as what they belong to may be repairable.
 * What libblkid does not look for on a drive as small as a floppy disk (1.44 MB and less), RAID and
 * volume manager members above all, is not found there. Whether a device is in use is another
 * question: disk_open() answers it.
 */
#ifndef QUOIN_DISK_PROBE_H
#define QUOIN_DISK_PROBE_H

#include <quoin/base.h>
#include <quoin/base_err.h>

#define DISK_PROBE_TYPE_MAX 64
#define DISK_PROBE_LABEL_MAX 256
#define DISK_PROBE_UUID_MAX 64
#define DISK_PROBE_TEXT_MAX 512

enum disk_probe_kind {
	DISK_PROBE_NOTHING,
	DISK_PROBE_FILESYSTEM,
	DISK_PROBE_PARTITIONS,
	DISK_PROBE_RAID,   /* a member of an array, a volume group or a pool */
	DISK_PROBE_CRYPTO, /* an encrypted container */
	DISK_PROBE_OTHER,  /* swap and all the rest */
};

/* Texts are printable ASCII: other bytes of the drive became '?'. */
struct disk_probe_result {
	enum disk_probe_kind kind;	  /* of the first signature, as the two that follow */
	char type[DISK_PROBE_TYPE_MAX];	  /* libblkid's name: "ext4", "gpt", "LVM2_member" ... */
	char label[DISK_PROBE_LABEL_MAX]; /* empty: none */
	char uuid[DISK_PROBE_UUID_MAX];	  /* of the contents; empty: none */
	unsigned count;			  /* signatures found; a partition table is one */
};

/*
 * Looks (blocking, control path). Negative errno with a sentence: as disk_open() for paths that
 * cannot be opened or are neither file nor block device, -EIO and others when reading fails.
 */
MUST_CHECK int disk_probe(const char *path, struct disk_probe_result *ret, struct err *err);

/*
 * What was found, to stand within a sentence: `an ext4 file system "root" (UUID ...)`,
 * `a GPT partition table and 2 more signatures`, `nothing known`. `size` of DISK_PROBE_TEXT_MAX
 * holds every answer; a shorter one is cut.
 */
void disk_probe_describe(const struct disk_probe_result *result, char *text, size_t size);

#endif

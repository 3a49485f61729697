/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A qcow2 file (version 3) written front to back: docs/interop/qcow2.txt of QEMU. Big endian.
 *
 *   cluster 0   header, written last: a file that is cut off is no image
 *   1 on        first-level table, an entry for each 512 MiB, filled as they come to their end
 *   then        clusters of data and, behind those of its 512 MiB, each second-level table
 *   at the end  blocks of reference counts, all 1, and the table of them
 *
 * Clusters are used from the front to the back, so none is free and the counts need no search.
 * Only one second-level table is in memory, whatever the size of the disk.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <quoin/base_assert.h>
#include <quoin/base_math.h>
#include <quoin/base_size.h>
#include <quoin/base_text.h>

#include "export.h"

#define CLUSTER_BITS 16
#define L2_ENTRIES (QCOW2_CLUSTER_BYTES / 8)
#define L2_SPAN_BYTES (L2_ENTRIES * QCOW2_CLUSTER_BYTES)
#define REFCOUNT_ORDER 4 /* 16 bits */
#define REFCOUNTS (QCOW2_CLUSTER_BYTES / 2)
#define HEADER_BYTES 104
#define COPIED (UINT64_C(1) << 63) /* the cluster's count is 1 */
#define L1_BYTES_MAX (32 * MiB)	   /* of QEMU */

static void be32_put(uint8_t *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, sizeof(v));
}

static void be64_put(uint8_t *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof(v));
}

int image_qcow2_begin(struct image_export *out, struct err *err)
{
	struct qcow2 *q = &out->qcow2;
	char size[SIZE_TEXT_MAX];

	q->l1_count = div_round_up(out->size_bytes, L2_SPAN_BYTES);
	if (q->l1_count * 8 > L1_BYTES_MAX)
		return err_set(err, -EINVAL,
			       "%s is too large for qcow2 with clusters of 64 KiB: export it raw",
			       size_format(out->size_bytes, size));
	q->l1_offset = QCOW2_CLUSTER_BYTES;
	q->clusters = 1 + div_round_up(q->l1_count * 8, QCOW2_CLUSTER_BYTES);
	q->l2_number = UINT64_MAX;
	q->l2 = xcalloc(1, QCOW2_CLUSTER_BYTES);
	return 0;
}

/* Appends a cluster; *ret_offset is where. */
static int cluster_append(struct image_export *out, const uint8_t *data, uint64_t *ret_offset,
			  struct err *err)
{
	const uint64_t offset = out->qcow2.clusters * QCOW2_CLUSTER_BYTES;
	const int r = image_write_at(out, offset, data, QCOW2_CLUSTER_BYTES, err);

	if (r < 0)
		return r;
	out->qcow2.clusters++;
	*ret_offset = offset;
	return 0;
}

/* The second-level table is complete: it goes to the file, and the first-level one names it. */
static int l2_end(struct image_export *out, struct err *err)
{
	struct qcow2 *q = &out->qcow2;
	uint64_t offset = 0;
	uint8_t entry[8];
	int r;

	if (q->l2_number == UINT64_MAX)
		return 0;
	r = cluster_append(out, q->l2, &offset, err);
	if (r < 0)
		return r;
	be64_put(entry, offset | COPIED);
	r = image_write_at(out, q->l1_offset + q->l2_number * 8, entry, sizeof(entry), err);
	memset(q->l2, 0, QCOW2_CLUSTER_BYTES);
	q->l2_number = UINT64_MAX;
	return r;
}

static int cluster_write(struct image_export *out, uint64_t offset, const uint8_t *data,
			 struct err *err)
{
	struct qcow2 *q = &out->qcow2;
	const uint64_t number = offset / L2_SPAN_BYTES;
	const uint64_t index = offset / QCOW2_CLUSTER_BYTES % L2_ENTRIES;
	uint64_t host = 0;
	int r = 0;

	if (number != q->l2_number)
		r = l2_end(out, err);
	if (r == 0)
		r = cluster_append(out, data, &host, err);
	if (r < 0)
		return r;
	q->l2_number = number;
	be64_put(q->l2 + index * 8, host | COPIED);
	return 0;
}

int image_qcow2_write(struct image_export *out, uint64_t offset, const uint8_t *data, size_t bytes,
		      struct err *err)
{
	size_t at = 0;
	int r = 0;

	for (; r == 0 && at < bytes; at += QCOW2_CLUSTER_BYTES) {
		const size_t part = MIN((size_t)QCOW2_CLUSTER_BYTES, bytes - at);
		CLEANUP_FREE uint8_t *padded = NULL;
		const uint8_t *cluster = data + at;

		if (image_is_zero(cluster, part))
			continue;
		/* The last cluster goes on behind the end of the disk. */
		if (part < QCOW2_CLUSTER_BYTES) {
			padded = xcalloc(1, QCOW2_CLUSTER_BYTES);
			memcpy(padded, cluster, part);
			cluster = padded;
		}
		r = cluster_write(out, offset + at, cluster, err);
	}
	return r;
}

/* How many blocks of counts, and clusters of their table, it takes to count all and themselves. */
static void refcounts_size(uint64_t clusters, uint64_t *ret_blocks, uint64_t *ret_tables)
{
	uint64_t blocks = 0;
	uint64_t tables = 0;

	for (;;) {
		const uint64_t all = clusters + blocks + tables;
		const uint64_t need = div_round_up(all, REFCOUNTS);

		if (need == blocks)
			break;
		blocks = need;
		tables = div_round_up(blocks * 8, QCOW2_CLUSTER_BYTES);
	}
	*ret_blocks = blocks;
	*ret_tables = tables;
}

/* One block: `count` clusters are in use. */
static void refcounts_fill(uint8_t *block, uint64_t count)
{
	memset(block, 0, QCOW2_CLUSTER_BYTES);
	for (uint64_t i = 0; i < MIN(count, REFCOUNTS); i++)
		block[i * 2 + 1] = 1;
}

static int refcounts_write(struct image_export *out, uint64_t *ret_table, uint64_t *ret_tables,
			   struct err *err)
{
	CLEANUP_FREE uint8_t *block = xcalloc(1, QCOW2_CLUSTER_BYTES);
	CLEANUP_FREE uint8_t *table = NULL;
	uint64_t blocks = 0;
	uint64_t offset = 0;
	uint64_t left;
	int r = 0;

	refcounts_size(out->qcow2.clusters, &blocks, ret_tables);
	table = xcalloc(*ret_tables, QCOW2_CLUSTER_BYTES);
	left = out->qcow2.clusters + blocks + *ret_tables;
	for (uint64_t i = 0; r == 0 && i < blocks; i++) {
		refcounts_fill(block, left);
		left -= MIN(left, REFCOUNTS);
		r = cluster_append(out, block, &offset, err);
		be64_put(table + i * 8, offset);
	}
	*ret_table = out->qcow2.clusters * QCOW2_CLUSTER_BYTES;
	for (uint64_t i = 0; r == 0 && i < *ret_tables; i++)
		r = cluster_append(out, table + i * QCOW2_CLUSTER_BYTES, &offset, err);
	return r;
}

int image_qcow2_finish(struct image_export *out, struct err *err)
{
	struct qcow2 *q = &out->qcow2;
	uint8_t header[HEADER_BYTES] = {'Q', 'F', 'I', 0xfb};
	uint64_t table = 0;
	uint64_t tables = 0;
	int r = l2_end(out, err);

	if (r == 0)
		r = refcounts_write(out, &table, &tables, err);
	if (r < 0)
		return r;
	be32_put(header + 4, 3);
	be32_put(header + 20, CLUSTER_BITS);
	be64_put(header + 24, out->size_bytes);
	be32_put(header + 36, (uint32_t)q->l1_count);
	be64_put(header + 40, q->l1_offset);
	be64_put(header + 48, table);
	be32_put(header + 56, (uint32_t)tables);
	be32_put(header + 96, REFCOUNT_ORDER);
	be32_put(header + 100, HEADER_BYTES);
	return image_write_at(out, 0, header, sizeof(header), err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The contract between front ends and drivers, checked for every request. */
#include <errno.h>

#include <quoin/base_math.h>
#include <quoin/block.h>

/* The pieces add up, are few enough, and are aligned as the driver asked. */
static void pieces_check(const struct block_limits *limits, const struct block_request *request)
{
	uint64_t total = 0;
	uint64_t bits = 0;

	ASSERT_U64(request->length_bytes, <=, limits->transfer_max_bytes);
	ASSERT_U64(request->iov_count, <=, limits->iov_max);
	for (unsigned i = 0; i < request->iov_count; i++) {
		total += request->iov[i].iov_len;
		bits |= (uintptr_t)request->iov[i].iov_base | request->iov[i].iov_len;
	}
	ASSERT_U64(total, ==, request->length_bytes);
	ASSERT(is_aligned(bits, limits->buffer_alignment_bytes));
}

int block_request_judge(const struct block_device *device, const struct block_request *request)
{
	const struct block_limits *limits = &device->limits;

	ASSERT_U64(request->op, <, BLOCK_OP_COUNT);
	if (request->op == BLOCK_FLUSH)
		return BLOCK_GO_ON;
	ASSERT(is_aligned(request->offset | request->length_bytes, limits->logical_block_bytes));
	if (request->op <= BLOCK_WRITE)
		pieces_check(limits, request);
	if (UNLIKELY(!range_within(request->offset, request->length_bytes, block_capacity(device))))
		return -ENXIO;
	if (UNLIKELY(request->op != BLOCK_READ && limits->read_only))
		return -EROFS;
	if (UNLIKELY(request->length_bytes == 0))
		return 0;
	return BLOCK_GO_ON;
}

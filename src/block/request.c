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

/* A copy is what the driver offered, and is not over its own source. */
static void sources_check(const struct block_limits *limits, const struct block_request *request)
{
	uint64_t total = 0;
	uint64_t bits = request->offset;

	ASSERT_U64(limits->copy_block_bytes, !=, 0);
	for (unsigned i = 0; i < request->source_count; i++) {
		const struct block_extent *source = &request->sources[i];

		total += source->length_bytes;
		bits |= source->offset | source->length_bytes;
		ASSERT(!ranges_overlap(source->offset, source->length_bytes, request->offset,
				       request->length_bytes));
	}
	ASSERT_U64(total, ==, request->length_bytes);
	ASSERT(is_aligned(bits, limits->copy_block_bytes));
}

bool block_request_within(const struct block_request *request, uint64_t capacity_bytes)
{
	for (unsigned i = 0; request->op == BLOCK_COPY && i < request->source_count; i++) {
		if (!range_within(request->sources[i].offset, request->sources[i].length_bytes,
				  capacity_bytes))
			return false;
	}
	return range_within(request->offset, request->length_bytes, capacity_bytes);
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
	else if (request->op == BLOCK_COPY)
		sources_check(limits, request);
	if (UNLIKELY(!block_request_within(request, block_capacity(device))))
		return -ENXIO;
	if (UNLIKELY(request->op != BLOCK_READ && limits->read_only))
		return -EROFS;
	if (UNLIKELY(request->length_bytes == 0))
		return 0;
	return BLOCK_GO_ON;
}

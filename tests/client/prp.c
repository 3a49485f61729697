/* SPDX-License-Identifier: Apache-2.0 */
/* PRP and SGL builders: see client_prp.h. */
#include <string.h>

#include "client_prp.h"

#define ENTRIES_PER_PAGE (RAM_PAGE / sizeof(uint64_t))

/* Writes the list for `pages` pages from guest address `addr` on; chains where a page ends. */
static uint64_t build_list(struct ram *ram, uint64_t addr, uint64_t pages, unsigned list_offset)
{
	uint64_t *list = ram_alloc(ram, RAM_PAGE);
	const uint64_t start = ram_addr(ram, list) + list_offset;
	unsigned slot = (unsigned)(list_offset / sizeof(uint64_t));

	while (pages > 0) {
		if (slot == ENTRIES_PER_PAGE - 1 && pages > 1) {
			uint64_t *next = ram_alloc(ram, RAM_PAGE);

			list[slot] = ram_addr(ram, next);
			list = next;
			slot = 0;
		}
		list[slot++] = addr;
		addr += RAM_PAGE;
		pages--;
	}
	return start;
}

void prp_set(struct ram *ram, struct nvme_sqe *sqe, const void *data, uint64_t size,
	     unsigned list_offset)
{
	const uint64_t addr = ram_addr(ram, data);
	const uint64_t first = RAM_PAGE - addr % RAM_PAGE;
	uint64_t rest;

	sqe->prp1 = addr;
	sqe->prp2 = 0;
	if (size <= first)
		return;
	rest = size - first;
	if (rest <= RAM_PAGE)
		sqe->prp2 = addr + first;
	else
		sqe->prp2 = build_list(ram, addr + first, (rest + RAM_PAGE - 1) / RAM_PAGE,
				       list_offset);
}

static void put_descriptor(struct nvme_sqe *sqe, const struct nvme_sgl *sgl)
{
	memcpy(&sqe->prp1, sgl, sizeof(*sgl));
	sqe->flags |= SQE_SGL;
}

void sgl_set(struct ram *ram, struct nvme_sqe *sqe, const void *data, uint32_t size)
{
	const struct nvme_sgl sgl = {
		.address = ram_addr(ram, data), .length = size, .type = SGL_DATA};

	put_descriptor(sqe, &sgl);
}

void sgl_set_segment(struct ram *ram, struct nvme_sqe *sqe, const void *data, uint32_t size,
		     unsigned count)
{
	struct nvme_sgl *list = ram_alloc(ram, count * sizeof(*list));
	const uint32_t part = size / count;
	const struct nvme_sgl segment = {
		.address = ram_addr(ram, list),
		.length = (uint32_t)(count * sizeof(*list)),
		.type = SGL_LAST_SEGMENT,
	};

	for (unsigned i = 0; i < count; i++)
		list[i] = (struct nvme_sgl){
			.address = ram_addr(ram, data) + (uint64_t)i * part,
			.length = i + 1 == count ? size - i * part : part,
			.type = SGL_DATA,
		};
	put_descriptor(sqe, &segment);
}

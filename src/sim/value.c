/* SPDX-License-Identifier: Apache-2.0 */
/* The data of sectors. */
#include "value.h"

#include <string.h>

void sector_fill(uint64_t data[SECTOR / 8], uint32_t write, uint32_t sector)
{
	const uint64_t first = (uint64_t)write << 32 | sector;

	if (write == 0) {
		memset(data, 0, SECTOR);
		return;
	}
	for (unsigned i = 0; i < SECTOR / 8; i++)
		data[i] = first + first * i * UINT64_C(0x9e3779b97f4a7c15);
}

bool sector_value(const uint64_t data[SECTOR / 8], uint64_t *ret_value)
{
	const uint64_t first = data[0];
	const uint64_t step = first * UINT64_C(0x9e3779b97f4a7c15);
	uint64_t wrong = 0;

	for (unsigned i = 0; i < SECTOR / 8; i++)
		wrong |= data[i] ^ (first + step * i);
	*ret_value = first;
	return wrong == 0 && (first == 0 || value_write(first) != 0);
}

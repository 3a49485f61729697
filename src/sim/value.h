/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sector holds: 0 for zeroes, else the number of the write that made its data and the sector
 * it wrote. Data say both, so a sector that is where it does not belong is known.
 */
#ifndef SIM_VALUE_H
#define SIM_VALUE_H

#include <quoin/base.h>

#define SECTOR 512U

static inline uint32_t value_write(uint64_t value)
{
	return (uint32_t)(value >> 32);
}

static inline uint32_t value_sector(uint64_t value)
{
	return (uint32_t)value;
}

void sector_fill(uint64_t data[SECTOR / 8], uint32_t write, uint32_t sector);

/* False: the data are of no write. */
bool sector_value(const uint64_t data[SECTOR / 8], uint64_t *ret_value);

#endif

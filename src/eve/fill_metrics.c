/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of pools, drives and volumes, as ZMetricMsg. */
#include <string.h>

#include <quoin/base_text.h>
#include <quoin/control_spec.h>

#include "fill.h"

static Eve__StorageVDevMetrics *vdev_new(const struct eve_fill *fill)
{
	Eve__StorageVDevMetrics *vdev = eve_arena_take(fill->arena, sizeof(*vdev));

	eve__storage_vdev_metrics__init(vdev);
	return vdev;
}

static void *array(const struct eve_fill *fill, unsigned count)
{
	return eve_arena_take(fill->arena, count * sizeof(void *));
}

/* What was counted since it was first seen; zero when nothing was. */
static const struct eve_total_entry *totals_of(const struct eve_fill *fill, const uint8_t guid[16])
{
	static const struct eve_total_entry nothing;
	const struct eve_total_entry *found = eve_totals_find(fill->totals, guid);

	return found ? found : &nothing;
}

static void requests_fill(const struct eve_fill *fill, const uint8_t guid[16],
			  Eve__StorageVDevMetrics *vdev)
{
	const uint64_t *values = totals_of(fill, guid)->values;

	vdev->bytes_read = values[EVE_READ_BYTES];
	vdev->bytes_write = values[EVE_WRITTEN_BYTES];
	vdev->ops_count_read = values[EVE_READS];
	vdev->ops_count_write = values[EVE_WRITES];
	vdev->read_ticks = values[EVE_READ_NS] / NS_PER_MS;
	vdev->write_ticks = values[EVE_WRITE_NS] / NS_PER_MS;
	vdev->i_os_total_ticks = values[EVE_BUSY_NS] / NS_PER_MS;
	vdev->weighted_i_o_ticks = values[EVE_WEIGHTED_NS] / NS_PER_MS;
}

/* --- Drives --------------------------------------------------------------------------------- */

static Eve__StorageDiskMetric *drive_fill(const struct eve_fill *fill,
					  const struct control_drive_info *drive)
{
	Eve__StorageDiskMetric *metric = eve_arena_take(fill->arena, sizeof(*metric));

	eve__storage_disk_metric__init(metric);
	metric->disk_name = eve_fill_disk(fill, drive);
	metric->metrics = vdev_new(fill);
	metric->metrics->total = drive->size_bytes;
	metric->metrics->read_errors = drive->read_errors;
	metric->metrics->write_errors = drive->write_errors;
	metric->metrics->checksum_errors = drive->check_errors;
	metric->metrics->i_os_in_progress = drive->io.in_flight;
	requests_fill(fill, drive->guid, metric->metrics);
	return metric;
}

/* What a group was asked is what its drives were. Of the times with any request the longest. */
static void vdev_add(Eve__StorageVDevMetrics *sum, const Eve__StorageVDevMetrics *drive)
{
	sum->read_errors += drive->read_errors;
	sum->write_errors += drive->write_errors;
	sum->checksum_errors += drive->checksum_errors;
	sum->bytes_read += drive->bytes_read;
	sum->bytes_write += drive->bytes_write;
	sum->ops_count_read += drive->ops_count_read;
	sum->ops_count_write += drive->ops_count_write;
	sum->i_os_in_progress += drive->i_os_in_progress;
	sum->read_ticks += drive->read_ticks;
	sum->write_ticks += drive->write_ticks;
	sum->weighted_i_o_ticks += drive->weighted_i_o_ticks;
	sum->i_os_total_ticks = MAX(sum->i_os_total_ticks, drive->i_os_total_ticks);
}

static Eve__StorageDiskMetric **drives_fill(const struct eve_fill *fill,
					    const struct control_pool_info *info,
					    const unsigned *indices, unsigned count)
{
	Eve__StorageDiskMetric **all = array(fill, count);

	for (unsigned i = 0; i < count; i++)
		all[i] = drive_fill(fill, &info->drives[indices[i]]);
	return all;
}

static Eve__StorageChildrenMetric *group_fill(const struct eve_fill *fill,
					      const struct control_pool_info *info,
					      const struct eve_group *group)
{
	Eve__StorageChildrenMetric *child = eve_arena_take(fill->arena, sizeof(*child));

	eve__storage_children_metric__init(child);
	child->g_u_i_d = group->guid;
	child->n_disks = group->count;
	child->disks = drives_fill(fill, info, group->drives, group->count);
	child->metrics = vdev_new(fill);
	for (unsigned i = 0; i < group->count; i++)
		vdev_add(child->metrics, child->disks[i]->metrics);
	return child;
}

static void layout_fill(const struct eve_fill *fill, const struct control_pool_info *info,
			Eve__StorageMetric *metric)
{
	struct eve_layout *layout = eve_arena_take(fill->arena, sizeof(*layout));

	eve_layout_find(info, layout);
	metric->n_disks = layout->flat_count;
	metric->disks = drives_fill(fill, info, layout->flat, layout->flat_count);
	metric->n_children_datasets = layout->group_count;
	metric->children_datasets = array(fill, layout->group_count);
	for (unsigned i = 0; i < layout->group_count; i++)
		metric->children_datasets[i] = group_fill(fill, info, &layout->groups[i]);
}

/* --- Pools ---------------------------------------------------------------------------------- */

static Eve__StorageVDevMetrics *zvol_fill(const struct eve_fill *fill,
					  const struct control_volume_health *volume)
{
	Eve__StorageVDevMetrics *vdev = vdev_new(fill);

	vdev->volume_u_u_i_d = control_uuid_format(
		volume->guid, eve_arena_take(fill->arena, CONTROL_UUID_TEXT_MAX));
	vdev->alloc = volume->used_bytes;
	vdev->total = volume->size_bytes;
	vdev->i_os_in_progress = volume->io->in_flight;
	requests_fill(fill, volume->guid, vdev);
	return vdev;
}

static Eve__StorageMetric *pool_fill(const struct eve_fill *fill, const struct eve_pool_view *pool)
{
	const struct control_pool_info *info = &pool->health.info;
	Eve__StorageMetric *metric = eve_arena_take(fill->arena, sizeof(*metric));
	const uint64_t age_ms = MIN(pool->health.age_ms, fill->now_ms);
	Eve__StorageVDevMetrics *vdev = vdev_new(fill);

	eve__storage_metric__init(metric);
	metric->pool_name = eve_arena_text(fill->arena, info->name);
	metric->collection_time = eve_fill_time(fill->arena, fill->now_ms - age_ms);
	vdev->alloc = info->allocated_bytes;
	vdev->total = info->size_bytes;
	/* Without parity all of it can be used. */
	vdev->deflated_space = info->size_bytes;
	vdev->read_errors = info->read_errors;
	vdev->write_errors = info->write_errors;
	vdev->checksum_errors = info->check_errors;
	vdev->i_os_in_progress = pool->health.io.sums.in_flight;
	requests_fill(fill, info->guid, vdev);
	metric->zpool_metrics = vdev;
	layout_fill(fill, info, metric);
	metric->n_zvols = pool->volume_count;
	metric->zvols = array(fill, pool->volume_count);
	for (unsigned i = 0; i < pool->volume_count; i++)
		metric->zvols[i] = zvol_fill(fill, &pool->volumes[i]);
	return metric;
}

static Eve__ZMetricVolume *volume_fill(const struct eve_fill *fill,
				       const struct eve_pool_view *pool,
				       const struct control_volume_health *volume)
{
	CLEANUP_FREE char *name = xasprintf("%s/%s", pool->health.info.name, volume->name);
	const uint64_t *values = totals_of(fill, volume->guid)->values;
	Eve__ZMetricVolume *metric = eve_arena_take(fill->arena, sizeof(*metric));

	eve__zmetric_volume__init(metric);
	metric->uuid = control_uuid_format(volume->guid,
					   eve_arena_take(fill->arena, CONTROL_UUID_TEXT_MAX));
	metric->displayname = eve_arena_text(fill->arena, name);
	metric->readbytes = values[EVE_READ_BYTES];
	metric->writebytes = values[EVE_WRITTEN_BYTES];
	metric->readcount = values[EVE_READS];
	metric->writecount = values[EVE_WRITES];
	metric->totalbytes = volume->size_bytes;
	metric->usedbytes = volume->referenced_bytes;
	/* Of what was given to it, not of the pool. */
	metric->freebytes = volume->size_bytes - MIN(volume->size_bytes, volume->referenced_bytes);
	return metric;
}

/* --- The envelope --------------------------------------------------------------------------- */

static unsigned volumes_count(const struct eve_view *view)
{
	unsigned count = 0;

	for (unsigned i = 0; i < view->pool_count; i++)
		count += view->pools[i]->volume_count;
	return count;
}

/* A pool that is not imported has nothing to count. */
static bool counts(const struct eve_pool_view *pool)
{
	return pool->health.age_ms != UINT64_MAX;
}

static void volumes_fill(const struct eve_fill *fill, Eve__ZMetricMsg *message)
{
	message->vm = array(fill, volumes_count(fill->view));
	for (unsigned p = 0; p < fill->view->pool_count; p++) {
		const struct eve_pool_view *pool = fill->view->pools[p];

		for (unsigned v = 0; v < pool->volume_count; v++)
			message->vm[message->n_vm++] = volume_fill(fill, pool, &pool->volumes[v]);
	}
}

Eve__ZMetricMsg *eve_fill_metrics(const struct eve_fill *fill)
{
	Eve__ZMetricMsg *message = eve_arena_take(fill->arena, sizeof(*message));
	Eve__DeviceMetric *device = eve_arena_take(fill->arena, sizeof(*device));

	eve__zmetric_msg__init(message);
	message->devid = eve_arena_text(fill->arena, fill->device);
	message->attimestamp = eve_fill_time(fill->arena, fill->now_ms);
	message->dm = device;
	eve__device_metric__init(device);
	device->storage_metrics = array(fill, fill->view->pool_count);
	for (unsigned i = 0; i < fill->view->pool_count; i++) {
		if (counts(fill->view->pools[i]))
			device->storage_metrics[device->n_storage_metrics++] =
				pool_fill(fill, fill->view->pools[i]);
	}
	volumes_fill(fill, message);
	return message;
}

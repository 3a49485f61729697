/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vectors of the protocol's reference, made with other programs from the original definitions:
 * the same message has the same bytes and the same JSON here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encode.h"
#include "fill.h"
#include "json.h"

#define TEXT(s) ((char *)(uintptr_t)(s))

static void is_bytes(const ProtobufCMessage *message, const char *hex)
{
	struct eve_bytes bytes = eve_encode(message, EVE_BINARY);
	char *text = calloc(1, 2 * bytes.length + 1);

	for (size_t i = 0; i < bytes.length; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes.data[i]);
	assert_string_equal(text, hex);
	free(text);
	eve_bytes_fini(&bytes);
}

static void is_json(const ProtobufCMessage *message, const char *expected)
{
	json_t *json = eve_json_encode(message);
	json_t *wanted = json_loads(expected, 0, NULL);

	assert_non_null(wanted);
	assert_true(json_equal(json, wanted));
	json_decref(json);
	json_decref(wanted);
}

static void storage_info(void **state)
{
	Eve__DiskDescription names[2] = {EVE__DISK_DESCRIPTION__INIT, EVE__DISK_DESCRIPTION__INIT};
	Eve__StorageDiskState disks[2] = {EVE__STORAGE_DISK_STATE__INIT,
					  EVE__STORAGE_DISK_STATE__INIT};
	Eve__StorageDiskState *all[2] = {&disks[0], &disks[1]};
	Eve__StorageInfo info = EVE__STORAGE_INFO__INIT;

	names[0].name = TEXT("/dev/sdb");
	names[0].serial = TEXT("S1");
	names[1].name = TEXT("/dev/sdc");
	disks[0].disk_name = &names[0];
	disks[0].status = EVE__STORAGE_STATUS__STORAGE_STATUS_ONLINE;
	disks[0].smart_status = TEXT("passed");
	disks[1].disk_name = &names[1];
	disks[1].status = EVE__STORAGE_STATUS__STORAGE_STATUS_UNAVAIL;
	info.pool_name = TEXT("tank");
	info.storage_type = EVE__STORAGE_TYPE_INFO__STORAGE_TYPE_INFO_ZFS;
	info.current_raid = EVE__STORAGE_RAID_TYPE__STORAGE_RAID_TYPE_RAID1;
	info.compression_ratio = 1.5;
	info.zpool_size = GiB;
	info.count_zvols = 3;
	info.storage_state = EVE__STORAGE_STATUS__STORAGE_STATUS_DEGRADED;
	info.n_disks = 2;
	info.disks = all;
	is_bytes(&info.base,
		 "0a0474616e6b1002200229000000000000f83f308080808004380340024a1a0a0e0a082f"
		 "6465762f7364621a025331100122067061737365644a0e0a0a0a082f6465762f736463"
		 "1005");
	is_json(&info.base,
		"{\"poolName\":\"tank\",\"storageType\":\"STORAGE_TYPE_INFO_ZFS\","
		"\"currentRaid\":\"STORAGE_RAID_TYPE_RAID1\",\"compressionRatio\":1.5,"
		"\"zpoolSize\":\"1073741824\",\"countZvols\":3,"
		"\"storageState\":\"STORAGE_STATUS_DEGRADED\",\"disks\":[{\"diskName\":"
		"{\"name\":\"/dev/sdb\",\"serial\":\"S1\"},\"status\":\"STORAGE_STATUS_ONLINE\","
		"\"smartStatus\":\"passed\"},{\"diskName\":{\"name\":\"/dev/sdc\"},"
		"\"status\":\"STORAGE_STATUS_UNAVAIL\"}]}");
}

static void storage_children(void **state)
{
	Eve__StorageChildren child = EVE__STORAGE_CHILDREN__INIT;

	child.current_raid = EVE__STORAGE_RAID_TYPE__STORAGE_RAID_TYPE_RAID5;
	child.display_name = TEXT("raidz1-0");
	child.g_u_i_d = UINT64_MAX;
	is_bytes(&child.base, "08032208726169647a312d3028ffffffffffffffffff01");
	is_json(&child.base, "{\"currentRaid\":\"STORAGE_RAID_TYPE_RAID5\",\"displayName\":"
			     "\"raidz1-0\",\"gUID\":\"18446744073709551615\"}");
}

static void storage_metric(void **state)
{
	Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Eve__StorageVDevMetrics pool = EVE__STORAGE_VDEV_METRICS__INIT;
	Eve__StorageVDevMetrics zvol = EVE__STORAGE_VDEV_METRICS__INIT;
	Eve__StorageVDevMetrics *zvols[1] = {&zvol};
	Eve__StorageMetric metric = EVE__STORAGE_METRIC__INIT;

	time.seconds = 1700000000;
	time.nanos = 500000000;
	pool.alloc = 300;
	pool.total = 1000000;
	pool.read_errors = 1;
	pool.ops_count_write = 7;
	pool.i_os_in_progress = 2;
	pool.i_os_total_ticks = 9;
	pool.weighted_i_o_ticks = 11;
	zvol.volume_u_u_i_d = TEXT("u");
	zvol.bytes_read = 4096;
	metric.pool_name = TEXT("tank");
	metric.collection_time = &time;
	metric.zpool_metrics = &pool;
	metric.n_zvols = 1;
	metric.zvols = zvols;
	is_bytes(
		&metric.base,
		"0a0474616e6b2a0c0880e2cfaa061080cab5ee01321310ac0218c0843d38016807700288010990010b"
		"4a060a0175508020");
	is_json(&metric.base,
		"{\"poolName\":\"tank\",\"collectionTime\":\"2023-11-14T22:13:20.500Z\","
		"\"zpoolMetrics\":{\"alloc\":\"300\",\"total\":\"1000000\",\"readErrors\":\"1\","
		"\"opsCountWrite\":\"7\",\"iOsInProgress\":\"2\",\"iOsTotalTicks\":\"9\","
		"\"weightedIOTicks\":\"11\"},\"zvols\":[{\"volumeUUID\":\"u\",\"bytesRead\":"
		"\"4096\"}]}");
}

static void volume_info(void **state)
{
	Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Eve__UsageInfo usage = EVE__USAGE_INFO__INIT;
	Eve__VolumeResources resources = EVE__VOLUME_RESOURCES__INIT;
	Eve__ZInfoVolume volume = EVE__ZINFO_VOLUME__INIT;
	Eve__ZInfoMsg message = EVE__ZINFO_MSG__INIT;

	time.seconds = 1700000000;
	usage.refcount = 1;
	resources.maxsizebytes = 1024;
	resources.cursizebytes = 300;
	volume.uuid = TEXT("v");
	volume.displayname = TEXT("n");
	volume.usage = &usage;
	volume.resources = &resources;
	volume.state = EVE__ZSW_STATE__CREATED_VOLUME;
	volume.progresspercentage = 100;
	volume.generation_count = 2;
	message.ztype = EVE__ZINFO_TYPES__ZiVolume;
	message.devid = TEXT("d");
	message.attimestamp = &time;
	message.vinfo = &volume;
	is_bytes(&message.base,
		 "080712016432060880e2cfaa066a180a017612016e1a021001220608800810ac02280f"
		 "30644002");
}

static void device_info(void **state)
{
	Eve__StorageInfo storage = EVE__STORAGE_INFO__INIT;
	Eve__StorageInfo *all[1] = {&storage};
	Eve__ZInfoDevice device = EVE__ZINFO_DEVICE__INIT;

	storage.pool_name = TEXT("p");
	device.n_storage_info = 1;
	device.storage_info = all;
	is_bytes(&device.base, "8203030a0170");
}

static void hardware_health(void **state)
{
	Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Eve__SmartAttr attribute = EVE__SMART_ATTR__INIT;
	Eve__SmartAttr *attributes[1] = {&attribute};
	Eve__StorageDiskInfo disk = EVE__STORAGE_DISK_INFO__INIT;
	Eve__StorageDiskInfo *disks[1] = {&disk};
	Eve__ZHardwareHealth health = EVE__ZHARDWARE_HEALTH__INIT;

	time.seconds = 1;
	attribute.id = 5;
	attribute.value = attribute.worst = 100;
	attribute.thresh = 10;
	attribute.raw_value = 3;
	attribute.type = TEXT("Pre-fail");
	attribute.attribute_name = TEXT("Reallocated_Sector_Ct");
	disk.disk_name = TEXT("/dev/sda");
	disk.serial_number = TEXT("S");
	disk.model = TEXT("M");
	disk.n_smart_attr = 1;
	disk.smart_attr = attributes;
	health.dev_id = TEXT("d");
	health.at_time_stamp = &time;
	health.n_disks = 1;
	health.disks = disks;
	is_bytes(&health.base,
		 "0a016412020801223d0a082f6465762f7364612a015332014d422b080510641864200a30033a"
		 "085072652d6661696c42155265616c6c6f63617465645f536563746f725f4374");
}

/* A delete is the envelope, the identity and nothing else. */
static void gone_volume(void **state)
{
	static const uint8_t guid[16] = {0x12, 0x34};
	struct eve_arena arena = {.blocks = NULL};
	Eve__ZInfoVolume *volume = eve_fill_gone(&arena, guid);

	is_json(&volume->base, "{\"uuid\":\"12340000-0000-0000-0000-000000000000\"}");
	eve_arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(storage_info),	  cmocka_unit_test(storage_children),
		cmocka_unit_test(storage_metric), cmocka_unit_test(volume_info),
		cmocka_unit_test(device_info),	  cmocka_unit_test(hardware_health),
		cmocka_unit_test(gone_volume),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole pools as earlier versions left them, in golden/: NAME.image has the drives, NAME.content
 * what the volumes hold. Each is opened, read-only and for writing, and compared. They have
 * volumes, snapshots, a clone, a hold, discards, a history; and the power was cut, so that blocks,
 * parts of blocks, a discard and a snapshot are in the log alone.
 *
 * And the newest ones are made again, by the same steps from the same seed: the bytes must be the
 * same. Where they are not, something changed of what is written. When that is meant: the old
 * files stay, for they must still open, and new ones go beside them, by a new name in the table:
 *
 *   QUOIN_GOLDEN_WRITE=DIRECTORY test-pool-golden-pool
 *
 * writes them. (As long as no version was released, the files may be replaced instead.)
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <quoin/base_assert.h>

#include "engine_rig.h"
#include "format/super.h"
#include "image_text.h"

#define DRIVE_BYTES (48 * MiB)
#define SECTOR 512
#define BLOCKS 96 /* of each volume */
#define SECTORS (BLOCKS * RIG_BLOCK / SECTOR)

static const struct golden {
	const char *name;
	unsigned drives;
	bool newest; /* made again */
} goldens[] = {
	{"pool-1-single", 1, true},
	{"pool-1-mirror", 2, true},
};

static const char *const objects[] = {"vol", "vol@a", "vol@b", "vol@c", "group/other", "clone"};
#define OBJECTS ARRAY_SIZE(objects)
enum { VOL, VOL_A, VOL_B, VOL_C, OTHER, CLONE };

static const char *directory; /* of the files */

struct bench {
	struct engine_rig rig;
	const struct golden *golden;
	struct image *image;
	uint32_t content[OBJECTS][SECTORS]; /* a sector is four bytes over and over; 0: zeroes */
	uint32_t stamp;
	uint8_t *data;
};

/* --- The steps -----------------------------------------------------------------------------------
 */

static void sectors_fill(struct bench *b, const uint32_t *stamps, unsigned count)
{
	for (unsigned i = 0; i < count * SECTOR; i += 4) {
		const uint32_t stamp = stamps[i / SECTOR];

		b->data[i] = (uint8_t)stamp;
		b->data[i + 1] = (uint8_t)(stamp >> 8);
		b->data[i + 2] = (uint8_t)(stamp >> 16);
		b->data[i + 3] = (uint8_t)(stamp >> 24);
	}
}

static void put(struct bench *b, unsigned object, enum block_op op, unsigned first, unsigned count)
{
	struct rig_volume volume;

	b->stamp = (b->stamp + 1) * UINT32_C(0x01010101);
	for (unsigned i = 0; i < count; i++)
		b->content[object][first + i] = op == BLOCK_WRITE ? b->stamp : 0;
	sectors_fill(b, &b->content[object][first], count);
	assert_int_equal(rig_volume_open(&b->rig, objects[object], &volume), 0);
	assert_int_equal(rig_io(&volume, op, (uint64_t)first * SECTOR,
				op == BLOCK_WRITE ? b->data : NULL, (uint64_t)count * SECTOR),
			 0);
	assert_int_equal(rig_io(&volume, BLOCK_FLUSH, 0, NULL, 0), 0);
	rig_volume_close(&volume);
	b->stamp &= 0xff;
}

static void blocks_write(struct bench *b, unsigned object, unsigned first, unsigned count)
{
	put(b, object, BLOCK_WRITE, first * 8, count * 8);
}

static void copy(struct bench *b, unsigned to, unsigned from)
{
	memcpy(b->content[to], b->content[from], sizeof(b->content[to]));
}

static void snapshot(struct bench *b, unsigned object)
{
	assert_int_equal(pool_snapshot_create(b->rig.pool, &objects[object], 1, NULL), 0);
	copy(b, object, VOL);
}

/* In the log alone. */
static void pending(struct bench *b)
{
	blocks_write(b, VOL, 60, 8);
	put(b, OTHER, BLOCK_DISCARD, 40 * 8, 40 * 8);
	snapshot(b, VOL_C);
	put(b, VOL, BLOCK_WRITE, 3, 2);
	put(b, VOL, BLOCK_WRITE, 90 * 8 + 7, 1);
	put(b, CLONE, BLOCK_WRITE_ZEROES, 9 * 8, 8);
	blocks_write(b, CLONE, 0, 2);
}

static void make(void *arg)
{
	struct bench *b = arg;
	const struct pool_volume_params params = {.size_bytes = SECTORS * SECTOR};
	const struct pool_volume_params other = {.size_bytes = SECTORS * SECTOR,
						 .quota_bytes = 8 * MiB};

	rig_format(&b->rig);
	assert_int_equal(rig_open(&b->rig), 0);
	assert_int_equal(pool_volume_create(b->rig.pool, "vol", &params, NULL), 0);
	blocks_write(b, VOL, 0, 64);
	snapshot(b, VOL_A);
	blocks_write(b, VOL, 10, 20);
	put(b, VOL, BLOCK_DISCARD, 40 * 8, 4 * 8);
	snapshot(b, VOL_B);
	assert_int_equal(pool_volume_create(b->rig.pool, objects[OTHER], &other, NULL), 0);
	assert_int_equal(pool_snapshot_hold(b->rig.pool, objects[VOL_A], "kept", NULL), 0);
	assert_int_equal(pool_volume_clone(b->rig.pool, objects[VOL_A], "clone", NULL), 0);
	copy(b, CLONE, VOL_A);
	blocks_write(b, OTHER, 30, 66);
	blocks_write(b, CLONE, 5, 3);
	put(b, VOL, BLOCK_WRITE, 20 * 8 + 1, 5);
	assert_int_equal(pool_history_add(b->rig.pool, "made to be kept"), 0);
	assert_int_equal(pool_sync(b->rig.pool), 0);
	pending(b);
	/* The partial blocks are merged, the log has settled. */
	assert_int_equal(fiber_sleep_ns(20 * NS_PER_MS), 0);
	rig_power_cut(&b->rig);
	rig_close(&b->rig);
}

/* --- Drives -------------------------------------------------------------------------------------
 */

static void image_take(struct bench *b)
{
	static const uint8_t zeroes[IMAGE_PAGE];
	struct image *image = b->image;

	image->drive_count = b->rig.drive_count;
	image->drive_bytes = DRIVE_BYTES;
	image->page_count = 0;
	for (unsigned d = 0; d < b->rig.drive_count; d++) {
		for (uint64_t n = 0; n < DRIVE_BYTES / IMAGE_PAGE; n++) {
			struct image_page *page = &image->pages[image->page_count];

			disk_sim_peek(b->rig.drives[d], n * IMAGE_PAGE, page->bytes, IMAGE_PAGE);
			if (memcmp(page->bytes, zeroes, IMAGE_PAGE) == 0)
				continue;
			page->drive = d;
			page->number = n;
			ASSERT_U64(++image->page_count, <, IMAGE_PAGES_MAX);
		}
	}
}

struct page_write {
	struct disk_request request;
	struct fiber *fiber;
};

static void page_written(struct disk_request *request)
{
	struct page_write *write = container_of(request, struct page_write, request);
	struct fiber *fiber = write->fiber;

	write->fiber = NULL;
	fiber_wake(fiber);
}

static void image_put(void *arg)
{
	struct bench *b = arg;

	for (unsigned i = 0; i < b->image->page_count; i++) {
		struct image_page *page = &b->image->pages[i];
		const struct iovec iov = {page->bytes, IMAGE_PAGE};
		struct page_write write = {
			.request = {.op = DISK_WRITE,
				    .flags = DISK_FUA,
				    .offset = page->number * IMAGE_PAGE,
				    .length_bytes = IMAGE_PAGE,
				    .iov = &iov,
				    .iov_count = 1,
				    .done = page_written},
			.fiber = fiber_self(),
		};
		struct disk_channel *channel;

		assert_int_equal(disk_attach(b->rig.disks[page->drive], b->rig.loop, &channel), 0);
		disk_submit(channel, &write.request);
		while (write.fiber)
			fiber_park();
		assert_int_equal(write.request.result, 0);
		disk_detach(channel);
	}
}

static void bench_init(struct bench *b, const struct golden *golden)
{
	struct disk_sim_plan plan = disk_sim_plan_default();

	memset(b, 0, sizeof(*b));
	b->golden = golden;
	rig_init(&b->rig, 1, golden->drives, DRIVE_BYTES);
	plan.latency_max_ns = plan.latency_min_ns;
	plan.write_back_percent = 0;
	plan.survive_percent = 100;
	for (unsigned i = 0; i < golden->drives; i++)
		disk_sim_plan_set(b->rig.drives[i], &plan);
	b->rig.mirror = golden->drives > 1;
	b->rig.delta_records = 1024;
	b->data = aligned_alloc(RIG_BLOCK, SECTORS * SECTOR);
	b->image = malloc(sizeof(*b->image));
	ASSERT(b->data != NULL && b->image != NULL);
}

static void bench_fini(struct bench *b)
{
	rig_fini(&b->rig);
	free(b->data);
	free(b->image);
}

/* --- Content: lines of OBJECT FIRST COUNT STAMP, in sectors
 * ---------------------------------------- */

static FILE *file_open(const char *in, const char *name, const char *suffix, const char *mode)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s.%s", in, name, suffix);
	return fopen(path, mode);
}

static void content_write(const struct bench *b, FILE *to)
{
	for (size_t o = 0; o < OBJECTS; o++) {
		for (unsigned first = 0, count; first < SECTORS; first += count) {
			const uint32_t stamp = b->content[o][first];

			for (count = 1;
			     first + count < SECTORS && b->content[o][first + count] == stamp;)
				count++;
			fprintf(to, "%s %u %u %08" PRIx32 "\n", objects[o], first, count, stamp);
		}
	}
}

static void content_read(const struct bench *b, uint32_t content[OBJECTS][SECTORS])
{
	FILE *file = file_open(directory, b->golden->name, "content", "r");
	unsigned first, count, sectors = 0;
	uint32_t stamp;
	char name[64];

	assert_non_null(file);
	while (fscanf(file, "%63s %u %u %" SCNx32, name, &first, &count, &stamp) == 4) {
		size_t o = 0;

		while (o < OBJECTS && strcmp(objects[o], name) != 0)
			o++;
		assert_true(o < OBJECTS && first + count <= SECTORS);
		for (unsigned i = 0; i < count; i++)
			content[o][first + i] = stamp;
		sectors += count;
	}
	assert_int_equal(sectors, OBJECTS * SECTORS);
	fclose(file);
}

static void content_check(struct bench *b)
{
	uint8_t *got = aligned_alloc(RIG_BLOCK, SECTORS * SECTOR);

	for (size_t o = 0; o < OBJECTS; o++) {
		struct rig_volume volume;

		/* In the log alone: it has no tree before a checkpoint. */
		if (o == VOL_C && b->rig.read_only)
			continue;
		assert_int_equal(
			pool_device_open(b->rig.pool, objects[o], true, &volume.device, NULL), 0);
		assert_int_equal(block_channel_open(volume.device, b->rig.loop, &volume.channel),
				 0);
		assert_int_equal(rig_io(&volume, BLOCK_READ, 0, got, SECTORS * SECTOR), 0);
		sectors_fill(b, b->content[o], SECTORS);
		for (unsigned s = 0; s < SECTORS; s++) {
			if (memcmp(got + s * SECTOR, b->data + s * SECTOR, SECTOR) != 0)
				fail_msg("%s: sector %u is not what it was", objects[o], s);
		}
		rig_volume_close(&volume);
	}
	free(got);
}

static void records_check(struct bench *b)
{
	struct pool_snapshot_info info;
	struct pool_volume_info volume;
	struct pool_history_line line = {.text = ""};
	uint64_t cursor = 0;

	assert_int_equal(pool_snapshot_find(b->rig.pool, objects[VOL_A], &info), 0);
	assert_int_equal(info.hold_count, 1);
	assert_string_equal(info.holds[0], "kept");
	assert_int_equal(info.clone_count, 1);
	assert_int_equal(pool_volume_find(b->rig.pool, objects[OTHER], &volume), 0);
	assert_int_equal(volume.params.quota_bytes, 8 * MiB);
	assert_int_equal(pool_volume_find(b->rig.pool, "clone", &volume), 0);
	assert_string_equal(volume.origin, objects[VOL_A]);
	assert_int_equal(pool_history_read(b->rig.pool, &cursor, &line), 0);
	assert_string_equal(line.text, "made to be kept");
}

/* --- The tests
 * ------------------------------------------------------------------------------------ */

static void look(void *arg)
{
	struct bench *b = arg;
	struct pool_status status;

	b->rig.read_only = true;
	assert_int_equal(rig_open(&b->rig), 0);
	records_check(b);
	content_check(b);
	pool_status(b->rig.pool, &status);
	assert_int_equal(status.device_writes, 0);
	assert_true(status.replayed_records > 10);
	assert_int_equal(status.check_errors, 0);
	assert_int_equal(rig_close(&b->rig), 0);
	b->rig.read_only = false;
}

static void use(void *arg)
{
	struct bench *b = arg;

	assert_int_equal(rig_open(&b->rig), 0);
	content_check(b);
	records_check(b);
	blocks_write(b, VOL, 1, 50);
	blocks_write(b, CLONE, 20, 50);
	put(b, OTHER, BLOCK_DISCARD, 0, 90 * 8);
	assert_int_equal(pool_snapshot_release(b->rig.pool, objects[VOL_A], "kept", NULL), 0);
	assert_int_equal(pool_volume_promote(b->rig.pool, "clone", NULL), 0);
	assert_int_equal(pool_volume_promote(b->rig.pool, "vol", NULL), 0);
	assert_int_equal(pool_snapshot_hold(b->rig.pool, objects[VOL_A], "kept", NULL), 0);
	assert_int_equal(rig_close(&b->rig), 0);
	assert_int_equal(rig_open(&b->rig), 0);
	content_check(b);
	records_check(b);
	assert_int_equal(rig_close(&b->rig), 0);
}

static void old_pools_open(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(goldens); i++) {
		struct bench *b = malloc(sizeof(*b));
		char path[512];

		bench_init(b, &goldens[i]);
		snprintf(path, sizeof(path), "%s/%s.image", directory, goldens[i].name);
		assert_true(image_read(b->image, path));
		assert_int_equal(b->image->drive_count, goldens[i].drives);
		assert_int_equal(b->image->drive_bytes, DRIVE_BYTES);
		content_read(b, b->content);
		rig_run(&b->rig, image_put, b);
		rig_run(&b->rig, look, b);
		rig_run(&b->rig, use, b);
		bench_fini(b);
		free(b);
	}
}

/* A newer version left a feature that we need not know to read. */
static void feature_add(struct image *image)
{
	unsigned found = 0;

	for (unsigned i = 0; i < image->page_count; i++) {
		uint8_t *bytes = image->pages[i].bytes;
		const uint64_t at = image->pages[i].number * IMAGE_PAGE;
		const bool back = at > DRIVE_BYTES / 2;
		const unsigned slot =
			(unsigned)((at - super_offset(DRIVE_BYTES, back, 0)) / IMAGE_PAGE);
		struct super super;

		if (at < super_offset(DRIVE_BYTES, back, 0) || slot >= SUPER_RING_SLOTS ||
		    super_decode(bytes, back, slot, &super) < 0)
			continue;
		super.ro_compat = UINT64_C(1) << 63;
		super_encode(&super, back, bytes);
		found++;
	}
	assert_true(found >= 6);
}

static void look_only(void *arg)
{
	struct bench *b = arg;

	b->rig.quiet = true;
	assert_int_equal(rig_open(&b->rig), -ENOTSUP);
	look(b);
}

static void unknown_features_are_read_only(void **state)
{
	struct bench *b = malloc(sizeof(*b));
	char path[512];

	bench_init(b, &goldens[0]);
	snprintf(path, sizeof(path), "%s/%s.image", directory, goldens[0].name);
	assert_true(image_read(b->image, path));
	content_read(b, b->content);
	feature_add(b->image);
	rig_run(&b->rig, image_put, b);
	rig_run(&b->rig, look_only, b);
	bench_fini(b);
	free(b);
}

static void files_write(struct bench *b, const char *to)
{
	FILE *image = file_open(to, b->golden->name, "image", "w");
	FILE *content = file_open(to, b->golden->name, "content", "w");

	assert_non_null(image);
	assert_non_null(content);
	image_write(b->image, image);
	content_write(b, content);
	assert_int_equal(fclose(image), 0);
	assert_int_equal(fclose(content), 0);
}

static void images_compare(const struct image *made, const struct image *kept)
{
	for (unsigned i = 0; i < made->page_count; i++) {
		const struct image_page *page = &made->pages[i];
		const uint8_t *bytes = image_page(kept, page->drive, page->number);
		size_t at = 0;

		while (bytes && at < IMAGE_PAGE && bytes[at] == page->bytes[at])
			at++;
		if (at < IMAGE_PAGE)
			fail_msg("drive %u, page %" PRIu64 ", byte %zu: what is written changed; "
				 "the head of this file says what to do",
				 page->drive, page->number, at);
	}
	assert_int_equal(made->page_count, kept->page_count);
}

static void new_pools_are_the_same(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(goldens); i++) {
		struct bench *b = malloc(sizeof(*b));
		struct image *kept = malloc(sizeof(*kept));
		uint32_t(*content)[SECTORS] = calloc(OBJECTS, sizeof(*content));
		char path[512];

		if (goldens[i].newest) {
			bench_init(b, &goldens[i]);
			rig_run(&b->rig, make, b);
			image_take(b);
			snprintf(path, sizeof(path), "%s/%s.image", directory, goldens[i].name);
			if (getenv("QUOIN_GOLDEN_WRITE"))
				files_write(b, getenv("QUOIN_GOLDEN_WRITE"));
			assert_true(image_read(kept, path));
			images_compare(b->image, kept);
			content_read(b, content);
			assert_memory_equal(content, b->content, sizeof(b->content));
			bench_fini(b);
		}
		free(content);
		free(kept);
		free(b);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_pools_are_the_same),
		cmocka_unit_test(old_pools_open),
		cmocka_unit_test(unknown_features_are_read_only),
	};

	directory = argc > 1 ? argv[1] : "tests/unit/pool/golden";
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of map and unmap, and a random run against a model that keeps one note per page. */
#include "memory_util.h"

#include <fcntl.h>

#include <quoin/base_random.h>

#define RW (GUEST_READ | GUEST_WRITE)

static void map_refuses(void **state)
{
	struct guest_memory *memory = memory_new();
	int fd = file_new(4);

	assert_int_equal(guest_memory_map(memory, at(0), 0, RW, fd, 0), -EINVAL);
	assert_int_equal(guest_memory_map(memory, at(1), PAGE, RW, fd, 0), -EINVAL);
	assert_int_equal(guest_memory_map(memory, at(0), PAGE + 1, RW, fd, 0), -EINVAL);
	assert_int_equal(guest_memory_map(memory, at(0), PAGE, 0, fd, 0), -EINVAL);
	assert_int_equal(guest_memory_map(memory, at(0), PAGE, 4, fd, 0), -EINVAL);
	assert_int_equal(guest_memory_map(memory, at(UINT64_MAX - PAGE + 1), 2 * PAGE, RW, fd, 0),
			 -EINVAL);
	assert_int_equal(guest_memory_map(memory, at(0), PAGE, RW, fd, UINT64_MAX - 1), -EINVAL);
	assert_int_equal(guest_memory_map(memory, at(0), UINT64_MAX - PAGE + 1, RW, fd, 0),
			 -ENOMEM);
	assert_int_equal(guest_memory_map(memory, at(0), UINT64_C(1) << 60, RW, fd, 0), -ENOMEM);
	assert_int_equal(guest_memory_region_count(memory), 0);
	close(fd);
	assert_int_equal(guest_memory_map(memory, at(0), PAGE, RW, fd, 0), -EBADF);
	guest_memory_free(memory);
}

static void map_overlap_and_repeat(void **state)
{
	struct guest_memory *memory = memory_new();
	int fd = file_new(8), other = file_new(8), again = dup(fd);
	uint64_t generation;

	assert_int_equal(guest_memory_map(memory, at(4 * PAGE), 4 * PAGE, RW, fd, 0), 0);
	generation = guest_memory_generation(memory);
	assert_int_equal(guest_memory_map(memory, at(4 * PAGE), 4 * PAGE, RW, again, 0), 0);
	assert_int_equal(guest_memory_generation(memory), generation);
	assert_int_equal(guest_memory_region_count(memory), 1);

	assert_int_equal(guest_memory_map(memory, at(4 * PAGE), 4 * PAGE, RW, other, 0), -EEXIST);
	assert_int_equal(guest_memory_map(memory, at(4 * PAGE), 4 * PAGE, RW, -1, 0), -EEXIST);
	assert_int_equal(guest_memory_map(memory, at(4 * PAGE), 4 * PAGE, RW, fd, PAGE), -EEXIST);
	assert_int_equal(guest_memory_map(memory, at(4 * PAGE), 4 * PAGE, GUEST_READ, fd, 0),
			 -EEXIST);
	assert_int_equal(guest_memory_map(memory, at(0), 5 * PAGE, RW, fd, 0), -EEXIST);
	assert_int_equal(guest_memory_map(memory, at(7 * PAGE), PAGE, RW, fd, 0), -EEXIST);
	assert_int_equal(guest_memory_map(memory, at(0), 16 * PAGE, RW, -1, 0), -EEXIST);
	assert_int_equal(guest_memory_map(memory, at(0), 4 * PAGE, RW, fd, 0), 0);
	assert_int_equal(guest_memory_map(memory, at(8 * PAGE), PAGE, RW, -1, 0), 0);
	assert_int_equal(guest_memory_map(memory, at(8 * PAGE), PAGE, RW, -1, 0), 0);
	assert_int_equal(guest_memory_region_count(memory), 3);
	guest_memory_free(memory);
	close(fd);
	close(other);
	close(again);
}

static void map_last_page(void **state)
{
	const uint64_t last = UINT64_MAX - PAGE + 1;
	struct guest_memory *memory = memory_new();
	int fd = file_new(2);
	uint8_t bytes[16];
	struct iovec iov[4];
	unsigned count = 0;

	assert_int_equal(guest_memory_map(memory, at(last), PAGE, RW, fd, PAGE), 0);
	assert_int_equal(guest_memory_map(memory, at(0), PAGE, RW, fd, 0), 0);
	assert_non_null(guest_resolve(memory, at(last), PAGE, RW));
	assert_null(guest_resolve(memory, at(last), PAGE + 1, RW));
	assert_int_equal(guest_resolve_iov(memory, at(last), 2 * PAGE, RW, iov, &count, 4),
			 -EFAULT);
	assert_int_equal(count, 0);
	assert_int_equal(guest_copy_from(memory, bytes, at(UINT64_MAX - 7), 16), -EFAULT);
	assert_int_equal(guest_copy_from(memory, bytes, at(UINT64_MAX - 7), 8), 0);
	assert_int_equal(bytes[0], 1);
	assert_int_equal(unmap_now(memory, last, PAGE), 0);
	guest_memory_free(memory);
	close(fd);
}

static void map_limit(void **state)
{
	struct guest_memory *memory = memory_new();

	for (unsigned i = 0; i < GUEST_REGIONS_MAX; i++)
		assert_int_equal(guest_memory_map(memory, at(2 * i * PAGE), PAGE, RW, -1, 0), 0);
	assert_int_equal(guest_memory_map(memory, at(PAGE), PAGE, RW, -1, 0), -ENOSPC);
	assert_int_equal(unmap_now(memory, 0, 2 * PAGE), 0);
	assert_int_equal(guest_memory_map(memory, at(PAGE), PAGE, RW, -1, 0), 0);
	guest_memory_free(memory);
}

static void map_offset_not_aligned(void **state)
{
	struct guest_memory *memory = memory_new();
	int fd = file_new(3);

	assert_int_equal(guest_memory_map(memory, at(0), PAGE, RW, fd, PAGE + 100), -EINVAL);
	assert_int_equal(guest_memory_map(memory, at(0), PAGE, RW, fd, 1), -EINVAL);
	assert_int_equal(guest_memory_map(memory, at(0), PAGE, RW, -1, 1), 0);
	guest_memory_free(memory);
	close(fd);
}

/* One client does not get all addresses there are. */
static void map_bytes_limit(void **state)
{
	const uint64_t half = GUEST_BYTES_MAX / 2;
	struct guest_memory *memory = memory_new();
	int fd = file_new(1);

	assert_int_equal(ftruncate(fd, (off_t)GUEST_BYTES_MAX), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(guest_memory_map(memory, at(0), half, RW, fd, 0), 0);
		assert_int_equal(guest_memory_map(memory, at(half), half, RW, fd, 0), 0);
		assert_int_equal(guest_memory_map(memory, at(2 * half), PAGE, RW, fd, 0), -ENOMEM);
		assert_int_equal(unmap_now(memory, 0, 2 * half), 0);
	}
	guest_memory_free(memory);
	close(fd);
}

static void map_descriptor_modes(void **state)
{
	struct guest_memory *memory = memory_new();
	int fd = file_new(1), readonly;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	readonly = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(readonly >= 0);
	assert_int_equal(guest_memory_map(memory, at(0), PAGE, RW, readonly, 0), -EACCES);
	assert_int_equal(guest_memory_map(memory, at(0), PAGE, GUEST_READ, readonly, 0), 0);
	assert_non_null(guest_resolve(memory, at(0), PAGE, GUEST_READ));
	assert_null(guest_resolve(memory, at(0), PAGE, GUEST_WRITE));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_int_equal(guest_memory_map(memory, at(PAGE), PAGE, RW, fd, 0), -EPERM);
	assert_int_equal(guest_memory_map(memory, at(PAGE), PAGE, GUEST_READ, fd, 0), 0);
	guest_memory_free(memory);
	close(fd);
	close(readonly);
}

/* Files whose page faults would wait for somebody. */
static void map_shared_memory_only(void **state)
{
	static const char *const paths[] = {"/proc/self/exe", "/dev/zero", "/proc/self/maps"};
	struct guest_memory *memory = memory_new();

	for (unsigned i = 0; i < ARRAY_SIZE(paths); i++) {
		int fd = open(paths[i], O_RDONLY | O_CLOEXEC);

		assert_true(fd >= 0);
		assert_int_equal(guest_memory_map(memory, at(0), PAGE, GUEST_READ, fd, 0), -EPERM);
		close(fd);
	}
	guest_memory_free(memory);
}

static void unmap_rules(void **state)
{
	struct guest_memory *memory = memory_new();
	int fd = file_new(8);

	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(guest_memory_map(memory, at((4 + 2 * i) * PAGE), 2 * PAGE, RW, fd,
						  2 * i * PAGE),
				 0);
	assert_int_equal(unmap_now(memory, 4 * PAGE, 0), -EINVAL);
	assert_int_equal(unmap_now(memory, UINT64_MAX, 2), -EINVAL);
	assert_int_equal(unmap_now(memory, 0, 4 * PAGE), -ENOENT);
	assert_int_equal(unmap_now(memory, 10 * PAGE, PAGE), -ENOENT);
	assert_int_equal(unmap_now(memory, 4 * PAGE, PAGE), -EINVAL);
	assert_int_equal(unmap_now(memory, 5 * PAGE, PAGE), -EINVAL);
	assert_int_equal(unmap_now(memory, 4 * PAGE, 3 * PAGE), -EINVAL);
	assert_int_equal(unmap_now(memory, 5 * PAGE, 5 * PAGE), -EINVAL);
	assert_int_equal(guest_memory_region_count(memory), 3);
	assert_int_equal(unmap_now(memory, 6 * PAGE, 100 * PAGE), 0);
	assert_int_equal(guest_memory_region_count(memory), 1);
	assert_non_null(guest_resolve(memory, at(4 * PAGE), PAGE, RW));
	assert_null(guest_resolve(memory, at(6 * PAGE), PAGE, RW));
	assert_int_equal(unmap_now(memory, 0, UINT64_MAX), 0);
	assert_int_equal(unmap_now(memory, 0, UINT64_MAX), -ENOENT);
	guest_memory_free(memory);
	close(fd);
}

static void private_memory_is_seen(void **state)
{
	struct guest_memory *memory = memory_new();
	int fd = file_new(1);

	assert_false(guest_memory_is_private(memory));
	assert_int_equal(guest_memory_map(memory, at(0), MiB, RW, -1, 0), 0);
	assert_false(guest_memory_is_private(memory));
	assert_int_equal(guest_memory_map(memory, at(MiB), 4 * MiB, RW, -1, 0), 0);
	assert_true(guest_memory_is_private(memory));
	assert_int_equal(guest_memory_map(memory, at(8 * MiB), 4 * MiB, RW, fd, 0), 0);
	assert_false(guest_memory_is_private(memory));
	assert_int_equal(unmap_now(memory, 8 * MiB, 4 * MiB), 0);
	assert_true(guest_memory_is_private(memory));
	guest_memory_free(memory);
	close(fd);
}

/* --- The model: what each page of a small address space should be ------------------------- */

#define MODEL_PAGES 48
#define FILE_PAGES 64

struct model_page {
	unsigned region; /* 0: none */
	unsigned prot;
	int file_page; /* -1: no descriptor */
};

struct model {
	struct guest_memory *memory;
	struct random random;
	struct model_page pages[MODEL_PAGES];
	unsigned regions;
	int fd;
};

static bool model_free(const struct model *model, unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++)
		if (model->pages[i].region != 0)
			return false;
	return true;
}

static void model_map(struct model *model, unsigned first, unsigned count)
{
	unsigned prot = 1 + (unsigned)random_below(&model->random, 3);
	bool with_fd = random_chance(&model->random, 7, 8);
	unsigned file_page = (unsigned)random_below(&model->random, FILE_PAGES - count + 1);
	bool free = model_free(model, first, count);
	int r = guest_memory_map(model->memory, at(first * PAGE), count * PAGE, prot,
				 with_fd ? model->fd : -1, with_fd ? file_page * PAGE : 0);

	if (!free) {
		/* A repeat that happens to be identical is fine, and changes nothing. */
		assert_true(r == -EEXIST || (r == 0 && model->pages[first].prot == prot));
		return;
	}
	assert_int_equal(r, 0);
	model->regions++;
	for (unsigned i = 0; i < count; i++)
		model->pages[first + i] = (struct model_page){
			.region = model->regions,
			.prot = prot,
			.file_page = with_fd ? (int)(file_page + i) : -1,
		};
}

static void model_unmap(struct model *model, unsigned first, unsigned count)
{
	const struct model_page *pages = model->pages;
	unsigned end = first + count;
	int expected = model_free(model, first, count) ? -ENOENT : 0;

	if (first > 0 && pages[first].region != 0 && pages[first].region == pages[first - 1].region)
		expected = -EINVAL;
	if (end < MODEL_PAGES && pages[end].region != 0 &&
	    pages[end].region == pages[end - 1].region)
		expected = -EINVAL;
	assert_int_equal(unmap_now(model->memory, first * PAGE, count * PAGE), expected);
	if (expected == 0)
		memset(&model->pages[first], 0, count * sizeof(pages[0]));
}

static void model_access(struct model *model, unsigned first, unsigned count)
{
	unsigned prot = 1 + (unsigned)random_below(&model->random, 3), got = 0;
	struct iovec iov[MODEL_PAGES];
	uint8_t bytes[4 * PAGE];
	bool allowed = true;
	uint64_t total = 0;
	int r;

	count = MIN(count, 4U);
	for (unsigned i = first; i < first + count; i++)
		allowed = allowed && model->pages[i].region != 0 &&
			  (model->pages[i].prot & prot) == prot && model->pages[i].file_page >= 0;
	r = guest_resolve_iov(model->memory, at(first * PAGE + 8), count * PAGE - 16, prot, iov,
			      &got, MODEL_PAGES);
	assert_int_equal(r, allowed ? 0 : -EFAULT);
	if (!allowed) {
		assert_int_equal(got, 0);
		assert_null(guest_resolve(model->memory, at(first * PAGE), count * PAGE, prot));
		return;
	}
	for (unsigned i = 0; i < got; i++)
		total += iov[i].iov_len;
	assert_int_equal(total, count * PAGE - 16);
	if (!(prot & GUEST_READ))
		return;
	assert_int_equal(guest_copy_from(model->memory, bytes, at(first * PAGE), count * PAGE), 0);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(bytes[i * PAGE], model->pages[first + i].file_page);
		assert_int_equal(bytes[i * PAGE + PAGE - 1], model->pages[first + i].file_page);
	}
}

static void random_run(void **state)
{
	struct model model = {.memory = memory_new(), .fd = file_new(FILE_PAGES)};

	random_init(&model.random, 20260101);
	for (unsigned step = 0; step < 60000; step++) {
		unsigned first = (unsigned)random_below(&model.random, MODEL_PAGES);
		unsigned count =
			1 + (unsigned)random_below(&model.random, MIN(12U, MODEL_PAGES - first));

		switch (random_below(&model.random, 5)) {
		case 0:
			model_unmap(&model, first, count);
			break;
		case 1:
		case 2:
			model_map(&model, first, MIN(count, 6U));
			break;
		default:
			model_access(&model, first, count);
			break;
		}
	}
	assert_true(model.regions > 1000);
	guest_memory_free(model.memory);
	close(model.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map_refuses),
		cmocka_unit_test(map_overlap_and_repeat),
		cmocka_unit_test(map_last_page),
		cmocka_unit_test(map_limit),
		cmocka_unit_test(map_offset_not_aligned),
		cmocka_unit_test(map_bytes_limit),
		cmocka_unit_test(map_descriptor_modes),
		cmocka_unit_test(map_shared_memory_only),
		cmocka_unit_test(unmap_rules),
		cmocka_unit_test(private_memory_is_seen),
		cmocka_unit_test(random_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

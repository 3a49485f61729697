/* SPDX-License-Identifier: Apache-2.0 */
/* A client that truncates its memory hurts itself, and nobody else. */
#include "memory_util.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define RW (GUEST_READ | GUEST_WRITE)

static void truncation_loses_that_memory_only(void **state)
{
	struct guest_memory *victim = memory_new(), *other = memory_new();
	int fd = file_new(16), fine = file_new(1);
	uint8_t bytes[16], *page;

	assert_int_equal(guest_memory_map(victim, at(0), 16 * PAGE, RW, fd, 0), 0);
	assert_int_equal(guest_memory_map(other, at(0), PAGE, RW, fine, 0), 0);
	assert_int_equal(ftruncate(fd, 4 * PAGE), 0);
	assert_int_equal(guest_copy_from(victim, bytes, at(3 * PAGE), 16), 0);
	assert_int_equal(bytes[0], 3);
	assert_false(guest_memory_lost(victim));

	errno = 1234;
	page = guest_resolve(victim, at(8 * PAGE), PAGE, RW);
	page[0] = 7;
	assert_int_equal(errno, 1234);
	assert_true(guest_memory_lost(victim));
	assert_int_equal(page[0], 7);
	assert_int_equal(guest_copy_from(victim, bytes, at(3 * PAGE), 16), 0);
	assert_int_equal(bytes[0], 0);

	assert_int_equal(unmap_now(victim, 0, 16 * PAGE), 0);
	assert_true(guest_memory_lost(victim));
	guest_memory_forget_loss(victim);
	assert_false(guest_memory_lost(victim));

	assert_false(guest_memory_lost(other));
	assert_int_equal(guest_copy_from(other, bytes, at(0), 16), 0);
	guest_memory_free(victim);
	guest_memory_free(other);
	close(fd);
	close(fine);
}

/* The kernel, reading for us, says EFAULT and raises no signal. */
static void system_calls_say_efault(void **state)
{
	struct guest_memory *memory = memory_new();
	int fd = file_new(2), out = memfd_create("out", MFD_CLOEXEC);

	assert_int_equal(guest_memory_map(memory, at(0), 2 * PAGE, RW, fd, 0), 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(write(out, guest_resolve(memory, at(0), PAGE, RW), PAGE), -1);
	assert_int_equal(errno, EFAULT);
	assert_false(guest_memory_lost(memory));
	guest_memory_free(memory);
	close(fd);
	close(out);
}

/* Truncates and refills while another thread copies. */
struct truncation {
	int fd;
	_Atomic bool stop;
};

static void *truncate_again_and_again(void *arg)
{
	struct truncation *truncation = arg;

	while (!truncation->stop) {
		if (ftruncate(truncation->fd, 0) < 0 || ftruncate(truncation->fd, 64 * PAGE) < 0)
			return truncation;
	}
	return NULL;
}

static void truncation_under_access(void **state)
{
	struct truncation truncation = {.fd = file_new(64)};
	uint8_t *bytes = malloc(64 * PAGE);
	void *failed = NULL;
	unsigned losses = 0;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, truncate_again_and_again, &truncation), 0);
	for (unsigned round = 0; round < 3000 && losses < 50; round++) {
		struct guest_memory *memory = memory_new();

		assert_int_equal(guest_memory_map(memory, at(0), 64 * PAGE, RW, truncation.fd, 0),
				 0);
		for (unsigned i = 0; i < 20; i++) {
			assert_int_equal(guest_copy_from(memory, bytes, at(0), 64 * PAGE), 0);
			assert_int_equal(guest_copy_to(memory, at(0), bytes, 64 * PAGE), 0);
		}
		losses += guest_memory_lost(memory);
		guest_memory_free(memory);
	}
	truncation.stop = true;
	pthread_join(thread, &failed);
	assert_null(failed);
	assert_true(losses > 0);
	free(bytes);
	close(truncation.fd);
}

/* Many threads map, lose and unmap at once: the table of ranges is shared by all. */
static void *lose_many(void *failed)
{
	_Atomic bool *flag = failed;

	for (unsigned i = 0; i < 300; i++) {
		struct guest_memory *memory = NULL;
		int fd = memfd_create("lose", MFD_CLOEXEC);
		bool lost;

		if (fd < 0 || guest_memory_new(&memory) < 0 ||
		    guest_memory_map(memory, at(0), 2 * PAGE, RW, fd, 0) < 0) {
			*flag = true;
			break;
		}
		close(fd);
		*(volatile char *)guest_resolve(memory, at(PAGE), 1, RW) = 1;
		lost = guest_memory_lost(memory);
		guest_memory_free(memory);
		if (!lost)
			*flag = true;
	}
	return NULL;
}

static void threads_lose_their_own(void **state)
{
	_Atomic bool failed = false;
	pthread_t threads[4];

	guest_sigbus_install();
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, lose_many, &failed), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	assert_false(failed);
}

/* Returns the signal a child died of, 0 if it lived. */
static int child_signal(void (*run)(void))
{
	const struct rlimit no_core = {0};
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		signal(SIGBUS, SIG_DFL);
		setrlimit(RLIMIT_CORE, &no_core);
		guest_sigbus_install();
		run();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void fault_elsewhere(void)
{
	int fd = memfd_create("foreign", MFD_CLOEXEC);
	volatile char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	page[0] = 1;
}

static void signal_sent(void)
{
	raise(SIGBUS);
}

/* Runs first: the children must be the ones that install the handler. */
static void other_faults_kill_as_before(void **state)
{
	assert_int_equal(child_signal(fault_elsewhere), SIGBUS);
	assert_int_equal(child_signal(signal_sent), SIGBUS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_faults_kill_as_before),
		cmocka_unit_test(truncation_loses_that_memory_only),
		cmocka_unit_test(system_calls_say_efault),
		cmocka_unit_test(truncation_under_access),
		cmocka_unit_test(threads_lose_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

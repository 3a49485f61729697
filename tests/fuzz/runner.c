/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target without libFuzzer: every file of its corpus as it is, then mutations of
 * them, drawn from a fixed seed, so that two runs do the same.
 *
 *   fuzz-run-NAME CORPUS-DIR       the test: all files, then FUZZ_ROUNDS mutations (default 3000)
 *   fuzz-run-NAME FILE...          these inputs only, to look at a crash again
 *
 * An input that kills the target is left in fuzz-crash-PID.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <quoin/base_assert.h>
#include <quoin/base_random.h>
#include <quoin/base_text.h>

#define INPUT_MAX 8192
#define FILES_MAX 512
#define ROUNDS 3000
#define SEED 20260101

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* There when the sanitizers are. */
extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

struct input {
	size_t size;
	uint8_t bytes[INPUT_MAX];
};

/* What runs now, for those who come when it does not end well. */
static struct input running;

static void crash_save(void)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "fuzz-crash-%d", getpid());
	fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, running.bytes, running.size) != (ssize_t)running.size)
		return;
	fprintf(stderr, "the input is in %s\n", path);
}

static void on_death(int signal_number)
{
	crash_save();
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static void deaths_watch(void)
{
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(crash_save);
	signal(SIGABRT, on_death);
	signal(SIGSEGV, on_death);
}

static void run(const struct input *input)
{
	/* Exactly as large as it is: a sanitizer sees the first byte too far. */
	uint8_t *copy = xmalloc(MAX(input->size, (size_t)1));

	running = *input;
	memcpy(copy, input->bytes, input->size);
	LLVMFuzzerTestOneInput(copy, input->size);
	free(copy);
}

/* --- Mutation ------------------------------------------------------------------------------ */

static void mutate_insert(struct input *input, struct random *random)
{
	size_t at = random_below(random, input->size + 1);
	size_t count = 1 + random_below(random, 16);

	count = MIN(count, INPUT_MAX - input->size);
	memmove(input->bytes + at + count, input->bytes + at, input->size - at);
	random_fill(random, input->bytes + at, count);
	input->size += count;
}

static void mutate_remove(struct input *input, struct random *random)
{
	size_t at = random_below(random, input->size);
	size_t count = 1 + random_below(random, MIN(input->size - at, (size_t)32));

	count = MIN(count, input->size - at);
	memmove(input->bytes + at, input->bytes + at + count, input->size - at - count);
	input->size -= count;
}

/* Numbers at which lengths and indices break. */
static void mutate_number(struct input *input, struct random *random)
{
	static const uint64_t numbers[] = {
		0,	    1,	       0x7F,	   0x80,       0xFF,
		0xFFF,	    0x1000,    0x7FFF,	   0x8000,     0xFFFF,
		0x10000,    0xFFFFF,   0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
		UINT64_MAX, INT64_MAX, 0xFFFFF000, 31,	       32,
		33,	    63,	       64,	   65,	       0xFFFFFFFFFFFFF000,
	};
	uint64_t number = numbers[random_below(random, ARRAY_SIZE(numbers))];
	size_t width = (size_t)1 << random_below(random, 4);
	size_t at = random_below(random, input->size);

	memcpy(input->bytes + at, &number, MIN(width, input->size - at));
}

static void mutate_splice(struct input *input, const struct input *other, struct random *random)
{
	size_t at = random_below(random, input->size + 1);
	size_t from = random_below(random, other->size + 1);
	size_t count = MIN(other->size - from, INPUT_MAX - at);

	memcpy(input->bytes + at, other->bytes + from, count);
	input->size = MAX(input->size, at + count);
}

static void mutate(struct input *input, const struct input *other, struct random *random)
{
	unsigned kind = input->size == 0 ? 0 : (unsigned)random_below(random, 7);

	switch (kind) {
	case 0:
		mutate_insert(input, random);
		break;
	case 1:
		mutate_remove(input, random);
		break;
	case 2:
		mutate_splice(input, other, random);
		break;
	case 3:
	case 4:
		mutate_number(input, random);
		break;
	case 5:
		input->bytes[random_below(random, input->size)] = (uint8_t)random_u64(random);
		break;
	default:
		input->bytes[random_below(random, input->size)] ^=
			(uint8_t)(1U << random_below(random, 8));
		break;
	}
}

/* --- Files --------------------------------------------------------------------------------- */

static void input_read(struct input *input, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, input->bytes, INPUT_MAX);

	if (got < 0) {
		perror(path);
		exit(1);
	}
	input->size = (size_t)got;
	close(fd);
}

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* In the order of their names: the same on every machine. */
static unsigned corpus_read(struct input *inputs, const char *directory)
{
	struct dirent **entries = NULL;
	int count = scandir(directory, &entries, visible, alphasort);
	unsigned used = 0;

	if (count < 0) {
		perror(directory);
		exit(1);
	}
	for (int i = 0; i < count; i++) {
		char *path = xasprintf("%s/%s", directory, entries[i]->d_name);

		if (used < FILES_MAX)
			input_read(&inputs[used++], path);
		free(path);
		free(entries[i]);
	}
	free(entries);
	return used;
}

static unsigned long rounds_wanted(void)
{
	const char *text = getenv("FUZZ_ROUNDS");

	return text ? strtoul(text, NULL, 10) : ROUNDS;
}

static int corpus_run(const char *directory)
{
	struct input *inputs = xcalloc(FILES_MAX, sizeof(*inputs));
	struct input *input = xmalloc(sizeof(*input));
	unsigned count = corpus_read(inputs, directory);
	unsigned long rounds = rounds_wanted();
	struct random random;

	random_init(&random, SEED);
	for (unsigned i = 0; i < count; i++)
		run(&inputs[i]);
	for (unsigned long i = 0; i < rounds && count > 0; i++) {
		*input = inputs[random_below(&random, count)];
		for (uint64_t n = 1 + random_below(&random, 6); n > 0; n--)
			mutate(input, &inputs[random_below(&random, count)], &random);
		run(input);
	}
	printf("%u files, %lu mutations\n", count, rounds);
	free(input);
	free(inputs);
	return count > 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct stat status;

	if (argc < 2) {
		fprintf(stderr, "usage: %s CORPUS-DIR | FILE...\n", argv[0]);
		return 2;
	}
	deaths_watch();
	if (stat(argv[1], &status) == 0 && S_ISDIR(status.st_mode))
		return corpus_run(argv[1]);
	for (int i = 1; i < argc; i++) {
		struct input *input = xcalloc(1, sizeof(*input));

		input_read(input, argv[i]);
		run(input);
		free(input);
	}
	return 0;
}

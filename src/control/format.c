/* SPDX-License-Identifier: Apache-2.0 */
/* Remembers the block sizes that guests chose; see format.h. */
#include "format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <quoin/control_spec.h>

#include "state.h"

#define NAME_SIZE (sizeof("format-") + CONTROL_UUID_TEXT_MAX)
#define TEXT_SIZE 16

static const char *file_name(const uint8_t nguid[16], char name[NAME_SIZE])
{
	char text[CONTROL_UUID_TEXT_MAX];

	snprintf(name, NAME_SIZE, "format-%s", control_uuid_format(nguid, text));
	return name;
}

int control_format_save(int directory_fd, const uint8_t nguid[16], uint32_t block_bytes)
{
	char name[NAME_SIZE];
	char text[TEXT_SIZE];

	snprintf(text, sizeof(text), "%u\n", block_bytes);
	return control_file_replace(directory_fd, file_name(nguid, name), text);
}

uint32_t control_format_load(int directory_fd, const uint8_t nguid[16])
{
	char name[NAME_SIZE];
	char text[TEXT_SIZE] = "";
	CLEANUP_FD int fd = openat(directory_fd, file_name(nguid, name), O_RDONLY | O_CLOEXEC);
	unsigned long bytes;

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		return 0;
	bytes = strtoul(text, NULL, 10);
	return bytes == 512 || bytes == 4096 ? (uint32_t)bytes : 0;
}

void control_format_forget(int directory_fd, const uint8_t nguid[16])
{
	char name[NAME_SIZE];

	unlinkat(directory_fd, file_name(nguid, name), 0);
}

static void work(struct loop_job *job)
{
	struct control_format *format = container_of(job, struct control_format, job);

	format->note->result =
		control_format_save(format->directory_fd, format->nguid, format->note->block_bytes);
}

static void done(struct loop_job *job)
{
	struct control_format *format = container_of(job, struct control_format, job);

	format->note->done(format->note);
}

void control_format_remember(void *data, struct nvme_format_note *note)
{
	struct control_format *format = data;

	format->note = note;
	format->job.work = work;
	format->job.done = done;
	loop_offload(format->loop, &format->job);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block sizes that guests chose by Format NVM: one small file for each namespace in the state
 * directory, format-NGUID.
 *
 * They are files of their own because they are written while the guest waits, by a helper thread
 * of the target's worker, whatever the verbs do to the list of targets meanwhile.
 */
#ifndef CONTROL_FORMAT_H
#define CONTROL_FORMAT_H

#include <quoin/loop.h>
#include <quoin/nvme.h>

/* What writes the file of one namespace; one note at a time. */
struct control_format {
	struct loop_job job;
	struct loop *loop;
	int directory_fd; /* borrowed */
	uint8_t nguid[16];
	struct nvme_format_note *note;
};

/* For nvme_namespace_params.remember_format; `data` is a struct control_format. */
void control_format_remember(void *data, struct nvme_format_note *note);

MUST_CHECK int control_format_save(int directory_fd, const uint8_t nguid[16], uint32_t block_bytes);

/* 0: nothing was remembered, or what is there is not a block size. */
uint32_t control_format_load(int directory_fd, const uint8_t nguid[16]);

/* The namespace is gone. */
void control_format_forget(int directory_fd, const uint8_t nguid[16]);

#endif

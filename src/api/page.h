/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The web page: files that quoind carries in itself (web/, embedded by web/embed.py), and the
 * headers they are sent with. They hold no data of the daemon, so anybody may have them; what they
 * show they ask of the API.
 */
#ifndef API_PAGE_H
#define API_PAGE_H

#include <quoin/base.h>

struct MHD_Connection;

struct api_page_file {
	const char *path; /* "/" or "/page.js" */
	const char *type;
	const char *etag; /* with its quotes */
	const unsigned char *data;
	size_t length;
};

extern const struct api_page_file api_page_files[];
extern const unsigned api_page_file_count;

/* NULL: the page has no such file. */
const struct api_page_file *api_page_find(const char *path);

/* Queues the file, or that the client has it already. False: nothing is queued. */
bool api_page_answer(struct MHD_Connection *connection, const struct api_page_file *file);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The page's files as answers; see page.h. */
#include "page.h"

#include <string.h>

#include <microhttpd.h>

/*
 * Scripts and styles come from here alone, none from the page's text; nothing makes markup of text
 * (trusted types), sends a form away, or has the page in a frame.
 */
#define POLICY                                                                              \
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "         \
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " \
	"require-trusted-types-for 'script'; trusted-types 'none'"

const struct api_page_file *api_page_find(const char *path)
{
	for (unsigned i = 0; i < api_page_file_count; i++) {
		if (strcmp(api_page_files[i].path, path) == 0)
			return &api_page_files[i];
	}
	return NULL;
}

static void headers_add(struct MHD_Response *response, const struct api_page_file *file)
{
	const char *const all[][2] = {
		{MHD_HTTP_HEADER_CONTENT_TYPE, file->type},
		{MHD_HTTP_HEADER_ETAG, file->etag},
		{MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache"},
		{"Content-Security-Policy", POLICY},
		{"X-Content-Type-Options", "nosniff"},
		{"X-Frame-Options", "DENY"},
		{"Referrer-Policy", "no-referrer"},
		{"Cross-Origin-Resource-Policy", "same-origin"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		MHD_add_response_header(response, all[i][0], all[i][1]);
}

bool api_page_answer(struct MHD_Connection *connection, const struct api_page_file *file)
{
	const char *have = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
						       MHD_HTTP_HEADER_IF_NONE_MATCH);
	const bool same = have && strcmp(have, file->etag) == 0;
	struct MHD_Response *response = MHD_create_response_from_buffer(
		same ? 0 : file->length, (void *)file->data, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result result;

	if (!response)
		return false;
	headers_add(response, file);
	result = MHD_queue_response(connection, same ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK,
				    response);
	MHD_destroy_response(response);
	return result == MHD_YES;
}

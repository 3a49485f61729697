/* SPDX-License-Identifier: Apache-2.0 */
/* What those who are told say back: any bytes. */
#ifndef EVE_REQUEST_H
#define EVE_REQUEST_H

#include <quoin/base.h>

#define EVE_REQUEST_MAX 64	  /* a line of a peer */
#define EVE_ANSWER_MAX (4 * 1024) /* the body of a controller's answer */

struct eve_request {
	bool send; /* tell all again */
	bool has_epoch;
	uint64_t epoch; /* of the controller: another one than before knows nothing */
};

/* A line of the socket without its end: "send" or "epoch NUMBER". -EINVAL. */
MUST_CHECK int eve_request_decode(const char *line, size_t length, struct eve_request *ret_request);

/* The body of an answer: {"controller_epoch": NUMBER, ...}; anything else says nothing. */
void eve_answer_decode(const char *body, size_t length, struct eve_request *ret_request);

#endif

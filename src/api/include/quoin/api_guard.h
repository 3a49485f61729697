/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may ask what, from what a request says of itself.
 *
 * On the UNIX socket the file's mode has judged who connects. But somebody may have brought the
 * socket to a port of a machine where a browser runs (ssh -L), and a browser also runs the pages of
 * others. So: a request with an Origin (a browser's) only reads, and the Host must be a loopback
 * address or a name without a dot, which no page of others can be reached by (DNS rebinding).
 *
 * Over TCP everybody can connect: who has the token may read, and nobody may change anything.
 */
#ifndef QUOIN_API_GUARD_H
#define QUOIN_API_GUARD_H

#include <quoin/base.h>
#include <quoin/base_err.h>

struct api_guard {
	const char *token;			   /* that is wanted; NULL: the UNIX socket */
	bool reads;				   /* the request changes nothing */
	const char *host, *origin, *authorization; /* headers; NULL = it has none */
};

/* 0; -EKEYREJECTED: no or a wrong token; -EACCES. */
MUST_CHECK int api_guard_judge(const struct api_guard *guard, struct err *err);

#endif

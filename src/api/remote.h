/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening on TCP: only with TLS and a token. Certificate, key and token are the user's files, or
 * made at the first start and kept in the state directory: web.crt, web.key, web.token.
 */
#ifndef API_REMOTE_H
#define API_REMOTE_H

#include <quoin/api.h>

struct api_remote {
	int fd;		   /* listens; -1: nobody wanted it */
	char *url;	   /* "https://127.0.0.1:8006"; NULL as the rest when nobody wanted it */
	char *certificate; /* PEM, as the key */
	char *key;
	char *token;
};

/* Nothing to do when no address is given. -EINVAL, -EADDRINUSE, what files say. */
MUST_CHECK int api_remote_open(struct api_remote *remote, const struct api_context *context,
			       struct err *err);
void api_remote_close(struct api_remote *remote);

/* certificate.c: a key, and a certificate of its own signature for the address. */
MUST_CHECK int api_certificate_make(const char *address, char **ret_certificate, char **ret_key,
				    struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Who may ask what; see quoin/api_guard.h. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include <quoin/api_guard.h>

#define BEARER "Bearer "

/* Takes as long for a token that is nearly right as for one that is all wrong. */
static bool token_is(const char *token, const char *given)
{
	const size_t length = strlen(token);
	volatile unsigned char differs = strlen(given) != length;

	for (size_t i = 0, at = 0; i < length; i++) {
		differs |= (unsigned char)(token[i] ^ given[at]);
		at += given[at] != '\0';
	}
	return differs == 0;
}

static int token_judge(const struct api_guard *guard, struct err *err)
{
	const char *given = guard->authorization;

	if (given && strncasecmp(given, BEARER, strlen(BEARER)) == 0 &&
	    token_is(guard->token, given + strlen(BEARER)))
		return 0;
	return err_set(err, -EKEYREJECTED,
		       given ? "this is not the token of quoind"
			     : "a token is wanted: Authorization: Bearer TOKEN");
}

/* "127.1.2.3", "::1" between brackets, or one word such as "localhost"; a port may follow. */
static bool host_is_near(const char *host)
{
	const size_t length = strcspn(host, ":");

	if (host[0] == '[')
		return strncmp(host, "[::1]", 5) == 0 && (host[5] == '\0' || host[5] == ':');
	if (strncmp(host, "127.", 4) == 0)
		return strspn(host, "0123456789.") == length;
	return memchr(host, '.', length) == NULL && strchr(host + length, '.') == NULL;
}

int api_guard_judge(const struct api_guard *guard, struct err *err)
{
	int r = guard->token ? token_judge(guard, err) : 0;

	if (r < 0)
		return r;
	if (!guard->token && guard->host && !host_is_near(guard->host))
		return err_set(err, -EACCES,
			       "the socket is not asked as \"%.64s\", but as localhost",
			       guard->host);
	if (!guard->reads && guard->token)
		return err_set(err, -EACCES, "over TCP nothing is changed: use quoin on the host");
	if (!guard->reads && guard->origin)
		return err_set(err, -EACCES,
			       "web pages change nothing: use quoin, or send no Origin");
	return 0;
}

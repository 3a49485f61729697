/* SPDX-License-Identifier: Apache-2.0 */
/* The TCP socket and the files it needs; see remote.h. */
#include "remote.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <quoin/base_random.h>
#include <quoin/base_text.h>

#define BACKLOG 32
#define FILE_BYTES_MAX (64 * 1024)
#define TOKEN_BYTES 32 /* of chance, in one that we make */
#define TOKEN_LENGTH_MIN 32
#define TOKEN_LENGTH_MAX 256

/* --- Files ----------------------------------------------------------------------------------- */

/* -ENOENT without a sentence. */
static int file_read(const char *path, char **ret, struct err *err)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	CLEANUP_FREE char *data = NULL;
	ssize_t length;

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0)
		return err_set(err, -errno, "cannot read %s: %s", path, strerror(errno));
	data = xcalloc(1, FILE_BYTES_MAX + 2);
	length = read(fd, data, FILE_BYTES_MAX + 1);
	if (length < 0)
		return err_set(err, -errno, "cannot read %s: %s", path, strerror(errno));
	if (length > FILE_BYTES_MAX)
		return err_set(err, -EFBIG, "%s is larger than %d bytes", path, FILE_BYTES_MAX);
	*ret = data;
	data = NULL;
	return 0;
}

/* Nobody else may read it, from the first byte on. It is whole, or not there. */
static int file_make(const char *path, const char *data, struct err *err)
{
	CLEANUP_FREE char *temporary = xasprintf("%s.new", path);
	CLEANUP_FD int fd =
		open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	const size_t length = strlen(data);

	if (fd < 0)
		return err_set(err, -errno, "cannot make %s: %s", temporary, strerror(errno));
	if (write(fd, data, length) != (ssize_t)length || fsync(fd) < 0 ||
	    rename(temporary, path) < 0) {
		const int r = errno ? -errno : -EIO;

		unlink(temporary);
		return err_set(err, r, "cannot make %s: %s", path, strerror(-r));
	}
	return 0;
}

static int given_read(const char *path, char **ret, struct err *err)
{
	int r = file_read(path, ret, err);

	return r == -ENOENT ? err_set(err, r, "there is no %s", path) : r;
}

/* --- Token ----------------------------------------------------------------------------------- */

static char *token_make(void)
{
	uint8_t bytes[TOKEN_BYTES];
	struct text text;

	text_init(&text);
	random_system_fill(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		text_printf(&text, "%02x", bytes[i]);
	explicit_bzero(bytes, sizeof(bytes));
	return text_detach(&text);
}

/* What a header can carry, and nobody guesses. */
static int token_check(char *token, const char *path, struct err *err)
{
	size_t length = strlen(token);

	while (length > 0 && strchr(" \t\r\n", token[length - 1]))
		token[--length] = '\0';
	for (size_t i = 0; i < length; i++) {
		if (token[i] <= 0x20 || token[i] >= 0x7F)
			return err_set(err, -EINVAL,
				       "the token in %s must be one word of ASCII characters",
				       path);
	}
	if (length < TOKEN_LENGTH_MIN || length > TOKEN_LENGTH_MAX)
		return err_set(err, -EINVAL, "the token in %s must have %d to %d characters", path,
			       TOKEN_LENGTH_MIN, TOKEN_LENGTH_MAX);
	return 0;
}

static int token_load(struct api_remote *remote, const struct api_context *context, struct err *err)
{
	CLEANUP_FREE char *own = xasprintf("%s/web.token", context->process.state_dir);
	CLEANUP_FREE char *line = NULL;
	const char *given = context->listen.token_file;
	int r = given ? given_read(given, &remote->token, err)
		      : file_read(own, &remote->token, err);

	if (r == 0)
		return token_check(remote->token, given ? given : own, err);
	if (r != -ENOENT || given)
		return r;
	remote->token = token_make();
	line = xasprintf("%s\n", remote->token);
	return file_make(own, line, err);
}

/* --- Certificate and key --------------------------------------------------------------------- */

static bool port_is_right(const char *text)
{
	const size_t digits = strspn(text, "0123456789");

	return digits > 0 && digits <= 5 && text[digits] == '\0' && atoi(text) <= UINT16_MAX;
}

/* "[::1]:80" is "::1" and "80". The caller frees both. */
static int address_split(const char *listen, char **ret_host, char **ret_port, struct err *err)
{
	const char *colon = strrchr(listen, ':');
	size_t length = colon ? (size_t)(colon - listen) : 0;

	if (length > 2 && listen[0] == '[' && listen[length - 1] == ']') {
		listen++;
		length -= 2;
	} else if (memchr(listen, ':', length)) {
		length = 0;
	}
	if (length == 0 || !port_is_right(colon + 1))
		return err_set(err, -EINVAL,
			       "listen must be ADDRESS:PORT, such as 127.0.0.1:8006 or [::]:8006");
	*ret_host = xasprintf("%.*s", (int)length, listen);
	*ret_port = xstrdup(colon + 1);
	return 0;
}

static int pair_make(struct api_remote *remote, const char *host, const char *const paths[2],
		     struct err *err)
{
	int r = api_certificate_make(host, &remote->certificate, &remote->key, err);

	/* The key first: a certificate without one would be of no use. */
	if (r == 0)
		r = file_make(paths[1], remote->key, err);
	if (r == 0)
		r = file_make(paths[0], remote->certificate, err);
	return r;
}

static int pair_load(struct api_remote *remote, const struct api_context *context, const char *host,
		     struct err *err)
{
	const struct api_listen *listen = &context->listen;
	CLEANUP_FREE char *certificate = xasprintf("%s/web.crt", context->process.state_dir);
	CLEANUP_FREE char *key = xasprintf("%s/web.key", context->process.state_dir);
	const char *const paths[2] = {certificate, key};
	int r;

	if (!listen->certificate != !listen->key)
		return err_set(err, -EINVAL, "tls-certificate and tls-key are given both or none");
	if (listen->key) {
		r = given_read(listen->certificate, &remote->certificate, err);
		return r < 0 ? r : given_read(listen->key, &remote->key, err);
	}
	r = file_read(certificate, &remote->certificate, err);
	if (r == -ENOENT)
		return pair_make(remote, host, paths, err);
	return r < 0 ? r : given_read(key, &remote->key, err);
}

/* --- The socket ------------------------------------------------------------------------------ */

static char *url_of(int fd)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);
	char host[NI_MAXHOST];
	char port[NI_MAXSERV];

	if (getsockname(fd, (struct sockaddr *)&address, &length) < 0 ||
	    getnameinfo((struct sockaddr *)&address, length, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return xstrdup("https://");
	return xasprintf(strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port);
}

static int socket_open(struct api_remote *remote, const struct addrinfo *info, const char *name,
		       struct err *err)
{
	const int yes = 1;

	remote->fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (remote->fd < 0)
		return err_set(err, -errno, "cannot make a socket for %s: %s", name,
			       strerror(errno));
	/* A new daemon may have the port of the old one at once. */
	setsockopt(remote->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(remote->fd, info->ai_addr, info->ai_addrlen) < 0 ||
	    listen(remote->fd, BACKLOG) < 0)
		return err_set(err, -errno, "cannot listen on %s: %s", name, strerror(errno));
	remote->url = url_of(remote->fd);
	return 0;
}

static int listener_open(struct api_remote *remote, const struct api_context *context,
			 struct err *err)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				       .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
	const char *name = context->listen.address;
	CLEANUP_FREE char *host = NULL;
	CLEANUP_FREE char *port = NULL;
	struct addrinfo *info = NULL;
	int r = address_split(name, &host, &port, err);

	if (r < 0)
		return r;
	r = getaddrinfo(host, port, &hints, &info);
	if (r != 0)
		return err_set(err, -EINVAL, "listen: \"%s\" is no address and port: %s", name,
			       gai_strerror(r));
	r = pair_load(remote, context, host, err);
	if (r == 0)
		r = socket_open(remote, info, name, err);
	freeaddrinfo(info);
	return r;
}

int api_remote_open(struct api_remote *remote, const struct api_context *context, struct err *err)
{
	int r;

	*remote = (struct api_remote){.fd = -1};
	if (!context->listen.address)
		return 0;
	r = listener_open(remote, context, err);
	if (r == 0)
		r = token_load(remote, context, err);
	if (r < 0)
		api_remote_close(remote);
	return r;
}

static void secret_free(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

void api_remote_close(struct api_remote *remote)
{
	base_close(&remote->fd);
	secret_free(&remote->key);
	secret_free(&remote->token);
	free(remote->certificate);
	free(remote->url);
	*remote = (struct api_remote){.fd = -1};
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the words of a source to an NBD export that has it:
 *
 *   nbd://...            the export itself
 *   raw, or the original   nbdkit: its file plugin, or its curl plugin for http(s)
 *   any other format     qemu-nbd on the file, or on nbdkit's export of it, which reads ahead
 *
 * and from a web server without byte ranges
 *
 *   raw, or the original   no export: a stream, read by ourselves
 *   any other format     qemu-nbd on a file that all of the stream was brought to
 *
 * What format a file has is asked of qemu-img, about the first of a stream. An image that comes
 * over the network may not name other files: they would be ours. Children get their sockets from us
 * and serve at once, so nobody waits for them to come up; one that fails is seen by its connection.
 */
#include "nbd_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>
#include <linux/capability.h>
#include <linux/fs.h>

#include <quoin/base_assert.h>
#include <quoin/base_clock.h>
#include <quoin/base_text.h>

#define INFO_MAX (64 * 1024) /* bytes of what qemu-img says */

#define READ_ANY (UINT64_C(1) << CAP_DAC_READ_SEARCH) /* as root too they only read */

/* A program that serves an export. */
struct server {
	const char *name; /* of its socket */
	const char *package;
	const char *const *argv;
	enum child_sockets sockets; /* that it needs, besides its own */
	bool needs_null;	    /* nbdkit does, in place of its standard output */
	const char *scratch;	    /* see struct child_sandbox */
};

/*
 * Compressed clusters are asked for one by one, which a web server is too far away for. So nbdkit
 * reads ahead: pieces, each once as long as there are so many, in a file that has no name.
 */
static const char *const ahead_words[] = {"cache-on-read=true", "cache-min-block-size=1M",
					  "cache-max-size=16M"};

#define NBDKIT_WORDS 16

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_http(const char *text)
{
	return has_prefix(text, "http://") || has_prefix(text, "https://");
}

static bool is_nbd(const char *text)
{
	return has_prefix(text, "nbd://") || has_prefix(text, "nbds://") ||
	       has_prefix(text, "nbd+unix://") || has_prefix(text, "nbds+unix://");
}

/* --- Sockets and children
 * ------------------------------------------------------------------------- */

static int socket_dir_make(struct nbd_source *source)
{
	char *path;

	if (source->socket_dir)
		return 0;
	path = xasprintf("%s/image-XXXXXX", source->directory);
	if (!mkdtemp(path)) {
		const int r = -errno;

		err_set(&source->err, r, "cannot make %s: %s", path, strerror(errno));
		free(path);
		return r;
	}
	source->socket_dir = path;
	return 0;
}

/* A listening socket at a new path of our own. */
static int socket_make(struct nbd_source *source, const char *name, char **ret_path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char *path = xasprintf("%s/%s", source->socket_dir, name);
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = fd < 0 ? -errno : 0;

	if (r == 0 && strlen(path) >= sizeof(address.sun_path))
		r = -ENAMETOOLONG;
	if (r == 0) {
		memcpy(address.sun_path, path, strlen(path) + 1);
		if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
		    listen(fd, 8) < 0)
			r = -errno;
	}
	if (r == 0) {
		*ret_path = path;
		return fd;
	}
	err_set(&source->err, r, "cannot listen on %s: %s", path, strerror(-r));
	free(path);
	if (fd >= 0)
		close(fd);
	return r;
}

/* A child that serves an export on a new socket, whose path it returns. */
static int serve(struct nbd_source *source, const struct server *server, char **ret_path)
{
	/* Its threads reserve much address space. */
	const struct child_sandbox sandbox = {.sockets = server->sockets,
					      .opens_null = true, /* qemu tries its locks on it */
					      .needs_null = server->needs_null,
					      .scratch = server->scratch,
					      .capabilities = READ_ANY,
					      .memory_bytes = 16 * GiB};
	struct child_params params = {.argv = server->argv,
				      .package = server->package,
				      .stdin_fd = -1,
				      .stdout_fd = -1,
				      .words = true,
				      .sandbox = &sandbox};
	CLEANUP_FD int fd = -1;
	char *path = NULL;
	int r = socket_dir_make(source);

	if (r < 0)
		return r;
	fd = socket_make(source, server->name, &path);
	if (fd < 0)
		return fd;
	params.listen_fd = fd;
	r = child_start(&source->children[source->child_count], &params, &source->err);
	if (r < 0) {
		free(path);
		return r;
	}
	source->child_count++;
	*ret_path = path;
	return 0;
}

static int scratch_make(struct nbd_source *source, char **ret_path)
{
	char *path;
	int r = socket_dir_make(source);

	if (r < 0)
		return r;
	path = xasprintf("%s/" NBD_SCRATCH, source->socket_dir);
	if (mkdir(path, 0700) == 0) {
		*ret_path = path;
		return 0;
	}
	r = -errno;
	err_set(&source->err, r, "cannot make %s: %s", path, strerror(-r));
	free(path);
	return r;
}

/* Of a file, or of a web server; of that also `ahead`. */
static int nbdkit_start(struct nbd_source *source, bool ahead, char **ret_path)
{
	const bool http = is_http(source->text);
	CLEANUP_FREE char *what = xasprintf("%s=%s", http ? "url" : "file", source->text);
	CLEANUP_FREE char *scratch = NULL;
	const char *argv[NBDKIT_WORDS] = {"nbdkit", "--foreground", "--readonly", "--log=stderr",
					  "--threads=4"};
	struct server server = {.name = ahead ? "ahead" : "original",
				.package = "nbdkit",
				.argv = argv,
				.needs_null = true,
				.sockets = http ? CHILD_SOCKETS_INTERNET : CHILD_SOCKETS_NONE};
	unsigned count = 5;
	int r = ahead ? scratch_make(source, &scratch) : 0;

	if (r < 0)
		return r;
	server.scratch = scratch;
	if (ahead)
		argv[count++] = "--filter=cache";
	argv[count++] = http ? "curl" : "file";
	argv[count++] = what;
	if (http)
		argv[count++] = "timeout=30";
	for (unsigned i = 0; ahead && i < ARRAY_SIZE(ahead_words); i++)
		argv[count++] = ahead_words[i];
	ASSERT(count < NBDKIT_WORDS);
	return serve(source, &server, ret_path);
}

/* For qemu: where the file itself is, by its path or an export. Commas are doubled in its options.
 */
static char *file_option(const char *text, const char *socket)
{
	const char *at = socket ? socket : text;
	struct text t;

	text_init(&t);
	text_printf(&t, "%s",
		    socket ? "file.driver=nbd,file.server.type=unix,file.server.path="
			   : "file.driver=file,file.filename=");
	for (; *at; at++) {
		text_append(&t, at, 1);
		if (*at == ',')
			text_append(&t, at, 1);
	}
	return text_detach(&t);
}

static int qemu_start(struct nbd_source *source, const char *original, char **ret_path)
{
	const char *path = source->staged ? source->staged : source->text;
	CLEANUP_FREE char *file = file_option(path, original);
	CLEANUP_FREE char *options = xasprintf("driver=%s,%s", source->format, file);
	const char *const argv[] = {
		"qemu-nbd",	 "--read-only",	 "--shared=4", "--cache=writeback",
		"--aio=threads", "--image-opts", options,      NULL};

	const struct server server = {.name = "disk",
				      .package = "qemu-utils",
				      .argv = argv,
				      .sockets =
					      original ? CHILD_SOCKETS_LOCAL : CHILD_SOCKETS_NONE};

	return serve(source, &server, ret_path);
}

/* --- What it is
 * ------------------------------------------------------------------------------------- */

/* All that the child says, until it ends. */
static int output_read(struct nbd_source *source, struct child *child, struct text *output)
{
	const uint64_t start_ms = clock_now_ms(CLOCK_MONOTONIC);
	int status = 0;
	bool ended = false;
	char piece[4096];

	while (!ended) {
		struct pollfd fd = {.fd = child->output_fd, .events = POLLIN};
		ssize_t got;

		if (atomic_load(&source->stop))
			return -ECANCELED;
		if (clock_now_ms(CLOCK_MONOTONIC) - start_ms > NBD_OPEN_MS)
			return err_set(&source->err, -ETIMEDOUT, "%s: it does not answer",
				       source->text);
		poll(&fd, 1, 20);
		while ((got = read(child->output_fd, piece, sizeof(piece))) > 0 &&
		       output->length < INFO_MAX)
			text_append(output, piece, (size_t)got);
		/* Looked at last, so that nothing it said is missed. */
		ended = got == 0 && child_look(child, &status);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return err_set(&source->err, -EINVAL, "%s is no image that can be read: %s", source->text,
		       child_reason(child));
}

/* Whether the image names other files. */
static bool has_others(const json_t *info)
{
	const json_t *specific = json_object_get(json_object_get(info, "format-specific"), "data");
	const char *vmdk = json_string_value(json_object_get(specific, "create-type"));

	return json_object_get(info, "backing-filename") ||
	       json_object_get(specific, "data-file") ||
	       (vmdk && strcmp(vmdk, "monolithicSparse") != 0 &&
		strcmp(vmdk, "streamOptimized") != 0);
}

static int info_judge(struct nbd_source *source, const struct text *output)
{
	static const char *const known[] = {"raw", "qcow2", "vmdk", "vhdx", "vdi"};
	json_t *info = json_loadb(output->data ? output->data : "", output->length, 0, NULL);
	const char *format = json_string_value(json_object_get(info, "format"));
	int r = -EINVAL;

	for (size_t i = 0; format && i < ARRAY_SIZE(known); i++) {
		if (strcmp(format, known[i]) != 0)
			continue;
		free(source->format);
		source->format = xstrdup(known[i]);
		r = 0;
	}
	if (r < 0)
		err_set(&source->err, r, "%s has the format \"%.20s\", which is not known here",
			source->text, format ? format : "");
	else if (is_http(source->text) && has_others(info))
		r = err_set(&source->err, -EINVAL,
			    "%s is not whole: it names other files, and over the network these "
			    "would be this host's",
			    source->text);
	json_decref(info);
	return r;
}

/* What qemu-img says of it. -EINVAL: that it is none of its images. */
static int info_get(struct nbd_source *source, const char *where, struct text *output)
{
	/* Another program may have it open. */
	const struct child_sandbox sandbox = {.sockets = has_prefix(where, "nbd+unix:")
								 ? CHILD_SOCKETS_LOCAL
								 : CHILD_SOCKETS_NONE,
					      .opens_null = true,
					      .capabilities = READ_ANY,
					      .memory_bytes = 2 * GiB,
					      .cpu_s = 30};
	const char *const argv[] = {"qemu-img",	     "info", "--force-share",
				    "--output=json", where,  NULL};
	const struct child_params params = {.argv = argv,
					    .package = "qemu-utils",
					    .stdin_fd = -1,
					    .stdout_fd = -1,
					    .listen_fd = -1,
					    .output = true,
					    .words = true,
					    .sandbox = &sandbox};
	struct child child;
	int r = child_start(&child, &params, &source->err);

	if (r < 0)
		return r;
	r = output_read(source, &child, output);
	child_stop(&child);
	return r;
}

static int format_find(struct nbd_source *source, const char *where)
{
	struct text output;
	int r;

	text_init(&output);
	r = info_get(source, where, &output);
	if (r == 0)
		r = info_judge(source, &output);
	text_fini(&output);
	return r;
}

/* By its beginning. What qemu-img cannot read of that alone is no raw image: format "". */
static int head_judge(struct nbd_source *source, struct nbd_stream *stream)
{
	struct text output;
	int r = nbd_stage_head(source, stream);

	text_init(&output);
	if (r == 0)
		r = info_get(source, source->staged, &output);
	if (r == 0)
		r = info_judge(source, &output);
	else if (r == -EINVAL)
		source->err.code = r = 0;
	text_fini(&output);
	nbd_stage_forget(source);
	return r;
}

static int file_look(struct nbd_source *source)
{
	struct image_source *base = &source->source;
	CLEANUP_FD int fd = open(source->text, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	uint64_t size = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(&source->err, -errno, "%s: %s", source->text, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return err_set(&source->err, -EISDIR, "%s is a directory, not an image",
			       source->text);
	if (S_ISREG(st.st_mode))
		size = (uint64_t)st.st_size;
	else if (!S_ISBLK(st.st_mode) || ioctl(fd, BLKGETSIZE64, &size) < 0)
		return err_set(&source->err, -EINVAL, "%s is neither a file nor a block device",
			       source->text);
	if (size == 0)
		return err_set(&source->err, -ENODATA, "%s is empty", source->text);
	base->original_bytes = size;
	snprintf(base->identity, sizeof(base->identity), "file %llu %llu %llu %lld.%09ld",
		 (unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
		 (unsigned long long)size, S_ISREG(st.st_mode) ? (long long)st.st_mtim.tv_sec : 0LL,
		 S_ISREG(st.st_mode) ? st.st_mtim.tv_nsec : 0L);
	return 0;
}

static int http_look(struct nbd_source *source, bool *ret_ranges)
{
	struct image_source *base = &source->source;
	struct nbd_http_head head = {.size_bytes = 0};
	int r = nbd_http_head(source, &head, &source->err);

	if (r < 0)
		return r;
	if (!head.has_size)
		return err_set(&source->err, -EOPNOTSUPP,
			       "%s: the server does not say how large it is: fetch it first, and "
			       "deploy the file",
			       source->text);
	*ret_ranges = head.ranges;
	if (head.size_bytes == 0)
		return err_set(&source->err, -ENODATA, "%s is empty", source->text);
	base->original_bytes = head.size_bytes;
	snprintf(base->identity, sizeof(base->identity), "%s", head.identity);
	return 0;
}

static bool is_raw(const struct nbd_source *source)
{
	return source->ask.original || strcmp(source->format, "raw") == 0;
}

/* --- What it is read through
 * ------------------------------------------------------------------------- */

/* All of it is brought here, and read by qemu. */
static int plan_staged(struct nbd_source *source, struct nbd_stream *stream,
		       struct nbd_place *ret_place)
{
	int r = nbd_stage(source, stream);

	if (r == 0)
		r = format_find(source, source->staged);
	return r < 0 ? r : qemu_start(source, NULL, &ret_place->socket);
}

/* From a server that sends files only as a whole. */
static int plan_stream(struct nbd_source *source, struct nbd_place *ret_place)
{
	struct nbd_stream *stream = NULL;
	int r = nbd_stream_open(source, &stream);

	if (r == 0 && source->staging && source->format[0] == '\0' && !source->ask.original)
		r = head_judge(source, stream);
	if (r == 0 && is_raw(source)) {
		atomic_store(&source->source.access, IMAGE_SEQUENTIAL);
		source->stream = stream;
		return 0;
	}
	if (r == 0)
		r = plan_staged(source, stream, ret_place);
	nbd_stream_close(stream);
	return r;
}

/* One reading is enough for its digest, too, if it is brought here first, and nobody loses by it.
 */
static bool staging_wanted(struct nbd_source *source)
{
	return source->ask.sum && source->ask.late && source->staging && !is_raw(source) &&
	       nbd_stage_room(source, NULL) == 0;
}

/*
 * Nothing is read ahead of what is raw: it is asked for in pieces that are large enough, each once.
 * Where the format is not known it is, since most have one: what qemu-img looks at is there for
 * qemu-nbd then, and only for a raw one nbdkit starts anew.
 */
static int plan_http(struct nbd_source *source, struct nbd_place *ret_place)
{
	const bool unknown = source->format[0] == '\0' && !source->ask.original;
	const bool ahead = !is_raw(source) && child_sandbox_scratch();
	CLEANUP_FREE char *original = NULL;
	CLEANUP_FREE char *uri = NULL;
	int r;

	if (!unknown && staging_wanted(source))
		return plan_stream(source, ret_place);
	r = nbdkit_start(source, ahead, &original);
	if (r < 0)
		return r;
	uri = xasprintf("nbd+unix:///?socket=%s", original);
	if (unknown)
		r = format_find(source, uri);
	if (r < 0)
		return r;
	if (is_raw(source) && !ahead) {
		ret_place->socket = xstrdup(original);
		return 0;
	}
	if (!is_raw(source) && !(unknown && staging_wanted(source)))
		return qemu_start(source, original, &ret_place->socket);
	child_stop(&source->children[--source->child_count]);
	return is_raw(source) ? nbdkit_start(source, false, &ret_place->socket)
			      : plan_stream(source, ret_place);
}

static int plan_file(struct nbd_source *source, struct nbd_place *ret_place)
{
	int r = 0;

	if (source->format[0] == '\0' && !source->ask.original)
		r = format_find(source, source->text);
	if (r < 0)
		return r;
	return is_raw(source) ? nbdkit_start(source, false, &ret_place->socket)
			      : qemu_start(source, NULL, &ret_place->socket);
}

int nbd_plan(struct nbd_source *source, struct nbd_place *ret_place)
{
	const bool http = is_http(source->text);
	bool ranges = false;
	int r;

	if (is_nbd(source->text)) {
		ret_place->uri = xstrdup(source->text);
		free(source->format);
		source->format = xstrdup("raw");
		return 0;
	}
	if (!http && source->text[0] != '/')
		return err_set(&source->err, -EINVAL,
			       "\"%s\" is no source: give a path, http://, https:// or nbd://",
			       source->text);
	r = http ? http_look(source, &ranges) : file_look(source);
	if (r < 0 || source->ask.look)
		return r;
	if (!http)
		return plan_file(source, ret_place);
	return ranges ? plan_http(source, ret_place) : plan_stream(source, ret_place);
}

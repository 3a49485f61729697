/* SPDX-License-Identifier: Apache-2.0 */
/* Default places, by the XDG base directory rules for ordinary users. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <quoin/api_paths.h>
#include <quoin/base_text.h>

const char *api_version(void)
{
	return QUOIN_VERSION;
}

/* An absolute path from the environment, or NULL: relative ones are to be ignored. */
static const char *environment_path(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] == '/' ? value : NULL;
}

int api_state_dir_default(char **ret, struct err *err)
{
	const char *state = environment_path("XDG_STATE_HOME");
	const char *home = environment_path("HOME");

	if (geteuid() == 0)
		*ret = xstrdup("/var/lib/quoin");
	else if (state)
		*ret = xasprintf("%s/quoin", state);
	else if (home)
		*ret = xasprintf("%s/.local/state/quoin", home);
	else
		return err_set(err, -ENOENT,
			       "no place for the state: set HOME or give --state-dir");
	return 0;
}

/*
 * /tmp is everybody's: what is there must be ours alone, or it may be a trap. It is made here, for
 * what is not there yet somebody else could make between this look and its use; what is ours
 * nobody else can move (/tmp is sticky).
 */
static int private_directory(const char *path, struct err *err)
{
	struct stat st;

	if ((mkdir(path, 0700) < 0 && errno != EEXIST) || lstat(path, &st) < 0)
		return err_set(err, -errno, "cannot make %s: %s; give --socket", path,
			       strerror(errno));
	if (S_ISDIR(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 077) == 0)
		return 0;
	return err_set(err, -EPERM,
		       "%s is not a private directory of this user: remove it, or give --socket",
		       path);
}

int api_socket_default(char **ret, struct err *err)
{
	const char *runtime = environment_path("XDG_RUNTIME_DIR");
	CLEANUP_FREE char *fallback = NULL;
	int r;

	if (geteuid() == 0) {
		*ret = xstrdup("/run/quoin/quoind.sock");
		return 0;
	}
	if (runtime) {
		*ret = xasprintf("%s/quoin/quoind.sock", runtime);
		return 0;
	}
	fallback = xasprintf("/tmp/quoin-%u", geteuid());
	r = private_directory(fallback, err);
	if (r == 0)
		*ret = xasprintf("%s/quoind.sock", fallback);
	return r;
}

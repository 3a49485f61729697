# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the scripts share: messages, the cache directory, a lock, clean-up.
# Sourced, never run.  Messages go to stderr, so that stdout can carry a result.

quoin_name=${0##*/}

say() { printf '%s: %s\n' "$quoin_name" "$*" >&2; }
die() { say "$*"; exit 1; }

# Where everything fetched or built outside the repository lives.
quoin_cache_dir() {
	if [ -n "${QUOIN_CACHE:-}" ]; then
		printf '%s\n' "$QUOIN_CACHE"
	else
		printf '%s\n' "${XDG_CACHE_HOME:-${HOME:?HOME is not set; set QUOIN_CACHE instead}/.cache}/quoin"
	fi
}

# need PROGRAM PACKAGE: a clear word about a missing program.  Programs of the
# administrator are found even when they are not in an ordinary user's path.
PATH=$PATH:/usr/sbin:/sbin
need() {
	command -v "$1" >/dev/null 2>&1 ||
		die "$1 is missing: install the Debian package '$2' (scripts/install-deps does)"
}

# hash_of FILE...: one short name for the content of these files.
hash_of() { cat -- "$@" | sha256sum | cut -c 1-16; }

# lock_dir DIR: one script at a time works on DIR; held until the script ends.
lock_dir() {
	mkdir -p "$(dirname "$1")"
	exec 9>"$1.lock"
	flock -n 9 || { say "waiting for another run to finish with $1"; flock 9; }
}

# publish TEMPORARY FINAL: put a finished directory in its place.
publish() {
	rm -rf "$2"
	mv -T "$1" "$2"
}

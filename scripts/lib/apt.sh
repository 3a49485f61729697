# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Debian packages of any suite, fetched without touching the system: an apt with its
# own sources, lists, cache and (empty) package status, in a directory of its own.
# Works as an ordinary user and alike on Debian 12 and 13.  The host's proxy and
# credential settings are kept; signatures are checked with the host's Debian keys.
# Sourced after common.sh.

# debian_mirror: the mirror this machine uses.
debian_mirror() {
	local found=
	if [ -n "${QUOIN_DEBIAN_MIRROR:-}" ]; then
		printf '%s\n' "$QUOIN_DEBIAN_MIRROR"
		return
	fi
	# shellcheck disable=SC2016 # apt expands these, not the shell.
	found=$(apt-get indextargets --format '$(ORIGIN) $(CREATED_BY) $(COMPONENT) $(REPO_URI)' 2>/dev/null |
		awk '$1 == "Debian" && $2 == "Packages" && $3 == "main" && $4 !~ /security/ {print $4; exit}') || :
	if [ -z "$found" ]; then # No lists fetched yet: the sources themselves.
		found=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list \
			/etc/apt/sources.list.d/*.sources 2>/dev/null |
			grep -v '^ *#' | grep -oE '(https?|file|mirror)[^ ]*://?[^ ]*/debian/?( |$)' | head -n 1 | tr -d ' ') || :
	fi
	[ -n "$found" ] || die "apt knows no Debian archive: add one, or name it in QUOIN_DEBIAN_MIRROR"
	printf '%s\n' "$found"
}

# private_apt_open DIR SUITE...: prepares DIR and fetches the lists of the suites.
private_apt_open() {
	local dir=$1 keyring=/usr/share/keyrings/debian-archive-keyring.gpg mirror suite
	shift
	need apt-get apt
	need dpkg-deb dpkg
	[ "$(dpkg --print-architecture)" = amd64 ] || die "only amd64 machines can fetch these packages"
	[ -e "$keyring" ] || keyring=/usr/share/keyrings/debian-archive-keyring.pgp
	[ -e "$keyring" ] || die "no Debian archive keys: install the package 'debian-archive-keyring'"
	mirror=$(debian_mirror) || exit 1
	mkdir -p "$dir"/{parts,state/lists/partial,cache/archives/partial}
	: >"$dir/status"
	for suite; do echo "deb [signed-by=$keyring arch=amd64] $mirror $suite main"; done >"$dir/sources.list"
	cat >"$dir/apt.conf" <<EOF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
#clear Acquire::IndexTargets::deb::DEP-11;
Dir::Etc::SourceList "$dir/sources.list";
Dir::Etc::SourceParts "$dir/parts";
Dir::Etc::Preferences "$dir/preferences";
Dir::Etc::PreferencesParts "$dir/parts";
Dir::State "$dir/state";
Dir::State::status "$dir/status";
Dir::Cache "$dir/cache";
Dir::Cache::archives "archives/";
APT::Architecture "amd64";
APT::Architectures { "amd64"; };
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Sandbox::User "root";
APT::Get::List-Cleanup "false";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
EOF
	private_apt_dir=$dir
	if ! private_apt apt-get -qq update -o APT::Update::Error-Mode=any >"$dir/log" 2>&1; then
		sed 's/^/    /' "$dir/log" >&2
		die "apt cannot reach Debian's packages at $mirror ($*): check the network, or name" \
			"another mirror in QUOIN_DEBIAN_MIRROR"
	fi
}

# private_apt PROGRAM ARGUMENTS: apt-get or apt-cache with the private state.
private_apt() {
	local program=$1
	shift
	LC_ALL=C "$program" -c "$private_apt_dir/apt.conf" "$@"
}

# private_apt_fetch [-t SUITE] PACKAGE...: the packages with all they depend on.
private_apt_fetch() {
	private_apt apt-get -qq -y --download-only install "$@" >"$private_apt_dir/log" 2>&1 || {
		sed 's/^/    /' "$private_apt_dir/log" >&2
		die "apt could not fetch: $*"
	}
}

# private_apt_unpack ROOT: unpacks what was fetched; no package script runs.
private_apt_unpack() {
	local deb
	mkdir -p "$1"
	for deb in "$private_apt_dir"/cache/archives/*.deb; do dpkg-deb -x "$deb" "$1"; done
}

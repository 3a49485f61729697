# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the guest tests share: a daemon with a state directory of its own, disks, virtual machines.
#
# A test sources this file, calls test_begin (or guest_begin, when it needs no daemon here), makes disks with disk_create, prepares a job for the
# guest (a script of jobs/, run by the initial RAM disk), starts machines, and ends with test_end.
# Whatever goes wrong ends the test with `fail`, which shows the consoles' last lines.
#
# Environment (set by meson): QUOIND, QUOIN = the programs.
# QUOIN_GUEST_REFERENCE=1 puts QEMU's own NVMe controller in Quoin's place, to see whether a job
# fails for a reason that lies in the guest; tests of Quoin's live verbs are then skipped.
# QUOIN_TIMEOUT_MULTIPLIER (default 2) stretches all time limits; alone on two cores 1 is enough.
# QUOIN_GUEST_KEEP_GOING=1 lets a job go on after a failure, to see all of them.

set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
top=$(realpath "$here/../..")
reference=${QUOIN_GUEST_REFERENCE:-}
patience=${QUOIN_TIMEOUT_MULTIPLIER:-2}
work=
daemon=
machines=()
smp=2 # Virtual CPUs of the next machine.
PATH=$PATH:/usr/sbin:/sbin

log() { printf '[%3d s] %s\n' "$SECONDS" "$*"; }
skip() {
	echo "SKIP: $*"
	exit 77
}
fail() {
	local console
	echo "FAILED: $*"
	for console in "$work"/*.console; do
		[ -e "$console" ] || continue
		echo "--- the last lines of ${console##*/}:"
		tail -n 60 "$console" | tr -d '\r'
	done
	[ ! -e "$work/quoind.log" ] || {
		echo "--- the last lines of quoind's log:"
		tail -n 20 "$work/quoind.log"
	}
	exit 1
}

cleanup() {
	local pid
	for pid in "${machines[@]}" $daemon; do
		kill -KILL "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
	done
	[ -z "$work" ] || rm -rf "$work"
}

# guest_begin KERNEL: fetches what the test needs, or skips it.
guest_begin() {
	local message
	work=$(mktemp -d "${TMPDIR:-/tmp}/quoin-guest.XXXXXX")
	trap cleanup EXIT
	trap 'exit 130' INT TERM
	message=$work/message
	qemu=$("$top/scripts/get-qemu" 2>"$message") || skip "no QEMU: $(tail -n 1 "$message")"
	guest=$("$top/scripts/make-guest" "$1" 2>"$message") || skip "no guest: $(tail -n 1 "$message")"
	log "Linux $(cat "$guest/version")"
}

# test_begin KERNEL: the same, and starts the daemon.
test_begin() {
	guest_begin "$1"
	[ -n "$reference" ] || { : "${QUOIND:?is not set: run this through meson}" "${QUOIN:?is not set}" && daemon_start; }
}

test_end() {
	[ -z "$daemon" ] || {
		kill -0 "$daemon" 2>/dev/null || fail "quoind is gone"
		kill -TERM "$daemon"
		wait "$daemon" || fail "quoind left with exit code $?"
		daemon=
	}
	log "passed"
}

# -- The daemon and its targets ------------------------------------------------------------------

daemon_start() {
	local tries=100
	"$QUOIND" --state-dir "$work/state" --socket "$work/quoind.sock" \
		>"$work/quoind.log" 2>&1 &
	daemon=$!
	until quoin target list >/dev/null 2>&1; do
		kill -0 "$daemon" 2>/dev/null || fail "quoind did not start"
		tries=$((tries - 1))
		[ $tries -gt 0 ] || fail "quoind does not answer"
		sleep 0.1
	done
}

quoin() { "$QUOIN" "$1" "$2" --socket "$work/quoind.sock" "${@:3}"; }

# disk_create NAME SIZE [OPTION...]: a file and a target on it.
disk_create() {
	local name=$1
	truncate -s "$2" "$work/$name.raw"
	shift 2
	target_create "$name" "$@"
}

target_create() { # NAME [OPTION...]: on $work/NAME.raw
	local name=$1
	shift
	[ -n "$reference" ] || quoin target create "$name" --transport vfio-user \
		--listen "$work/$name.sock" "$@" "file:$work/$name.raw" >/dev/null ||
		fail "cannot create target $name"
}

# pool_create NAME SIZE WORD...: a pool; words that are not "mirror" name its files of that size.
pool_create() {
	local name=$1 size=$2 word words=()
	shift 2
	for word; do
		if [ "$word" = mirror ]; then
			words+=("$word")
		else
			truncate -s "$size" "$work/$word.drive"
			words+=("$work/$word.drive")
		fi
	done
	quoin pool create "$name" "${words[@]}" >/dev/null || fail "cannot create pool $name"
}

# volume_target NAME VOLUME: a target on a volume of a pool.
volume_target() {
	quoin target create "$1" --listen "$work/$1.sock" "$2" >/dev/null || fail "cannot create target $1"
}

# -- Virtual machines ----------------------------------------------------------------------------

# job_prepare JOB [fio | PROGRAM...]: $initrd runs this script of jobs/ in the guest, which finds
# these programs of this machine in its path.
job_prepare() {
	local part archives=("$guest/initrd")
	part=$(mktemp -d "$work/job.XXXX")
	install -m 755 "$here/jobs/$1" "$part/job"
	install -m 644 "$here/jobs/common" "$part/common"
	[ $# -lt 2 ] || [ "$2" = fio ] || "$top/scripts/make-guest" --copy "$part" "${@:2}"
	"$top/scripts/make-guest" --pack "$part" >"$part.cpio"
	[ "${2:-}" != fio ] || archives+=("$guest/fio.cpio")
	initrd=$work/$1.initrd
	cat "${archives[@]}" "$part.cpio" >"$initrd"
}

# disk_arguments NAME INDEX: how QEMU attaches the disk; the result is in $disk.
disk_arguments() {
	if [ -n "$reference" ]; then
		disk=(-drive "if=none,id=$1,format=raw,file=$work/$1.raw,discard=unmap,detect-zeroes=unmap"
			-device "nvme,id=c$2,serial=$1" -device "nvme-ns,bus=c$2,drive=$1,uuid=auto,bootindex=$2")
	else
		disk=(-device '{"driver":"vfio-user-pci","socket":{"path":"'"$work/$1.sock"'","type":"unix"},"bootindex":'"$2"'}')
	fi
}

# vm_start NAME DISKS [OPTION...]: a machine with these disks (names separated by commas); its
# console is $work/NAME.console.  Guest memory must be shared: the daemon maps it.
vm_start() {
	local name=$1 names=$2 index=1 one arguments=()
	shift 2
	for one in ${names//,/ }; do
		disk_arguments "$one" $((index++))
		arguments+=("${disk[@]}")
	done
	"$qemu/bin/qemu-system-x86_64" -M q35,accel=tcg,memory-backend=mem0 -cpu max -smp "$smp" \
		-m 768 -object memory-backend-memfd,id=mem0,size=768M,share=on \
		-nodefaults -no-user-config -display none -serial "file:$work/$name.console" \
		"${arguments[@]}" "$@" >"$work/$name.qemu" 2>&1 </dev/null &
	vm=$!
	machines+=("$vm")
}

# vm_start_job NAME DISKS [KERNEL-PARAMETERS [OPTION...]]: a machine that runs $initrd's job.
# An emulated CPU on a busy machine may fail the kernel's test of its timer: it is left out.
vm_start_job() {
	local name=$1 names=$2 parameters=${3:-}
	shift 2
	[ $# = 0 ] || shift
	vm_start "$name" "$names" -kernel "$guest/vmlinuz" -initrd "$initrd" \
		-append "console=ttyS0,115200 quiet panic=-1 edd=off no_timer_check ${QUOIN_GUEST_KEEP_GOING:+quoin.keep_going} $parameters" "$@"
}

# console_wait NAME TEXT SECONDS: until the console shows TEXT.
console_wait() {
	local end=$((SECONDS + $3 * patience))
	until grep -qF -- "$2" "$work/$1.console" 2>/dev/null; do
		kill -0 "$vm" 2>/dev/null || fail "$1: the machine ended before it said \"$2\": $(tail -n 3 "$work/$1.qemu")"
		[ $SECONDS -lt $end ] || fail "$1: no \"$2\" within $(($3 * patience)) s"
		sleep 0.2
	done
}

# vm_wait NAME SECONDS: until the machine is switched off.
vm_wait() {
	local end=$((SECONDS + $2 * patience))
	while kill -0 "$vm" 2>/dev/null; do
		[ $SECONDS -lt $end ] || fail "$1: not finished within $(($2 * patience)) s"
		sleep 0.2
	done
	wait "$vm" || fail "$1: QEMU left with exit code $?: $(tail -n 3 "$work/$1.qemu")"
}

# vm_end NAME SECONDS: until the job has ended well, whatever the guest's kernel says.
vm_end() {
	vm_wait "$@"
	tr -d '\r' <"$work/$1.console" | grep -E '^(GUEST-UP|ok |note |FAILED)' || :
	grep -q 'GUEST-EXIT:0 ' "$work/$1.console" || fail "$1: the job failed"
}

# vm_finish NAME SECONDS: the same, and the guest's kernel complains of nothing.
vm_finish() {
	vm_end "$@"
	! grep -E 'nvme.*(timeout|abort|controller is down|I/O error)|Oops|BUG:|Call Trace' "$work/$1.console" ||
		fail "$1: the guest's kernel complains"
}

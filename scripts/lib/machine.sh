# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# A virtual machine that boots by UEFI from a Quoin disk (CPU emulated), with a serial console that
# is read and typed into.  Sourced after common.sh; wants $work, a directory, and $qemu, of get-qemu.
#
# Of a machine NAME, $work/NAME.console is what it said, and what is written into $work/NAME.keys is
# typed; $work/NAME.qemu has QEMU's own words.  One at a time: its process is $machine.

machine=
machine_turn=0

# machine_start NAME SOCKET: in a process group of its own.
machine_start() {
	cp "$qemu/firmware/OVMF_VARS_4M.fd" "$work/$1.vars"
	rm -f "$work/$1.keys"
	mkfifo "$work/$1.keys"
	: >"$work/$1.console"
	set -m
	# Guest memory must be shared (share=on): quoind maps it.  The FIFO is opened both ways, so that it
	# never ends.
	"$qemu/bin/qemu-system-x86_64" -M q35,accel=tcg,memory-backend=mem0 -cpu max -smp 2 \
		-m 512 -object memory-backend-memfd,id=mem0,size=512M,share=on -nodefaults -no-user-config \
		-display none -chardev stdio,id=console,signal=off -serial chardev:console \
		-drive "if=pflash,format=raw,readonly=on,file=$qemu/firmware/OVMF_CODE_4M.fd" \
		-drive "if=pflash,format=raw,file=$work/$1.vars" \
		-device '{"driver":"vfio-user-pci","socket":{"path":"'"$2"'","type":"unix"},"bootindex":1}' \
		<>"$work/$1.keys" >"$work/$1.console" 2>"$work/$1.qemu" &
	machine=$!
	set +m
}

machine_runs() { [ -n "$machine" ] && kill -0 "$machine" 2>/dev/null; }

# machine_says NAME SECONDS REGEX: until its console shows that.  Fails when it ends, or takes longer.
machine_says() {
	local end=$((SECONDS + $2))
	until grep -qaE -- "$3" "$work/$1.console"; do
		machine_runs && [ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

machine_type() { printf '%s\n' "$2" >"$work/$1.keys"; } # NAME LINE

# machine_run NAME SECONDS COMMAND: types it at the shell's prompt; fails when it does.  What the
# console shows of the typing has quotation marks in it, so only the outcome is found.
machine_run() {
	machine_turn=$((machine_turn + 1))
	machine_type "$1" "$3; echo \"ended\"-$machine_turn \$?"
	machine_says "$1" "$2" "ended-$machine_turn [0-9]" && grep -qa "ended-$machine_turn 0" "$work/$1.console"
}

# machine_ends SECONDS: until it has switched itself off.
machine_ends() {
	local end=$((SECONDS + $1))
	while machine_runs; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
	wait "$machine" 2>/dev/null || return 1
	machine=
}

machine_stop() {
	[ -n "$machine" ] || return 0
	kill -KILL -- "-$machine" 2>/dev/null || :
	wait "$machine" 2>/dev/null || :
	machine=
}

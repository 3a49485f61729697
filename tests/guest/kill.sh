#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kill.sh KERNEL TIMES: QEMU dies in the midst of I/O, so many times; the next QEMU on the same socket
# finds every block that was told to be on the disk.
# shellcheck source=tests/guest/lib.sh
. "$(dirname "$0")/lib.sh"
test_begin "$1"
disk_create disk 128M
job_prepare write-until-killed fio
writer=$initrd
for round in $(seq "$2"); do
	initrd=$writer
	vm_start_job "writer$round" disk
	console_wait "writer$round" "WROTE $((10 * round))" 60
	kill -KILL "$vm"
	{ wait "$vm" || :; } 2>/dev/null
	blocks=$(tr -d '\r' <"$work/writer$round.console" | grep -c '^WROTE [0-9]*$' || :)
	log "killed after $blocks blocks"
done
job_prepare read-after-kill fio
vm_start_job reader disk "quoin.blocks=$blocks"
vm_finish reader 60
test_end

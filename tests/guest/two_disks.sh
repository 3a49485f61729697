#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# two_disks.sh KERNEL alike|modes: two targets in one machine.
#   alike  both as usual
#   modes  as modes.sh has them: the first is mapped, the second small
# shellcheck source=tests/guest/lib.sh
. "$(dirname "$0")/lib.sh"
one=()
two=()
if [ "$2" = modes ]; then
	[ -z "$reference" ] || skip "QEMU's controller has no such modes"
	one=(--doorbells mapped)
	two=(--queues 1 --queue-entries 8 --block-size 4096)
fi
test_begin "$1"
disk_create one 64M "${one[@]}"
disk_create two 64M "${two[@]}"
job_prepare two-disks fio
vm_start_job vm one,two
vm_finish vm 120
test_end

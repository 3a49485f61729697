#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# inside.sh KERNEL PROGRAM...: the other way round: these tests and quoind run in the guest, to see
# Quoin's use of io_uring, files and block devices on that kernel. The guest's disks are QEMU's
# own, with discard and zeroes: two raw ones in the place of files, one for ext4, one of 4 KiB blocks.
# In the end the first one is a drive of a pool, whose S.M.A.R.T. values are read.
# shellcheck source=tests/guest/lib.sh
. "$(dirname "$0")/lib.sh"
guest_begin "$1"
options=(-device "nvme,id=disks,serial=disks")
disk_attach() { # NAME SIZE [OPTION]: the next namespace
	truncate -s "$2" "$work/$1.raw"
	options+=(-drive "if=none,id=$1,format=raw,file=$work/$1.raw,discard=unmap,cache=unsafe"
		-device "nvme-ns,bus=disks,drive=$1${3:+,$3}")
}
disk_attach one 64M
disk_attach two 16M
disk_attach ext4 512M
disk_attach large 16M logical_block_size=4096,physical_block_size=4096
job_prepare inside "$QUOIND" "$QUOIN" "${@:2}"
vm_start_job vm "" "" "${options[@]}"
vm_finish vm 100
test_end

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# storage.sh KERNEL: partitions, ext4 and xfs, fio with verification, discard.
# shellcheck source=tests/guest/lib.sh
. "$(dirname "$0")/lib.sh"
test_begin "$1"
disk_create disk 1G
job_prepare storage fio
vm_start_job vm disk
vm_finish vm 150
test_end

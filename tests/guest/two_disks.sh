#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# two_disks.sh KERNEL: two targets in one machine.
# shellcheck source=tests/guest/lib.sh
. "$(dirname "$0")/lib.sh"
test_begin "$1"
disk_create one 64M
disk_create two 64M
job_prepare two-disks fio
vm_start_job vm one,two
vm_finish vm 60
test_end

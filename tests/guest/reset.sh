#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# reset.sh KERNEL: controller and function level resets under verified load.
# shellcheck source=tests/guest/lib.sh
. "$(dirname "$0")/lib.sh"
test_begin "$1"
disk_create disk 64M
job_prepare reset fio
vm_start_job vm disk
vm_finish vm 120
test_end

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# nvme_cli.sh KERNEL: the administrator's commands.
# shellcheck source=tests/guest/lib.sh
. "$(dirname "$0")/lib.sh"
test_begin "$1"
disk_create disk 128M
job_prepare nvme-cli
vm_start_job vm disk
vm_finish vm 90
test_end

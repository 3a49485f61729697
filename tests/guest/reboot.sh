#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# reboot.sh KERNEL BOOTS: so many on one disk, one target, one QEMU.
# shellcheck source=tests/guest/lib.sh
. "$(dirname "$0")/lib.sh"
test_begin "$1"
smp=1 # Starts sooner.
disk_create disk 64M
job_prepare reboot
vm_start_job vm disk "quoin.boots=$2"
vm_finish vm 120
[ "$(grep -c GUEST-UP "$work/vm.console")" = "$2" ] || fail "not $2 boots"
test_end

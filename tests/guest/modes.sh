#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# modes.sh KERNEL intx|mapped|small: the ways a guest and a target may differ from the usual.
#   intx    the guest uses neither MSI-X nor MSI
#   mapped  the doorbells are a shared page that the daemon polls
#   small   one queue of few entries, blocks of 4 KiB
# shellcheck source=tests/guest/lib.sh
. "$(dirname "$0")/lib.sh"
parameters=
options=()
case $2 in
intx) parameters="pci=nomsi" ;;
mapped) options=(--doorbells mapped) ;;
small) options=(--queues 1 --queue-entries 8 --block-size 4096) ;;
*) fail "unknown mode $2" ;;
esac
[ -z "$reference" ] || [ "$2" = intx ] || skip "QEMU's controller has no such mode"
test_begin "$1"
disk_create disk 64M "${options[@]}"
job_prepare verify fio
vm_start_job vm disk "$parameters"
vm_finish vm 60
case $2 in
intx)
	! grep -E '^note .*MSI' "$work/vm.console" || fail "the guest used MSI"
	# Some 5000 commands. The client lowers the line when the guest next touches the BAR, so how many
	# interrupts each brings depends on its speed: 16,000 to 64,000 seen; a line that stays up brought
	# 480,000 to 900,000.
	count=$(awk '/^note .*IO-APIC/ {print $3 + $4}' "$work/vm.console")
	[[ ${count:-0} -gt 0 && $count -lt 250000 ]] || fail "${count:-no} interrupts"
	;;
esac
test_end

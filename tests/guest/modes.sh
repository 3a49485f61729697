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
	grep -qE '^note .*IO-APIC' "$work/vm.console" || fail "the guest used no interrupt line"
	# The client lowers the line when the guest next touches the BAR, so how many interrupts a command
	# brings depends on the client's speed. Once all is taken, the line must be down.
	idle=$(awk '/^note idle interrupts/ {print $4 + 0}' "$work/vm.console")
	[[ -n $idle && $idle -lt 100 ]] || fail "${idle:-no count of} interrupts while idle"
	;;
esac
test_end

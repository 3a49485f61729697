#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# boot.sh uefi|bios: firmware starts a system from the disk (scripts/make-image probe).
# shellcheck source=tests/guest/lib.sh
. "$(dirname "$0")/lib.sh"
test_begin debian12
smp=1 # Starts sooner.
image=$("$top/scripts/make-image" probe 2>"$work/message") || skip "no image: $(tail -n 1 "$work/message")"
cp --sparse=always "$image" "$work/disk.raw"
target_create disk
case $1 in
uefi)
	cp "$qemu/firmware/OVMF_VARS_4M.fd" "$work/vars.fd"
	vm_start vm disk -drive "if=pflash,format=raw,readonly=on,file=$qemu/firmware/OVMF_CODE_4M.fd" \
		-drive "if=pflash,format=raw,file=$work/vars.fd"
	vm_wait vm 90
	;;
bios)
	vm_start vm disk
	vm_wait vm 30
	;;
esac
grep -a '^QUOIN-' "$work/vm.console" || :
grep -qa "^QUOIN-${1^^} PASSED" "$work/vm.console" || fail "the system on the disk did not pass"
test_end

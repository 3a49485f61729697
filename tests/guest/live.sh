#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# live.sh KERNEL: a namespace grows, another is attached and detached, while the guest runs.
# shellcheck source=tests/guest/lib.sh
. "$(dirname "$0")/lib.sh"
[ -z "$reference" ] || skip "QEMU's controller has no such verbs"
test_begin "$1"
disk_create disk 64M
truncate -s 32M "$work/second.raw"
job_prepare live fio
vm_start_job vm disk
console_wait vm "SYNC grow" 60
quoin target resize disk 1 256M || fail "resize refused"
console_wait vm "SYNC attach" 60
quoin target attach disk "file:$work/second.raw" || fail "attach refused"
console_wait vm "SYNC detach" 60
quoin target detach disk 2 || fail "detach refused"
console_wait vm "SYNC again" 60
quoin target attach disk "file:$work/second.raw" || fail "second attach refused"
console_wait vm "SYNC outside" 60
truncate -s 384M "$work/disk.raw"
quoin target rescan disk 1 || fail "rescan refused"
vm_finish vm 60
[ "$(stat -c %s "$work/disk.raw")" = $((384 << 20)) ] || fail "the file did not grow"
test_end

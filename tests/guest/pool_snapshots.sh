#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# pool_snapshots.sh KERNEL: a system on a volume of a mirror; a snapshot under load, a live resize,
# rollback, and a clone that runs beside its origin.
# shellcheck source=tests/guest/lib.sh
. "$(dirname "$0")/lib.sh"
[ -z "$reference" ] || skip "QEMU's controller has no pools"
test_begin "$1"
pool_create tank 384M mirror a b
quoin volume create tank/os --size 192M || fail "no volume"
volume_target os tank/os

job_prepare pool-install
vm_start_job install os
console_wait install "SYNC snapshot" 60
quoin volume snapshot tank/os@installed || fail "no snapshot under load"
quoin volume resize tank/os 224M || fail "resize refused"
vm_finish install 60

quoin target destroy os || fail "the target cannot be destroyed"
quoin volume rollback tank/os@installed || fail "rollback refused"
quoin volume clone tank/os@installed tank/copy || fail "clone refused"
volume_target os tank/os
volume_target copy tank/copy
job_prepare pool-verify
vm_start_job origin os "quoin.name=origin"
first=$vm
vm_start_job clone copy "quoin.name=clone"
vm_finish clone 90
vm=$first
vm_finish origin 90

quoin target destroy os
quoin volume rollback tank/os@installed || fail "second rollback refused"
quoin pool status tank
quoin pool status tank | grep -q online || fail "the pool is not well"
test_end

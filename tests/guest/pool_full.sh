#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# pool_full.sh KERNEL: a guest fills the pool: it gets an error or is paused, as its volume says, and
# goes on when there is space.
# shellcheck source=tests/guest/lib.sh
. "$(dirname "$0")/lib.sh"
[ -z "$reference" ] || skip "QEMU's controller has no pools"
number() { # KEY NOUN NAME: of the JSON that tells about it
	quoin "$2" "$([ "$2" = pool ] && echo status || echo info)" "$3" --json |
		python3 -c 'import json, sys; print(int(json.load(sys.stdin)[sys.argv[1]]))' "$1"
}
test_begin "$1"
pool_create tank 128M a
quoin volume create tank/error --size 256M || fail "no volume"
quoin volume create tank/pause --size 24M --set full=pause || fail "no second volume"
volume_target error tank/error
volume_target pause tank/pause

job_prepare pool-full
vm_start_job vm error,pause
console_wait vm "SYNC snapshot" 60
quoin volume snapshot tank/error@old || fail "no snapshot"
quoin volume resize tank/error 260M || fail "no resize"
console_wait vm "SYNC free" 90
quoin pool status tank | sed 's/^/    /'
quoin snapshot destroy tank/error@old || fail "the snapshot of a full pool cannot be destroyed"

console_wait vm "SYNC second" 90
quoin volume snapshot tank/pause@old || fail "no second snapshot"
# As large as fits once the snapshot is gone, and no sooner.
available=$(number available_bytes pool tank)
log "$((available >> 20)) MiB are available"
quoin volume resize tank/pause "$((((available >> 20) + 12) << 20))" || fail "no second resize"
console_wait vm "SYNC paused" 60
tries=100
until [ "$(number paused volume tank/pause)" = 1 ]; do
	tries=$((tries - 1))
	[ $tries -gt 0 ] || fail "the volume did not pause"
	sleep 0.2
done
log "paused"
sleep 2
! grep -q "all writes went on" "$work/vm.console" || fail "it was not paused"
quoin snapshot destroy tank/pause@old || fail "the second snapshot cannot be destroyed"
vm_end vm 60
! grep -E 'nvme.*(timeout|controller is down)|Oops|BUG:|Call Trace' "$work/vm.console" ||
	fail "the guest's kernel complains"
test_end

#!/bin/bash
# The programs that can be stopped do what base/step.h says: otherwise the
# tests that use them would pass for nothing.
#
# Usage: steps.sh    (programs in $ULLAGE_BIN, those with steps in steps/)
set -Eeuo pipefail

: "${ULLAGE_BIN:?the folder of the built programs}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'echo "FAILED: line $LINENO"' ERR
cd "$work"
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0

# step WHAT STATUS STATE ARGS: with that ULLAGE_STEP it ends so.
step() {
	local status=0
	ULLAGE_STEP=$1 "$ULLAGE_BIN/steps/ullage" --state "$3" "${@:4}" \
		>out.txt 2>err.txt || status=$?
	[ "$status" = "$2" ] || {
		echo "ULLAGE_STEP=$1 ullage ${*:4} ended with $status: $(cat err.txt)"
		false
	}
}
field() { cut -f"$1" trace; }

# What makes no sense is said to.
for wrong in 1 1: 0:kill x:kill 1:none 1+kill; do
	step "$wrong" 2 state df
	[ ! -e state ]
done

# A trace: every step has its number, one after the other, and its path.
ULLAGE_STEP_TRACE=$work/trace step '' 0 state lease create a
steps=$(wc -l <trace)
[ "$steps" -gt 20 ]
diff <(field 1) <(seq "$steps")
[ "$(head -n 1 trace | cut -f4,5)" = "mkdir	state" ]
for call in mkdirat openat write fsync renameat sqlite-create sqlite-write \
	sqlite-sync; do
	grep -qx $call <(field 4)
done
grep -qxE "renameat	$work/state/store/\.store-id\.[0-9a-f]*\.tmp	$work/state/store/store-id" \
	<(field 4,5,6)
grep -qx "sqlite-write	$work/state/ullage.db-wal" <(field 4,5)

# Stopped before the first, nothing is there; at one past the last, all is.
step 1:kill 137 killed lease create a
[ ! -e killed ]
step $((steps + 1)):kill 0 killed2 lease create a
grep -q '^a ' <("$ULLAGE_BIN/ullage" --state killed2 lease list)

# Half of a write, then stopped; said to be short; refused.
rm trace
ULLAGE_STEP_TRACE=$work/trace step 1:torn 137 torn lease create a
torn=$(find torn/store -name '.oci-layout.*' -size -1024c -printf '%s\n')
[ "$torn" -gt 0 ]
[ "$torn" -lt "$(stat -c %s state/store/oci/oci-layout)" ]
step 1:short 0 short lease create a
cmp short/store/oci/oci-layout state/store/oci/oci-layout
step 1:EINTR 0 eintr lease create a
for errno in EIO ENOSPC EDQUOT; do
	step 1+:$errno 1 $errno lease create a
	[ -s err.txt ]
	[ ! -e $errno ]
done

# Threads are counted together: two runs that do the same have as many.
for run in 1 2; do
	ULLAGE_STEP_TRACE=$work/trace$run step '' 0 count$run \
		lease create a
done
[ "$(wc -l <trace1)" = "$(wc -l <trace2)" ]
echo "ok: $steps steps"

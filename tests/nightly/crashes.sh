#!/usr/bin/env bash
# Every command stopped and failed at every step that changes the disk, for a
# time, on all processors: all points in a random order, then pairs of stops.
#   crashes.sh SECONDS SEED    0 seconds: all of them (29,000, some two hours)
# The build is found in BUILD_DIR (build/release).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
seconds=${1:?for how long} seed=${2:?a seed}
parts=$(nproc)
jobs=()
for ((part = 1; part <= parts; part++)); do
	python3 "$root/tests/crash/crashes.py" \
		"${BUILD_DIR:-$root/build/release}/cli/steps" \
		"$root/tests/data/oci-samples.tar.zst" \
		--all --seconds "$seconds" --seed "$seed" --part "$part/$parts" &
	jobs+=($!)
done
status=0
for job in "${jobs[@]}"; do
	wait "$job" || status=1
done
exit $status

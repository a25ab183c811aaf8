#!/usr/bin/env bash
# Every command stopped and failed at every step that changes the disk, for a
# time: all points in a random order, then pairs of stops.
#   crashes.sh SECONDS SEED
# The build is found in BUILD_DIR (build/release).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
exec python3 "$root/tests/crash/crashes.py" \
	"${BUILD_DIR:-$root/build/release}/cli/steps" \
	"$root/tests/data/oci-samples.tar.zst" \
	--all --seconds "${1:?for how long}" --seed "${2:?a seed}"

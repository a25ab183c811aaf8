#!/bin/bash
# Ullage's numbers against du on many random stores.
#
#	truth.sh SEEDS FS [BUILD]
#
# SEEDS is FIRST-LAST; FS is ext4, xfs, btrfs or tmpfs; BUILD is the directory
# of the build (build/release). Needs root, jq and mkfs. TRUTH_DIR says where
# the file systems and stores that failed are put.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
build=${3:-$here/../../build/release}
ullage=$build/cli/ullage
store_maker=$build/tests/lib/store_maker
. "$here/../lib/truth.sh"

mapfile -t seeds < <(seq "${1%-*}" "${1#*-}")
truth_run "$2" "${seeds[@]}"
truth_end

#!/bin/bash
# A few random stores on every file system: what ullage says is what du says,
# and what it foretells comes back. tests/nightly/truth.sh does many.
#
# Usage: truth.sh STORE_MAKER
set -euo pipefail

ullage=$ULLAGE_BIN/ullage
store_maker=$1
. "$SOURCE/tests/lib/truth.sh"

truth_run ext4 1 2 3
truth_run ext4-1k 4
truth_run xfs 5 6
truth_run btrfs 7 8
truth_run tmpfs 9
truth_end

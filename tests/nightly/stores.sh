#!/usr/bin/env bash
# stores.sh FS SECONDS FIRST_SEED: truth.sh over ever new seeds until the time
# is up. BUILD_DIR is a build.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
fs=$1 seconds=$2 seed=$3
end=$((SECONDS + seconds)) stores=0 numbers=0 failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
while [ $SECONDS -lt $end ]; do
	"$here/truth.sh" "$seed-$((seed + 9))" "$fs" "$BUILD_DIR" >"$log" 2>&1 || {
		cat "$log"
		failed=1
	}
	# Its last line: "10 stores, 812 numbers compared, 0 stores failed"; none
	# where it was stopped by a failure of its own.
	read -r count _ compared _ < <(grep -E '^[0-9]+ stores, ' "$log" || echo 0 stores, 0)
	stores=$((stores + count)) numbers=$((numbers + compared)) seed=$((seed + 10))
done
echo "stores: $fs, seeds $3 to $((seed - 1)): $stores stores, $numbers numbers compared$([ $failed = 0 ] || echo ", FAILED")"
exit $failed

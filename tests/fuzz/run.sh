#!/usr/bin/env bash
# run.sh FUZZER ARGUMENT...: a libFuzzer program on its corpus, with its
# dictionary. New inputs go to a scratch directory; what makes the target fail
# is kept beside the program and named.
set -euo pipefail
fuzzer=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
parser=${fuzzer##*/fuzz_}
found=$fuzzer.found
base=${TMPDIR:-/dev/shm}
[ -w "$base" ] || base=/tmp
scratch=$(mktemp -d "$base/ullage-fuzz.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$found" "$scratch/corpus" "$scratch/tmp"
options=(-print_final_stats=1 -timeout=20 -rss_limit_mb=3000
	-artifact_prefix="$found/")
dict=$here/$parser.dict
[ -f "$dict" ] || dict=$here/json.dict
options+=(-dict="$dict")
if TMPDIR=$scratch/tmp "$fuzzer" "${options[@]}" "$@" "$scratch/corpus" \
	"$here/corpus/$parser" >"$fuzzer.log" 2>&1; then
	runs=$(awk '/number_of_executed_units/ { print $2 }' "$fuzzer.log")
	echo "fuzz: $parser, $runs executions, no finding"
	exit 0
fi
tail -n 60 "$fuzzer.log"
echo "fuzz: $parser FAILED; the input is kept:"
ls -1t "$found"/* 2>/dev/null | head -1
exit 1

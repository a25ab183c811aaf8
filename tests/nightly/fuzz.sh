#!/usr/bin/env bash
# fuzz.sh SECONDS [SEED]: every fuzzer of the fuzz preset for its share of the
# time, two at once. What makes one fail is kept beside the program and named.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=$1 seed=${2:-1}
mapfile -t fuzzers < <(find build/fuzz/tests/fuzz -maxdepth 1 -name 'fuzz_*' -type f -perm -u+x | sort)
[ ${#fuzzers[@]} -gt 0 ] || { echo "fuzz: nothing is built"; exit 1; }
share=$((seconds * 2 / ${#fuzzers[@]}))
[ "$share" -gt 0 ] || share=1
printf '%s\0' "${fuzzers[@]}" |
	xargs -0 -P 2 -I '{}' bash tests/fuzz/run.sh '{}' \
		-max_total_time="$share" -seed="$seed"

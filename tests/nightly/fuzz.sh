#!/usr/bin/env bash
# fuzz.sh SECONDS: every fuzzer of the fuzz preset for its share of the time.
# What crashes one is left in build/fuzz and named.
set -euo pipefail
cd "$(dirname "$0")/../.."
mapfile -t fuzzers < <(find build/fuzz/tests/fuzz -maxdepth 1 -name 'fuzz_*' -type f -perm -u+x | sort)
[ ${#fuzzers[@]} -gt 0 ] || { echo "fuzz: nothing is built"; exit 1; }
share=$(($1 / ${#fuzzers[@]}))
[ "$share" -gt 0 ] || share=1
status=0
for fuzzer in "${fuzzers[@]}"; do
	parser=${fuzzer##*/fuzz_}
	corpus=$(mktemp -d)
	log=build/fuzz/$parser.log
	if "$fuzzer" -max_total_time="$share" -print_final_stats=1 \
		-artifact_prefix="build/fuzz/$parser-" "$corpus" \
		"tests/fuzz/corpus/$parser" >"$log" 2>&1; then
		echo "fuzz: $parser, $share s, $(awk '/number_of_executed_units/ { print $2 }' "$log") executions, no finding"
	else
		tail -n 30 "$log"
		echo "fuzz: $parser FAILED; the input is in build/fuzz/$parser-*"
		status=1
	fi
	rm -rf "$corpus"
done
exit $status

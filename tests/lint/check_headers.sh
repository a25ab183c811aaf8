#!/usr/bin/env bash
# Every header compiles alone, as gcc and as clang understand the language.
# Exit status 1 where one does not.
#   check_headers.sh ROOT GENERATED [COMPILER ...]
set -euo pipefail
root=$1 generated=$2
shift 2
[ $# -gt 0 ] || set -- gcc clang
cd "$root"
mapfile -t headers < <(find base store accounting gc service cli -name '*.h' \
	2>/dev/null | LC_ALL=C sort)
status=0
for compiler; do
	for header in "${headers[@]}"; do
		# An object is declared too: a file of nothing is pedantic.
		printf '#include "%s"\nextern int alone;\n' "$header" |
			"$compiler" -std=gnu11 -fsyntax-only -Wall -Wextra \
				-Wpedantic -Werror -D_GNU_SOURCE \
				-D_FILE_OFFSET_BITS=64 -I. -I"$generated" \
				-Wno-gnu-statement-expression \
				-Wno-gnu-empty-initializer \
				-x c - || {
			echo "$header: does not compile alone ($compiler)"
			status=1
		}
	done
done
exit $status

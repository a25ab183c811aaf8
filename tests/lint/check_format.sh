#!/usr/bin/env bash
# Every source is as clang-format leaves it. Exit status 1 where one is not.
#   check_format.sh ROOT
set -euo pipefail
cd "$1"
{ find base store accounting gc service cli tests bench -name '*.[ch]' 2>/dev/null ||
	true; } | LC_ALL=C sort | xargs -r clang-format --dry-run -Werror

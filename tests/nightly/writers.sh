#!/usr/bin/env bash
# writers.sh SECONDS FIRST_SEED: real writers beside collections, on both kinds
# of store, then our own; a third of the time each.
set -euo pipefail
here=$(cd "$(dirname "$0")/../integration" && pwd)
seconds=$(($1 / 3)) status=0
export SOURCE=${here%/tests/integration}
bash "$here/writers.sh" embedded $seconds "$2" || status=1
bash "$here/writers.sh" oci $seconds "$2" || status=1
bash "$here/own_writers.sh" $seconds "$2" || status=1
exit $status

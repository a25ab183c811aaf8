# What the cli_*.sh tests share; sourced. Each keeps what its commands print
# in tests/golden/NAME.txt: UPDATE_GOLDEN=1 writes it anew, to be looked at.
# No pipefail: `... | grep -q` ends what writes to it.
set -u
: "${ULLAGE_BIN:?the folder of the built programs}"
: "${SOURCE:=$(cd "$(dirname "$0")/../.." && pwd)}"
: "${GOLDEN:=$SOURCE/tests/golden}"
export COLUMNS=80 LC_ALL=C.UTF-8 PATH="$ULLAGE_BIN:$PATH"
unset XDG_DATA_HOME

WORK=$(mktemp -d)
# What failed at the end of a pipe, in a shell of its own, has failed too.
# at_end: what a script has to take down first.
ended() {
	local status=$?
	eval "${at_end:-}"
	[ ! -e "$WORK/failed" ] || status=1
	rm -rf "$WORK"
	exit $status
}
trap ended EXIT
# No file of this machine.
export ULLAGE_STATE=$WORK/state ULLAGE_CONFIG=
mkdir "$ULLAGE_STATE"
failed=0

fail() {
	echo "FAILED: $*" >&2
	failed=1
	: >"$WORK/failed"
}

# Run it as a person would, and show what they would see.
ull() {
	local status
	echo "\$ ullage $*" | sed 's/\x1b/^[/g'
	ullage "$@" 2>&1 </dev/null
	status=$?
	[ $status -eq 0 ] || echo "[exit status $status]"
	echo
}

# What differs from run to run, or from one file system to the next.
steady() {
	sed -E "s,$WORK,WORK,g; s/\"([a-z_]+_unix_s)\":[1-9][0-9]*/\"\1\":N/g
		s/\"(allocated|unpacked)_bytes\":[0-9]+/\"\1_bytes\":N/g
		s/--as-of [0-9]{6,}/--as-of NOW/
		s/\(([0-9.]+ [kMG]?B)\) (is|are) now/(SIZE) \2 now/
		s/(^|[^0-9])[0-9.]+ [kMG]?B( to the trash)/\1SIZE\2/"
}

# golden_exact NAME: the same for what has every number pinned already.
golden_exact() {
	local file=$GOLDEN/$1.txt
	if [ -n "${UPDATE_GOLDEN:-}" ]; then
		cat >"$file"
		return
	fi
	diff -u "$file" - || fail "$1 prints something else"
}

# golden NAME: compare stdin with what was printed when somebody looked at it.
golden() {
	local file=$GOLDEN/$1.txt
	steady >"$WORK/printed"
	if [ -n "${UPDATE_GOLDEN:-}" ]; then
		cp "$WORK/printed" "$file"
		return
	fi
	diff -u "$file" "$WORK/printed" || fail "$1 prints something else"
}

# When the first of a list was made: the time that its table is seen at, so
# that a slow machine sees the same.
made() { # lease|snapshot
	ullage "$1" list --json | jq ".$1s[0].created_unix_s"
}

# One OCI archive in the samples, unpacked once a test.
sample() {
	tar --zstd -xf "$SOURCE/tests/data/oci-samples.tar.zst" -C "$WORK" "./$1"
	echo "$WORK/$1"
}

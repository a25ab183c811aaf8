#!/usr/bin/env bash
# The two programs: the light one loads no heavy library and finds the other.
. "$(dirname "$0")/cli_lib.sh"

# Sanitizers bring libraries of their own; none of these.
for library in libarchive libzstd libisal libcrypto; do
	ldd "$ULLAGE_BIN/ullage" | grep -q "$library" &&
		fail "ullage loads $library"
done
ldd "$ULLAGE_BIN/ullage-transfer" | grep -q libarchive ||
	fail "ullage-transfer does not load libarchive"

# Beside its own executable, whatever leads there.
archive=$(sample docker-save-three-images.tar)
mkdir "$WORK/bin" "$WORK/empty"
ln -s "$ULLAGE_BIN/ullage" "$WORK/bin/linked"
"$WORK/bin/linked" import --quiet "$archive" >/dev/null ||
	fail "ullage by a link does not find ullage-transfer"
ullage-transfer images --quiet | cmp -s - <(ullage images --quiet) ||
	fail "ullage-transfer has other images"
(cd "$WORK" && PATH=/usr/bin:/bin "$ULLAGE_BIN/ullage" help import) |
	grep -q '^Usage: ullage import' || fail "help import"

# Not there at all.
cp "$ULLAGE_BIN/ullage" "$WORK/empty/ullage"
if [ ! -e /usr/local/libexec/ullage/ullage-transfer ]; then
	"$WORK/empty/ullage" import "$archive" 2>"$WORK/said" &&
		fail "import without ullage-transfer"
	grep -q '^ullage: starting ullage-transfer: ' "$WORK/said" ||
		fail "without ullage-transfer: $(cat "$WORK/said")"
fi
"$WORK/empty/ullage" images --quiet >/dev/null ||
	fail "the rest does not work alone"
exit $failed

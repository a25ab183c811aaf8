#!/usr/bin/env bash
# What reports say where a manifest is missing or damaged: which, once, and
# what a person can do next; and that this helps.
. "$(dirname "$0")/cli_lib.sh"
cd "$WORK" || exit 1
index=$ULLAGE_STATE/store/oci/index.json
blobs=$ULLAGE_STATE/store/oci/blobs/sha256
archive=$(sample docker-save-three-images.tar)
ullage import --quiet "$archive" >/dev/null || fail "import"
digest() { jq -r --arg name "docker.io/library/$1" '.manifests[] | select(
	.annotations["org.opencontainers.image.ref.name"] == $name).digest' "$index"; }
app2=$(digest app:2)
hex=${app2#sha256:}

# What the table says of its bytes differs from one file system to the next.
notes() { grep -vE '^(CLASS|NAME|[a-z-]+ +[0-9]+ |docker.io/library/|on a file)'; }

# Listed in the index, and not there.
mv "$blobs/$hex" "$WORK/manifest"
{
	ull images | notes
	ull df | notes
} >"$WORK/missing"
golden cli_missing <"$WORK/missing"
ullage images 2>/dev/null | grep -qE '^docker.io/library/app:2 +missing ' ||
	fail "app:2 does not look missing: $(ullage images 2>&1)"
[ "$(ullage images --json | jq -c '[.images[] | select(.missing).names[]]')" = \
	'["docker.io/library/app:2"]' ] || fail "JSON does not say missing"
ullage import --quiet "$archive" >/dev/null || fail "import again"
ullage images 2>&1 | grep -q missing && fail "importing again did not help"
rm "$blobs/$hex"
ullage untag app:2 >/dev/null || fail "untag"
ullage images 2>&1 | grep -q missing && fail "untag did not help"
ullage import --quiet "$archive" >/dev/null || fail "import after untag"

# There, and damaged: said once.
printf '{' >"$blobs/$hex"
ullage df >/dev/null 2>"$WORK/said"
[ "$(grep -c "$hex" "$WORK/said")" = 1 ] || fail "df says: $(cat "$WORK/said")"
golden cli_damaged <"$WORK/said"
ullage untag app:2 >/dev/null || fail "untag of a damaged one"
ullage gc --quiet >/dev/null || fail "untag did not help gc"
printf '{' >"$blobs/$hex"
ullage import --quiet "$archive" >/dev/null || fail "import over a damaged one"
ullage gc --quiet >/dev/null || fail "importing again did not help gc"
cmp "$blobs/$hex" "$WORK/manifest" || fail "the manifest was not replaced"

# The index itself: what is not known is not said to be absent, nothing is
# changed, and what is advised helps.
damaged_index() { # REASON COMMAND ...
	local reason=$1
	shift
	for command; do
		# shellcheck disable=SC2086
		ullage $command >"$WORK/said" 2>&1 && fail "$reason: $command: done"
		grep -q "$reason.*\`ullage verify --repair\`" "$WORK/said" ||
			fail "$reason: $command: $(cat "$WORK/said")"
	done
	set -- "$reason"
	ullage df 2>&1 | grep -q "^nothing can be collected: .*$1" ||
		fail "$1: df: $(ullage df 2>&1)"
	ullage why "$index" | grep -q "is overhead: the names of all images" ||
		fail "$1: why: $(ullage why "$index" 2>&1)"
	ullage verify --repair >/dev/null || fail "$1: verify --repair"
	ullage tag app:1 again:1 >/dev/null || fail "$1: tag after the repair"
	ullage untag again:1 >/dev/null || fail "$1: untag after the repair"
}
cp "$index" "$WORK/index"
truncate -s 100 "$index"
damaged_index "index.json: " "tag app:9 new:1" "untag app:1"
rm "$index"
ln -s "$WORK/index" "$index"
ullage verify | grep -q "a symlink, which is not followed" ||
	fail "verify of a symlink: $(ullage verify)"
damaged_index "index.json is a symlink, which is not followed" \
	"tag app:9 new:1" "tag app:1 new:1" "untag app:9" "untag app:1" \
	"pin app:9" "why app:9"
[ -f "$index" ] && [ ! -L "$index" ] || fail "the index is still a symlink"
[ "$(readlink "$ULLAGE_STATE/store/damaged/index.json.2")" = "$WORK/index" ] ||
	fail "the symlink is not kept: $(ls -l "$ULLAGE_STATE/store/damaged")"
mkdir layout && mv "$WORK/index" layout/index.json
cp -r "$ULLAGE_STATE"/store/oci/blobs "$ULLAGE_STATE"/store/oci/oci-layout layout/
ullage --store oci:layout images --quiet >/dev/null || fail "images of a layout"
mv layout/index.json layout/other && ln -s other layout/index.json
ullage --store oci:layout untag app:9 2>&1 |
	grep -q "a symlink, which is not followed; it takes a whole one" ||
	fail "a layout: $(ullage --store oci:layout untag app:9 2>&1)"
exit $failed

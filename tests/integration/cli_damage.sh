#!/usr/bin/env bash
# What reports say where a manifest is missing or damaged: which, once, and
# what a person can do next; and that this helps.
. "$(dirname "$0")/cli_lib.sh"
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
exit $failed

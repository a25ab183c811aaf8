#!/usr/bin/env bash
# tag, untag, pin, unpin: what they print, and that names, content and trash
# are as they say.
. "$(dirname "$0")/cli_lib.sh"
index=$ULLAGE_STATE/store/oci/index.json

names() { jq -r '.manifests[].annotations["org.opencontainers.image.ref.name"]' "$index" | sort; }
digest() { jq -r --arg name "docker.io/library/$1" '.manifests[] | select(
	.annotations["org.opencontainers.image.ref.name"] == $name).digest' "$index"; }
blob() { cat "$ULLAGE_STATE/store/oci/blobs/sha256/${1#sha256:}"; }

ullage import --quiet "$(sample docker-save-three-images.tar)" >/dev/null ||
	fail "import"
app2=$(digest app:2)
manifest=$(blob "$app2" | jq -r '.manifests[0].digest')
config=$(blob "$manifest" | jq -r .config.digest)
layer=$(blob "$manifest" | jq -r '.layers[0].digest')

{
	ull tag app:2 app:stable
	ull tag app:1 app:stable
	ull tag app:1 app:stable --replace
	ull tag app:2 app:stable --replace --json
	ull tag "${app2:0:16}" by-digest
	ull tag "${config:7:12}" team/by-config:1
	ull tag app:3 new
	ull tag ap:1 new
	ull tag app:1 App:1
	ull tag app:1 app@"$app2"
	ull tag app:1
	ull tag "$layer" layer
	ull tag "$manifest" app:2-amd64
	ull untag app:2-amd64
	ull untag by-digest app:9
	names | grep -q by-digest || fail "untag was not all or nothing"
	ull untag by-digest by-digest:latest team/by-config:1
	ull untag app:stable
	ull untag "$app2" --json
	names | grep -q app:2 && fail "app:2 is still there"
	ull untag app:2
} >"$WORK/tag"
golden cli_tag <"$WORK/tag"
[ "$(names | xargs)" = \
	"docker.io/library/app:1 docker.io/library/base:1" ] ||
	fail "names are $(names | xargs)"

# What untag let go of is collected at once, and comes back from the trash.
before=$(find "$ULLAGE_STATE/store/oci/blobs" -type f | wc -l)
ullage gc >/dev/null || fail "gc"
after=$(find "$ULLAGE_STATE/store/oci/blobs" -type f | wc -l)
[ "$after" -lt "$before" ] || fail "gc took nothing"
{
	ull tag app:2 app:2
	ull tag "${app2:0:19}" app:again
} >"$WORK/back"
golden cli_tag_back <"$WORK/back"
[ "$(find "$ULLAGE_STATE/store/oci/blobs" -type f | wc -l)" -eq "$before" ] ||
	fail "not all of app:2 came back"
[ "$(digest app:2)" = "$app2" ] || fail "app:2 came back as something else"
ullage lease list --json | jq -e '.leases == []' >/dev/null ||
	fail "a lease of tag's was left"
skopeo inspect --raw "oci:$ULLAGE_STATE/store/oci:docker.io/library/app:2" \
	>/dev/null || fail "skopeo does not read app:2"

# Killed wherever it changes something, tag leaves nothing that holds: the
# image has its name, whole, or lies there for gc.
ullage untag app:again >/dev/null
ullage prune -y app:2 >/dev/null || fail "prune app:2"
cp -a "$ULLAGE_STATE" "$WORK/trashed"
killed=0
for ((n = 1; ; n++)); do
	rm -rf "$ULLAGE_STATE"
	cp -a "$WORK/trashed" "$ULLAGE_STATE"
	{
		ASAN_OPTIONS=detect_leaks=0 strace -f -qq -o /dev/null \
			-e trace=renameat,renameat2 \
			-e "inject=renameat,renameat2:signal=KILL:when=$n" \
			"$ULLAGE_BIN/ullage" tag app:2 app:2 >/dev/null 2>&1
	} 2>/dev/null
	[ $? -ne 0 ] || break
	killed=$((killed + 1))
	[ "$(ullage lease list --json | jq -c .leases)" = '[]' ] ||
		fail "killed at $n, tag left a lease"
	ullage gc --grace 0 --now --quiet >/dev/null || fail "gc after $n"
	if names | grep -q app:2; then
		ullage export app:2 -o /dev/null --quiet >/dev/null 2>&1 ||
			fail "killed at $n, app:2 is not whole"
	else
		[ ! -e "$ULLAGE_STATE/store/oci/blobs/sha256/${app2#sha256:}" ] ||
			fail "killed at $n, gc leaves app:2"
	fi
done
[ $killed -gt 2 ] || fail "tag was killed $killed times only"
ullage export app:2 -o /dev/null --quiet >/dev/null || fail "app:2 is not whole"

# A name that another program removed is remembered.
umoci rm --image "$ULLAGE_STATE/store/oci:docker.io/library/app:2" 2>/dev/null ||
	jq -c '.manifests |= map(select(.annotations[
		"org.opencontainers.image.ref.name"] != "docker.io/library/app:2"))' \
		"$index" >"$WORK/index" && [ -s "$WORK/index" ] &&
	cp "$WORK/index" "$index"
{
	ull untag app:2
	ull tag app:2 app:2
} >"$WORK/vanished"
golden cli_tag_vanished <"$WORK/vanished"
[ "$(digest app:2)" = "$app2" ] || fail "app:2 was not brought back"

{
	ull pin app:2 base:1
	ull pin app:2 --json
	ull pin app:7
	ull pin
	ull unpin app:7
	ull unpin bsae:1
	ull unpin docker.io/library/base:1
	ull unpin base:1
	ull untag app:2
	ull unpin app:2 --json
} >"$WORK/pin"
golden cli_pin <"$WORK/pin"
ullage images --json | jq -e '[.images[] | select(.pinned)] == []' >/dev/null ||
	fail "something is pinned still"
exit $failed

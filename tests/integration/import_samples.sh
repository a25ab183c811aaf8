#!/bin/bash
# Real images of Docker, BuildKit and skopeo: taken in whole, read back by
# skopeo byte for byte, taken in again without a change, written out and
# compared; and what skopeo and umoci change in the store is seen at once.
#
# Needs root, skopeo, umoci, jq and zstd.
# Usage: import_samples.sh SAMPLES.tar.zst    (programs in $ULLAGE_BIN)
set -Eeuo pipefail

: "${ULLAGE_BIN:?the folder of the built programs}"
samples=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'echo "FAILED: line $LINENO"; cat "$work/messages.txt"' ERR
cd "$work"
zstd -dcq "$samples" | tar -x
state=$work/state
oci=$state/store/oci

fail() {
	echo "FAILED: $*"
	exit 1
}

ullage() {
	"$ULLAGE_BIN/ullage" --state "$state" "$@"
}

names() { # of the index, one a line
	jq -r '.manifests[].annotations["org.opencontainers.image.ref.name"]' \
		"$oci/index.json"
}

digest_of() { # NAME
	jq -r --arg name "$1" '.manifests[] | select(.annotations
		["org.opencontainers.image.ref.name"] == $name) | .digest' \
		"$oci/index.json"
}

# Everything that could change, but for the directory that imports work in.
listing() {
	(cd "$state/store" && find . -path ./ingest -prune -o \
		-printf '%p %y %m %U %i %s %T@\n' | sort &&
		find ingest && sha256sum oci/index.json)
}

# Two archives have a base:1 of their own: the last one keeps the name.
import_all() {
	local sample
	for sample in buildx-* docker-save-* skopeo-layout skopeo-docker-*; do
		ullage import "$sample" --unpack --replace "$@"
	done
}

import_all >imported.txt 2>messages.txt
grep -q 'buildx-local-cache:latest has nothing to unpack' messages.txt ||
	fail "the cache was not said to be none to unpack"
expected='docker.io/library/app:1
docker.io/library/app:2
docker.io/library/base:1
docker.io/library/buildx-local-cache:latest
docker.io/library/buildx-multi-attested:latest
docker.io/library/buildx-zstd:latest
docker.io/library/skopeo-layout:app
docker.io/library/skopeo-layout:zst'
[ "$(names | sort)" = "$expected" ] || fail "the names are $(names)"
jq -e '[.manifests[].annotations | .["io.containerd.image.name"] ==
	.["org.opencontainers.image.ref.name"]] | all' "$oci/index.json" \
	>/dev/null || fail "the two names of an entry differ"

# What the archives hold and nothing refers to has not come along: 22 of the
# cache's 29 blobs belong to older versions of it.
[ ! -e "$oci/blobs/sha256/c53e9cea866b8f45e92c05a8f98ca1e859b53368313c1d524020b47dcfe923d2" ] ||
	fail "an unreferenced blob was taken in"

for name in $(names); do
	digest=$(digest_of "$name")
	raw=sha256:$(skopeo inspect --raw "oci:$oci:$name" | sha256sum |
		cut -d' ' -f1)
	[ "$raw" = "$digest" ] || fail "$name reads back as $raw"
	skopeo copy -q --all --preserve-digests "oci:$oci:$name" \
		"dir:$work/out" || fail "$name cannot be copied"
	[ "sha256:$(sha256sum <out/manifest.json | cut -d' ' -f1)" = \
		"$digest" ] || fail "$name was copied as something else"
	rm -r out
	case $name in
	*cache*) continue ;;
	esac
	skopeo inspect --override-os linux --override-arch amd64 \
		"oci:$oci:$name" | jq -e '.Layers | length > 0' >/dev/null ||
		fail "skopeo cannot inspect $name"
done
echo "ok: every entry reads back"

# The files hash to their names, all of them, and none can be written.
(cd "$oci/blobs/sha256" && for blob in *; do echo "$blob  $blob"; done |
	sha256sum -c --quiet) || fail "a blob is not what its name says"
find "$oci/blobs/sha256" -type f ! -perm 0444 | grep . &&
	fail "blobs with other modes"

listing >before.txt
import_all --verify >again.txt 2>/dev/null
grep -vE ' 0 new blobs|^0 layers unpacked' again.txt &&
	fail "a second import wrote something"
listing >after.txt
# base:1 went to and fro, so the index was written: its time differs.
grep -vE '^\./oci(/index.json)? ' before.txt >before.blobs
grep -vE '^\./oci(/index.json)? ' after.txt >after.blobs
diff before.blobs after.blobs || fail "a second import changed the store"
# And where no name moves, not even the index.
listing >before.txt
for sample in buildx-* skopeo-layout skopeo-docker-archive.tar; do
	ullage import "$sample" --unpack >/dev/null 2>&1
done
listing >after.txt
diff before.txt after.txt || fail "a second import changed the index"
echo "ok: a second import changes nothing"

[ "$(ullage df --json | jq '.stores[0].residual_bytes')" = 0 ] ||
	fail "bytes are left over"
[ "$(ullage df --json --measure | jq '.stores[0].allocated_bytes')" = \
	"$(du -sx -B1 "$state/store" | cut -f1)" ] ||
	fail "the classes are not what du says"
echo "ok: the classes add up to what du says"

# What a prune moved to the trash comes back out of it: blobs and layers.
ullage prune -a -y >/dev/null 2>&1
[ -z "$(ls "$oci/blobs/sha256" "$state/store/snapshots" | grep -v :)" ] ||
	fail "the prune left something"
import_all >again.txt 2>/dev/null
grep -vE ' 0 new blobs|^0 layers unpacked' again.txt &&
	fail "what lies in the trash was written again"
[ "$(ullage df --json | jq '.stores[0].classes[] |
	select(.class == "trash") | .allocated_bytes')" = 0 ] ||
	fail "the trash still has some of it"
echo "ok: what a prune moved comes back out of the trash"

# Written out, skopeo finds each by what Docker would have written.
ullage export app:1 app:2 buildx-multi-attested skopeo-layout:zst \
	-o all.tar >/dev/null
ullage export app:1 app:2 buildx-multi-attested skopeo-layout:zst \
	-o - >again.tar
cmp all.tar again.tar || fail "two exports differ"
mkdir exported
tar -xf all.tar -C exported
for name in docker.io/library/app:1 docker.io/library/app:2 \
	docker.io/library/buildx-multi-attested:latest \
	docker.io/library/skopeo-layout:zst; do
	ref=$(jq -r --arg name "$name" '.manifests[] | select(.annotations
		["io.containerd.image.name"] == $name) | .annotations
		["org.opencontainers.image.ref.name"]' exported/index.json)
	[ "$ref" = "${name##*:}" ] || fail "$name has the ref.name $ref"
	skopeo copy -q --all --preserve-digests "oci-archive:all.tar:$ref" \
		"dir:$work/out" || fail "$name cannot be read from the archive"
	[ "sha256:$(sha256sum <out/manifest.json | cut -d' ' -f1)" = \
		"$(digest_of "$name")" ] || fail "$name was exported otherwise"
	rm -r out
done
# Docker before 25 goes by manifest.json; skopeo reads that form too.
skopeo copy -q docker-archive:all.tar:docker.io/library/app:2 \
	"dir:$work/out" || fail "the archive does not read as docker save's"
[ "$(jq -r .config.digest out/manifest.json)" = \
	sha256:7276654974d5e377b7b70b319d3ed78826cf6952c0f68d69906928d5e17e7457 ] ||
	fail "docker-archive has another config"
rm -r out
"$ULLAGE_BIN/ullage" --state other import all.tar >/dev/null
for name in $(jq -r '.manifests[].annotations
	["org.opencontainers.image.ref.name"]' other/store/oci/index.json); do
	jq -e --arg name "$name" --arg digest "$(digest_of "$name")" \
		'.manifests[] | select(.digest == $digest)' \
		other/store/oci/index.json >/dev/null ||
		fail "$name came back as something else"
done
if ullage export app:9 -o none.tar 2>errors.txt; then
	fail "an image that is not there was exported"
fi
grep -q 'no image "app:9"; did you mean app:[12]' errors.txt ||
	fail "the message is $(cat errors.txt)"
[ ! -e none.tar ] || fail "a failed export left a file"
echo "ok: exports"

# Others write into the store's layout.
skopeo copy -q --all oci:skopeo-layout:app "oci:$oci:from-skopeo:1"
ullage images --json | jq -e '[.images[].names[]] | index("from-skopeo:1")' \
	>/dev/null || fail "what skopeo put there is not seen"
umoci --log=error new --image "$oci:from-umoci"
umoci --log=error config --image "$oci:from-umoci" --author nobody
umoci --log=error insert --image "$oci:from-umoci" "$oci/oci-layout" /marker
ullage images --json | jq -e '[.images[].names[]] | index("from-umoci")' \
	>/dev/null || fail "what umoci made is not seen"
ullage unpack from-umoci >/dev/null
umoci --log=error rm --image "$oci:from-umoci"
ullage images --json | jq -e '[.images[].names[]] | index("from-umoci") |
	not' >/dev/null || fail "what umoci removed is still there"
[ "$(ullage df --json | jq '.stores[0].residual_bytes')" = 0 ] ||
	fail "bytes are left over"
echo "ok: what others write is seen"

#!/bin/bash
# Real images, unpacked by us and mounted with overlayfs, against what umoci
# unpacks: names, types, modes, owners, times, xattrs, hard links, bytes.
#
# umoci knows neither zstd nor several platforms: it gets a copy of those.
# Needs root, skopeo, umoci, jq and zstd.
# Usage: unpack_samples.sh SAMPLES.tar.zst DIRECTORY_OF_TEST_TOOLS
set -euo pipefail

: "${ULLAGE_BIN:?the folder of the built programs}"
samples=$1
tools=$2
work=$(mktemp -d)

cleanup() {
	if mountpoint -q "$work/merged"; then umount "$work/merged"; fi
	rm -rf "$work"
}
trap cleanup EXIT
cd "$work"
zstd -dcq "$samples" | tar -x
state=$work/state
oci=$state/store/oci
mkdir merged empty

fail() {
	echo "FAILED: $*"
	exit 1
}

ullage() {
	"$ULLAGE_BIN/ullage" --state "$state" "$@"
}

blob() { # DIGEST: its path
	echo "$oci/blobs/sha256/${1#sha256:}"
}

# Manifests of images below a digest, one a line: digest and architecture.
platforms() {
	local media
	media=$(jq -r 'if .manifests then "index" else "image" end' \
		"$(blob "$1")")
	if [ "$media" = image ]; then
		echo "$1 $(jq -r .architecture \
			"$(blob "$(jq -r .config.digest "$(blob "$1")")")")"
		return
	fi
	jq -r '.manifests[] | select(.annotations
		["vnd.docker.reference.type"] == null) | .digest' \
		"$(blob "$1")" | while read -r digest; do
		platforms "$digest"
	done
}

chains() { # MANIFEST: chain IDs' hex, nearest the top first
	local config chain= diff
	config=$(blob "$(jq -r .config.digest "$(blob "$1")")")
	for diff in $(jq -r '.rootfs.diff_ids[]' "$config"); do
		if [ -z "$chain" ]; then
			chain=$diff
		else
			chain=sha256:$(printf '%s %s' "$chain" "$diff" |
				sha256sum | cut -d' ' -f1)
		fi
		echo "${chain#sha256:}"
	done | tac
}

mount_ours() { # MANIFEST
	local lower= hex
	for hex in $(chains "$1"); do
		[ -d "$state/store/snapshots/layer-$hex/fs" ] ||
			fail "layer $hex was not unpacked"
		lower+=$state/store/snapshots/layer-$hex/fs:
	done
	mount -t overlay overlay -o "ro,lowerdir=$lower$work/empty" merged
}

for sample in buildx-* docker-save-* skopeo-layout; do
	ullage import "$sample" --unpack >/dev/null 2>&1
done
ullage import skopeo-docker-archive.tar --unpack --replace >/dev/null

count=0
for name in $(jq -r '.manifests[].annotations
	["org.opencontainers.image.ref.name"]' "$oci/index.json"); do
	case $name in
	*cache*) continue ;;
	esac
	digest=$(jq -r --arg name "$name" '.manifests[] | select(.annotations
		["org.opencontainers.image.ref.name"] == $name) | .digest' \
		"$oci/index.json")
	while read -r manifest arch; do
		rm -rf copy bundle
		skopeo copy -q --override-os linux --override-arch "$arch" \
			--dest-compress-format gzip --dest-compress \
			"oci:$oci:$name" oci:copy:t
		umoci --log=error unpack --image copy:t bundle
		mount_ours "$manifest"
		"$tools/treecmp" bundle/rootfs >umoci.txt
		"$tools/treecmp" merged >ours.txt
		umount merged
		diff -u umoci.txt ours.txt ||
			fail "$name, $arch (- umoci, + ours)"
		echo "ok: $name, $arch ($(wc -l <ours.txt) objects)"
		count=$((count + 1))
	done < <(platforms "$digest")
done
[ "$count" -ge 8 ] || fail "only $count platforms were compared"

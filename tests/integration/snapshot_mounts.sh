#!/usr/bin/env bash
# What `snapshot mounts` prints mounts the snapshot when a shell runs it, and
# its JSON when a program does: deep chains, strange paths, one layer.
# Needs root and jq.
. "$(dirname "$0")/cli_lib.sh"

mounted=$WORK/mnt
mkdir "$mounted"
at_end='umount -q "$mounted"'

blob_add() { # FILE: put it among the blobs; prints its digest's hex
	local hex
	hex=$(sha256sum <"$1" | cut -d' ' -f1)
	cp "$1" "$WORK/image/blobs/sha256/$hex"
	echo "$hex"
}

descriptor() { # TYPE HEX
	printf '{"mediaType":"application/vnd.oci.image.%s","digest":"sha256:%s","size":%s}' \
		"$1" "$2" "$(stat -c %s "$WORK/image/blobs/sha256/$2")"
}

# An OCI layout with one image `deep:1` of so many layers, each of one file.
image_make() { # COUNT
	local number hex diffs= layers=
	mkdir -p "$WORK/image/blobs/sha256" "$WORK/file"
	echo '{"imageLayoutVersion":"1.0.0"}' >"$WORK/image/oci-layout"
	for ((number = 0; number < $1; number++)); do
		echo "layer $number" >"$WORK/file/f$number"
		tar -C "$WORK/file" -cf "$WORK/layer" "f$number"
		hex=$(blob_add "$WORK/layer")
		layers+=${layers:+,}$(descriptor layer.v1.tar "$hex")
		diffs+=${diffs:+,}\"sha256:$hex\"
	done
	printf '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[%s]}}' \
		"$diffs" >"$WORK/config"
	hex=$(blob_add "$WORK/config")
	printf '{"schemaVersion":2,"config":%s,"layers":[%s]}' \
		"$(descriptor config.v1+json "$hex")" "$layers" >"$WORK/manifest"
	hex=$(blob_add "$WORK/manifest")
	descriptor manifest.v1+json "$hex" | jq -c '{schemaVersion: 2, manifests:
		[. + {annotations: {"org.opencontainers.image.ref.name": "deep:1"}}]}' \
		>"$WORK/image/index.json"
}

# As a person does: the line, and where to.
mount_printed() { # KEY
	eval "$(ullage snapshot mounts "$1") $mounted" || fail "cannot mount $1"
}

# As a program does: from the JSON alone.
mount_json() { # KEY
	local json directory
	json=$(ullage snapshot mounts "$1" --json | jq -c '.mounts[0]')
	directory=$(jq -r '.directory // "/"' <<<"$json")
	(cd "$directory" && mount -t "$(jq -r .type <<<"$json")" \
		-o "$(jq -r .options <<<"$json")" \
		"$(jq -r .source <<<"$json")" "$mounted") || fail "cannot mount $1"
}

expect_layers() { # COUNT
	local number
	[ "$(ls "$mounted" | wc -l)" = "$1" ] || fail "not $1 files"
	for ((number = 0; number < $1; number++)); do
		[ "$(<"$mounted/f$number")" = "layer $number" ] ||
			fail "layer $number is not mounted"
	done
}

image_make 120
ullage import --quiet --unpack "$WORK/image" >/dev/null || fail "import"
ullage snapshot prepare deep deep:1 >/dev/null || fail "prepare"
ullage snapshot view look deep:1 >/dev/null || fail "view"
for how in printed json; do
	for key in deep look; do
		mount_$how $key
		expect_layers 120
		ullage snapshot remove $key 2>/dev/null &&
			fail "removed $key while it was mounted"
		umount "$mounted"
	done
done
[ "$(ullage snapshot mounts deep | wc -c)" -le 4095 ] || fail "too long"

# What is written there is kept, and adds up.
mount_printed deep
echo new >"$mounted/new"
umount "$mounted"
ullage snapshot commit more deep >/dev/null || fail "commit"
ullage snapshot view again more >/dev/null
mount_printed again
[ "$(<"$mounted/new")" = new ] || fail "what was written is lost"
umount "$mounted"
residual=$(ullage df --measure --json | jq '.stores[0].residual_bytes')
[ "$residual" = 0 ] || fail "residual $residual"

# A user to whom mounts are hidden does not take what may be mounted (I10).
hidden() { # COMMAND ...: as a user who sees no process of others
	unshare -m sh -c 'mount -t proc -o hidepid=2 proc /proc && exec "$@"' - \
		setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}
mkdir "$WORK/user" && chmod 755 "$WORK"
cp "$ULLAGE_BIN"/ullage "$ULLAGE_BIN"/ullage-transfer "$WORK/user/"
cp -r "$WORK/image" "$WORK/user/image"
chown -R 65534:65534 "$WORK/user"
user() { hidden env "ULLAGE_STATE=$WORK/user/state" "$WORK/user/ullage" "$@"; }
user import --quiet --unpack "$WORK/user/image" >/dev/null || fail "import of a user"
user prune -y -a --grace 0 --json >"$WORK/run"
[ $? = 3 ] || fail "a user's prune left nothing: $(<"$WORK/run")"
jq -e '[.declined[] | select(.kind == "snapshot")
	| .reason == "may be mounted: not all mounts are shown to this user"]
	| length >= 1 and all' "$WORK/run" >/dev/null ||
	fail "a user's prune says: $(jq -c .declined "$WORK/run")"
[ "$(ls "$WORK/user/state/store/snapshots" | wc -l)" = 120 ] ||
	fail "a user's prune took what may be mounted"
user gc --now --grace 0 --exclusive --quiet >/dev/null || fail "gc --exclusive of a user"
[ "$(ls "$WORK/user/state/store/snapshots" | wc -l)" = 0 ] ||
	fail "gc --exclusive left what nobody has mounted"

# Few layers, in a place whose name means something to the shell and to mount.
strange=$WORK/"it's a:b,c\\d \$x"
mkdir "$strange"
export ULLAGE_STATE=$strange
rm -r "$WORK/image" "$WORK/file"
image_make 3
ullage import --quiet --unpack "$WORK/image" >/dev/null || fail "import"
ullage snapshot prepare few deep:1 >/dev/null || fail "prepare"
ullage snapshot prepare none >/dev/null || fail "prepare"
for how in printed json; do
	mount_$how few
	expect_layers 3
	umount "$mounted"
	mount_$how none
	echo one >"$mounted/one"
	umount "$mounted"
	[ -s "$strange/store/snapshots/key-none/fs/one" ] || fail "no bind mount"
	rm "$strange/store/snapshots/key-none/fs/one"
done
exit $failed

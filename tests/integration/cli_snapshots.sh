#!/usr/bin/env bash
# snapshot: what it prints, and that images are its parents.
. "$(dirname "$0")/cli_lib.sh"

ullage import --quiet --unpack "$(sample docker-save-three-images.tar)" \
	>/dev/null || fail "import"

{
	ull snapshot prepare work app:1 --label x=y
	ull snapshot prepare work app:1
	ull snapshot view look base:1 --json
	ull snapshot prepare empty
	ull snapshot prepare other app:7
	ull snapshot prepare other work
	ull snapshot prepare a b c
	ull snapshot prepare
	ull snapshot mounts work
	ull snapshot list --as-of "$(made snapshot)"
	ull snapshot list --json
	ull snapshot commit app-3 work --label z
	ull snapshot commit app-3 empty
	ull snapshot commit app-4
	ull snapshot mounts app-3
	ull snapshot mounts nothing
	ull snapshot usage app-3 --json
	ull snapshot usage ap-3
	ull snapshot prepare more app-3
	ull snapshot remove app-3
	ull snapshot remove more app-3
	ull snapshot remove more
	ull snapshot remove look empty --json
	ull snapshot remov
} >"$WORK/snapshot"
golden cli_snapshot <"$WORK/snapshot"
ullage snapshot list --json | jq -e 'all(.snapshots[]; .unpacked)' >/dev/null ||
	fail "something was left"

# Exactly what was written counts, parents left out.
ullage snapshot prepare big base:1 >/dev/null
head -c 1000000 /dev/zero | tr '\0' x >"$ULLAGE_STATE/store/snapshots/key-big/fs/file"
sync -f "$ULLAGE_STATE/store"
said=$(ullage snapshot usage big --json | jq '.snapshots[0].unpacked_bytes')
true_bytes=$(du -s -B1 "$ULLAGE_STATE/store/snapshots/key-big/fs" | cut -f1)
[ "$said" = "$true_bytes" ] || fail "usage says $said, du $true_bytes"

# What a snapshot alone held is let go of with it.
ullage snapshot prepare alone app:2 >/dev/null
ullage untag app:2 app:1 >/dev/null
ullage gc >/dev/null
ullage snapshot remove alone 2>&1 | steady >"$WORK/alone"
golden cli_snapshot_alone <"$WORK/alone"

[ "$(ls -d "$ULLAGE_STATE"/store/snapshots/layer-* | wc -l)" = 5 ] ||
	fail "there are other layers than the five"
ullage gc >/dev/null
[ "$(ls -d "$ULLAGE_STATE"/store/snapshots/layer-* | wc -l)" = 1 ] ||
	fail "what the removal let go of did not go at once"

# A snapshot on any part of an image's chain is a use of it.
used_since() { # UNIX_S: names of images used after that
	ullage images --json | jq -r --argjson since "$1" '.images[] |
		select(.used_unix_s > $since).names[]' | sed 's,.*/,,' | sort | xargs
}
ullage import --quiet --unpack "$WORK/docker-save-three-images.tar" >/dev/null
for parent in app:2='app:2' app:1='app:1 app:2' base:1='app:1 app:2 base:1'; do
	sqlite3 "$ULLAGE_STATE/ullage.db" 'UPDATE used SET used_unix_s = 1000'
	ullage snapshot view "use-${parent%%=*}" "${parent%%=*}" >/dev/null
	[ "$(used_since 1000)" = "${parent#*=}" ] ||
		fail "a view of ${parent%%=*} used $(used_since 1000)"
done

# Of several platforms, the one of this machine is the parent.
ullage import --quiet --unpack "$(sample buildx-multi-attested)" >/dev/null
multi=$(ullage images --quiet | grep multi-attested)
case $(uname -m) in
x86_64) host=linux/amd64 ;;
aarch64) host=linux/arm64 ;;
*) host= ;;
esac
chain_of() { # MANIFEST: the chain ID of all its layers
	local config diff chain=
	config=$(jq -r .config.digest "$ULLAGE_STATE/store/oci/blobs/sha256/${1#sha256:}")
	for diff in $(jq -r '.rootfs.diff_ids[]' \
		"$ULLAGE_STATE/store/oci/blobs/sha256/${config#sha256:}"); do
		[ -z "$chain" ] && chain=$diff && continue
		chain=sha256:$(printf '%s %s' "$chain" "$diff" | sha256sum | cut -d' ' -f1)
	done
	echo "$chain"
}
platforms() { ullage images --json | jq -r --arg name "$multi" '.images[] |
	select(.names == [$name]).platforms[] | "\(.platform) \(.manifest)"'; }
[ "$(platforms | wc -l)" -ge 2 ] || fail "one platform alone: $(platforms)"
if [ -n "$host" ]; then
	ullage snapshot prepare here "$multi" >/dev/null || fail "prepare here"
	parent=$(ullage snapshot list --json |
		jq -r '.snapshots[] | select(.key == "here").parent')
	wanted=$(chain_of "$(platforms | sed -n "s,^$host[^ ]* ,,p" | head -n 1)")
	[ "$parent" = "$wanted" ] || fail "parent is $parent, not $wanted"
fi
exit $failed

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
	ull snapshot list
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

exit $failed

#!/usr/bin/env bash
# Imports, tags and untags of our own, several at once, while gc --grace 0
# --now runs beside them without a pause: they have locks, so that nothing
# they were told is there may ever be missing a blob.
#   own_writers.sh SECONDS [SEED]
. "$(dirname "$0")/cli_lib.sh"
seconds=$1
RANDOM=${2:-$(date +%s)} seed=${2:-$RANDOM}
echo "own writers: $seconds s, seed $seed"
cd "$WORK" || exit 1
tar --zstd -xf "$SOURCE/tests/data/oci-samples.tar.zst" ./skopeo-layout
layout=$ULLAGE_STATE/store/oci

skopeo copy -q oci:skopeo-layout:app oci:pool:base || exit 1
for i in 0 1 2 3; do
	head -c $((4000 + i * 3000)) /dev/urandom >"file$i"
	umoci insert --image pool:base --tag "v$i" "file$i" "/file$i" >said 2>&1 ||
		{ cat said; exit 1; }
	skopeo copy -q "oci:pool:v$i" "oci-archive:v$i.tar" || exit 1
done
ullage import --quiet --name first:1 v0.tar >/dev/null || exit 1

# Every blob below a digest is there and right.
whole() { # DIGEST
	local blob=$layout/blobs/sha256/${1#sha256:}
	{
		echo "$1"
		jq -r '.. | objects | .digest? // empty' "$blob" || echo "sha256:missing-$1"
	} 2>/dev/null | sed "s,^sha256:\(.*\),\1  $layout/blobs/sha256/\1," |
		sha256sum --quiet -c - 2>&1
}
digest_of() {
	jq -r --arg name "docker.io/library/$1" '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == $name).digest' "$layout/index.json"
}

# One writer with names of its own.
loop() { # NUMBER
	local me=$1 i said digest count=0
	RANDOM=$((seed + me))
	while [ -e go ]; do
		i=$((RANDOM % 4))
		if ! said=$(ullage import --quiet --replace --name "mine$me:1" "v$i.tar" 2>&1); then
			echo "import: $said" >>wrong
			continue
		fi
		digest=$(digest_of "mine$me:1")
		said=$(whole "$digest") || echo "after import of v$i: $digest: $said" >>wrong
		ullage tag --quiet "mine$me:1" "other$me:1" --replace >said$me 2>&1 ||
			echo "tag: $(cat said$me)" >>wrong
		said=$(whole "$digest") || echo "after tag: $said" >>wrong
		ullage untag --quiet "mine$me:1" >said$me 2>&1 ||
			echo "untag: $(cat said$me)" >>wrong
		said=$(whole "$digest") || echo "after untag: $said" >>wrong
		if [ $((RANDOM % 3)) = 0 ]; then
			ullage untag --quiet "other$me:1" >said$me 2>&1 ||
				echo "untag: $(cat said$me)" >>wrong
		fi
		count=$((count + 1))
	done
	echo $count >count$me
}
collector() {
	local said status count=0
	while [ -e go ]; do
		said=$(ullage gc --grace 0 --now 2>&1)
		status=$?
		case $status in 0 | 3) ;; *) echo "gc: exit status $status: $said" >>wrong ;; esac
		count=$((count + 1))
	done
	echo $count >count-gc
}
touch go
: >wrong
pids=
for me in 1 2 3; do
	loop $me &
	pids+=" $!"
done
collector &
pids+=" $!"
sleep "$seconds"
rm go
wait $pids
[ ! -s wrong ] || fail "$(sort wrong | uniq -c | head -n 20)"
ullage gc --grace 0 --now >/dev/null || fail "the last gc"
for name in $(jq -r '.manifests[].annotations["org.opencontainers.image.ref.name"]' "$layout/index.json"); do
	whole "$(digest_of "${name#docker.io/library/}")" || fail "at the end: $name"
done
du=$(sync -f .; du -sx -B1 "$ULLAGE_STATE/store" | cut -f1)
sum=$(ullage df --measure --json | jq '.stores[0] | [.allocated_bytes, .residual_bytes] | @csv' -r)
[ "$sum" = "$du,0" ] || fail "df says $sum, du $du"
echo "own writers, seed $seed: $(cat count1) + $(cat count2) + $(cat count3) rounds, $(cat count-gc) collections"
exit $failed

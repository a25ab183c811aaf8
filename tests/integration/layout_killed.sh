#!/usr/bin/env bash
# A collection, a prune and an undo of an image layout, killed at each of their
# steps and failed at each: no name loses a blob, nothing of ours is left in
# the layout in the end, and the end is that of a run that nothing happened to.
#   layout_killed.sh [STRIDE [FIRST]]   each STRIDE-th step, from FIRST on
. "$(dirname "$0")/cli_lib.sh"
stride=${1:-1} first=${2:-1}
cd "$WORK" || exit 1
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
tar --zstd -xf "$SOURCE/tests/data/oci-samples.tar.zst" ./skopeo-layout ./buildx-local-cache
mkdir start
mv skopeo-layout start/layout
cp -n buildx-local-cache/blobs/sha256/* start/layout/blobs/sha256/
ULLAGE_STATE=start/state ullage --store oci:start/layout tag --quiet app two >/dev/null 2>&1 ||
	exit 1

ours() { # DIR ARGS
	ULLAGE_STATE=$1/state "$ULLAGE_BIN/ullage" --store "oci:$1/layout" "${@:2}"
}
content() { (cd "$1/layout" && find . -mindepth 1 | LC_ALL=C sort && jq -cS .manifests index.json); }

# Whatever the index names is there, with all its blobs.
whole() { # DIR
	local l=$1/layout digest
	for digest in $(jq -r '.manifests[].digest' "$l/index.json"); do
		echo "$digest"
		jq -r '.. | objects | .digest? // empty' "$l/blobs/sha256/${digest#sha256:}" ||
			echo "sha256:of-$digest"
	done 2>/dev/null | sort -u | sed "s,^sha256:\(.*\),\1  $l/blobs/sha256/\1," |
		sha256sum --quiet -c - 2>&1
}

# again DIR WHAT: the command is given again, then everything is collected.
finish() { # DIR COMMAND...
	local dir=$1
	shift
	ours "$dir" "$@" >again 2>&1
	whole "$dir" || fail "after $* again"
	ours "$dir" gc --grace 0 --now --exclusive >again 2>&1 || fail "the last gc: $(cat again)"
	ours "$dir" gc --grace 0 --now --exclusive --json >again 2>&1
	[ "$(jq .freed_bytes again)" = 0 ] || fail "a second gc: $(cat again)"
	content "$dir"
}

points=0
# killed NAME COMMAND...: at every step, from what "start-NAME" holds.
killed() {
	local name=$1 steps n kind status
	shift
	rm -rf run trace
	cp -a "start-$name" run
	ULLAGE_STATE=run/state ULLAGE_STEP_TRACE=$WORK/trace "$ULLAGE_BIN/steps/ullage" \
		--store oci:run/layout "$@" >said 2>&1
	case $? in 0 | 3) ;; *) fail "$name: $(cat said)" ;; esac
	steps=$(wc -l <trace)
	finish run "$@" >"end-$name"
	for ((n = first; n <= steps; n += stride)); do
		for kind in kill EIO ENOSPC; do
			[ $kind = kill ] || [ $((n % 3)) = 0 ] || continue
			rm -rf run
			cp -a "start-$name" run
			ULLAGE_STATE=run/state ULLAGE_STEP=$n:$kind "$ULLAGE_BIN/steps/ullage" \
				--store oci:run/layout "$@" >said 2>&1
			status=$?
			case $kind-$status in
			kill-137 | *-[013]) ;;
			*) fail "$name, $n:$kind: exit status $status: $(cat said)" ;;
			esac
			# What lies in the trash and is needed is put back by the
			# next that looks.
			ours run df >said 2>&1 || fail "$name, $n:$kind: df: $(cat said)"
			whole run || fail "$name, $n:$kind"
			finish run "$@" >end
			diff "end-$name" end >said || fail "$name, $n:$kind: it ends otherwise: $(cat said)"
			points=$((points + 1))
			[ $failed = 0 ] || return
		done
	done
}

cp -a start start-gc
killed gc gc --grace 0 --now --exclusive
cp -a start start-trash
killed trash gc --grace 0
cp -a start start-prune
killed prune prune -y --grace 1h app two
cp -a start start-undo
ours start-undo prune -y --grace 1h zst >/dev/null 2>&1
killed undo undo 1
echo "layout killed: each $stride-th step from $first: $points points"
exit $failed

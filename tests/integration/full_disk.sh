#!/usr/bin/env bash
# File systems filled to the last block: what ullage says is still what du
# says, what nothing needs goes, with the reserve and without, names go when
# there is room for it, and nothing that is needed is ever missing.
# The same for a quota that is used up while the disk is far from full.
#   full_disk.sh    needs root, mkfs.ext4, mkfs.xfs, mkfs.btrfs, jq, sqlite3,
#                   skopeo, umoci
. "$(dirname "$0")/cli_lib.sh"
set -o pipefail
cd "$WORK" || exit 1
mnt=$WORK/mnt
mkdir "$mnt"
loop=
cleanup() {
	cd /
	mountpoint -q "$mnt" && umount "$mnt"
	[ -z "$loop" ] || losetup -d "$loop"
	rm -rf "$WORK"
}
trap cleanup EXIT

die() {
	fail "$what: $*"
	exit 1
}

tar --zstd -xf "$SOURCE/tests/data/oci-samples.tar.zst" ./skopeo-layout
head -c 3000000 /dev/urandom >big
head -c 2000000 /dev/urandom >other
cp -r skopeo-layout made
umoci insert --image made:app --tag big big /big >/dev/null || exit 1
umoci insert --image made:app --tag other other /other >/dev/null || exit 1
for name in app big other; do
	skopeo copy -q --all "oci:made:$name" "oci-archive:$name.tar" || exit 1
done

fs_make() { # FS SIZE
	truncate -s "$2" image
	case $1 in
	ext4) mkfs.ext4 -qF image ;;
	xfs) mkfs.xfs -qf image ;;
	quota) mkfs.btrfs -qf image >/dev/null 2>&1 ;;
	esac || exit 1
	fs_mount
	[ "$1" = quota ] || return 0
	# Of a subvolume, for that holds for root too.
	top=$mnt/quota
	btrfs quota enable "$mnt" && btrfs subvolume create "$top" >/dev/null &&
		btrfs qgroup limit 200M "$top" || exit 1
}
fs_mount() {
	top=$mnt
	loop=$(losetup --find --show image) && mount "$loop" "$mnt" || exit 1
}
fs_end() {
	umount "$mnt"
	losetup -d "$loop"
	loop=
	rm -f "$1"
}

# To the last block, the last one of a directory too.
fill() {
	local left i
	mkdir -p "$top/fill"
	sync -f "$mnt"
	left=$(df -B1 --output=avail "$mnt" | tail -n 1)
	fallocate -l $((left * 98 / 100)) "$top/fill/most" 2>/dev/null
	for i in 1048576 4096 512; do
		dd if=/dev/zero of="$top/fill/by$i" bs=$i status=none 2>/dev/null
		sync -f "$mnt"
	done
	for ((i = 0; i < 500; i++)); do
		echo x >"$top/fill/x$i" || break
	done 2>/dev/null
	mkdir "$top/fill/none" 2>/dev/null && die "the disk is not full"
	true
}

# xfs gives back what was removed in its own time (deferred inactivation): the
# reserve is made where 128 MiB are free.
room_wait() {
	local tries
	for tries in $(seq 100); do
		[ $(($(stat -f -c '%a * %S' "$state"))) -ge $((128 << 20)) ] && return
		sync -f "$state"
		sleep 0.1
	done
	die "no room after the filling was removed"
}

used() { # of the store
	sync -f "$mnt"
	du -sx -B1 "$store" | cut -f1
}
u() { ullage --state "$state" $kind_args "$@"; }

# What a tree, or the blobs, have in them.
sums() { find "$@" -type f -exec sha256sum {} + | sort -k2; }

# whole WHEN: all that has a name is as it was.
whole() {
	(cd / && sha256sum --quiet -c) <keep.sums || die "$1: content is lost"
	skopeo inspect --raw "oci:$layout:$keep" >/dev/null ||
		die "$1: $keep is gone"
}

# right WHEN: reports work, and say what du says.
right() {
	local said
	said=$(u df --measure --json) || die "$1: df"
	said=$(jq -r '.stores[0] | "\(.allocated_bytes) \(.residual_bytes)"' <<<"$said")
	[ "$said" = "$(used) 0" ] || die "$1: df says $said, du $(used)"
	[ ! -s "$state/ullage.db" ] || u why "$keep" >said || die "$1: why"
}

# collected WHAT JSON BEFORE: du agrees.
collected() {
	local went
	went=$(jq '.freed_bytes - .overhead_delta_bytes' <<<"$2")
	[ $(($3 - $(used))) = "$went" ] ||
		die "$1: du $3 - $(used), the run says $went: $2"
	[ "$(jq '.planned_bytes == .freed_bytes and .trashed_bytes == 0' <<<"$2")" = true ] ||
		die "$1: $2"
}

sound() { # WHEN
	[ "$(sqlite3 "$state/ullage.db" 'PRAGMA integrity_check')" = ok ] ||
		die "$1: the database is damaged"
	u verify --deep >said 2>&1 || die "$1: $(cat said)"
	grep -q "nothing is damaged, 0 notes" said || die "$1: $(cat said)"
}

put() { # NAME
	if [ $kind = embedded ]; then
		u import --quiet --unpack --name "$1:1" "$1.tar" >/dev/null
	else
		skopeo copy -q --all "oci-archive:$1.tar" "oci:$layout:$1"
		u df >/dev/null
	fi || die "put $1"
}
let_go() { # NAME: as others do in a layout
	if [ $kind = embedded ]; then
		u untag --quiet "$1:1" >/dev/null
	else
		umoci rm --image "$layout:$1" && u df >/dev/null 2>&1
	fi || die "let go of $1"
}

# begin KIND STATE: a store with an image that stays and one without a name.
begin() {
	kind=$1 state=$2 exclusive= kind_args=
	if [ $kind = embedded ]; then
		store=$state/store layout=$state/store/oci keep=docker.io/library/app:1
	else
		store=$top/layout layout=$top/layout keep=app
		kind_args="--store oci:$layout" exclusive=--exclusive
	fi
	put app
	if [ $kind = embedded ]; then
		sums "$layout/blobs" "$store/snapshots"
	else
		sums "$layout/blobs"
	fi >keep.sums
	u gc --quiet >/dev/null || [ $? = 3 ] || die "gc"
	put big
	let_go big
	sleep 2.1
}

run_case() { # FS KIND RESERVE
	local before json size=200M
	what="$1, $2, reserve $3"
	case $1 in
	xfs) size=320M ;;
	quota) size=1G ;;
	esac
	fs_make "$1" $size
	begin "$2" "$top/state"
	[ -f "$state/ullage.reserve" ] || die "there is no reserve"
	[ "$3" = yes ] || rm "$state/ullage.reserve"
	fill
	right "full"
	before=$(used)

	# What it would do it says; without --now nothing is done but with it.
	json=$(u gc -n --grace 1s --json) || die "gc -n"
	[ "$(jq '.freed_bytes > 3000000' <<<"$json")" = true ] || die "gc -n: $json"
	if [ "$3" = no ]; then
		u gc --grace 1s >said 2>&1 && die "gc without --now: $(cat said)"
		grep -q "the disk is full: .ullage.* gc --now" said ||
			die "gc without --now: $(cat said)"
		[ "$(used)" = "$before" ] || die "gc without --now deleted something"
	fi

	json=$(u gc --grace 1s --now $exclusive --json) || die "gc --now: $json"
	collected "gc --now" "$json" "$before"
	[ "$(jq '.freed_bytes > 3000000 and .run > 0' <<<"$json")" = true ] ||
		die "gc --now: $json"
	[ "$(jq '.in_place_bytes > 0' <<<"$json")" = "$([ "$3" = no ] && echo true || echo false)" ] ||
		die "gc --now: in place: $json"
	whole "gc --now"
	right "after gc"
	sound "after gc"
	u history >said || die "history"

	# Full again: a prune has to make its own room, by what gc would take.
	rm -rf "$top/fill"
	put other
	let_go other
	rm -f "$state/ullage.reserve"
	put big
	fill
	before=$(used)
	sleep 2.1
	json=$(u prune -y --grace 1s --now $exclusive --json \
		"$([ $kind = embedded ] && echo big:1 || echo big)") ||
		die "prune: $json"
	collected prune "$json" "$before"
	[ "$(jq '.removed == 1 and .freed_bytes > 5000000' <<<"$json")" = true ] ||
		die "prune: $json"
	whole "prune"
	right "after prune"
	sound "after prune"

	rm -rf "$top/fill"
	room_wait
	u gc --quiet >/dev/null || die "gc with room"
	[ "$(stat -c %b "$state/ullage.reserve")" -ge 16384 ] ||
		die "the reserve is not made again"
	whole "the end"
	u why "$keep" >/dev/null || die "why"
	fs_end image
	echo "$what: ok"
}

# The layout is full, the database is not: what is moved needs a folder.
run_apart() { # FS
	local before json size=200M
	what="$1, oci, the state elsewhere"
	[ "$1" = ext4 ] || size=320M
	fs_make "$1" $size
	begin oci "$WORK/apart"
	fill
	right full
	before=$(used)
	json=$(u gc --grace 1s --now --exclusive --json) || die "gc: $json"
	collected gc "$json" "$before"
	[ "$(jq '.freed_bytes > 3000000' <<<"$json")" = true ] || die "gc: $json"
	whole gc
	right "after gc"
	sound "after gc"
	[ ! -e "$layout/.ullage-trash" ] || die "a trash is left"
	[ ! -e "$layout/index.json.lock" ] || die "a lock is left"
	fs_end image
	rm -rf "$WORK/apart"
	echo "$what: ok"
}

# The database's disk is full, the layout's is not: nothing goes that way, for
# it would not help, and what would is said.
run_state() { # FS
	local before size=200M layout_sums
	what="$1, oci, the state's disk full"
	[ "$1" = ext4 ] || size=320M
	fs_make "$1" $size
	begin oci "$top/state"
	store=$WORK/elsewhere layout=$store kind_args="--store oci:$store"
	mv "$top/layout" "$store"
	u gc --quiet >/dev/null || [ $? = 3 ] || die "gc of what was moved"
	rm -f "$state/ullage.reserve"
	fill
	before=$(du -sx -B1 "$store")
	layout_sums=$(sums "$store")
	for command in "gc --grace 0 --now --exclusive" "gc --grace 0" \
		"prune -y --grace 0 --now --exclusive app"; do
		# shellcheck disable=SC2086
		u $command >said 2>&1 && die "$command: $(cat said)"
		grep -q "the disk of the database is full, and is another than that of $store: make room there" said ||
			die "$command: $(cat said)"
		[ "$(du -sx -B1 "$store")" = "$before" ] || die "$command deleted something"
		[ "$(sums "$store")" = "$layout_sums" ] || die "$command changed something"
	done
	u df --measure --json >said || die "df"
	rm -rf "$top/fill"
	u gc --grace 0 --now --exclusive --json >said || die "gc with room: $(cat said)"
	[ "$(jq '.freed_bytes > 3000000 and .in_place_bytes == 0' said)" = true ] ||
		die "gc with room: $(cat said)"
	skopeo inspect --raw "oci:$store:app" >/dev/null || die "app is gone"
	fs_end image
	rm -rf "$store"
	echo "$what: ok"
}

# Stopped at each step of a collection in place: the next one, with room, ends
# as if there had been none.
run_killed() {
	local step status=137 count=0 every=${FULL_DISK_EVERY:-4} first
	first=$((RANDOM % every + 1))
	what="ext4, embedded, stopped"
	fs_make ext4 24M
	begin embedded "$top/state"
	rm -f "$state/ullage.reserve"
	fill
	fs_end none
	mv image image.full
	for ((step = first; status == 137; step += every)); do
		what="ext4, embedded, stopped at step $step"
		cp --sparse=always image.full image
		fs_mount
		status=0
		ULLAGE_STEP=$step:kill "$ULLAGE_BIN/steps/ullage" --state "$state" \
			gc --grace 1s --now >said 2>&1 || status=$?
		case $status in
		0 | 137) ;;
		*) die "status $status: $(cat said)" ;;
		esac
		whole "at once"
		rm -rf "$top/fill"
		u df >said || die "df"
		u verify >said 2>&1 || die "verify: $(cat said)"
		u gc --grace 0 --now >said 2>&1 || die "gc: $(cat said)"
		whole "after gc"
		right "after gc"
		sound "after gc"
		[ "$(u df --json | jq '[.stores[0].classes[] | select(.class == "collectable" or .class == "orphaned" or .class == "trash") | .allocated_bytes] | add // 0')" = 0 ] ||
			die "something is left: $(u df)"
		fs_end image
		count=$((count + 1))
	done
	rm image.full
	[ $((count * every)) -gt 40 ] || die "only $count steps"
	echo "stopped at $count steps ($first, and each ${every}th after it): ok"
}

for fs in ext4 xfs quota; do
	for kind in embedded oci; do
		run_case $fs $kind yes
		run_case $fs $kind no
	done
	[ $fs = quota ] || run_apart $fs
	[ $fs = quota ] || run_state $fs
done
[ ! -x "$ULLAGE_BIN/steps/ullage" ] || run_killed
exit $failed

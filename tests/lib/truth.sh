# tests/lib/truth.sh - ullage's numbers against what du says, on random stores.
#
# To be sourced with errexit set. Needs root (mounts, device files), jq, and
# mkfs of the file systems asked for. $ullage and $store_maker are the programs.
#
#	truth_run FS SEED...	all of them on a file system of that kind, made
#				for it and taken away afterwards
#
# A store that fails is kept, and the output says where.

truth_work=$(mktemp -d -p "${TRUTH_DIR:-${TMPDIR:-/tmp}}" truth.XXXXXX)
truth_loop=
truth_failed=0
truth_stores=0
truth_checks=0

truth_cleanup() {
	if mountpoint -q "$truth_work/mnt"; then umount "$truth_work/mnt"; fi
	if [ -n "$truth_loop" ]; then losetup -d "$truth_loop"; fi
	truth_loop=
	rm -f "$truth_work/image" "$truth_work/failed"
	rmdir "$truth_work/mnt" "$truth_work" 2>/dev/null || true
}
trap truth_cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

truth_mount() { # FS
	mkdir -p "$truth_work/mnt"
	if [ "$1" = tmpfs ]; then
		mount -t tmpfs -o size=400M tmpfs "$truth_work/mnt"
		return
	fi
	truncate -s 320M "$truth_work/image"
	case $1 in
	ext4) mkfs.ext4 -qF -b 4096 "$truth_work/image" ;;
	ext4-1k) mkfs.ext4 -qF -b 1024 "$truth_work/image" ;;
	xfs) mkfs.xfs -qf "$truth_work/image" ;;
	btrfs) mkfs.btrfs -qf "$truth_work/image" >/dev/null ;;
	*) echo "no test for $1" >&2 && exit 2 ;;
	esac
	truth_loop=$(losetup --find --show "$truth_work/image")
	mount -t "${1%-1k}" "$truth_loop" "$truth_work/mnt"
}

fail() { # WHAT: of this seed, in this step
	echo "FAILED: seed $seed on $fs, $step: $1" |
		sed -E 's/(sha256:[0-9a-f]{12})[0-9a-f]*/\1/g' >&2
	: >"$truth_work/failed" # also from a subshell
}

equal() { # WHAT LEFT RIGHT
	truth_checks=$((truth_checks + 1))
	if [ "$2" != "$3" ]; then
		fail "$1: $2, not $3 (off by $(($2 - $3)))"
	fi
}

# Of the store in $at; what a command says on stderr is kept for a failure.
ul() {
	local rc=0
	"$ullage" --state "$at/state" "$@" 2>"$truth_work/mnt/stderr" || rc=$?
	if [ $rc != 0 ] && [ $rc != 3 ]; then
		fail "ullage $* ended with $rc: $(cat "$truth_work/mnt/stderr")"
	fi
}

used() {
	local sum
	sum=$(du -sx -B1 "$at/state/store")
	echo "${sum%%[!0-9]*}"
}

# With the files outside that are links to some of the store's: those keep
# their blocks when the store's own links go, and du of the store alone would
# count them as given back.
used_with_outside() {
	local sum
	sum=$(du -scx -B1 "$at/state/store" "$at/outside")
	sum=${sum##*$'\n'}
	echo "${sum%%[!0-9]*}"
}

# The first value of a key in JSON; jq takes longer to start than all else.
field() { # NAME JSON
	if [[ $2 =~ \"$1\":\"?([^,\"}]*) ]]; then
		echo "${BASH_REMATCH[1]}"
	else
		echo 0
	fi
}

sum_of_classes() { # JSON
	local rest=${1#*\"classes\":} sum=0
	rest=${rest%%\"duplicate_layers\"*}
	while [[ $rest =~ \"allocated_bytes\":([0-9]+)(.*) ]]; do
		sum=$((sum + BASH_REMATCH[1]))
		rest=${BASH_REMATCH[2]}
	done
	echo "$sum"
}

# The classes add up to what du says, with measurements renewed and without.
check_df() { # STEP [HOW...]
	local how json sum
	step=$1
	shift
	for how in "${@:---measure}"; do
		json=$(ul df --json ${how:+"$how"})
		sum=$(sum_of_classes "$json")
		equal "classes (df $how) against du" "$sum" "$(used)"
		equal "classes (df $how) against their sum" "$sum" \
			"$(field allocated_bytes "${json%%\"classes\"*}")"
	done
	equal "residual" "$(field residual_bytes "$json")" 0
}

copy() { # $at becomes a copy of the store, a truth of its own
	rm -rf "$truth_work/mnt/copy"
	cp -a --reflink=never "$dir" "$truth_work/mnt/copy"
	sync -f "$truth_work/mnt/copy"
	at=$truth_work/mnt/copy
}

# A collection does what its dry run says, and du agrees.
collect() { # COMMAND...: sets $freed
	local foretold before planned delta json
	foretold=$(field freed_bytes "$(ul "$@" -n --json --grace 0 --now)")
	before=$(used_with_outside)
	if [ "$1" = prune ]; then set -- "$@" -y; fi
	json=$(ul "$@" --json --grace 0 --now)
	planned=$(field planned_bytes "$json")
	freed=$(field freed_bytes "$json")
	delta=$(field overhead_delta_bytes "$json")
	equal "planned against foretold" "$planned" "$foretold"
	equal "freed against foretold" "$freed" "$foretold"
	equal "trashed" "$(field trashed_bytes "$json")" 0
	equal "du before less after against freed less delta of overhead" \
		$((before - $(used_with_outside))) $((freed - delta))
}

collectable() {
	field freed_bytes "$(ul gc -n --json --grace 0 --now)"
}

unique_of() { # DIGEST
	local json
	json=$(ul images --json)
	field unique_bytes "${json#*],\"digest\":\"$1\"}"
}

# The names of an image, of all tags that follow it (sha256-HEX.sig and such
# that name a manifest of it alone), one a line; a digest for no name.
names_with_followers() { # DIGEST
	ul images --json | jq -r --arg digest "$1" '
		def manifests: [.digest, .platforms[].manifest];
		def subjects: [.names[] | capture("^(?:[^/]*:)?sha256-(?<hex>" +
			"[0-9a-f]{64})\\.(sig|att|sbom)$") |
			"sha256:" + .hex];
		def follows($chosen; $rest): (.pinned | not) and
			(.names | length > 0) and
			(subjects | length) == (.names | length) and
			(subjects - $chosen | length) == 0 and
			(subjects - (subjects - $rest) | length) == 0;
		[.images[]] as $all |
		reduce range(length | if . > 0 then . else 1 end) as $pass
			([$digest]; . as $chosen |
			[$all[] | select([.digest] - $chosen == [])] as $in |
			($all - $in) as $out |
			([$in[] | manifests[]]) as $theirs |
			. + [$out[] | . as $one | select(
				follows($theirs; [($out - [$one])[] |
				manifests[]])) | .digest]) |
		. as $chosen | $all[] |
		select([.digest] - $chosen == []) |
		if .names == [] then .digest else .names[] end'
}

# What an image says is unique comes back when it is pruned.
check_prune() { # DIGEST
	local unique already
	step="prune ${1:0:19}"
	copy
	unique=$(unique_of "$1")
	already=$(collectable)
	if [[ $(ul prune -n --json --grace 0 --now "$1") == *\"remove\":[]* ]]; then
		check_untag "$1"
		return
	fi
	collect prune "$1"
	equal "freed against unique ($unique) and collectable ($already)" \
		"$freed" $((unique + already))
	check_df "after $step"
}

# The same where the names are taken away and a collection comes later.
check_untag() { # DIGEST
	local unique already names left
	step="untag ${1:0:19} and gc"
	copy
	unique=$(unique_of "$1")
	already=$(collectable)
	mapfile -t names < <(names_with_followers "$1")
	ul untag "${names[@]}" >/dev/null
	left=$(images_of)
	if [[ $left == *$1* ]]; then ul untag "$1" >/dev/null; fi
	collect gc
	equal "freed against unique ($unique) and collectable ($already)" \
		"$freed" $((unique + already))
}

# A set of images; what each says alone is no more than what all give back.
check_set() { # DIGEST...
	step="prune of $# images"
	copy
	collect prune "$@"
	check_df "after $step"
}

# What the next collection takes is what the classes call reclaimable.
check_reclaimable() {
	local json class sum=0
	step="reclaimable"
	copy
	json=$(ul df --json --grace 0)
	for class in trash collectable orphaned; do
		sum=$((sum + $(field reclaimable_bytes "${json#*\""$class"\"}")))
	done
	equal "reclaimable against collectable" "$sum" "$(collectable)"
}

check_all_unused() {
	local unused already
	step="prune -a"
	copy
	unused=$(ul df --json)
	unused=$(field reclaimable_bytes "${unused#*images-unused}")
	already=$(collectable)
	collect prune -a --untagged
	equal "freed against reclaimable ($unused) and collectable ($already)" \
		"$freed" $((unused + already))
}

images_of() { # digests
	local rest
	rest=$(ul images --json)
	while [[ $rest =~ \"names\":\[[^]]*\],\"digest\":\"([^\"]*)\"(.*) ]]; do
		echo "${BASH_REMATCH[1]}"
		rest=${BASH_REMATCH[2]}
	done
}

any() { # WORD...: one of them
	if [ $# -gt 0 ]; then echo "${@:1 + RANDOM % $#:1}"; fi
}

any_present() { # DIGEST...: one of those whose blob has not been lost
	local digest present=()
	for digest; do
		if [ -e "$dir/state/store/oci/blobs/sha256/${digest#*:}" ]; then
			present+=("$digest")
		fi
	done
	any "${present[@]}"
}

# Undo, which may refuse where the store lost meanwhile what a name needs.
undo() { # RUN BLOBS-BEFORE
	local said lost
	said=$("$ullage" --state "$dir/state" undo "$1" 2>&1 >/dev/null) && return
	lost=$(sed -n 's/.*: the file \([^ ]*\) is gone from the trash.*/\1/p' <<<"$said")
	if [ -z "$lost" ] || [ -e "$dir/state/store/$lost" ] ||
		! grep -qxF "${lost##*/}" <<<"$2" ||
		grep -qsF "\"path\":\"$lost\"" "$dir/state/store/trash/"*/record.json; then
		fail "undo $1: $said"
	fi
}

# A life of a store: after each step the sums have to be right.
live() {
	local digests json run blobs
	RANDOM=$seed
	"$store_maker" "$seed" "$dir/state" "$dir/outside" 0
	if ((seed % 2)); then sync -f "$dir"; fi
	check_df "made" "" --measure
	"$store_maker" "$seed" "$dir/state" "$dir/outside" 1
	check_df "changed" "" --measure
	mapfile -t digests < <(images_of)
	step="tag"
	ul tag "$(any_present "${digests[@]}")" "tagged:$seed" >/dev/null
	check_df "tag"
	step="pin"
	ul pin "tagged:$seed" >/dev/null
	if ((seed % 3)); then ul unpin "tagged:$seed" >/dev/null; fi
	step="untag"
	ul untag "tagged:$seed" >/dev/null
	check_df "untag"
	step="prune into the trash"
	json=$(ul prune -y --json "$(any "${digests[@]}")")
	run=$(field run "$json")
	check_df "prune into the trash"
	if [ "$run" -gt 0 ]; then
		blobs=$(ls "$dir/state/store/oci/blobs/sha256")
		"$store_maker" "$seed" "$dir/state" "$dir/outside" 2
		check_df "changed while things are in the trash"
		step="undo"
		if ((seed % 2)) && [ -d "$(echo "$dir/state/store/trash/"*-$run-*)" ]; then
			undo "$run" "$blobs"
		fi
		check_df "undo" "" --measure
	fi
	step="gc into the trash"
	ul gc --json --grace 0 >/dev/null
	check_df "gc"
	"$store_maker" "$seed" "$dir/state" "$dir/outside" 3
	check_df "changed again"
	step="prune into the trash again"
	mapfile -t digests < <(images_of)
	ul prune -y --json "$(any "${digests[@]}")" >/dev/null
	check_df "prune again"
	"$store_maker" "$seed" "$dir/state" "$dir/outside" 4
	check_df "changed at last" "" --measure
}

one_store() { # seed, fs, at, dir are set
	local digests digest chosen
	rm -f "$truth_work/failed"
	RANDOM=$seed
	mkdir -p "$dir"
	live
	mapfile -t digests < <(images_of)
	for digest in "${digests[@]}"; do
		at=$dir
		check_prune "$digest"
	done
	if [ ${#digests[@]} -gt 0 ]; then check_untag "$(any "${digests[@]}")"; fi
	for _ in 1 2; do
		chosen=()
		for digest in "${digests[@]}"; do
			if ((RANDOM % 2)); then chosen+=("$digest"); fi
		done
		if [ ${#chosen[@]} -gt 0 ]; then check_set "${chosen[@]}"; fi
	done
	check_all_unused
	check_reclaimable
	rm -rf "$truth_work/mnt/copy"
}

truth_run() { # FS SEED...
	fs=$1
	shift
	truth_mount "$fs"
	for seed; do
		dir=$truth_work/mnt/store
		at=$dir
		one_store
		truth_stores=$((truth_stores + 1))
		if [ -e "$truth_work/failed" ]; then
			truth_failed=$((truth_failed + 1))
			cp -a "$dir" "$truth_work/seed-$seed-$fs"
			echo "kept: $truth_work/seed-$seed-$fs"
		fi
		rm -rf "$dir"
	done
	rm -f "$truth_work/mnt/stderr"
	truth_cleanup
	mkdir -p "$truth_work"
}

# How it went; the exit status.
truth_end() {
	echo "$truth_stores stores, $truth_checks numbers compared," \
		"$truth_failed stores failed"
	[ "$truth_failed" = 0 ]
}

#!/usr/bin/env bash
# Real writers one after another while gc runs beside them all the time, and
# prunes between them. Whatever a writer was told is there can be read whole.
#   writers.sh embedded|oci SECONDS [SEED]
# The grace is four times what the slowest writer may take.
. "$(dirname "$0")/cli_lib.sh"
kind=$1 seconds=$2
RANDOM=${3:-$(date +%s)} seed=${3:-$RANDOM}
echo "writers: $kind, $seconds s, seed $seed"
grace=20 slowest=5

cd "$WORK" || exit 1
tar --zstd -xf "$SOURCE/tests/data/oci-samples.tar.zst" ./skopeo-layout
case $kind in
embedded)
	ullage import --quiet --name seed:1 skopeo-layout >/dev/null 2>&1
	ullage untag --quiet "$(ullage images --json | jq -r '.images[0].names[0]')" \
		>/dev/null 2>&1
	layout=$ULLAGE_STATE/store/oci store=embedded
	;;
oci)
	mkdir layout
	skopeo copy -q oci:skopeo-layout:app oci:layout:first || exit 1
	layout=$WORK/layout store=oci:$WORK/layout
	;;
esac
collect() { ullage --store $store --grace ${grace}s "$@"; }

# Eight images that share a base, each with a layer of its own.
umoci_tag() { umoci "$@" >"$WORK/umoci" 2>&1; }
mkdir pool && skopeo copy -q oci:skopeo-layout:app oci:pool:base || exit 1
for i in 0 1 2 3 4 5 6 7; do
	head -c $((4000 + i * 3000)) /dev/urandom >"file$i"
	umoci_tag insert --image pool:base --tag "v$i" "file$i" "/file$i" ||
		{ cat "$WORK/umoci"; exit 1; }
done

# Names and the digest that each stands for, as its writer was told.
declare -A expected
digest_of() { # NAME, in the index
	jq -r --arg name "$1" '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == $name).digest' "$layout/index.json"
}

# A name that is expected, has its digest, and every blob below it is whole.
blobs_below() { # DIGEST
	local blob=$layout/blobs/sha256/${1#sha256:}
	echo "$1"
	[ -f "$blob" ] || return
	jq -r '.. | objects | .digest? // empty' "$blob" 2>/dev/null
}
check() {
	local name digest
	for name in "${!expected[@]}"; do
		digest=$(digest_of "$name")
		[ "$digest" = "${expected[$name]}" ] ||
			fail "$1: $name is $digest, not ${expected[$name]}"
		blobs_below "${expected[$name]}"
	done | sort -u | sed "s,^sha256:\(.*\),\1  $layout/blobs/sha256/\1," >"$WORK/sums"
	[ -s "$WORK/sums" ] || return 0
	sha256sum --quiet -c "$WORK/sums" >"$WORK/broken" 2>&1 ||
		fail "$1: $(cat "$WORK/broken")"
}

# gc without a pause. It may find the index changed or half written under its
# hands, and then does nothing; anything else it must not fail with.
touch "$WORK/go"
: >"$WORK/passes"
beside() { # STATE
	local status said
	while [ -e "$WORK/go" ]; do
		said=$(ULLAGE_STATE=$1 collect gc 2>&1 </dev/null)
		status=$?
		[ "$1" = "$ULLAGE_STATE" ] && echo "$status" >>"$WORK/passes"
		case $status in
		0 | 3) ;;
		*) grep -q "changed by another program\|index.json" <<<"$said" ||
			echo "gc: exit status $status: $said" >>"$WORK/wrong" ;;
		esac
	done
}
: >"$WORK/wrong"
beside "$ULLAGE_STATE" &
collectors=$!
# A layout may have another user's ullage as well, which knows nothing of ours.
[ $kind = embedded ] || { beside "$WORK/other" & collectors+=" $!"; }

# What gc put into the trash while a writer relied on it, the next pass that
# began after the writer's end has put back.
passes() { wc -l <"$WORK/passes"; }
two_passes() {
	local until=$(($(passes) + 2))
	while [ "$(passes)" -lt $until ]; do sleep 0.02; done
}

some() { # a random name of those that are there
	local names=("${!expected[@]}")
	[ ${#names[@]} -gt 0 ] && echo "${names[RANDOM % ${#names[@]}]}"
}
writer() { # a foreign one, in its time
	timeout $slowest "$@" >"$WORK/said" 2>&1
}
declare -A did
# A slow machine comes to a few only: one of each first, then any.
first=("" copy copy config prune copy rm copy prune) turn=0
any=(copy copy copy copy config rm prune prune)
end=$((SECONDS + seconds))
while [ $SECONDS -lt $end ]; do
	name=$(some) turn=$((turn + 1))
	op=${first[turn]:-${any[RANDOM % ${#any[@]}]}}
	[ $op = copy ] || [ -n "$name" ] || continue
	case $op in
	copy)
		i=$((RANDOM % 8)) name=n$((RANDOM % 6)):1
		if writer skopeo copy -q "oci:pool:v$i" "oci:$layout:$name"; then
			expected[$name]=$(digest_of "$name")
		else
			fail "copy: $(cat "$WORK/said")"
		fi
		;;
	config)
		if writer umoci config --image "$layout:$name" --config.env "X=$RANDOM"; then
			expected[$name]=$(digest_of "$name")
		else
			fail "config: $(cat "$WORK/said")"
		fi
		;;
	rm)
		writer umoci rm --image "$layout:$name" || fail "rm: $(cat "$WORK/said")"
		unset "expected[$name]"
		;;
	prune)
		# Ours, and right after it something that shares its blobs.
		collect prune -y "$name" >"$WORK/said" 2>&1
		case $? in 0 | 3) ;; *) fail "prune: $(cat "$WORK/said")" ;; esac
		unset "expected[$name]"
		;;
	esac
	did[$op]=$((${did[$op]:-0} + 1))
	two_passes
	check "$op $name"
	[ $failed = 0 ] || break
done
rm "$WORK/go"
wait $collectors
[ ! -s "$WORK/wrong" ] || fail "$(sort "$WORK/wrong" | uniq -c)"
check "the end"

# It did collect: what is left after the grace is what is needed.
ullage --store $store gc --grace 0 --now --exclusive --quiet >/dev/null 2>&1
check "everything collected"
freed=$(ullage --store $store history --json --last 100000 | jq '[.runs[].freed_bytes] | add')
sync -f "$layout"
root=$layout && [ $kind = oci ] || root=$ULLAGE_STATE/store
du=$(du -sx -B1 "$root" | cut -f1)
sum=$(ullage --store $store df --measure --json |
	jq '.stores[0] | [.allocated_bytes, .residual_bytes] | @csv' -r)
[ "$sum" = "$du,0" ] || fail "df says $sum, du $du"
[ "$freed" -gt 0 ] || fail "nothing was ever collected"
for op in copy config rm prune; do
	[ "${did[$op]:-0}" -gt 0 ] || fail "no $op in $seconds seconds"
done
echo "writers: $kind, seed $seed: $(for op in "${!did[@]}"; do echo -n "${did[$op]} $op, "; done)$(passes) collections ($(grep -c 1 "$WORK/passes") found the index changing), $freed bytes given back"
exit $failed

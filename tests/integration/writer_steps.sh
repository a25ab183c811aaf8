#!/usr/bin/env bash
# A scripted writer that stops at each of its own steps, while gc, prune and
# df run there: at no combination is anything lost, and while something that
# is needed cannot be read, nothing is collected.
. "$(dirname "$0")/cli_lib.sh"
cd "$WORK" || exit 1
tar --zstd -xf "$SOURCE/tests/data/oci-samples.tar.zst" ./skopeo-layout
name_of=org.opencontainers.image.ref.name

blob() { # FILE LAYOUT: put it there, print its digest
	local hex
	hex=$(sha256sum "$1" | cut -c1-64)
	cp "$1" "$2/blobs/sha256/$hex"
	echo "sha256:$hex"
}

# The image that the writer brings: made beside, so that its steps are ours.
mkdir b
head -c 9000 /dev/urandom >b/layer
layer=$(sha256sum b/layer | cut -c1-64)
printf '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$layer" >b/config
config=$(sha256sum b/config | cut -c1-64)
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%d},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:%s","size":9000}]}' \
	"$config" "$(stat -c %s b/config)" "$layer" >b/manifest
manifest=$(sha256sum b/manifest | cut -c1-64)
entry=$(printf '{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%d}' "$manifest" "$(stat -c %s b/manifest)")

# Two stores to begin with: images a and c with a layer in common.
prepare() { # KIND DIR
	local layout=$2/state/store/oci
	mkdir -p "$2"
	if [ "$1" = oci ]; then
		mkdir -p "$2/state"
		layout=$2/layout
	else
		ULLAGE_STATE=$2/state ullage import --quiet --name x:1 skopeo-layout \
			>/dev/null 2>&1 || exit 1
		echo '{"schemaVersion":2,"manifests":[]}' >"$layout/index.json"
	fi
	skopeo copy -q oci:skopeo-layout:app "oci:$layout:a" || exit 1
	umoci config --image "$layout:a" --tag c --config.env X=1 >said 2>&1 || exit 1
	ULLAGE_STATE=$2/state ullage --store "$(store_of "$1" "$2")" df >/dev/null 2>&1 || exit 1
}
store_of() { [ "$1" = oci ] && echo "oci:$2/layout" || echo embedded; }
layout_of() { [ "$1" = oci ] && echo "$2/layout" || echo "$2/state/store/oci"; }

# The writer, from the step FROM to the step TO.
steps=12
writer() { # LAYOUT FROM TO
	local l=$1 step a
	a=$l/blobs/sha256/$(jq -r --arg n a ".manifests[] | select(.annotations[\"$name_of\"] == \$n).digest" "$l/../a.json" | cut -c8-)
	for ((step = $2; step <= $3; step++)); do
		case $step in
		1) blob b/layer "$l" >/dev/null ;;
		2) blob b/config "$l" >/dev/null ;;
		3) blob b/manifest "$l" >/dev/null ;;
		4) cp "$a" "$l/../a.manifest" && : >"$a" ;;
		5) head -c 100 "$l/../a.manifest" >"$a" ;;
		6) cat "$l/../a.manifest" >"$a" ;;
		7) cp "$l/index.json" "$l/../index.old" && : >"$l/index.json" ;;
		8) head -c 60 "$l/../index.old" >"$l/index.json" ;;
		9) jq -c --argjson e "$entry" '.manifests += [$e]' "$l/../index.old" >"$l/index.json" ;;
		10) jq -c --argjson e "$entry" --arg n b "(.manifests[] | select(.digest == \$e.digest)) += {annotations: {\"$name_of\": \$n}}" "$l/index.json" >"$l/../index.new" &&
			mv "$l/../index.new" "$l/index.json" ;;
		11) jq -c --argjson e "$entry" --arg n a "(.manifests[] | select(.annotations[\"$name_of\"] == \$n)) |= (\$e + {annotations: {\"$name_of\": \$n}})" "$l/index.json" >"$l/../index.new" &&
			mv "$l/../index.new" "$l/index.json" ;;
		12) ;;
		esac
	done
}
# Steps after which something needed cannot be read.
is_damaged() { case $1 in 4 | 5 | 7 | 8) true ;; *) false ;; esac }

whole() { # LAYOUT DIGEST WHAT
	local sums
	sums=$({ echo "$2"; jq -r '.. | objects | .digest? // empty' "$1/blobs/sha256/${2#sha256:}"; } |
		sed "s,^sha256:\(.*\),\1  $1/blobs/sha256/\1,")
	sha256sum --quiet -c <<<"$sums" >&2 || { echo "$3 is not whole"; return 1; }
}

# One combination; says what is wrong.
combination() { # KIND STEP COMMAND
	local dir=$WORK/run-$1-$2-$3 layout store status said digest name
	cp -a "$WORK/$1" "$dir"
	layout=$(layout_of "$1" "$dir") store=$(store_of "$1" "$dir")
	cp "$layout/index.json" "$layout/../a.json"
	export ULLAGE_STATE=$dir/state
	writer "$layout" 1 "$2"
	case $3 in
	gc) said=$(ullage --store "$store" gc 2>&1) ;;
	now) said=$(ullage --store "$store" gc --now --exclusive 2>&1) ;;
	prune) said=$(ullage --store "$store" prune -y c 2>&1) ;;
	df) said=$(ullage --store "$store" df 2>&1) ;;
	esac
	status=$?
	if [ "$3" = df ]; then
		[ $status = 0 ] || echo "exit status $status: $said"
	elif is_damaged "$2"; then
		[ $status = 1 ] || echo "exit status $status, though damaged: $said"
		grep -q "index.json\|is needed but" <<<"$said" || echo "it does not name what is damaged: $said"
	else
		case $status in 0 | 3) ;; *) echo "exit status $status: $said" ;; esac
	fi
	# The writer goes on to its end.
	writer "$layout" $(($2 + 1)) $steps
	ullage --store "$store" gc >/dev/null 2>&1
	for name in a b c; do
		digest=$(jq -r --arg n $name "[.manifests[] | select(.annotations[\"$name_of\"] == \$n).digest][0] // empty" "$layout/index.json")
		if [ -z "$digest" ]; then
			[ "$name-$3" = c-prune ] || echo "$name is gone"
			continue
		fi
		whole "$layout" "$digest" "$name" 2>&1
	done
	# The old image of a lost its name to the writer: its grace has begun.
	digest=$(jq -r --arg n a ".manifests[] | select(.annotations[\"$name_of\"] == \$n).digest" "$layout/../a.json")
	whole "$layout" "$digest" "what a was" 2>&1
	rm -rf "$dir"
}

prepare embedded "$WORK/embedded"
prepare oci "$WORK/oci"
# Those that wait for something damaged only sleep: forty at a time.
count=0
for kind in embedded oci; do
	for ((step = 0; step <= steps; step++)); do
		for command in gc now prune df; do
			combination $kind $step $command >"$WORK/said-$kind-$step-$command" 2>&1 &
			count=$((count + 1))
			[ $((count % 40)) -ne 0 ] || wait
		done
	done
done
wait
for said in "$WORK"/said-*; do
	[ ! -s "$said" ] || fail "${said##*/said-}: $(cat "$said")"
done
echo "$count combinations"
exit $failed

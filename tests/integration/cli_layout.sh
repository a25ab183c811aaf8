#!/usr/bin/env bash
# Any image layout as a store: what the commands print, a real BuildKit cache
# of which exactly the unreferenced blobs go, and what is left in it.
. "$(dirname "$0")/cli_lib.sh"
tar --zstd -xf "$SOURCE/tests/data/oci-samples.tar.zst" -C "$WORK" \
	./buildx-local-cache ./skopeo-layout ./buildx-multi-attested
cd "$WORK" || exit 1
cache=oci:buildx-local-cache

# What the index reaches, found by its own means: every digest in a document
# that is reached, however deep.
reached() { # LAYOUT
	local todo next seen=$WORK/seen blob
	: >"$seen"
	todo=$(grep -o 'sha256:[0-9a-f]\{64\}' "$1/index.json" | sort -u)
	while [ -n "$todo" ]; do
		next=
		for blob in $todo; do
			grep -q "$blob" "$seen" && continue
			echo "$blob" >>"$seen"
			blob=$1/blobs/sha256/${blob#sha256:}
			[ -f "$blob" ] && jq empty "$blob" 2>/dev/null &&
				next+=" $(grep -o 'sha256:[0-9a-f]\{64\}' "$blob")"
		done
		todo=$(echo "$next" | tr ' ' '\n' | sort -u)
	done
	sort -u "$seen" | while read -r blob; do
		[ -f "$1/blobs/sha256/${blob#sha256:}" ] && echo "${blob#sha256:}"
	done
}

same_as_du() { # LAYOUT
	local du sum
	du=$(du -sx -B1 "$1" | cut -f1)
	sum=$(ullage --store "oci:$1" df --measure --json | jq -r '[.stores[0] |
		([.classes[].allocated_bytes] | add), .allocated_bytes, .residual_bytes] | @csv')
	[ "$sum" = "$du,$du,0" ] || fail "$1: df says $sum, du $du"
}

for layout in buildx-local-cache skopeo-layout buildx-multi-attested; do
	same_as_du $layout
done

reached buildx-local-cache >"$WORK/needed"
[ "$(wc -l <"$WORK/needed")" -ge 3 ] || fail "the script finds too little"
before=$(ls buildx-local-cache/blobs/sha256 | wc -l)
[ "$before" -gt "$(wc -l <"$WORK/needed")" ] || fail "nothing to collect there"

first=$(head -n1 "$WORK/needed")
{
	ull --store $cache df
	ull --store oci:skopeo-layout images
	ull --store oci:buildx-multi-attested images --json
	ull --store $cache why "buildx-local-cache/blobs/sha256/$first"
	ull --store $cache gc -n
	ull --store $cache gc --now
	ull --store $cache lease list
	ull --store $cache import x.tar
	ull --store oci: df
	ull --store oci:nowhere df
	ull --store oci:/etc df
	ull --store nothing df
	ull --store oci:skopeo-layout --store oci:buildx-multi-attested images
	ull --store oci:skopeo-layout --store $cache gc
	ull --store oci:skopeo-layout prune -n
	ull --store oci:skopeo-layout prune -y app
	ull --store oci:skopeo-layout undo 1
	ull --store $cache undo 1
	ull undo 1
} | sed -E 's/with [0-9.]+ [kMG]B free/with SIZE free/
	s/file system of [0-9.]+ [kMGT]B/file system of SIZE/
	s/20[0-9-]+T[0-9:]+Z/2026-01-01T00:00:00Z/
	s/[0-9.]+ [kM]B( +[0-9.]+ [kM]B)?( +[0-9]|$)/SIZE\2/g
	s/ +SIZE/ SIZE/g' | golden cli_layout
ullage --store oci:skopeo-layout tag --quiet app mine:2 >/dev/null || fail "tag"
skopeo inspect oci:skopeo-layout:mine:2 >/dev/null || fail "skopeo: no mine:2"
ullage --store oci:skopeo-layout untag --quiet mine:2 >/dev/null || fail "untag"
# What is advised names the store, and does what it says.
advised() { # WHAT COMMAND OPTION ...
	local what=$1 said
	shift
	said=$(ullage "$@" 2>&1)
	grep -qF "\`$what\`" <<<"$said" || fail "$*: no \`$what\` in: $said"
}
unneeded=$(ls buildx-local-cache/blobs/sha256 | grep -vxFf "$WORK/needed" | head -n1)
advised "ullage --store oci:skopeo-layout df -v" --store oci:skopeo-layout df
advised "ullage --store oci:skopeo-layout df -v" --store oci:skopeo-layout images
advised "ullage --store $cache gc" --store $cache why "$unneeded"
advised "ullage --state $WORK/state --store $cache gc" \
	--state "$WORK/state" --store $cache why "$unneeded"
cp -r skopeo-layout advised
advised "ullage --store oci:advised gc" --store oci:advised untag app
advised "ullage --store oci:$WORK/advised tag app app" --store oci:advised untag app
advised "ullage --store oci:$WORK/advised history" --store oci:advised undo 99
# Several at once: one answer, in their order.
[ "$(ullage --store oci:skopeo-layout --store $cache df --json |
	jq -c '[.version, [.stores[].name]]')" = \
	"[1,[\"oci:$WORK/skopeo-layout\",\"oci:$WORK/buildx-local-cache\"]]" ] ||
	fail "df of two stores"
[ "$(ullage --store oci:skopeo-layout --store $cache images --json |
	jq '[.images[].store] | unique | length')" = 2 ] || fail "images of two stores"
ullage --store oci:skopeo-layout --store oci:nowhere df >"$WORK/said" 2>&1 &&
	fail "one of two stores is not there, but all is well"
grep -q "^Store $WORK/skopeo-layout" "$WORK/said" ||
	fail "the store that is there is not reported on: $(cat "$WORK/said")"
[ ! -e skopeo-layout/.ullage-trash ] || fail "undo left a trash folder"
skopeo inspect oci:skopeo-layout:app >/dev/null || fail "skopeo: no app"

[ "$(ls buildx-local-cache/blobs/sha256 | wc -l)" -eq "$before" ] ||
	fail "something young was collected"
ullage --store $cache gc --grace 0 --now --exclusive --json >"$WORK/run" ||
	fail "gc in a pipeline"
ls buildx-local-cache/blobs/sha256 | diff "$WORK/needed" - ||
	fail "not exactly what is unreferenced was collected"
[ "$(ls -A buildx-local-cache | tr '\n' ' ')" = "blobs index.json ingest oci-layout " ] ||
	fail "something of ours is left: $(ls -A buildx-local-cache)"
same_as_du buildx-local-cache
skopeo copy -q --all --preserve-digests $cache:latest "dir:$WORK/copy" ||
	fail "the cache cannot be copied any more"
[ "$(sha256sum <"$WORK/copy/manifest.json" | cut -c1-64)" = \
	"$(jq -r '.manifests[0].digest' buildx-local-cache/index.json | cut -d: -f2)" ] ||
	fail "the copy is another"
ullage --store $cache gc --grace 0 --now --exclusive | grep -q "Nothing to collect" ||
	fail "a second collection finds something"

# Another state directory knows nothing of it, and keeps everything needed.
ULLAGE_STATE=$WORK/other ullage --store $cache gc --grace 0 --now --exclusive \
	>/dev/null || fail "another state directory"
ls buildx-local-cache/blobs/sha256 | diff "$WORK/needed" - ||
	fail "another state directory collected what is needed"

# One that was only begun is empty; one that has lost its index is not.
mkdir -p fresh && cp skopeo-layout/oci-layout fresh/
for dirs in "" fresh/blobs fresh/blobs/sha256; do
	[ -z "$dirs" ] || mkdir "$dirs"
	[ "$(ullage --store oci:fresh images --json | jq -c .images)" = "[]" ] ||
		fail "a fresh layout is not empty: $(ullage --store oci:fresh images 2>&1)"
	ullage --store oci:fresh gc --grace 0 --now --exclusive >/dev/null ||
		fail "gc of a fresh layout"
	ullage --store oci:fresh verify >said || fail "verify of a fresh layout: $(cat said)"
done
[ ! -e fresh/index.json ] || fail "an index was made up"

# A plan is of one store, and says so; a copy has the same names and blobs.
cp -r skopeo-layout copied
refused() { # WORDS COMMAND ...
	local words=$1
	shift
	ullage "$@" >said 2>&1 && fail "done: $*"
	grep -qF "$words" said || fail "$*: $(cat said)"
	[ ! -e copied/.ullage-trash ] || fail "$*: something was moved"
}
ullage --store oci:skopeo-layout prune -n app -o one.plan >/dev/null
refused "it is of the store oci:$WORK/skopeo-layout, not of " \
	--store oci:copied prune -y --plan one.plan
skopeo inspect oci:copied:app >/dev/null || fail "a plan of another store took app"
# What keeps it from fitting is the grace alone.
echo of nobody >alone
cp alone "copied/blobs/sha256/$(sha256sum <alone | cut -c1-64)"
ullage --store oci:copied gc -n --grace 0 -o young.plan >/dev/null
refused "stays now: too young, may go from" --store oci:copied gc --plan young.plan
ullage --store oci:copied gc --grace 0 --plan young.plan >/dev/null ||
	fail "the plan with its own grace"

# A Docker manifest of schema 1 names its layers in a way that is not followed.
mkdir -p old/blobs/sha256 && cp skopeo-layout/oci-layout old/
put() { # TEXT
	echo "$1" >put && set -- "$(sha256sum <put | cut -c1-64)"
	mv put "old/blobs/sha256/$1" && echo "sha256:$1"
}
layer=$(put "an old layer")
text="{\"schemaVersion\":1,\"fsLayers\":[{\"blobSum\":\"$layer\"}]}"
old=$(put "$text")
echo "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":
	\"application/vnd.docker.distribution.manifest.v1+json\",
	\"digest\":\"$old\",\"size\":$((${#text} + 1))}]}" >old/index.json
ullage --store oci:old gc --grace 0 --now --exclusive >said 2>&1 &&
	fail "gc beside schema 1: $(cat said)"
grep -q "Docker schema 1 manifest" said || fail "schema 1: $(cat said)"
[ -e "old/blobs/sha256/${layer#sha256:}" ] || fail "the layer of schema 1 went"

# Unknown means keep: what a document of an unknown kind names stays, however
# deep; with an index that names more than its entries, nothing goes at all.
rm -rf odd && mkdir -p odd/blobs/sha256
echo '{"imageLayoutVersion":"1.0.0"}' >odd/oci-layout
put() { # TEXT: a blob of it
	echo "$1" >put && set -- "$(sha256sum <put | cut -c1-64)"
	mv put "odd/blobs/sha256/$1" && echo "sha256:$1"
}
needed=$(put "named by a document of an unknown kind")
unneeded=$(put "named by nothing")
document=$(put "{\"x\":{\"y\":[{\"digest\":\"$needed\"}]}}")
entry() { echo "{\"mediaType\":\"application/json\",\"digest\":\"$document\",\"size\":$(stat -c %s "odd/blobs/sha256/${document#sha256:}")${1:-}}"; }
for more in "\"manifests\":[$(entry)],\"extra\":[{\"digest\":\"$unneeded\"}]" \
	"\"manifests\":[$(entry ",\"extra\":{\"digest\":\"$unneeded\"}")]" \
	"\"manifests\":[$(entry)],\"extra\":{\"digest\":\"sha384:$(printf "%096d" 7)\",\"size\":1}"; do
	echo "{\"schemaVersion\":2,$more}" >odd/index.json
	for _ in 1 2; do
		ullage --store oci:odd gc -n --grace 0 >said 2>&1 && fail "gc -n: $more"
		ullage --store oci:odd gc --grace 0 --now --exclusive >said 2>&1 &&
			fail "gc: $more"
		grep -q "index.json names blobs in a member" said || fail "$more: $(cat said)"
		ullage --store oci:odd df >said 2>&1 || fail "df: $more: $(cat said)"
	done
	[ "$(ls odd/blobs/sha256 | wc -l)" = 3 ] || fail "$more: something went"
done
echo "{\"schemaVersion\":2,\"manifests\":[$(entry)],\"annotations\":{\"digest\":\"none\"}}" >odd/index.json
ullage --store oci:odd gc --grace 0 --now --exclusive >said 2>&1 || fail "gc: $(cat said)"
[ -e "odd/blobs/sha256/${needed#sha256:}" ] || fail "what an unknown document names went"
[ -e "odd/blobs/sha256/${unneeded#sha256:}" ] && fail "what nothing names stayed: $(cat said)"

# Who may only read, and has a state directory with nothing in it, is told of
# no database that cannot be read.
if [ "$(id -u)" = 0 ]; then
	chmod 755 "$WORK" && mkdir theirs && chown 65534 theirs
	cp -r skopeo-layout readable
	setpriv --reuid=65534 --regid=65534 --clear-groups \
		env ULLAGE_STATE="$WORK/theirs" "$(command -v ullage)" \
		--store oci:readable images >said 2>&1 || fail "a reader: $(cat said)"
	grep -q "cannot be" said && fail "a reader: $(cat said)"
fi
skopeo copy -q oci:skopeo-layout:app oci:fresh:app || fail "copy to a fresh layout"
rm fresh/index.json
ullage --store oci:fresh gc --grace 0 --now --exclusive >said 2>&1 &&
	fail "gc without an index: $(cat said)"
grep -q "index.json is missing" said || fail "gc without an index: $(cat said)"
exit $failed

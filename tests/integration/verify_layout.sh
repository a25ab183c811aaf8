#!/usr/bin/env bash
# Damage in an image layout of others: found, and put in order by --repair
# without touching what somebody may be writing; nothing of ours is left in it
# but the hidden trash, with what was broken.
. "$(dirname "$0")/cli_lib.sh"
tar --zstd -xf "$SOURCE/tests/data/oci-samples.tar.zst" -C "$WORK" \
	./skopeo-layout ./buildx-local-cache ./buildx-zstd.tar
cd "$WORK" || exit 1
mv skopeo-layout pristine
layout=$WORK/layout
blobs=$layout/blobs/sha256
aside=$layout/.ullage-trash/damaged

# A new copy, which our database has seen: `fresh WHAT`; and one that it has not.
unseen() {
	what=$1
	chattr -i "$layout"/* 2>/dev/null
	rm -rf "$layout" "$ULLAGE_STATE"
	mkdir "$ULLAGE_STATE"
	cp -a "${2:-pristine}" "$layout"
}
fresh() {
	unseen "$@"
	ours df --quiet >/dev/null || fail "$what: df"
}
ours() { ullage --store "oci:$layout" "$@"; }

verify() {
	ours verify --json "$@" >answer 2>talk
	status=$?
	jq -e .findings answer >/dev/null || fail "$what: no answer: $(cat talk)"
}
findings() {
	jq -r '.findings[] | "\(.severity) \(.kind) \(.key): \(.what) [\(
		.images | join(" "))] --repair \(.repair)"' answer
}
ended() { # STATUS
	[ $status -eq "$1" ] || fail "$what: exit status $status: $(findings) $(cat talk)"
}
found() {
	findings | grep -qE -- "$1" || fail "$what: no finding like $1 in
$(findings)"
}
same_as_du() {
	local sum
	sum=$(ours df --measure --json 2>/dev/null | jq -r '.stores[0] |
		"\([.classes[].allocated_bytes] | add) \(.residual_bytes)"')
	[ "$sum" = "$(du -sx -B1 "$layout" | cut -f1) 0" ] || fail "$what: df says $sum"
}
clean() {
	verify --deep
	ended 0
	same_as_du
}
content() { (cd "$layout" && find . -mindepth 1 -printf '%p %y %s %T@ %m %l\n' | LC_ALL=C sort); }
others() { content | grep -v '^\./\.ullage-trash'; }
# Kept, and nothing of ours is left behind.
untouched() { # COMMAND...
	local before
	before=$(content)
	"$@"
	[ "$before" = "$(content)" ] ||
		fail "$what: $*: $(diff <(echo "$before") <(content))"
}
readable() {
	rm -rf copy
	skopeo copy -q --multi-arch all "oci:$layout${1:+:$1}" dir:copy >talk 2>&1 ||
		fail "$what: skopeo cannot read it: $(cat talk)"
}
name=$(jq -r '.manifests[0].annotations["org.opencontainers.image.ref.name"]' \
	pristine/index.json)
manifest=$(jq -r '.manifests[0].digest' pristine/index.json)
manifest=${manifest#sha256:}
image=$manifest
jq -e .manifests "pristine/blobs/sha256/$manifest" >/dev/null &&
	image=$(jq -r '.manifests[0].digest | .[7:]' "pristine/blobs/sha256/$manifest")
layer=$(jq -r '.layers[0].digest | .[7:]' "pristine/blobs/sha256/$image")

fresh "nothing wrong"
clean
untouched verify --repair
ended 0
untouched verify --repair --deep --grace 0
ended 0
cp -a buildx-local-cache cache
untouched ullage --store oci:cache verify --repair --grace 0 >/dev/null ||
	fail "$what: a build cache"

# Blobs. Each is young: its ctime cannot be set back.
fresh "a truncated layer"
truncate -s 100 "$blobs/$layer"
touch -d '3 days ago' "$blobs/$layer"
verify
ended 1
found "^damage blob sha256:$layer: is 100 bytes .* changed within the grace period.*$name.*leaves it, unless --grace 0"
untouched verify --repair
ended 1
found "^damage blob sha256:$layer: is 100 bytes .* changed within the grace"
untouched verify --repair --grace 1h
ended 1
before=$(others | grep -v -e "$layer" -e ' d ')
verify --grace 0
found "^damage blob sha256:$layer: is 100 bytes .*--repair moves it to .ullage-trash/damaged/"
verify --repair --grace 0
ended 1
[ "$(stat -c %s "$aside/sha256-$layer")" = 100 ] || fail "$what: not kept"
[ "$before" = "$(others | grep -v ' d ')" ] || fail "$what: something else was changed"
verify
ended 1
found "^damage blob sha256:$layer: is missing: layer"
found '^note file .ullage-trash/damaged: holds what a repair set aside'
ours df 2>&1 | grep -q 'ullage-trash/damaged holds what .* set aside' ||
	fail "$what: df does not say what is set aside"
same_as_du
ours gc --grace 0 --now --exclusive --quiet >/dev/null 2>talk || fail "$what: gc: $(cat talk)"
[ -s "$aside/sha256-$layer" ] || fail "$what: a collection took what was set aside"
[ -s "$blobs/$image" ] || fail "$what: a collection took what is needed"
skopeo copy -q "oci:pristine:$name" "oci:$layout:$name" >talk 2>&1 || fail "$what: skopeo: $(cat talk)"
clean
readable "$name"
rm "$aside/sha256-$layer"
ours gc --quiet >/dev/null 2>&1
[ ! -e "$layout/.ullage-trash" ] || fail "$what: the trash stays"

fresh "it is old enough when the grace is over"
truncate -s 100 "$blobs/$layer"
sleep 2
untouched verify --repair --grace 1h
verify --repair --grace 1s
ended 1
[ -e "$aside/sha256-$layer" ] || fail "$what: not moved"

fresh "a damaged manifest"
sed -i 's/schemaVersion/sChemaVersion/' "$blobs/$manifest"
untouched verify --repair
ended 1
found "^damage blob sha256:$manifest: does not have its digest; it was changed within"
ours gc --quiet >/dev/null 2>talk && fail "$what: gc ran"
grep -q 'set it aside (verify --repair)' talk || fail "$what: $(cat talk)"
verify --repair --grace 0
ended 1
[ -e "$aside/sha256-$manifest" ] || fail "$what: not kept"
[ "$(jq -r '.manifests[0].digest' "$layout/index.json")" = "sha256:$manifest" ] ||
	fail "$what: its name is gone"
ours gc --quiet >/dev/null 2>talk || fail "$what: gc still refuses: $(cat talk)"
cp "pristine/blobs/sha256/$manifest" "$blobs/"
clean

fresh "a blob that is just being written"
echo half >"$blobs/$(printf 'ab%.0s' {1..32})"
verify --deep
ended 0
found '^note blob sha256:abab.*: does not have its digest; it was changed within'
untouched verify --deep --repair
ended 0
exec 7>>"$blobs/$(printf 'ab%.0s' {1..32})"
untouched verify --deep --repair --grace 0
ended 0
found '^note blob sha256:abab.*: does not have its digest; somebody has it open'
exec 7>&-
verify --deep --repair --grace 0
ended 0
[ "$(cat "$aside/sha256-abab"*)" = half ] || fail "$what: not kept"

fresh "a needed blob that somebody has open"
truncate -s 100 "$blobs/$layer"
exec 7>>"$blobs/$layer"
untouched verify --repair --grace 0
ended 1
found "^damage blob sha256:$layer: is 100 bytes .*; somebody has it open"
exec 7>&-

fresh "a blob that is a symlink"
mv "$blobs/$layer" elsewhere
ln -s "$WORK/elsewhere" "$blobs/$layer"
untouched verify --repair --grace 0
ended 1
found "^damage blob sha256:$layer: .*; it is no regular file.*leaves it"
cmp elsewhere "pristine/blobs/sha256/$layer" || fail "$what: it was followed"

fresh "blobs behind a symlink"
truncate -s 100 "$blobs/$layer"
mv "$layout/blobs" away
ln -s "$WORK/away" "$layout/blobs"
untouched verify --repair --grace 0
ended 1
[ "$(stat -c %s "away/sha256/$layer")" = 100 ] || fail "$what: it was followed"
rm -rf away

# Writers that write in place, slowly, while repairs run: what they were told
# is there is there.
fresh "repairs beside a writer"
rm "$blobs/$layer"
{
	head -c 1000 "pristine/blobs/sha256/$layer"
	sleep 1
	tail -c +1001 "pristine/blobs/sha256/$layer"
} >"$blobs/$layer" &
writer=$!
while kill -0 $writer 2>/dev/null; do
	verify --repair --grace 0
done
wait $writer
clean
readable "$name"

# The index.
for how in half empty missing bad-entry; do
	fresh "$how index"
	index=$layout/index.json
	case $how in
	half) truncate -s 50 "$index" ;;
	empty) : >"$index" ;;
	missing) rm "$index" ;;
	bad-entry) jq -c '.manifests += [{"mediaType":"x"}]' pristine/index.json >"$index" ;;
	esac
	[ "$how" = missing ] || touch -d '1 minute ago' "$index"
	touch -d '1 minute ago' "$layout"
	untouched verify --repair
	ended 1
	found "^damage index index.json: .*; it was changed within the grace period.*$name"
	verify --repair --grace 0
	ended 0
	[ "$(jq -cS '.manifests | sort_by(.digest)' "$index")" = \
		"$(jq -cS '.manifests | sort_by(.digest)' pristine/index.json)" ] ||
		fail "$what: it is $(cat "$index")"
	[ "$how" = missing ] || [ -e "$aside/index.json" ] || fail "$what: not kept"
	[ "$how" != missing ] || [ ! -e "$layout/.ullage-trash" ] || fail "$what: ours is left"
	[ -z "$(find "$layout" -name '*.tmp' -o -name '*.lock')" ] || fail "$what: ours is left"
	clean
	readable "$name"
done

unseen "an empty index that nobody remembers"
: >"$layout/index.json"
touch -d '1 minute ago' "$layout/index.json"
verify --repair --grace 0
ended 0
jq -r '.manifests[].digest' "$layout/index.json" | grep -q "$manifest" ||
	fail "$what: $(cat "$layout/index.json")"
clean
ours tag "sha256:$manifest" "$name" >/dev/null 2>talk || fail "$what: tag: $(cat talk)"
readable "$name"

unseen "an entry says of a manifest what it says itself"
docker=application/vnd.docker.distribution.manifest.v2+json
jq -c --arg type $docker '.mediaType = $type' "$blobs/$image" >docker.json
digest=$(sha256sum docker.json | cut -d' ' -f1)
cp docker.json "$blobs/$digest"
: >"$layout/index.json"
touch -d '1 minute ago' "$layout/index.json"
verify --repair --grace 0
ended 0
jq -e --arg digest "sha256:$digest" --arg type $docker '.manifests[] |
	select(.digest == $digest) | .mediaType == $type' "$layout/index.json" >/dev/null ||
	fail "$what: $(cat "$layout/index.json")"
clean

fresh "an index that somebody has open"
: >"$layout/index.json"
touch -d '1 minute ago' "$layout/index.json"
exec 7>>"$layout/index.json"
untouched verify --repair --grace 0
ended 1
found '^damage index index.json: .*; somebody has it open'
cat pristine/index.json >&7
exec 7>&-
clean

fresh "an index that is a symlink"
mv "$layout/index.json" elsewhere
: >elsewhere
ln -s "$WORK/elsewhere" "$layout/index.json"
untouched verify --repair --grace 0
ended 1
found '^damage index index.json: .*; it is no regular file'

fresh "an index that BuildKit has locked"
: >"$layout/index.json"
touch -d '1 minute ago' "$layout/index.json"
: >"$layout/index.json.lock"
(flock 7 && touch locked && sleep 2 && rm "$layout/index.json.lock" && cp pristine/index.json "$layout/") \
	7>"$layout/index.json.lock" &
until [ -e locked ]; do sleep 0.1; done
verify --repair --grace 0
wait
clean
[ "$(jq -c . "$layout/index.json")" = "$(jq -c . pristine/index.json)" ] ||
	fail "$what: what was written meanwhile is lost"

# What comes back by name comes back from the trash.
fresh "names come back to what lies in the trash"
ours prune -y --grace 1h "$name" --quiet >/dev/null 2>&1
[ ! -e "$blobs/$layer" ] || fail "$what: not pruned"
printf '{"manifests":[{}' >"$layout/index.json"
touch -d '1 minute ago' "$layout/index.json"
cp pristine/blobs/sha256/"$manifest" "$blobs/"
verify --repair --grace 0
ended 0
clean
[ -e "$blobs/$layer" ] || fail "$what: not put back"

# The place.
fresh "a cut oci-layout"
truncate -s 5 "$layout/oci-layout"
untouched verify --repair
ended 1
found '^damage store oci-layout: .*; it was changed within'
verify --repair --grace 0
ended 0
[ "$(jq -r .imageLayoutVersion "$layout/oci-layout")" = 1.0.0 ] || fail "$what: not written"
[ "$(stat -c %s "$aside/oci-layout")" = 5 ] || fail "$what: not kept"
clean
readable "$name"

fresh "a layout of another version"
echo '{"imageLayoutVersion":"2.0.0"}' >"$layout/oci-layout"
before=$(content)
ours verify --repair --grace 0 >/dev/null 2>talk
[ $? -eq 1 ] || fail "$what: exit status"
grep -q 'no image layout of version 1' talk || fail "$what: $(cat talk)"
[ "$before" = "$(content)" ] || fail "$what: changed"

what="no layout"
mkdir -p none/blobs/sha256
echo x >none/blobs/sha256/x
before=$(find none | sort)
ullage --store oci:none verify --repair --grace 0 >/dev/null 2>talk
[ $? -eq 1 ] && [ "$before" = "$(find none | sort)" ] || fail "$what: $(cat talk)"
ullage --store oci:nowhere verify --repair >/dev/null 2>&1
[ $? -eq 1 ] && [ ! -e nowhere ] || fail "$what: nothing there"

fresh "a damaged record in the trash"
ours prune -y --grace 1h "$name" --quiet >/dev/null 2>&1
trash=$(basename "$layout"/.ullage-trash/*)
truncate -s 20 "$layout/.ullage-trash/$trash/record.json"
verify
ended 1
found "^damage trash .ullage-trash/$trash: its record is damaged"
verify --repair
ended 0
[ -d "$aside/trash-$trash" ] || fail "$what: not kept"
clean

db=$ULLAGE_STATE/ullage.db
fresh "a damaged database"
rm -f "$db"*
echo 'this is not a database, however long one looks at it' >"$db"
untouched verify
ended 1
found '^damage database ullage.db: is damaged: .*moves it to'
untouched verify --repair
ended 1
ls "$db".damaged-* >/dev/null || fail "$what: not kept"
clean

fresh "a damaged database of a store of ours too"
ullage import --quiet buildx-zstd.tar >/dev/null 2>&1
rm -f "$db"*
echo 'this is not a database, however long one looks at it' >"$db"
verify
ended 1
found '^damage database ullage.db: is damaged: .*leaves it, for it is another'
ours verify --repair >/dev/null 2>&1 && fail "$what: exit status 0"
ls "$db".damaged-* >/dev/null 2>&1 && fail "$what: moved"
ullage verify --repair >/dev/null 2>&1
clean

# A layout that nobody may write, and one without a state directory.
unseen "no state directory"
rm -rf "$ULLAGE_STATE"
truncate -s 100 "$blobs/$layer"
verify
ended 1
[ ! -e "$ULLAGE_STATE" ] || fail "$what: a look has made one"
verify --repair --grace 0
ended 1
[ -e "$aside/sha256-$layer" ] || fail "$what: not moved"

fresh "another ullage has it locked"
truncate -s 100 "$blobs/$layer"
(flock 7 && touch held && sleep 2) 7<"$layout" &
until [ -e held ]; do sleep 0.1; done
verify --repair --grace 0
wait
ended 1
[ -e "$aside/sha256-$layer" ] || fail "$what: it did not wait"

# What it looks like.
fresh "output"
truncate -s 100 "$blobs/$layer"
: >"$layout/index.json"
touch -d '1 minute ago' "$layout/index.json"
cd "$WORK" || exit 1
{
	ull --store oci:layout verify
	ull --store oci:layout verify --repair
	ull --store oci:layout verify --repair --grace 0
	ull --store oci:layout verify
} >printed.all
awk 'length($0) > 80 && !/^([$]|{|ullage: )/ { print; bad = 1 }
	END { exit bad }' printed.all || fail "wider than 80 columns"
golden cli_verify_layout <printed.all
exit $failed

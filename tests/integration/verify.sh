#!/usr/bin/env bash
# Every kind of damage, made on a store of real images: found by `ullage
# verify`, with the images that it hurts, put in order by --repair without
# losing anything that is whole; then a verify is clean, df adds up, a
# collection takes what it should and nothing else, and skopeo reads every
# image that was not hurt.
# Usage: verify.sh SAMPLES.tar.zst
. "$(dirname "$0")/cli_lib.sh"
samples=$1
pristine=$WORK/pristine
mkdir "$WORK/samples" "$pristine"
tar --zstd -xf "$samples" -C "$WORK/samples"
for sample in docker-save-three-images.tar buildx-zstd.tar buildx-local-cache; do
	ullage --state "$pristine" import --quiet --unpack --replace \
		"$WORK/samples/$sample" >/dev/null 2>&1
done
ullage --state "$pristine" df --quiet >/dev/null
store=$ULLAGE_STATE/store
blobs=$store/oci/blobs/sha256
db=$ULLAGE_STATE/ullage.db

# A new copy of the store, which no test has touched. cp -a: a copy of store
# and database is a store.
fresh() {
	what=$1
	chmod -R u+w "$ULLAGE_STATE"
	rm -rf "$ULLAGE_STATE"
	cp -a "$pristine" "$ULLAGE_STATE"
	sqlite3 "$db" 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null
}

# What is damaged was damaged a while ago: nobody is waited for who may be just
# writing it.
old() {
	touch -d '1 minute ago' "$@"
}

# verify ARGS...: its answer is in $WORK/answer, its exit status in $status.
verify() {
	ullage verify --json "$@" >"$WORK/answer" 2>"$WORK/talk"
	status=$?
	jq -e .findings "$WORK/answer" >/dev/null ||
		fail "$what: no answer: $(cat "$WORK/talk")"
}

# found PATTERN: as SEVERITY KIND KEY: WHAT [IMAGES]
findings() {
	jq -r '.findings[] | "\(.severity) \(.kind) \(.key): \(.what) [\(
		.images | map(sub("docker.io/library/"; "")) | join(" "))]"' \
		"$WORK/answer"
}

found() {
	findings | grep -qE -- "$1" || fail "$what: no finding like $1 in
$(findings)"
}

# damaged PATTERN [IMAGES]: a look finds it, changes nothing, and finds it
# again; so does a deep one.
damaged() {
	local first
	verify
	[ $status -eq 1 ] || fail "$what: exit status $status"
	found "^damage $1"
	first=$(findings)
	verify
	[ "$first" = "$(findings)" ] || fail "$what: another answer later"
	verify --deep
	[ $status -eq 1 ] || fail "$what: exit status $status when deep"
	found "^damage $1"
}

# repaired STATUS [OPTION]: --repair ends with this.
repaired() {
	verify --repair ${2:-}
	[ $status -eq "$1" ] || fail "$what: repair ends with $status:
$(findings) $(cat "$WORK/talk")"
}

clean() {
	verify --deep
	[ $status -eq 0 ] || fail "$what: not clean: $(findings)"
	same_as_du
}

# Hurt still, as it was said; but in no other way, and it is no refusal.
hurt() { # PATTERN
	verify --deep
	[ $status -eq 1 ] || fail "$what: exit status $status after repair"
	found "^damage $1"
	[ "$(findings | grep -c ^damage)" -eq 1 ] ||
		fail "$what: more damage than that: $(findings)"
	same_as_du
}

same_as_du() {
	local sum du
	du=$(du -sx -B1 "$store" | cut -f1)
	sum=$(ullage df --measure --json 2>/dev/null | jq -r '.stores[0] |
		"\([.classes[].allocated_bytes] | add) \(.residual_bytes)"')
	[ "$sum" = "$du 0" ] || fail "$what: df says $sum, du $du"
}

readable() { # NAME...
	local name
	for name in "$@"; do
		rm -rf "$WORK/copy"
		skopeo copy -q --multi-arch all \
			"oci:$store/oci:docker.io/library/$name" \
			"dir:$WORK/copy" >/dev/null 2>&1 ||
			fail "$what: skopeo cannot read $name"
	done
}

all_images='app:1 app:2 base:1 buildx-zstd:latest'

# A collection that waits for nothing takes only what no image needs.
collects() { # NAME...
	local before after
	before=$(cd "$store" && find oci/blobs snapshots -maxdepth 2 | wc -l)
	ullage gc --grace 0 --now --quiet >/dev/null 2>"$WORK/talk" ||
		fail "$what: gc: $(cat "$WORK/talk")"
	after=$(cd "$store" && find oci/blobs snapshots -maxdepth 2 | wc -l)
	readable "$@"
	[ "$((before - after))" -eq "${goes:-0}" ] ||
		fail "$what: gc took $((before - after)) things"
	same_as_du
	verify
	[ "$(findings | grep -c ^damage)" -eq "${left:-0}" ] ||
		fail "$what: damage after gc: $(findings)"
}

digest_of() { # NAME
	jq -r --arg name "docker.io/library/$1" '.manifests[] |
		select(.annotations["org.opencontainers.image.ref.name"] ==
		$name) | .digest' "$store/oci/index.json"
}
blob() { # NAME JQ-PATH of the image's first manifest
	local manifest
	manifest=$(digest_of "$1")
	jq -e .manifests "$blobs/${manifest#sha256:}" >/dev/null &&
		manifest=$(jq -r '.manifests[0].digest' \
			"$blobs/${manifest#sha256:}")
	jq -r "$2" "$blobs/${manifest#sha256:}"
}

fresh "nothing wrong"
verify
[ $status -eq 0 ] || fail "$what: $(findings)"
[ -z "$(findings)" ] || fail "$what: $(findings)"
clean
verify --repair
[ $status -eq 0 ] || fail "$what: repair"
[ ! -e "$store/damaged" ] || fail "$what: something was set aside"
collects $all_images

fresh "copied state directory"
cp -a "$ULLAGE_STATE" "$WORK/second"
ULLAGE_STATE=$WORK/second ullage verify >/dev/null || fail "$what"
ULLAGE_STATE=$WORK/second ullage gc --quiet >/dev/null || fail "$what: gc"
rm -rf "$WORK/second"

what="no store"
ULLAGE_STATE=$WORK/none ullage verify >/dev/null 2>&1 || fail "$what"
[ ! -e "$WORK/none" ] || fail "$what: one was made"

# Blobs.
fresh "truncated layer"
layer=$(blob app:2 '.layers[-1].digest')
truncate -s 100 "$blobs/${layer#sha256:}"
damaged "blob $layer: is 100 bytes long and should be [0-9]+.*\[app:2\]"
repaired 1
[ -e "$store/damaged/sha256-${layer#sha256:}" ] || fail "$what: not kept"
hurt "blob $layer: is missing: layer"
left=1 collects app:1 base:1 buildx-zstd:latest
ullage import --quiet --replace "$WORK/samples/docker-save-three-images.tar" \
	>/dev/null
clean
readable $all_images

fresh "flipped byte in a layer"
layer=$(blob app:1 '.layers[0].digest')
printf '\377' | dd of="$blobs/${layer#sha256:}" bs=1 seek=1000 conv=notrunc \
	status=none
verify
[ $status -eq 0 ] || fail "$what: a quick look hashes layers"
verify --deep
[ $status -eq 1 ] || fail "$what: not found"
found "^damage blob $layer: does not have its digest \[app:1 app:2 base:1"
repaired 1 --deep
hurt "blob $layer: is missing"
left=1 collects buildx-zstd:latest

fresh "flipped byte in a manifest"
manifest=$(digest_of base:1)
sed -i 's/schemaVersion/sChemaVersion/' "$blobs/${manifest#sha256:}"
old "$blobs/${manifest#sha256:}"
damaged "blob $manifest: does not have its digest \[base:1\]"
repaired 1
hurt "blob $manifest: is missing, and with it the image.*\[base:1\]"
left=1 collects app:1 app:2 buildx-zstd:latest

fresh "missing layer"
layer=$(blob buildx-zstd:latest '.layers[0].digest')
rm "$blobs/${layer#sha256:}"
damaged "blob $layer: is missing: layer 0 .*\[buildx-zstd:latest\]"
repaired 1
hurt "blob $layer: is missing"
left=1 collects app:1 app:2 base:1

fresh "missing config"
config=$(blob base:1 .config.digest)
rm "$blobs/${config#sha256:}"
damaged "blob $config: is missing: config .*base:1"
repaired 1
hurt "blob $config: is missing"
left=1 collects buildx-zstd:latest

fresh "missing manifest"
manifest=$(digest_of app:2)
rm "$blobs/${manifest#sha256:}"
damaged "blob $manifest: is missing, and with it the image.*\[app:2\]"
repaired 1
[ "$(digest_of app:2)" = "$manifest" ] || fail "$what: its name is gone"
hurt "blob $manifest: is missing"
left=1 collects app:1 base:1 buildx-zstd:latest

fresh "absent platform"
manifest=$(digest_of app:2)
child=$(jq -r '.manifests[-1].digest' "$blobs/${manifest#sha256:}")
rm "$blobs/${child#sha256:}"
verify
[ $status -eq 0 ] || fail "$what: exit status $status: $(findings)"
found "^note blob $manifest: has [0-9]+ of its [0-9]+ manifests here.*\[app:2\]"
readable app:1 base:1 buildx-zstd:latest

# The index.
names() {
	jq -r '.manifests[].annotations["org.opencontainers.image.ref.name"]' \
		"$store/oci/index.json" | sort
}
for how in half empty missing bad-entry folder; do
	fresh "$how index"
	before=$(names)
	index=$store/oci/index.json
	case $how in
	half) truncate -s 500 "$index" ;;
	empty) : >"$index" ;;
	missing) rm "$index" ;;
	bad-entry) jq -c '.manifests += [{"mediaType":"x"}]' "$index" \
		>"$WORK/index" && cp "$WORK/index" "$index" ;;
	folder) rm "$index" && mkdir "$index" ;;
	esac
	[ "$how" = missing ] || old "$index"
	old "$store/oci"
	verify
	[ $status -eq 1 ] || fail "$what: exit status $status"
	found '^damage index index.json:.*app:1.*base:1'
	repaired 0
	[ "$before" = "$(names)" ] || fail "$what: the names are $(names)"
	[ "$how" = missing ] || [ -e "$store/damaged/index.json" ] ||
		fail "$what: not kept"
	clean
	collects $all_images
done

fresh "empty index and lost database"
: >"$store/oci/index.json"
old "$store/oci/index.json"
rm -f "$db"*
verify
[ $status -eq 1 ] || fail "$what: exit status $status"
repaired 1
clean
[ "$(jq '.manifests | length' "$store/oci/index.json")" -eq 5 ] ||
	fail "$what: not every image has an entry: $(jq -c .manifests \
		"$store/oci/index.json")"
collects
ullage tag "$(jq -r '.manifests[0].digest' "$store/oci/index.json")" back:1 \
	>/dev/null || fail "$what: tag"

# The database.
fresh "lost database"
rm -f "$db"*
damaged 'database ullage.db: does not know this store'
ullage gc --grace 0 --now --quiet >/dev/null 2>&1 && fail "$what: gc ran"
repaired 1
repaired 0
clean
[ "$(ullage snapshot list --json | jq '.snapshots | length')" -eq \
	"$(find "$store/snapshots" -maxdepth 1 -name 'layer-*' | wc -l)" ] ||
	fail "$what: layers without records"
collects $all_images

fresh "lost database, with things that nothing needs"
ullage untag base:1 app:1 --quiet >/dev/null
rm -f "$db"*
repaired 1
clean
ullage df --json | jq -e '.stores[0].classes[] | select(.class == "orphaned") |
	.objects > 0' >/dev/null || fail "$what: nothing is orphaned"
ullage gc --json >"$WORK/run" 2>/dev/null
[ "$(jq '.freed_bytes + .trashed_bytes' "$WORK/run")" = 0 ] ||
	fail "$what: its grace does not begin now: $(cat "$WORK/run")"
readable app:2 buildx-zstd:latest
ullage gc --grace 0 --now --json >"$WORK/run" 2>/dev/null
[ "$(jq '.freed_bytes' "$WORK/run")" -gt 0 ] ||
	fail "$what: gc is no use: $(cat "$WORK/run")"
readable app:2 buildx-zstd:latest
clean

fresh "lost database, with a layer that no image explains"
ullage untag base:1 app:1 app:2 buildx-zstd --quiet >/dev/null
layers=$(find "$store/snapshots" -maxdepth 1 -name 'layer-*' | wc -l)
rm -rf "$blobs"/* "$db"*
printf '{"schemaVersion":2,"manifests":[]}' >"$store/oci/index.json"
repaired 1
clean
[ "$(ullage snapshot list --json | jq '[.snapshots[] |
	select(.key | startswith("recovered-"))] | length')" -eq "$layers" ] ||
	fail "$what: $(ullage snapshot list)"
goes=0 collects

fresh "lost database, with a snapshot of a user"
ullage snapshot prepare mine app:1 >/dev/null
echo kept >"$store/snapshots/key-mine/fs/file"
rm -f "$db"*
repaired 1
clean
[ "$(cat "$store/snapshots/key-mine/fs/file")" = kept ] || fail "$what: lost"
ullage snapshot list --json | jq -e '.snapshots[] | select(.key == "mine")' \
	>/dev/null || fail "$what: no record"
collects $all_images

fresh "lost database, runs in the trash"
ullage prune -y app:1 --quiet >/dev/null
rm -f "$db"*
repaired 1
ullage prune -y app:2 --quiet >/dev/null
[ "$(ullage history --json | jq '.runs[0].run')" -eq 2 ] ||
	fail "$what: the number of the run is given again"
ullage undo 2 --quiet >/dev/null || fail "$what: undo"
[ -n "$(digest_of app:2)" ] || fail "$what: not undone"
[ -z "$(digest_of app:1)" ] || fail "$what: too much undone"

fresh "older database"
cp "$db" "$WORK/older.db"
ullage lease create late >/dev/null
ullage snapshot prepare late app:1 >/dev/null
rm -f "$db"*
cp "$WORK/older.db" "$db"
damaged 'database ullage.db: is older than the store'
repaired 1
repaired 0
clean
ullage snapshot list --json | jq -e '.snapshots[] | select(.key == "late")' \
	>/dev/null || fail "$what: no record"
collects $all_images

fresh "foreign database"
ULLAGE_STATE=$WORK/other ullage import --quiet \
	"$WORK/samples/buildx-zstd.tar" >/dev/null
sqlite3 "$WORK/other/ullage.db" 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null
rm -f "$db"*
cp "$WORK/other/ullage.db" "$db"
damaged 'database ullage.db: does not know this store'
repaired 1
repaired 0
clean
collects $all_images

fresh "damaged database"
rm -f "$db-wal" "$db-shm"
dd if=/dev/zero of="$db" bs=4096 seek=2 count=6 conv=notrunc status=none
damaged 'database ullage.db: is damaged'
repaired 1
ls "$db".damaged-* >/dev/null || fail "$what: not kept"
repaired 0
clean
collects $all_images

fresh "a database that is none"
rm -f "$db"*
echo 'this is not a database, however long one looks at it' >"$db"
damaged 'database ullage.db: is damaged'
repaired 1
repaired 0
clean
collects $all_images

# The place.
fresh "garbage store-id"
echo '{' >"$store/store-id"
damaged 'store store-id: is damaged'
repaired 0
[ -e "$store/damaged/store-id" ] || fail "$what: not kept"
clean
collects $all_images

fresh "missing store-id"
rm "$store/store-id"
damaged 'store store-id: is missing'
[ ! -e "$store/store-id" ] || fail "$what: a look has made one"
repaired 0
clean
collects $all_images

fresh "missing folders and marker"
rm -rf "$store/ingest" "$store/trash" "$store/oci/oci-layout"
damaged 'store ingest: this folder is missing'
found '^damage store oci/oci-layout: does not say'
repaired 0
clean
collects $all_images

fresh "a file in a folder's place"
rmdir "$store/trash"
echo x >"$store/trash"
damaged 'store trash: this is no folder'
repaired 0
clean
collects $all_images

# Snapshots.
fresh "missing snapshot"
base=$(ullage snapshot list --json | jq -r '[.snapshots[] |
	select(.parent) | .parent][0]')
rm -rf "$store/snapshots/layer-${base#sha256:}"
damaged "snapshot $base: is recorded, but its folder is gone \[.*app"
repaired 0
clean
found '^note snapshot .* stands on a layer that is not unpacked'
ullage unpack --quiet $all_images >/dev/null || fail "$what: unpack"
clean
[ -z "$(findings)" ] || fail "$what: $(findings)"
collects $all_images

fresh "missing snapshot under one of a user"
base=$(ullage snapshot prepare mine app:2 --json | jq -r .parent)
[ -n "$base" ] && [ "$base" != null ] || base=$(ullage snapshot list --json |
	jq -r '.snapshots[] | select(.key == "mine") | .parent')
rm -rf "$store/snapshots/layer-${base#sha256:}"
damaged "snapshot $base: is recorded, but its folder is gone"
repaired 1
hurt 'snapshot mine: cannot be mounted: its parent'
ullage unpack --quiet app:2 >/dev/null || fail "$what: unpack"
clean

fresh "missing snapshot of a user"
ullage snapshot prepare mine app:2 >/dev/null
rm -rf "$store/snapshots/key-mine"
damaged 'snapshot mine: is recorded, but its folder is gone'
repaired 1
clean
collects $all_images

fresh "edited file in a snapshot"
key=$(ullage snapshot list --json | jq -r '[.snapshots[] | select(.parent | not)
	][0].key')
# A copy is measured anew; then the clock of the measurement runs behind, so
# that no second has to pass.
ullage df --measure --quiet >/dev/null
sqlite3 "$db" 'update measure set measured_unix_s = measured_unix_s - 100'
fs=$store/snapshots/layer-${key#sha256:}/fs
printf 'edited%9000s' x >"$(find "$fs" -type f | sort | head -1)"
damaged "snapshot $key: (was changed after it was unpacked|differs from its layer)"
found "^damage snapshot $key: differs from its layer: .*\[.+\]"
repaired 1
[ -d "$fs" ] || fail "$what: set aside on a suspicion"
repaired 0 --deep
[ -d "$store/damaged/layer-${key#sha256:}" ] || fail "$what: not kept"
clean
ullage unpack --quiet $all_images >/dev/null || fail "$what: unpack"
clean
collects $all_images

fresh "changed mode, owner, time, attribute, link, name"
key=$(ullage snapshot list --json | jq -r '[.snapshots[] | select(.parent | not)
	][0].key')
fs=$store/snapshots/layer-${key#sha256:}/fs
file=$(find "$fs" -type f -links 1 | sort | head -1)
differs() { # WHAT COMMAND...
	local is=$1
	shift
	cp -a --attributes-only "$file" "$WORK/like" && cat "$file" >"$WORK/was"
	"$@"
	verify --deep
	found "^damage snapshot $key: differs from its layer: .*: $is"
	rm -f "$file" "$file.more"
	cp -a "$WORK/like" "$file" && cat "$WORK/was" >"$file"
	touch -r "$WORK/like" "$file"
	touch -d "$times" "$(dirname "$file")"
	verify --deep
	[ $status -eq 0 ] || fail "$what: $is stays: $(findings)"
}
times=$(stat -c %y "$(dirname "$file")")
differs mode chmod 4711 "$file"
differs owner chown 7:7 "$file"
differs 'time of change' touch "$file"
differs 'extended attributes' setfattr -n user.mark -v 1 "$file"
differs '(another type|time of change, and)' bash -c 'rm "$0"; mkdir "$0"; rmdir "$0"; mkfifo "$0"' \
	"$file"
differs '(is missing|time of change, and)' rm "$file"
differs '(is too much|time of change, and)' touch "$file.more"

fresh "extra snapshot folder"
mkdir -p "$store/snapshots/key-extra/fs" "$store/snapshots/else"
verify
[ $status -eq 0 ] || fail "$what: exit status $status"
found '^note snapshot snapshots/key-extra: has no record: orphaned'
found '^note file snapshots/else: is none of ours'
repaired 0
goes=2 collects $all_images
[ -d "$store/snapshots/else" ] || fail "$what: unknown names are kept"

# The rest.
fresh "damaged record in the trash"
ullage prune -y app:1 --quiet >/dev/null
trash=$(basename "$(ls -d "$store/trash/"*)")
truncate -s 20 "$store/trash/$trash/record.json"
damaged "trash trash/$trash: its record is damaged"
repaired 0
[ -d "$store/damaged/trash-$trash" ] || fail "$what: not kept"
clean
found '^note file damaged: holds what a repair set aside'
collects app:2 base:1 buildx-zstd:latest

fresh "leases, left-overs and strangers"
ullage lease create web >/dev/null
ullage lease add web \
	sha256:1111111111111111111111111111111111111111111111111111111111111111 \
	>/dev/null 2>&1 || sqlite3 "$db" "insert into lease_resource
	select store, id, 'blob', 'sha256:1111' from lease"
mkdir "$store/ingest/0123456789abcdef"
echo x >"$store/oci/README"
verify
[ $status -eq 0 ] || fail "$what: exit status $status: $(findings)"
found '^note lease web: holds blob sha256:1111'
found '^note ingest ingest/0123456789abcdef: was left by a change'
found '^note file oci/README: is none of ours'

fresh "half a commit"
ullage snapshot prepare rw app:1 >/dev/null
sqlite3 "$db" "insert into snapshot (store, key, parent, kind, created_unix_s)
	select store, 'done', parent, 'committed', created_unix_s
	from snapshot where key = 'rw'"
verify
[ $status -eq 0 ] || fail "$what: exit status $status: $(findings)"
found '^note snapshot done: is half of a commit that was stopped'

fresh "a layout of others"
layout=$WORK/layout
cp -a "$WORK/samples/skopeo-layout" "$layout"
verify --store "oci:$layout" --deep
[ $status -eq 0 ] && [ -z "$(findings)" ] || fail "$what: $(findings)"
truncate -s 5 "$(find "$layout/blobs/sha256" -size +1000k | head -1)"
touch "$layout/README"
before=$(find "$layout" -printf '%p %s %T@\n' | sort)
verify --store "oci:$layout"
[ $status -eq 1 ] || fail "$what: exit status $status"
found '^damage blob sha256:.*: is 5 bytes long and should be'
found '^note file README: is none of ours'
[ "$before" = "$(find "$layout" -printf '%p %s %T@\n' | sort)" ] ||
	fail "$what: was changed"

# Read-only: it looks, and says that it may not repair.
fresh "read-only"
truncate -s 100M "$WORK/disk"
mkfs.ext4 -q "$WORK/disk"
mkdir -p "$WORK/mnt"
mount -o loop "$WORK/disk" "$WORK/mnt" || fail "$what: mount"
cp -a "$ULLAGE_STATE" "$WORK/mnt/state"
mount -o remount,ro "$WORK/mnt"
ullage --state "$WORK/mnt/state" verify --deep --json >"$WORK/answer" ||
	fail "$what: exit status $?"
found '^note store snapshots: were not compared'
ullage --state "$WORK/mnt/state" verify --repair >/dev/null 2>"$WORK/talk" &&
	fail "$what: repaired"
grep -q 'cannot be written' "$WORK/talk" || fail "$what: $(cat "$WORK/talk")"
umount "$WORK/mnt"

# What it looks like.
fresh "output"
layer=$(blob app:2 '.layers[-1].digest')
truncate -s 100 "$blobs/${layer#sha256:}"
: >"$store/oci/index.json"
old "$store/oci/index.json"
mkdir "$store/snapshots/key-extra"
{
	ull verify
	ull verify --repair
	ull verify --deep
	ull verify --deep --json
	ull verify x
	ull --as-of 5 verify --repair
} >"$WORK/printed.all"
awk 'length($0) > 80 && !/^([$]|{|ullage: )/ { print; bad = 1 }
	END { exit bad }' "$WORK/printed.all" || fail "wider than 80 columns"
golden cli_verify <"$WORK/printed.all"
exit $failed

#!/usr/bin/env bash
# skopeo reads the index when it starts and writes it back when it ends: what
# we did in between is undone by it, and nothing is lost of either.
. "$(dirname "$0")/cli_lib.sh"

layout=$ULLAGE_STATE/store/oci

names() { ullage images --json | jq -r '.images[].names[]' | LC_ALL=C sort; }

# whole NAME: every blob of it is there and right, as skopeo sees it.
whole() {
	rm -rf "$WORK/out"
	skopeo copy --quiet --all --preserve-digests "oci:$layout:$1" \
		"dir:$WORK/out" >"$WORK/said" 2>&1 ||
		fail "$1 is not whole: $(cat "$WORK/said")"
}

# An image from a folder whose manifest comes through a pipe: by the time that
# skopeo waits for it, it has read the index.
late=$WORK/late
mkdir "$late"
echo late >"$WORK/file"
tar -C "$WORK" --mtime=@0 --owner=0 --group=0 -cf "$WORK/layer.tar" file
diff_id=$(sha256sum "$WORK/layer.tar" | cut -d' ' -f1)
gzip -n "$WORK/layer.tar"
layer=$(sha256sum "$WORK/layer.tar.gz" | cut -d' ' -f1)
cat >"$WORK/config" <<END
{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:$diff_id"]}}
END
config=$(sha256sum "$WORK/config" | cut -d' ' -f1)
cat >"$WORK/manifest" <<END
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:$config","size":$(stat -c %s "$WORK/config")},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:$layer","size":$(stat -c %s "$WORK/layer.tar.gz")}]}
END
printf 'Directory Transport Version: 1.1\n' >"$late/version"
cp "$WORK/config" "$late/$config"
cp "$WORK/layer.tar.gz" "$late/$layer"
mkfifo "$late/manifest.json"

ullage import --quiet "$(sample docker-save-three-images.tar)" >/dev/null
other=$(sample buildx-zstd.tar)

skopeo copy --quiet "dir:$late" "oci:$layout:late:1" >"$WORK/skopeo" 2>&1 &
skopeo=$!
exec 3>"$late/manifest.json"

# Meanwhile: a name goes, an image goes with its content, others come.
ullage untag --quiet base:1 >/dev/null || fail "untag"
ullage prune -y --quiet app:2 >/dev/null || fail "prune"
ullage tag --quiet app:1 mine:1 >/dev/null || fail "tag"
ullage import --quiet "$other" >/dev/null || fail "import"
only=$(ullage images --json | jq -r \
	'.images[] | select(.names[] == "docker.io/library/buildx-zstd:latest").digest')
[ -n "$only" ] || fail "buildx-zstd:latest is not there: $(names)"

cat "$WORK/manifest" >&3
exec 3>&-
wait $skopeo || fail "skopeo: $(cat "$WORK/skopeo")"

# What was removed is back, with all its content; what came is gone.
[ "$(names)" = "docker.io/library/app:1
docker.io/library/app:2
docker.io/library/base:1
late:1" ] || fail "after skopeo: $(names)"
for name in app:1 app:2 base:1; do
	whole "docker.io/library/$name"
done
whole late:1

# Names that vanished are told, and what they stood for stays for the grace.
ullage df >"$WORK/df" 2>&1
for name in mine:1 buildx-zstd:latest; do
	grep -q "name docker.io/library/$name vanished" "$WORK/df" ||
		fail "df does not speak of $name: $(cat "$WORK/df")"
done
ullage why buildx-zstd:latest >"$WORK/why" 2>&1 || fail "why buildx-zstd:latest"
grep -q vanished "$WORK/why" || fail "why buildx-zstd:latest: $(cat "$WORK/why")"
ullage gc --quiet >/dev/null
ullage tag --quiet "$only" buildx-zstd:latest >/dev/null || fail "buildx-zstd:latest does not come back"
whole docker.io/library/buildx-zstd:latest

# By its name too.
ullage tag mine:1 mine:1 >/dev/null || fail "mine:1 does not come back"
whole docker.io/library/mine:1
ullage df --json | jq -e '.stores[0].residual_bytes == 0' >/dev/null ||
	fail "residual"
[ ! -e "$layout/index.json.lock" ] || fail "the lock is left"
exit $failed

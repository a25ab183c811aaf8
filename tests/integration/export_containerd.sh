#!/usr/bin/env bash
# A real containerd, on a root and socket of its own, takes what we export:
# every platform, unpacked, under the names and digests that they have here.
. "$(dirname "$0")/cli_lib.sh"
cd "$WORK" || exit 1
cat >config.toml <<END
version = 2
root = "$WORK/root"
state = "$WORK/run"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$WORK/sock"
[ttrpc]
  address = "$WORK/ttrpc"
END
containerd --config config.toml >log 2>&1 &
daemon=$!
at_end='kill $daemon; wait $daemon 2>/dev/null'
for ((i = 0; i < 300; i++)); do
	ctr -a sock version >/dev/null 2>&1 && break
	kill -0 $daemon 2>/dev/null || break
	sleep 0.1
done
ctr -a sock version >/dev/null || { cat log; exit 1; }

ullage import --quiet "$(sample docker-save-three-images.tar)" >/dev/null || fail import
ullage import --quiet "$(sample buildx-zstd.tar)" >/dev/null || fail import
ullage images --json | jq -r '.images[] | "\(.names[0]) \(.digest)"' | sort >here
[ "$(wc -l <here)" = 4 ] || fail "what is here: $(cat here)"
ullage export --quiet $(cut -d' ' -f1 here) -o out.tar >/dev/null || fail export
ctr -a sock images import --all-platforms out.tar >said 2>&1 || fail "ctr: $(cat said)"
ctr -a sock images list | awk 'NR > 1 { print $1, $3 }' | sort >there
diff here there || fail "containerd has something else"
ctr -a sock content list -q | sort >blobs
(cd "$ULLAGE_STATE/store/oci/blobs" && ls sha256 | sed 's/^/sha256:/' | sort) |
	comm -23 - blobs >missing
[ ! -s missing ] || fail "blobs that did not arrive: $(cat missing)"
exit $failed

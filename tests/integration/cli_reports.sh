#!/usr/bin/env bash
# df, images, why, prune, gc, undo, history and import: what they print, on an
# ext4 of 4 KiB blocks without inline data, where every number is known; and
# that df's sum is what du says after each of them.
. "$(dirname "$0")/cli_lib.sh"
truncate -s 200M "$WORK/disk"
mkfs.ext4 -q -b 4096 -O ^inline_data -E lazy_itable_init=0 "$WORK/disk" ||
	exit 1
mkdir "$WORK/mnt"
mount -o loop "$WORK/disk" "$WORK/mnt" || exit 1
at_end='umount "$WORK/mnt"'
export ULLAGE_STATE=$WORK/mnt/state

# Times and free space differ from run to run; names of runs do not.
exact() {
	sed -E "s,$WORK,WORK,g
		s/trash\/[0-9a-f]{8}-([0-9]+)-[0-9a-f]{8}/trash\/DATABASE-\1-RANDOM/g
		s/(\"command\":\"gc\",\"plan\":\")[0-9a-f]+/\1PLAN/g
		s/with [0-9.]+ [kMG]B free/with SIZE free/
		s/20[0-9-]+T[0-9:]+Z/2026-01-01T00:00:00Z/
		s/\"(available_bytes|[a-z_]*unix_s|seconds)\":[0-9.e-]+/\"\1\":N/g"
}

# The classes of df are what du counts, and the independent walk agrees.
same_as_du() {
	local sum du
	sync -f "$ULLAGE_STATE"
	du=$(du -sx -B1 "$ULLAGE_STATE/store" | cut -f1)
	sum=$(ullage df --measure --json | jq '[.stores[0] |
		([.classes[].allocated_bytes] | add), .allocated_bytes, .residual_bytes] | @csv' -r)
	[ "$sum" = "$du,$du,0" ] || fail "$1: df says $sum, du $du"
}

docker=$(sample docker-save-three-images.tar)
zstd=$(sample buildx-zstd.tar)
{
	ull df
	ull lease create start
	ull lease delete start
	ull df
	ull import --unpack "$docker"
	same_as_du import
	ull import "$docker"
	ull import --unpack "$zstd" --json
	same_as_du "second import"
	ull df -v
	ull df --json
	ull images
	ull images --sort packed --json
	ull images --sort size
	ull why app:2
	ull why sha256:f5b14defc452
	ull why sha256:f5b14defc452 --json
	ull why nothing
	ull why oci/index.json
	ull why "$ULLAGE_STATE/store/store-id" --json
	ull why "$ULLAGE_STATE/store"
	ull why "$ULLAGE_STATE/ullage.db"
	ull why oci/blobs/../../../ullage.db
	ull prune -n
	ull prune -n -a
	ull prune -n app:1 'buildx*'
	ull prune -n app:1 --json
	ull prune app:3
	ull prune app:1
	ull prune -y app:1
	same_as_du prune
	ull df
	ull gc
	ull why sha256:2bb875f035a1
	ull undo 1
	same_as_du undo
	ull undo 1
	ull undo 99
	ull pin app:1
	ull prune -y app:1 base:1 --now
	same_as_du "prune --now"
	ull images
	ull prune -n -a -o "$WORK/plan.json"
	ull tag app:2 kept
	ull prune -y --plan "$WORK/plan.json"
	ull untag kept
	ull prune -y --plan "$WORK/plan.json" --json
	same_as_du "saved plan"
	ull gc --now
	same_as_du "gc --now"
	ull history
	ull history --last 1 --json
	ull df
} 2>&1 | exact >"$WORK/reports"
golden_exact cli_reports <"$WORK/reports"
grep -q FAILED "$WORK/reports" && failed=1

# No table is wider than the terminal, whatever has to be left out for it.
ullage lease create "a lease with a name that is rather long" --expire 1h >/dev/null
ullage snapshot prepare a-snapshot-of-a-long-name-for-a-key >/dev/null
for columns in 40 60 80; do
	for command in df images history "lease list" "snapshot list"; do
		# shellcheck disable=SC2086
		COLUMNS=$columns ullage $command >"$WORK/narrow" || fail "$command"
		sed -n '/^ *[A-Z][A-Z ]*$/,/^$/p' "$WORK/narrow" |
			grep -q . || fail "$command: no table"
		sed -n '/^ *[A-Z][A-Z ]*$/,/^$/p' "$WORK/narrow" |
			grep -E "^.{$((columns + 1)),}" &&
			fail "$command is too wide for $columns columns"
	done
done
COLUMNS=40 ullage df | grep -q "^No room for OBJECTS, PACKED, UNPACKED.$" ||
	fail "df at 40 columns: $(COLUMNS=40 ullage df)"
exit $failed

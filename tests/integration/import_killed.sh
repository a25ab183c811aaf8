#!/bin/bash
# Killed at the steps that change a disk, an import leaves a store in which
# every image is whole, all bytes are explained, and a second try succeeds.
#
# Needs strace (it kills at the n-th call), jq and zstd.
# Usage: import_killed.sh SAMPLES.tar.zst    (programs in $ULLAGE_BIN)
set -Eeuo pipefail

: "${ULLAGE_BIN:?the folder of the built programs}"
samples=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'echo "FAILED: line $LINENO, killed at $call $n"; cat errors.txt' ERR
cd "$work"
zstd -dcq "$samples" | tar -x
# A leak cannot be looked for in a program that is traced.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
call=none
n=0

ullage() {
	"$ULLAGE_BIN/ullage" --state state "$@"
}

snapshots() {
	(cd state/store/snapshots && find . -mindepth 2 -printf '%p %y %m %s\n' |
		sort)
}

names() {
	jq -r '.manifests[].annotations["org.opencontainers.image.ref.name"]' \
		state/store/oci/index.json
}

check() { # what is there is whole and explained
	# Every blob of every image is hashed on its way out.
	ullage export $(names) -o /dev/null >/dev/null 2>errors.txt
	ullage df --json --measure >df.json 2>errors.txt
	jq -e '.stores[0].residual_bytes == 0' df.json >/dev/null
	[ "$(jq '.stores[0].allocated_bytes' df.json)" = \
		"$(du -sx -B1 state/store | cut -f1)" ]
}

: >errors.txt
ullage import buildx-zstd.tar --unpack >/dev/null
cp -a state before
ullage import docker-save-three-images.tar --unpack >/dev/null
snapshots >expected.txt
expected=$(names | sort)
count=0
for call in renameat syncfs mkdirat unlinkat; do
	# Most directories are those of the layers, half the renames are within
	# the import's own folder.
	step=1
	[ $call != mkdirat ] || step=5
	[ $call != renameat ] || step=2
	for ((n = 1; ; n += step)); do
		rm -rf state
		cp -a before state
		status=0
		{ # its stderr is the shell's, which tells of the kill
			strace -f -qq -o /dev/null -e trace=$call \
				-e inject=$call:signal=KILL:when=$n \
				"$ULLAGE_BIN/ullage" --state state import \
				docker-save-three-images.tar --unpack \
				>/dev/null 2>errors.txt
		} 2>/dev/null || status=$?
		[ "$status" -ne 0 ] || break
		[ "$status" -eq 137 ] || false
		count=$((count + 1))
		check
		ullage import docker-save-three-images.tar --unpack \
			>/dev/null 2>errors.txt
		[ "$(names | sort)" = "$expected" ]
		snapshots >found.txt
		diff expected.txt found.txt
	done
	[ "$n" -gt 1 ] || [ $call = unlinkat ]
done
echo "ok: killed $count times"

#!/usr/bin/env bash
# The configuration on the command line: what commands take from it, who wins,
# how a bad one is refused, and that none is needed.
. "$(dirname "$0")/cli_lib.sh"

unset ULLAGE_STATE
conf=$WORK/ullage.json
export ULLAGE_CONFIG=$conf
oci=$WORK/cache
layout() { # PATH
	mkdir -p "$1/blobs/sha256"
	echo '{"imageLayoutVersion":"1.0.0"}' >"$1/oci-layout"
	echo '{"schemaVersion":2,"manifests":[]}' >"$1/index.json"
}
layout "$oci"
layout "$WORK/cache2"

cat >"$conf" <<EOF
{
  "state": "$WORK/configured",
  "grace": "2h",
  "stores": [
    { "name": "own", "kind": "embedded" },
    { "name": "cache", "kind": "oci", "path": "$oci", "grace": "5m" },
    { "name": "cache2", "kind": "oci", "path": "$WORK/cache2" }
  ]
}
EOF
names() { ullage "$@" --json | jq -c '[.stores[].name]'; }
is() { # WHAT GOT WANTED
	[ "$2" = "$3" ] || fail "$1 is $2, not $3"
}

# The state directory, and images in it.
ullage import --quiet "$(sample docker-save-three-images.tar)" >/dev/null
[ -f "$WORK/configured/ullage.db" ] || fail "no database where it says"
# Reports go through all stores, under the names they have there.
is 'df' "$(names df)" '["own","cache","cache2"]'
is 'df --store cache' "$(names df --store cache)" '["cache"]'
is 'df of a path that is configured' "$(names df --store "oci:$oci")" \
	'["cache"]'
is 'df of two' "$(names df --store cache2 --store own)" '["cache2","own"]'
is 'df --store embedded' "$(names df --store embedded)" '["own"]'
is 'images' "$(ullage images --json | jq -r '.images[0].store')" own
# All else goes to the embedded one, or to the one that is named.
ullage tag app:1 here:1 >/dev/null || fail "tag"
ullage images --store own --quiet | grep -q /here:1 || fail "here:1 is elsewhere"
ullage gc -n >/dev/null || fail "gc -n"
ullage gc -n --store cache2 >/dev/null || fail "gc -n --store cache2"

# Options and ULLAGE_STATE win.
for dir in other set; do
	ULLAGE_STATE=$WORK/$dir ullage lease create a >/dev/null || fail "$dir"
done
is '--state' "$(ullage df --state "$WORK/other" --json --store own |
	jq -r '.stores[0].path')" "$WORK/other/store"
is 'ULLAGE_STATE' "$(ULLAGE_STATE=$WORK/set ullage df --json --store own |
	jq -r '.stores[0].path')" "$WORK/set/store"
is 'no configuration' "$(ullage --config '' --state "$WORK/other" df --json |
	jq -c '[.stores[].name]')" '["embedded"]'

# Graces: of the store, of all, of the command line.
blob() { # LAYOUT MINUTES
	local digest
	digest=$(printf '%s' "$2" | sha256sum | cut -d' ' -f1)
	printf '%s' "$2" >"$1/blobs/sha256/$digest"
	touch -d "$2 minutes ago" "$1/blobs/sha256/$digest"
}
# Of a file, the later of mtime and ctime counts: the clock is set ahead.
blob "$oci" 0
blob "$WORK/cache2" 0
planned() { # MINUTES ARGS...
	ullage gc -n --json --as-of $(($(date +%s) + $1 * 60)) "${@:2}" |
		jq '.collect | length'
}
is 'cache within its grace' "$(planned 3 --store cache)" 0
is 'cache after its grace' "$(planned 8 --store cache)" 1
is 'cache2 within the common grace' "$(planned 100 --store cache2)" 0
is 'cache2 after the common grace' "$(planned 130 --store cache2)" 1
is 'cache with --grace' "$(planned 8 --store cache --grace 1h)" 0
is 'cache by its path' "$(planned 8 --store "oci:$oci")" 1

# verify goes where the others go.
is 'verify' "$(ullage verify --json | jq -r .store)" own
is 'verify --store' "$(ullage verify --store cache --json | jq -r .store)" cache

# Without an embedded store: the only one, or a question.
jq 'del(.stores[0])' "$conf" >"$WORK/two.json"
jq '.stores = [.stores[1]]' "$conf" >"$WORK/one.json"
is 'gc of the only one' "$(ullage --config "$WORK/one.json" gc -n --json \
	--as-of $(($(date +%s) + 480)) | jq '.collect | length')" 1
is 'verify of the only one' "$(ullage --config "$WORK/one.json" verify --json |
	jq -r .store)" cache
is 'a lease is embedded' "$(ullage --config "$WORK/one.json" lease list --json |
	jq '.leases | length')" 0

# A broken one, on each of several ways to meet it.
broken() { # TEXT
	printf '%b' "$1" >"$WORK/bad.json"
	ull --config "$WORK/bad.json" df
}
{
	ull --config "$WORK/two.json" gc -n
	ull --config "$WORK/two.json" df --store cach
	ull --config "$WORK/none.json" df
	ull --config "$WORK" df
	ull --config
	ull df --store nope
	broken ''
	broken '{\n  "state" "/a"\n}'
	broken '{\n  "state": "/a",\n  "state": "/b"\n}'
	broken '{\n  "stroes": []\n}'
	broken '{\n  "grace": "soon"\n}'
	broken '{ "stores": [\n { "name": "a", "kind": "oci", "path": "rel" } ] }'
	broken '{ "\\u001b[31mred": 1 }'
	broken '{ "listen": "\\u001b[31m\\u202e" }'
	for command in 'images' 'why x' 'gc -n' 'prune -n' 'undo 1' history \
		'tag a:1 b:1' 'untag a:1' 'pin a:1' 'unpin a:1' 'lease list' \
		'snapshot list' 'import x' 'export a:1 -o x' 'unpack a:1' \
		verify; do
		# shellcheck disable=SC2086
		ullage $command --config "$WORK/bad.json" >/dev/null 2>&1
		[ $? -eq 2 ] || echo "$command does not look at it"
	done
	ullage --config "$WORK/bad.json" --help >/dev/null ||
		echo "--help needs no configuration"
	ullage --config "$WORK/bad.json" help df >/dev/null ||
		echo "help needs no configuration"
	ullage --config "$WORK/bad.json" --version >/dev/null ||
		echo "--version needs no configuration"
} >"$WORK/refused"
golden cli_config <"$WORK/refused"

# A rule of the configuration, as a timer will carry it out: its pins stay, a
# name that is gone is no mistake.
tar --zstd -xf "$SOURCE/tests/data/oci-samples.tar.zst" -C "$WORK" ./skopeo-layout
cat >"$WORK/rules.json" <<EOF
{"state":"$WORK/ruled","prune":[
  {"name":"all-but","when":"@daily","all":true,"pins":["*:app"]},
  {"name":"by-name","when":"@daily","names":["gone:1","skopeo-layout:zst"]}]}
EOF
ruled() { ullage --config "$WORK/rules.json" "$@" 2>&1; }
ruled import --quiet "$WORK/skopeo-layout" >/dev/null
removed() { grep '^{' | jq -c '[.remove[].key]'; }
is 'a rule with pins' "$(ruled prune -n --policy all-but --json | removed)" \
	'["docker.io/library/skopeo-layout:zst"]'
is 'a rule by name' "$(ruled prune -n --policy by-name --json | removed)" \
	'["docker.io/library/skopeo-layout:zst"]'
is 'no such rule' "$(ruled prune -n --policy none; echo $?)" \
	"ullage: no rule \"none\" in $WORK/rules.json; there is: all-but, by-name
1"
is 'two rules' "$(ruled prune -n -a --policy all-but; echo $?)" \
	"ullage: prune: --policy says what to remove; no rules beside it; see \`ullage prune --help\`
2"

# A symlink is followed, as those of a configuration manager have to be.
ln -s ullage.json "$WORK/link.json"
is 'a symlink' "$(ULLAGE_CONFIG=$WORK/link.json names df)" \
	'["own","cache","cache2"]'

# The usual place, in a namespace of our own: read where it is, not missed where
# it is not, passed over by who may not read it.
usual() { # SHELL
	env -u ULLAGE_CONFIG unshare -m bash -c "
		mount -t tmpfs none /etc || exit 9
		$1"
}
is 'no file' "$(usual "ullage df --json --state '$WORK/other'" |
	jq -c '[.stores[].name]')" '["embedded"]'
is 'the usual file' "$(usual "mkdir /etc/ullage
	cp '$conf' /etc/ullage
	ullage df --json" | jq -c '[.stores[].name]')" '["own","cache","cache2"]'
is 'a broken usual file' "$(usual 'mkdir /etc/ullage
	echo "{\"x\": 1}" >/etc/ullage/ullage.json
	ullage df 2>&1; echo $?')" \
	"ullage: /etc/ullage/ullage.json:1: x: no such key
2"
chmod 755 "$WORK"
is 'a secret usual file' "$(usual "mkdir /etc/ullage
	echo '{\"x\": 1}' >/etc/ullage/ullage.json
	chmod 600 /etc/ullage/ullage.json
	setpriv --reuid=65534 --regid=65534 --clear-groups \
		env HOME=/nonexistent PATH=\"\$PATH\" \
		ullage df --json --state /nonexistent 2>&1 | tail -1" | head -c 30)" \
	"ullage: no directory /nonexist"
exit $failed

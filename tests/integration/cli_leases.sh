#!/usr/bin/env bash
# lease: what it prints, and that gc observes it.
. "$(dirname "$0")/cli_lib.sh"

ullage import --quiet "$(sample docker-save-three-images.tar)" >/dev/null ||
	fail "import"
app1=$(ullage images --json |
	jq -r '.images[] | select(.names[0] | endswith("app:1")).digest')

{
	ull lease create build-7 --expire 150m --label job=7 --label keep
	ull lease create build-7
	ull lease create flat --flat --json
	ull lease create a b
	ull lease create x --expire soon
	ull lease create x --expire 0
	ull lease create x --label =y
	ull lease create "$(printf 'x\033[2J')"
	ull lease add build-7 app:2 base:1
	ull lease add flat "$app1" "oci/blobs/sha256/${app1#sha256:}" --json
	ull lease add build-7 app:9
	ull lease add build-8 app:1
	ull lease add build-7
	ull lease list --as-of "$(made lease)"
	ull lease list --json
	ull lease lst
	ull lease
	ull untag app:2 app:1
	ull gc --quiet
	ull lease remove build-7 base:1
	ull lease remove build-7 base:1
	ull lease delete build-9
	ull lease delete build-7 flat
	ull lease list
} >"$WORK/lease"
golden cli_lease <"$WORK/lease"

# What we take off a lease goes at once, as what we untag; not what the lease
# goes on holding.
blobs() { find "$ULLAGE_STATE/store/oci/blobs" -type f | wc -l; }
ullage tag app:1 app:1 >/dev/null || fail "tag app:1"
ullage tag app:2 other:2 >/dev/null || fail "tag app:2"
ullage lease create takes >/dev/null
ullage lease add takes app:1 other:2 >/dev/null || fail "lease add"
ullage untag app:1 other:2 >/dev/null || fail "untag"
before=$(blobs)
ullage gc >/dev/null
[ "$(blobs)" -eq "$before" ] || fail "gc took what is leased"
ullage --store "oci:$ULLAGE_STATE/store/oci" gc --grace 0 --now --exclusive \
	>/dev/null 2>&1 && fail "a store's own layout was opened as one of others"
[ "$(blobs)" -eq "$before" ] || fail "gc of the layout took what is leased"
ullage lease remove takes app:1 >/dev/null || fail "lease remove"
ullage gc >"$WORK/said"
[ "$(blobs)" -lt "$before" ] || fail "gc waits: $(cat "$WORK/said")"
grep -q young "$WORK/said" && fail "grace holds up our own release"
before=$(blobs)
ullage lease remove takes other:2 >/dev/null || fail "lease remove other:2"
ullage gc >/dev/null
[ "$(blobs)" -lt "$before" ] || fail "other:2 was not held, or stays"
ullage lease delete takes >/dev/null

# An ID of our own making is printed alone.
id=$(ullage lease create --quiet)
[[ $id =~ ^[0-9a-f]{16}$ ]] || fail "the ID is \"$id\""
ullage lease delete "$id" >/dev/null || fail "deleting $id"

# What lies in the trash is taken out by a lease, with all that it refers to.
ullage gc >/dev/null
ullage lease create back >/dev/null
before=$(find "$ULLAGE_STATE/store/oci/blobs" -type f | wc -l)
ullage lease add back "$app1" 2>&1 | steady >"$WORK/back"
golden cli_lease_back <"$WORK/back"
after=$(find "$ULLAGE_STATE/store/oci/blobs" -type f | wc -l)
[ "$after" -gt $((before + 1)) ] || fail "the lease took $before to $after blobs"
ullage df --json | jq -e '[.stores[0].classes[] |
	select(.class == "leased").objects][0] > 1' >/dev/null ||
	fail "nothing is leased"

# Expired, it holds nothing.
ullage lease create soon --expire 1s >/dev/null
ullage lease add soon "$app1" >/dev/null
ullage lease delete back >/dev/null
until [ "$(ullage lease list --json |
	jq '.leases[] | select(.id == "soon").expired')" = true ]; do
	sleep 0.2
done
ullage lease add soon base:1 2>"$WORK/said" && fail "an expired lease takes"
grep -q '^ullage: lease "soon" expired at 20[0-9TZ:-]* and holds nothing' \
	"$WORK/said" || fail "lease add to an expired one: $(cat "$WORK/said")"
ullage lease list --as-of $(($(date +%s) + 60)) | grep -q '^soon .* expired' ||
	fail "the lease is not expired a minute later"
exit $failed

#!/usr/bin/env bash
# Mistakes and failures: what is said, on stderr, with which exit status.
. "$(dirname "$0")/cli_lib.sh"

ullage lease create start >/dev/null && ullage lease delete start >/dev/null ||
	fail "no store"
{
	ull
	ull imgaes
	ull frobnicate
	ull --jsno df
	ull df --meassure
	ull df -x
	ull df --json=yes
	ull df --store
	ull df --grace soon
	ull df --as-of yesterday
	ull df --state ''
	ull help imgaes
	ull help lease crate
	ull snapshot lsit
	ull images --store other
	ull tag a b --as-of 5
	ull untag ''
	ull untag "$(printf 'a\033[31m')"
	ull undo
	ull undo 99999999999999999999999
	ull undo -1
	ull undo -- -1
	ull undo 0
	ull undo ''
	ull undo last
	ull undo 7
	ull prune -n --filter until
	ull prune -n --filter until=
	ull prune -n --filter until=soon
	ull prune -n --filter unused-for=2026-11-01
	ull df --now
	ull --now import x
	ull lease list --orphans
	ull gc -n --exclusive --orphans
	ull df --namespace k8s.io
} >"$WORK/usage"
golden cli_errors <"$WORK/usage"

# Errors go to stderr alone, each behind the program's name.
ullage untag app:1 2>/dev/null | grep . && fail "an error on stdout"
[ "$(ullage untag app:1 2>&1 >/dev/null)" = 'ullage: no image "app:1"' ] ||
	fail "untag says something else"

status() { # WANTED COMMAND...
	local wanted=$1 got
	shift
	"$@" >/dev/null 2>"$WORK/said" </dev/null
	got=$?
	[ $got -eq "$wanted" ] || fail "$* ended with $got, not $wanted: $(cat "$WORK/said")"
}
status 0 ullage --help
status 0 ullage df
status 0 ullage lease list
status 1 ullage untag app:1
status 2 ullage
status 2 ullage untag
status 2 ullage df --frob

# An answer that is not written is no answer.
ullage df >/dev/full 2>"$WORK/said" && fail "a full disk goes unnoticed"
grep -q '^ullage: writing the answer: No space left' "$WORK/said" ||
	fail "a full disk: $(cat "$WORK/said")"
ullage --help >/dev/full 2>/dev/null && fail "--help to a full disk"
ullage df --json >/dev/full 2>/dev/null && fail "--json to a full disk"
ullage df >&- 2>"$WORK/said" && fail "a closed stdout goes unnoticed"
grep -q '^ullage: writing the answer' "$WORK/said" ||
	fail "a closed stdout: $(cat "$WORK/said")"
# What was opened in its place got none of it.
sqlite3 "$ULLAGE_STATE/ullage.db" 'pragma integrity_check' | grep -qx ok ||
	fail "the database was written to"
# A reader that has seen enough is no error to speak of.
said=$({ ullage --help; echo >&3; } 3>/dev/null 2>&1 >/dev/null | true)
[ -z "$said" ] || fail "a closed pipe: $said"
(ullage --help; echo $? >"$WORK/status") 2>"$WORK/said" | true
[ ! -s "$WORK/said" ] || fail "a closed pipe: $(cat "$WORK/said")"

# No terminal, and nobody to ask.
ullage import --quiet "$(sample docker-save-three-images.tar)" >/dev/null
status 2 ullage prune -a
grep -q -- -y "$WORK/said" || fail "prune without -y: $(cat "$WORK/said")"

# Who waits for the lock says for whom, and for how long.
flock "$ULLAGE_STATE/store" sleep 60 &
holder=$!
until grep -q "FLOCK .* WRITE $holder " /proc/locks; do sleep 0.1; done
: >"$WORK/said"
ullage tag base:1 base:2 >/dev/null 2>"$WORK/said" &
waiter=$!
until [ -s "$WORK/said" ] || ! kill -0 $waiter 2>/dev/null; do sleep 0.1; done
kill $(ps -o pid= --ppid $holder) $holder 2>/dev/null
wait $waiter || fail "tag did not get the lock"
wait $holder 2>/dev/null
[ "$(cat "$WORK/said")" = "waiting for process $holder (flock), which is changing the store; for 30 seconds at most" ] ||
	fail "a waiting tag says: $(cat "$WORK/said")"

# A state directory that is none.
: >"$WORK/file"
status 1 ullage df --state "$WORK/file"
status 1 ullage df --state /proc/nothing/here

# What reads makes nothing, and says what to do.
{
	for command in df images 'why app:1' 'gc -n' gc 'prune -n -a' \
		'untag app:1' 'lease list' history 'undo 1' 'export app:1 -o x'; do
		ull $command --state "$WORK/deep/er"
	done
	mkdir "$WORK/none"
	export ULLAGE_STATE=$WORK/none/state
	for command in df 'df --json' images 'images --json' 'why app:1' \
		'prune -n -a' 'prune -a' 'prune -y app:1' gc 'gc --json' \
		'untag app:1' 'lease list' 'snapshot list' history 'undo 1' \
		'export app:1 -o x' 'unpack app:1' 'tag a:1 b:1' 'pin a:1'; do
		ull $command
	done
} >"$WORK/nowhere"
sed -E 's/"(as_of_unix_s|seconds)":[0-9.e-]+/"\1":N/' "$WORK/nowhere" |
	golden cli_nowhere
[ -z "$(ls "$WORK/none")" ] || fail "something was made: $(ls "$WORK/none")"
[ ! -e "$WORK/deep" ] || fail "--state was made"
status 0 ullage lease create --state "$WORK/deep/er" x
[ -e "$WORK/deep/er/ullage.db" ] || fail "lease create makes no store"
export ULLAGE_STATE=$WORK/state
# A name made to drive the terminal reaches it from no command.
evil=$(printf 'ev\033[31mil\nx')
jq -c --arg name "$evil" '.manifests[0].annotations =
	{ "org.opencontainers.image.ref.name": $name }' \
	"$ULLAGE_STATE/store/oci/index.json" >"$WORK/index" &&
	cp "$WORK/index" "$ULLAGE_STATE/store/oci/index.json"
: >"$ULLAGE_STATE/store/$evil"
for command in 'df -v' images 'images --quiet' 'why base:1' "why $evil" \
	'prune -n -a' 'prune -y -a' history "untag $evil"; do
	case $command in
	*"$evil") ullage "${command%% *}" "$evil" ;;
	*) ullage $command ;;
	esac 2>&1 </dev/null | grep -q "$(printf '\033')" &&
		fail "$command prints control characters"
done
exit $failed

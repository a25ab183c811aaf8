#!/usr/bin/env bash
# prune's question: it is asked without the lock, so that nobody waits for the
# answer; then exactly what was shown is done, or nothing.
. "$(dirname "$0")/cli_lib.sh"
index=$ULLAGE_STATE/store/oci/index.json

names() { ullage images --quiet | sed 's,docker.io/library/,,' | sort | xargs; }

# asked ANSWER MEANWHILE COMMAND...: what a person sees who gives that answer
# after something has happened; the exit status at the end.
asked() {
	local answer=$1 meanwhile=$2
	shift 2
	cat >"$WORK/asked.exp" <<-EOF
		set timeout 60
		set stty_init "columns 80"
		spawn -noecho ullage $*
		expect {
			{\[y/N\] } {}
			eof { puts "NO QUESTION"; exit 99 }
			timeout { puts "NO QUESTION IN TIME"; exit 99 }
		}
		exec bash -c {$meanwhile} >&@ stdout
		send "$answer\r"
		expect {
			eof {}
			timeout { puts "NO END"; exit 99 }
		}
		puts "\[exit status [lindex [wait] 3]\]"
	EOF
	expect "$WORK/asked.exp" 2>&1 | tr -d '\r'
}

ullage import --quiet "$(sample docker-save-three-images.tar)" >/dev/null ||
	fail "import"
other=$(sample buildx-zstd.tar)
sizes() { sed -E 's/ +[0-9.]+ [kM]?B/ SIZE/g; s/[0-9]+ bytes/N bytes/'; }

# Others change the store while the question stands, and none waits.
{
	asked y "ullage tag base:1 base:kept; ullage import --quiet --name other:1 $other >/dev/null; ullage images --quiet | grep -c other:1" \
		prune app:1
} >"$WORK/asking"
grep -q 'waiting for' "$WORK/asking" && fail "somebody waited"
grep -q '^\[exit status 0\]$' "$WORK/asking" ||
	fail "after others' changes: $(cat "$WORK/asking")"
grep -q '^Run 1: removed 1 name' "$WORK/asking" || fail "app:1 was not removed"
[ "$(names)" = 'app:2 base:1 base:kept other:1' ] || fail "names are $(names)"
sizes <"$WORK/asking" | golden cli_asking

# A name that moved meanwhile: refused, and nothing is done.
ullage tag app:2 app:moves >/dev/null
{
	asked y 'ullage tag --replace base:1 app:moves' prune app:moves app:2
	asked y 'ullage untag other:1' prune app:2 other:1
	asked y 'ullage pin app:2' prune app:2
} >"$WORK/moved"
[ "$(grep -c '^\[exit status 1\]$' "$WORK/moved")" = 3 ] ||
	fail "after a move: $(cat "$WORK/moved")"
[ "$(grep -c 'run `ullage prune` again' "$WORK/moved")" = 3 ] ||
	fail "it does not say what to do"
[ "$(names)" = 'app:2 app:moves base:1 base:kept' ] || fail "names are $(names)"
[ "$(ullage history --json | jq '.runs | length')" = 1 ] || fail "a run is there"
sizes <"$WORK/moved" | golden cli_asking_moved

# No is no; what was pinned is told of again after yes, by the exit status.
before=$(md5sum <"$index")
asked n true prune base:kept | grep -q '^\[exit status 1\]$' ||
	fail "no is not 1"
[ "$(md5sum <"$index")" = "$before" ] || fail "no changed the index"
asked y true prune base:kept app:2 >"$WORK/pinned"
grep -q '^\[exit status 3\]$' "$WORK/pinned" ||
	fail "what was left is not told: $(cat "$WORK/pinned")"
[ "$(grep -c 'app:2  (pinned)' "$WORK/pinned")" = 2 ] ||
	fail "the pin is not told of: $(cat "$WORK/pinned")"
exit $failed

#!/usr/bin/env bash
# The service on a real socket: each route's answer is the command's, what is
# asked wrongly is told, who may not may not, and it ends when it is told to.
. "$(dirname "$0")/cli_lib.sh"
cd "$WORK" || exit 1
tar --zstd -xf "$SOURCE/tests/data/oci-samples.tar.zst" ./skopeo-layout
ullage import --quiet skopeo-layout >/dev/null || exit 1
cp -r skopeo-layout other
cat >ullage.json <<EOF
{"state":"$ULLAGE_STATE",
 "stores":[{"name":"embedded","kind":"embedded"},
           {"name":"other","kind":"oci","path":"$WORK/other"}],
 "socket":{"path":"$WORK/run/sock","mode":"0666"},
 "limits":{"idle":"10s"},
 "access":{"change":{"groups":["4242"]},"read":{"users":["nobody"]}}}
EOF
export ULLAGE_CONFIG=$WORK/ullage.json
chmod 755 "$WORK"
socket=$WORK/run/sock
service=

serve() { # ARGUMENT ...
	ullage serve "$@" >serve.log 2>&1 &
	service=$!
	for _ in $(seq 100); do
		grep -q '^serving' serve.log && return
		kill -0 $service 2>/dev/null || break
		sleep 0.1
	done
	fail "the service did not start: $(cat serve.log)"
	exit 1
}
end() {
	kill -TERM $service
	wait $service || fail "the service ended with $?: $(cat serve.log)"
}
trap 'kill $service 2>/dev/null; rm -rf "$WORK"' EXIT

ask() { # PATH [CURL-OPTION ...]
	local path=$1
	shift
	curl -s -m 20 --unix-socket "$socket" "http://ullage$path" "$@"
}
status_of() { # PATH [CURL-OPTION ...]
	ask "$@" -o body -w '%{http_code}'
}
# But for what any two answers differ in.
alike() {
	sed -E 's/"([a-z_]*as_of_unix_s|available_bytes|seconds|run|used_unix_s)":[0-9.]+/"\1":0/g'
}
same() { # PATH COMMAND ...
	local path=$1
	shift
	diff <(ask "$path" | alike) <(ullage "$@" --json | alike) >differs ||
		fail "$path and ullage $*: $(head -c 400 differs)"
}

serve
[ "$(stat -c %a "$socket")" = 666 ] || fail "the mode of the socket"
same /v1/df df
same '/v1/df?verbose' df -v
same '/v1/df?store=other' df --store other
same '/v1/df?store=other&store=embedded' df --store other --store embedded
same /v1/images images
same '/v1/images?sort=unique&store=embedded' images --sort unique --store embedded
same '/v1/why?object=skopeo-layout:app' why skopeo-layout:app
same '/v1/why?store=other&object=app' why --store other app
same /v1/plan gc -n
same /v1/history history
same /v1/leases lease list
[ "$(ask /v1/stores | jq -c '[.stores[].name]')" = '["embedded","other"]' ] || fail stores
[ "$(ask /v1/health | jq -r .status)" = serving ] || fail health
[ "$(ask /v1/health | jq -r .pid)" = $service ] || fail "another process answers"

# Changes, one after the other.
[ "$(status_of /v1/leases -d '{"id":"l1","expire":"1h"}')" = 200 ] || fail "lease: $(cat body)"
[ "$(ask /v1/leases | jq -r '.leases[0].id')" = l1 ] || fail "no lease l1: $(ask /v1/leases)"
[ "$(status_of /v1/leases/l1 -X DELETE)" = 200 ] || fail "lease: $(cat body)"
[ "$(ask /v1/leases | jq '.leases | length')" = 0 ] || fail "the lease stayed"
[ "$(status_of /v1/pins -d '{"names":["skopeo-layout:app"]}')" = 200 ] || fail "pin: $(cat body)"
[ "$(status_of /v1/prune -d '{"all":true}')" = 200 ] || fail "prune: $(cat body)"
jq -e '.removed > 0 and (.declined | length) > 0' body >/dev/null || fail "prune: $(cat body)"
run=$(jq .run body)
[ "$(ask /v1/images?store=embedded | jq -c '[.images[].names[]]')" = '["docker.io/library/skopeo-layout:app"]' ] ||
	fail "after prune: $(ask /v1/images)"
[ "$(status_of /v1/undo -d "{\"run\":$run}")" = 200 ] || fail "undo: $(cat body)"
[ "$(status_of /v1/pins/skopeo-layout:app -X DELETE)" = 200 ] || fail "unpin: $(cat body)"
same /v1/images images
[ "$(status_of /v1/gc -d '{"dry_run":true}')" = 200 ] || fail "gc: $(cat body)"

# What is wrong is told, with the right status.
wrong() { # STATUS TEXT PATH [CURL-OPTION ...]
	local expected=$1 text=$2 status
	shift 2
	status=$(status_of "$@")
	[ "$status" = "$expected" ] || fail "$*: $status: $(cat body)"
	jq -r .error body | grep -qF -- "$text" || fail "$*: $(cat body)"
}
wrong 404 "there is nothing at /v1/x" /v1/x
wrong 405 "here only: POST" /v1/gc
wrong 400 'there is no parameter "x"' '/v1/df?x=1'
wrong 400 "object is needed" /v1/why
wrong 404 "not-there" '/v1/why?object=not-there'
wrong 404 'no store "oci:/etc" is configured' '/v1/df?store=oci:/etc'
wrong 400 "the body: no valid JSON" /v1/gc -d '{"now":'
wrong 400 "now is true or false" /v1/gc -d '{"now":1}'
wrong 404 "no run 99" /v1/undo -d '{"run":99}'
wrong 413 "the body is longer than 1048576 bytes" /v1/gc -d "$(head -c 100 /dev/zero | tr '\0' x)" \
	--data-binary @<(head -c 1100000 /dev/zero | tr '\0' ' ')

python3 "$SOURCE/tests/integration/serve_raw.py" "$socket" $service || fail "raw requests"

# One that serves is not pushed aside; a socket that was left is taken over.
ullage serve >second.log 2>&1 && fail "two serve on one path"
grep -q "another ullage serves on $socket" second.log || fail "$(cat second.log)"
[ "$(ask /v1/health | jq -r .pid)" = $service ] || fail "the second took the socket away"
kill -KILL $service
wait $service 2>/dev/null
[ -S "$socket" ] || fail "no socket was left to be taken over"
serve
[ "$(ask /v1/health | jq -r .pid)" = $service ] || fail "after a kill"
end
[ ! -e "$socket" ] || fail "the socket stayed"
ls -la >"$WORK/run/sock"
ullage serve >second.log 2>&1 && fail "a file was taken for a socket"
grep -q "is in the way and no socket" second.log || fail "$(cat second.log)"
[ -f "$WORK/run/sock" ] || fail "the file is gone"
rm "$WORK/run/sock"

# Timers: what a rule speaks of goes by itself, what it pins stays; a restart
# does at once what was missed, and nothing that has just run.
jq '.schedules = {"sync":{"when":"off"},"sample":{"when":"off"},"gc":{"when":"every 1s"}} |
	.prune = [{"name":"rule","stores":["embedded"],"when":"every 1s","all":true,"pins":["*:app"]}]' \
	ullage.json >timers.json
ULLAGE_CONFIG=$WORK/timers.json
serve
for _ in $(seq 100); do
	[ "$(ask /v1/images?store=embedded | jq -c '[.images[].names[]]')" = \
		'["docker.io/library/skopeo-layout:app"]' ] && break
	sleep 0.1
done
[ "$(ask /v1/images?store=embedded | jq -c '[.images[].names[]]')" = \
	'["docker.io/library/skopeo-layout:app"]' ] || fail "no timer pruned: $(cat serve.log)"
for _ in $(seq 100); do
	[ "$(grep -c '^gc other: ' serve.log)" -ge 2 ] && break
	sleep 0.1
done
end
for job in 'gc embedded' 'gc other' 'prune rule embedded'; do
	[ "$(grep -c "^$job: " serve.log)" -ge 2 ] || fail "$job ran once at most: $(cat serve.log)"
done
grep -q '^prune rule other\|^sync' serve.log && fail "what is off ran: $(cat serve.log)"
[ "$(sqlite3 "$ULLAGE_STATE/ullage.db" 'SELECT count(*) FROM job')" = 3 ] || fail "jobs are not remembered"
jq '.schedules.gc.when = "every 1h" | .prune[0].when = "every 1h"' timers.json >hourly.json
ULLAGE_CONFIG=$WORK/hourly.json
serve
sleep 1.5
end
grep -q '^gc\|^prune' serve.log && fail "what has just run ran again: $(cat serve.log)"
sqlite3 "$ULLAGE_STATE/ullage.db" "UPDATE job SET begun_unix_s = begun_unix_s - 7200 WHERE name = 'gc embedded'"
serve
for _ in $(seq 50); do
	grep -q '^gc embedded: ' serve.log && break
	sleep 0.1
done
sleep 1
end
[ "$(grep -c '^gc embedded: ' serve.log)" = 1 ] || fail "what was missed: $(cat serve.log)"
grep -q '^gc other\|^prune' serve.log && fail "what was not missed ran: $(cat serve.log)"
ULLAGE_CONFIG=$WORK/ullage.json

# Ends within seconds though many ask, and nobody is left without an answer.
serve
for i in $(seq 30); do
	status_of "/v1/df?measure" >"status$i" &
done
sleep 0.2
started=$(date +%s)
end
[ $(($(date +%s) - started)) -le 10 ] || fail "took $(($(date +%s) - started)) s to end"
wait
for i in $(seq 30); do
	case $(cat "status$i") in 200 | 503 | 000) ;; *) fail "status $(cat "status$i")" ;; esac
done
ullage verify >/dev/null || fail verify
exit $failed

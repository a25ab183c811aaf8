#!/usr/bin/env bash
# The checks find what they are for: each is given a small tree without fault,
# which has to pass, then the same with one fault, which has to be named.
set -uo pipefail
lint=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failed=0 count=0

clean() {
	rm -rf "${tree:?}"/*
	mkdir -p "$tree"/{base,store/{db,graph,oci,embedded},accounting,gc,service,cli}
	cp "$lint/../../.clang-format" "$tree"
	put base/err.h '/* base/err.h - errors. */
#ifndef UL_BASE_ERR_H
#define UL_BASE_ERR_H

int ul_err(void);

#endif'
	put base/err.c '#include "base/err.h"

int ul_err(void)
{
	return 0;
}'
	put store/limits.h '/* store/limits.h - bounds. */
#ifndef UL_STORE_LIMITS_H
#define UL_STORE_LIMITS_H
#endif'
}

put() { printf '%s\n' "$2" >"$tree/$1"; }

run() {
	case $1 in
	steps)
		(cd "$tree" && gcc -c -I. -o a.o gc/a.c) || return
		bash "$lint/check_steps.sh" "$tree" "write fsync" "$tree/a.o" 2>&1
		;;
	headers) bash "$lint/check_headers.sh" "$tree" "$tree" gcc 2>&1 ;;
	*) bash "$lint/check_$1.sh" "$tree" 2>&1 ;;
	esac
}

# fault CHECK MESSAGE FILE TEXT: this file makes that check fail so.
fault() {
	local said
	count=$((count + 1))
	clean
	put "$3" "$4"
	if said=$(run "$1"); then
		echo "check_$1 passed $3: $4"
		failed=1
	elif ! grep -qF "$2" <<<"$said"; then
		echo "check_$1 did not say \"$2\" but: $said"
		failed=1
	fi
}

passes() {
	count=$((count + 1))
	clean
	put "$2" "$3"
	run "$1" >"$tree/said" || {
		echo "check_$1 refused $2: $(cat "$tree/said")"
		failed=1
	}
}

for check in includes style format headers; do
	passes $check store/db/a.c '#include "base/err.h"'
done

fault includes 'base/ may not include store/' base/a.c \
	'#include "store/view.h"'
fault includes 'store/db/ may not include store/graph' store/db/a.c \
	'#include "store/graph/graph.h"'
fault includes 'store/ may not include store/embedded' store/a.c \
	'#include "store/embedded/store.h"'
fault includes 'accounting/ may not include gc/' accounting/a.c \
	'#include "gc/plan.h"'
fault includes 'gc/ may not include accounting/' gc/a.h \
	'#include "accounting/report.h"'
fault includes 'gc/ may not include store/embedded' gc/a.c \
	'#include "store/embedded/store.h"'
fault includes 'store/embedded/ may not include store/transfer' \
	store/embedded/a.c '#include "store/transfer/layer.h"'
fault includes 'store/embedded/ may not include cli/' store/embedded/a.c \
	'#include "cli/cli.h"'
fault includes 'includes go from the root' base/a.c '#include "err.h"'
fault includes 'its own header comes first' base/err.c '#include <stdio.h>
#include "base/err.h"'
fault includes '<sqlite3.h> has no place here' gc/a.c '#include <sqlite3.h>'
fault includes '<sqlite3.h> has no place here' store/db/db.h \
	'#include <sqlite3.h>'
fault includes '<jansson.h> has no place here' gc/a.c '#include <jansson.h>'
fault includes '<jansson.h> has no place here' accounting/report.c \
	'#include <jansson.h>'
fault includes '<jansson.h> has no place here' store/embedded/a.h \
	'#include <jansson.h>'
fault includes '<archive.h> has no place here' store/embedded/a.c \
	'#include <archive.h>'
fault includes '<archive.h> has no place here' cli/a.c '#include <archive.h>'
fault includes '<zstd.h> has no place here' store/oci/a.c '# include <zstd.h>'
fault includes '<isa-l/igzip_lib.h> has no place here' base/a.c \
	'#include <isa-l/igzip_lib.h>'
fault includes '<openssl/sha.h> has no place here' store/oci/a.c \
	'#include <openssl/sha.h>'
passes includes store/db/a_internal.h '#include <sqlite3.h>'
passes includes store/oci/a.c '#include "store/limits.h"
#include <jansson.h>'
passes includes accounting/a_json.c '#include <jansson.h>'
fault includes 'gc/ may not include service/' gc/a.c \
	'#include "service/config.h"'
fault includes 'service/ may not include cli/' service/a.c \
	'#include "cli/cli.h"'
fault includes '<jansson.h> has no place here' service/schedule.c \
	'#include <jansson.h>'
fault includes '<jansson.h> has no place here' service/config_a.h \
	'#include <jansson.h>'
passes includes service/config_a.c '#include <jansson.h>
#include "gc/policy.h"'
passes includes cli/a.c '#include "gc/plan.h"
#include "service/config.h"
#include "accounting/report.h"
#include "store/embedded/store.h"'

for call in strcpy strcat sprintf atoi strtok alloca gets; do
	fault style 'base/a.c:1: a call that is not made here' base/a.c \
		"int a = $call(b);"
done
fault style 'memory comes from base/mem.h' gc/a.c 'void *a = malloc(1);'
fault style 'memory comes from base/mem.h' gc/a.c 'x = !strdup (a);'
fault style 'a mark that must not stay' cli/a.c '/* TODO: more */'
fault style 'a mark that must not stay' cli/a.c '/* FIXME */'
fault style 'comments look' cli/a.c 'int a; // a'
fault style 'indented by blanks' cli/a.c '        int a;'
fault style 'blanks at the end' cli/a.c 'int a; '
fault style 'is not guarded by UL_CLI_A_H' cli/a.h '/* cli/a.h - a. */'
fault style 'does not say what it is for' cli/a.h '#ifndef UL_CLI_A_H'
passes style gc/a.c '/* strcpy() and malloc() and
 * atoi(x) are spoken of */
char *a = "strcat(x), http://a.b";
char *b = ul_malloc(snprintf(c, my_strcpy(d)));'

fault format 'code should be clang-formatted' gc/a.c 'int  a ;'

fault headers 'gc/a.h: does not compile alone' gc/a.h 'int a(size_t b);'
fault headers 'gc/a.h: does not compile alone' gc/a.h '#include "gc/gone.h"'
fault headers 'gc/a.h: does not compile alone' gc/a.h 'struct a { int b[0]; };'

declared='int unlink(const char *); long write(int, const void *, unsigned long);'
fault steps 'unlink() changes files and is no step' gc/a.c \
	"$declared int a(void) { return unlink(\"b\"); }"
fault steps 'gc/a.c:2: changes files past the C library' gc/a.c \
	'#include <stdio.h>
void a(void) { fclose(fopen("b", "we")); }'
fault steps 'gc/a.c:1: changes files past the C library' gc/a.c \
	'int SYS_renameat2;'
passes steps gc/a.c "$declared
void *fopen(const char *, const char *);
long a(void) { return fopen(\"b\", \"re\") ? write(1, \"b\", 1) : 0; }"

echo "$count cases"
exit $failed

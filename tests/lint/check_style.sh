#!/usr/bin/env bash
# Calls that are not made here, marks that must not stay, whitespace, headers.
# Prints each violation; exit status 1 if there is any.
#   check_style.sh ROOT
set -uo pipefail
cd "$1" || exit 1

# Each has a counterpart that knows how much room there is, or that can say
# what was wrong: snprintf, memcpy, strtoll, strcspn.
banned='strcpy|strcat|strncpy|strncat|sprintf|vsprintf|atoi|atol|atoll|atof'
banned="$banned|strtok|alloca|gets"
# Memory comes from base/mem.h, where a test can make it fail.
memory='malloc|calloc|realloc|reallocarray|strdup|strndup|asprintf|vasprintf'

all=$(find base store accounting gc service cli tests bench -name '*.[ch]' 2>/dev/null |
	LC_ALL=C sort)
ours=$(grep -vE '^(tests|bench)/' <<<"$all")

# The files' lines as FILE:LINE:TEXT, without comments and strings.
code() {
	xargs -r awk '
	FNR == 1 { in_comment = 0 }
	{
		line = $0
		gsub(/\\./, "", line)
		gsub(/"[^"]*"/, "\"\"", line)
		out = ""
		while (line != "") {
			at = in_comment ? index(line, "*/") : index(line, "/*")
			if (!at) {
				if (!in_comment)
					out = out line
				break
			}
			if (!in_comment)
				out = out substr(line, 1, at - 1)
			line = substr(line, at + 2)
			in_comment = !in_comment
		}
		print FILENAME ":" FNR ":" out
	}'
}

# "FILE:LINE:..." becomes "FILE:LINE: WHAT".
named() { sed -E "s/^([^:]*:[0-9]+):.*/\1: $1/"; }

text() { # PATTERN: in all files, comments too
	xargs -r grep -nE "$1" /dev/null <<<"$all"
}

violations() {
	code <<<"$ours" | grep -E "[^[:alnum:]_](${banned})[[:space:]]*\(" |
		named 'a call that is not made here'
	grep -v '^base/mem\.c$' <<<"$ours" | code |
		grep -E "[^[:alnum:]_](${memory})[[:space:]]*\(" |
		named 'memory comes from base\/mem.h'
	code <<<"$all" | grep -E '^[^:]*:[0-9]+:.*//' |
		named 'comments look \/* like this *\/'
	text '(^|[^[:alnum:]_])(TODO|FIXME|XXX)([^[:alnum:]_]|$)' |
		named 'a mark that must not stay'
	text '[[:blank:]]+$' | named 'blanks at the end'
	text '^ {8}' | named 'indented by blanks'
	headers
}

# Headers say what they are for, and are guarded by their path.
headers() {
	local header guard
	grep '\.h$' <<<"$ours" | while read -r header; do
		guard=UL_$(tr 'a-z/.-' 'A-Z___' <<<"$header")
		[ "$(head -c 2 "$header")" = '/*' ] ||
			echo "$header:1: does not say what it is for"
		grep -q "^#ifndef $guard\$" "$header" ||
			echo "$header:1: is not guarded by $guard"
	done
}

found=$(violations)
[ -z "$found" ] && exit 0
echo "$found"
exit 1

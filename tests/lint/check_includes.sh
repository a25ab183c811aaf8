#!/usr/bin/env bash
# Which folder may include from which, and which library may be included
# where. Prints each violation; exit status 1 if there is any.
#   check_includes.sh ROOT
set -euo pipefail
cd "$1"

{ find base store accounting gc service cli -name '*.[ch]' 2>/dev/null || true; } |
	LC_ALL=C sort | xargs -r awk '
	# Folder order, from the bottom. A folder may include from itself and
	# from what is listed; store/FILE.h stands above db, graph and oci, but
	# store/limits.h is for all.
	BEGIN {
		may["base"] = " base "
		may["store/db"] = " base store/db "
		may["store/graph"] = " base store/graph "
		may["store/oci"] = " base store/oci "
		may["store"] = " base store/db store/graph store/oci store "
		may["store/embedded"] = may["store"] "store/embedded "
		may["store/transfer"] = may["store/embedded"] "store/transfer "
		may["store/verify"] = may["store/transfer"] "store/verify "
		# Behind the interface: any kind of store.
		may["accounting"] = may["store"] "accounting "
		may["gc"] = may["store"] "gc "
		# What is but values; the loop will need the stores too.
		may["service"] = may["store"] "gc service "
		may["cli"] = may["store/verify"] "accounting gc service cli "
	}
	function folder(path) {
		sub(/\/[^\/]*$/, "", path)
		return path
	}
	function wrong(what) {
		printf "%s:%d: %s\n", FILENAME, FNR, what
		status = 1
	}
	function check_own(header) {
		if (index(may[dir], " " folder(header) " ") == 0 &&
		    header != "store/limits.h")
			wrong(dir "/ may not include " header)
	}
	# Where a library may be included, as a pattern of file names.
	function check_library(header) {
		where = ""
		if (header ~ /^sqlite3/)
			where = "^store/db/(.*\\.c|[a-z_]*_internal\\.h)$"
		else if (header ~ /^jansson/)
			where = "^(store/oci/|store/(embedded|transfer|verify)/[a-z_]*\\.c$|" \
				"store/labels\\.c$|service/config[a-z_]*\\.c$|" \
				"accounting/[a-z_]*_json\\.c$|cli/)"
		else if (header ~ /^(archive|archive_entry|zstd.*|zdict)\.h$/)
			where = "^store/transfer/[a-z_]*\\.c$"
		else if (header ~ /^(isa-l|igzip)/)
			where = "^store/transfer/[a-z_]*\\.c$"
		else if (header ~ /^openssl\//)
			where = "^base/digest\\.c$"
		else if (header ~ /^xxhash/)
			where = "\\.c$"
		else if (header ~ /^(ev\.h|microhttpd|systemd\/)/)
			where = "^service/[a-z_]*\\.c$"
		else if (header ~ /^(curl|nghttp2)/)
			where = "^$"
		if (where != "" && FILENAME !~ where)
			wrong("<" header "> has no place here")
	}
	FNR == 1 {
		dir = folder(FILENAME)
		own = FILENAME
		sub(/\.c$/, ".h", own)
		if (!(dir in may))
			wrong("a folder without a place in the order")
		included = 0
		# `test -e`, without a process for each file.
		has_own = own != FILENAME && (getline line < own) >= 0
		if (has_own)
			close(own)
	}
	/^[ \t]*#[ \t]*include[ \t]*"/ {
		split($0, part, "\"")
		included++
		if (included == 1 && has_own && part[2] != own)
			wrong("its own header comes first")
		if (part[2] !~ /\//)
			wrong("\"" part[2] "\": includes go from the root")
		else
			check_own(part[2])
	}
	/^[ \t]*#[ \t]*include[ \t]*</ {
		split($0, part, /[<>]/)
		included++
		if (included == 1 && has_own)
			wrong("its own header comes first")
		check_library(part[2])
	}
	END { exit status }
'

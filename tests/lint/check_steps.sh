#!/usr/bin/env bash
# Every call that changes a file system is one that base/step.h counts: what
# our programs import is compared with the list in base/CMakeLists.txt.
# Prints each violation; exit status 1 if there is any.
#   check_steps.sh ROOT "CALL ..." PROGRAM...
set -uo pipefail
root=$1 counted=$2
shift 2

# Whatever of the C library makes, changes, names or removes something in a
# file system (fopen() is looked for in the sources, since it also reads).
changing='open(64)?|openat(64)?|__open(at)?(64)?_2|openat2|creat(64)?
freopen(64)?|mkstemp(64)?|mkostemps?(64)?|mkstemps(64)?|mkdtemp|tmpfile(64)?
write|pwrite(64)?|pwritev2?(64)?(v2)?|writev|copy_file_range|sendfile(64)?|splice
vmsplice|tee|dprintf|vdprintf|__v?dprintf_chk|aio_write(64)?|aio_fsync(64)?
f?truncate(64)?|(posix_)?fallocate(64)?
fsync|fdatasync|syncfs|sync|sync_file_range|msync
rename|renameat2?|link|linkat|symlink|symlinkat|unlink|unlinkat|rmdir|remove
mkdir|mkdirat|mknod|mknodat|mkfifo|mkfifoat
chmod|fchmod|fchmodat|lchmod|chown|fchown|fchownat|lchown
utime|utimes|lutimes|futimes|futimesat|utimensat|futimens
[lf]?setxattr|[lf]?removexattr'
changing=$(paste -sd'|' <<<"$changing")

violations() {
	local call
	nm -u "$@" 2>/dev/null | awk '$1 == "U" { sub(/@.*/, "", $2); print $2 }' |
		LC_ALL=C sort -u | grep -xE "$changing" | while read -r call; do
		[[ " $counted " == *" $call "* ]] ||
			echo "$call() changes files and is no step: base/CMakeLists.txt"
	done
	(cd "$root" && grep -rnE \
		'fopen\(.*, *"([wa]|r[a-z]*\+)|SYS_(open|openat|creat|p?write|rename|link|unlink|mk|fsync|f?truncate|fallocate|copy_file)[a-z0-9]*\b' \
		--include='*.[ch]' base store accounting gc service cli 2>/dev/null) |
		grep -vE '^base/step\.c:|SYS_openat2\b' |
		sed -E 's/^([^:]*:[0-9]+):.*/\1: changes files past the C library/'
}

found=$(violations "$@")
[ -z "$found" ] && exit 0
echo "$found"
exit 1

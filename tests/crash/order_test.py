#!/usr/bin/env python3
"""Each rule of order.py is broken once, and has to be noticed."""
import sys

import order
from bench import Place

S = "/s/store"
BLOB = S + "/oci/blobs/sha256/aa"
ITEM = S + "/trash/1-0/0"


def steps(text):
    """CALL PATH [TO] a line, as a trace has them."""
    found = []
    for at, line in enumerate(text.strip().splitlines()):
        call, path, to = (line.split() + ["", ""])[:3]
        found.append([str(at + 1), "1", "kill", call, path, to, "0"])
    return found


IMPORT = f"""
openat {S}/ingest/n/aa
write {S}/ingest/n/aa
syncfs {S}/ingest/n
renameat {S}/ingest/n/aa {BLOB}
fsync {S}/oci/blobs/sha256
openat {S}/oci/.index.json.tmp
write {S}/oci/.index.json.tmp
fsync {S}/oci/.index.json.tmp
renameat {S}/oci/.index.json.tmp {S}/oci/index.json
fsync {S}/oci
"""
PRUNE = f"""
mkdirat {S}/trash/1-0
openat {S}/trash/1-0/.record.json.tmp
write {S}/trash/1-0/.record.json.tmp
fsync {S}/trash/1-0/.record.json.tmp
renameat {S}/trash/1-0/.record.json.tmp {S}/trash/1-0/record.json
fsync {S}/trash/1-0
fsync {S}/trash
renameat {S}/oci/.index.json.tmp {S}/oci/index.json
fsync {S}/oci
sqlite-write /s/ullage.db-wal
sqlite-sync /s/ullage.db-wal
renameat {BLOB} {ITEM}
fsync {S}/trash/1-0
unlinkat {ITEM}
unlinkat {S}/trash/1-0/record.json
"""
SNAPSHOT = f"""
mkdirat {S}/ingest/n
mkdirat {S}/ingest/n/fs
fsync {S}/ingest/n/fs
fsync {S}/ingest/n
renameat {S}/ingest/n {S}/snapshots/key-a
fsync {S}/snapshots
sqlite-write /s/ullage.db-wal
sqlite-sync /s/ullage.db-wal
"""
BACK = f"""
sqlite-write /s/ullage.db-wal
sqlite-sync /s/ullage.db-wal
renameat2 {ITEM} {S}/snapshots/key-a
sqlite-write /s/ullage.db-wal
sqlite-sync /s/ullage.db-wal
fsync {S}/snapshots
unlinkat {S}/trash/1-0/record.json
"""
REMOVE = f"""
sqlite-write /s/ullage.db-wal
sqlite-sync /s/ullage.db-wal
unlinkat {S}/snapshots/key-a/fs/file
unlinkat {S}/snapshots/key-a
"""

# A trace that is right, the line that is left out, what has to be said.
BROKEN = (
    (IMPORT, f"syncfs {S}/ingest/n", "gets what is not durable"),
    (IMPORT, f"fsync {S}/oci/blobs/sha256", "index.json names while"),
    (IMPORT, f"fsync {S}/oci/.index.json.tmp", "by what is not durable"),
    (PRUNE, f"fsync {S}/oci", "while the index is not durable"),
    (PRUNE, "sqlite-sync /s/ullage.db-wal", "while the database is not"),
    (PRUNE, f"fsync {S}/trash", "the trash's folder is not durable"),
    (PRUNE, f"fsync {S}/trash/1-0/.record.json.tmp", "the trash's record"),
    (SNAPSHOT, f"fsync {S}/ingest/n/fs", "gets what is not durable"),
    (SNAPSHOT, f"fsync {S}/snapshots", "records are kept while"),
    (BACK, f"fsync {S}/snapshots", "goes before what it put back"),
    (REMOVE, "sqlite-sync /s/ullage.db-wal", "is deleted while the database"),
)


def main():
    """Whether all of that holds."""
    failed = 0
    for right in (IMPORT, PRUNE, SNAPSHOT, BACK, REMOVE):
        said = order.check(steps(right), Place("/s", False))
        if said:
            print("a right trace is refused:", said)
            failed = 1
    for right, line, what in BROKEN:
        lines = right.splitlines()
        lines.reverse()
        lines.remove(line)
        lines.reverse()
        said = order.check(steps("\n".join(lines)), Place("/s", False))
        if not any(what in text for text in said):
            print("without %s not said to be %r: %s" % (line, what, said))
            failed = 1
    # Twice in the trash's folder: the second sync is what the deletion needs.
    lines = [l for l in PRUNE.splitlines() if l != f"fsync {S}/trash/1-0"]
    if not any("may still be in its place" in text
               for text in order.check(steps("\n".join(lines)), Place("/s", False))):
        print("deleted from the trash before the move there is durable")
        failed = 1
    print("%d rules broken" % (len(BROKEN) + 1))
    return failed


if __name__ == "__main__":
    sys.exit(main())

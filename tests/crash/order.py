"""The order of what a trace of steps says was done (base/step.h).

A power cut may lose or keep each thing that was not yet made durable. So:

- nothing is named before it is durable: when index.json gets its new content,
  the blobs and all folders above them are durable; when a transaction is made
  durable, so are the unpacked layers; what goes to the trash finds the trash's
  record durable
- nothing is deleted before its removal from the record is: while the index or
  the database still has a change that is not durable, nothing leaves its place
  in the store, and nothing leaves the trash for good before its move there is
"""
import os

CREATES = {"mkdir", "mkdirat", "mknodat", "symlinkat", "open", "openat"}
CHANGES = {"write", "pwrite64", "copy_file_range", "ftruncate64", "fallocate64",
           "chmod", "fchmod", "fchown", "fchownat", "utimensat", "futimens",
           "setxattr", "fsetxattr", "removexattr"}
RENAMES = {"rename", "renameat", "renameat2"}
UNLINKS = {"unlink", "unlinkat"}


class Order:
    """What is not durable, while a trace is gone through."""

    def __init__(self, place):
        self.place = place
        self.state, self.store = place.top, place.store
        self.trash = place.path(place.trash, "")
        self.places = (place.oci + "blobs/sha256/", "snapshots/")
        self.content = set()  # files and folders changed since their fsync
        self.entries = {}     # folder: new names in it
        self.returning = {}   # path in its place: the trash's folder
        self.log_is_behind = False
        self.wrong = []

    def _entry(self, path):
        folder, name = os.path.split(path)
        self.entries.setdefault(folder, set()).add(name)

    def _below(self, folder):
        """Something of a tree that is not durable, or None."""
        for path in self.content:
            if path.startswith(folder + "/"):
                return path
        for path, names in self.entries.items():
            if names and (path == folder or path.startswith(folder + "/")):
                return os.path.join(path, min(names))
        return None

    def _place_of(self, path):
        """The path of an object in its place: "snapshots/NAME" and so on."""
        inside = os.path.relpath(path, self.store)
        for place in self.places:
            name = inside[len(place):]
            if inside.startswith(place) and name and "/" not in name:
                return inside
        return None

    def _complain(self, line, what):
        self.wrong.append("step %s: %s" % (line[0], what))

    def _expect_records(self, line, what):
        index = self.place.path(self.place.oci).rstrip("/")
        if self.log_is_behind:
            self._complain(line, what + " while the database is not durable")
        if "index.json" in self.entries.get(index, ()):
            self._complain(line, what + " while the index is not durable")

    def _expect_named(self, line):
        blobs = self._below(self.place.path(self.place.oci + "blobs"))
        if blobs:
            self._complain(line, "index.json names while %s is not durable" %
                           blobs)
        layout = self.place.path(self.place.oci)
        for path in (self.state, self.store, layout.rstrip("/"),
                     os.path.join(layout, "blobs")):
            above, name = os.path.split(path)
            if name in self.entries.get(above, ()):
                self._complain(line, "index.json names while %s is not "
                               "durable" % path)

    def _expect_trash(self, line, folder):
        trash = self.trash.rstrip("/")
        if os.path.basename(folder) in self.entries.get(trash, ()):
            self._complain(line, "the trash's folder is not durable")
        if "record.json" in self.entries.get(folder, ()) or \
                os.path.join(folder, "record.json") in self.content:
            self._complain(line, "the trash's record is not durable")

    def _renamed(self, line, path, to):
        trash = self.trash
        if to == self.place.index():
            if path in self.content:
                self._complain(line, "index.json is replaced by what is not "
                               "durable")
            self._expect_named(line)
        if self._place_of(path):
            self._expect_records(line, "%s is taken away" % path)
            if to.startswith(trash) and \
                    not to.startswith(self.place.path(self.place.aside)):
                self._expect_trash(line, os.path.dirname(to))
        if self._place_of(to) and self.below_or_self(path):
            self._complain(line, "%s gets what is not durable" % to)
        moved = {p for p in self.content
                 if p == path or p.startswith(path + "/")}
        self.content -= moved
        self.content |= {to + p[len(path):] for p in moved}
        for folder in [f for f in self.entries
                       if f == path or f.startswith(path + "/")]:
            self.entries[to + folder[len(path):]] = self.entries.pop(folder)
        self._entry(to)
        # Until then it is found in the trash, which says where it belongs.
        if self._place_of(to) and path.startswith(trash):
            self.returning[to] = os.path.dirname(path)

    def below_or_self(self, path):
        """Something of a file or tree that is not durable, or None."""
        return path if path in self.content else self._below(path)

    def _unlinked(self, line, path):
        trash = self.trash
        inside = path[len(trash):].split("/") if path.startswith(trash) else []
        if self._place_of(path) or any(
                path.startswith(os.path.join(self.store, place))
                for place in self.places):
            self._expect_records(line, "%s is deleted" % path)
        if len(inside) > 1 and not inside[1].startswith((".", "record.json")):
            folder = trash + inside[0]
            self._expect_records(line, "%s is deleted" % path)
            if inside[1] in self.entries.get(folder, ()):
                self._complain(line, "%s is deleted, which may still be in its "
                               "place" % path)
        if len(inside) == 2 and inside[1] == "record.json" and \
                trash + inside[0] in self.returning.values():
            self._complain(line, "the trash's record goes before what it put "
                           "back is durable")
        self.content.discard(path)

    def _sqlite(self, line, call, path):
        if call == "sqlite-write" and path.endswith("-wal"):
            self.log_is_behind = True
        if call == "sqlite-sync" and path.endswith("-wal"):
            left = self._below(os.path.join(self.store, "snapshots"))
            if left and left not in self.returning:
                self._complain(line, "records are kept while %s is not "
                               "durable" % left)
            self.log_is_behind = False
        if call == "sqlite-delete":
            self.log_is_behind = False

    def step(self, line):
        """One line of a trace, split at its tabs."""
        call, path, to, result = line[3:7]
        path, to = path.rstrip("/"), to.rstrip("/")
        if call.startswith("sqlite-"):
            self._sqlite(line, call, path)
        elif int(result) < 0:
            pass
        elif call == "fsync":
            self.content.discard(path)
            for name in self.entries.pop(path, ()):
                self.returning.pop(os.path.join(path, name), None)
        elif call == "syncfs":
            self.content.clear()
            self.entries.clear()
            self.returning.clear()
        elif call in CREATES:
            self.content.add(path)
            self._entry(path)
        elif call in CHANGES:
            self.content.add(path)
        elif call in RENAMES:
            self._renamed(line, path, to)
        elif call == "linkat":
            self._entry(to)
        elif call in UNLINKS:
            self._unlinked(line, path)
        else:
            self._complain(line, "unknown call " + call)


def check(lines, place):
    """What is wrong with a trace, as text."""
    order = Order(place)
    for line in lines:
        order.step(line)
    return order.wrong

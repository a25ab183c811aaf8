"""What a store holds, read from its files without a line of ullage's code."""
import hashlib
import json
import os
import re
import stat
import subprocess

NAME = "org.opencontainers.image.ref.name"


def read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def sha256(path):
    hashed = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            hashed.update(block)
    return "sha256:" + hashed.hexdigest()


def du(path):
    """Allocated bytes, as du counts them."""
    said = subprocess.run(["du", "-sx", "-B1", path], check=True,
                          stdout=subprocess.PIPE).stdout
    return int(said.split()[0])


def tree(path):
    """Every object in a tree by its path, with what a user can see of it."""
    found = {}
    for folder, dirs, files in os.walk(path):
        for name in dirs + files:
            whole = os.path.join(folder, name)
            st = os.lstat(whole)
            size = st.st_size if not stat.S_ISDIR(st.st_mode) else 0
            found[os.path.relpath(whole, path)] = (
                st.st_mode, st.st_uid, st.st_gid, size, st.st_rdev,
                os.readlink(whole) if stat.S_ISLNK(st.st_mode) else "")
    return found


class Stored:
    """The files of one store."""

    def __init__(self, place):
        self.place, self.path = place, place.store
        self.trashed = self._trash()

    def _trash(self):
        """Where things in the trash belong, and where they lie."""
        trash, found = self.place.path(self.place.trash), {}
        for name in os.listdir(trash) if os.path.isdir(trash) else ():
            record = os.path.join(trash, name, "record.json")
            if not os.path.exists(record):
                continue
            try:
                items = read_json(record)["items"]
            except ValueError:
                continue  # damaged, and so nobody's
            for item in items:
                lies = os.path.join(trash, name, item["name"])
                if os.path.lexists(lies):
                    found[item["path"]] = lies
        return found

    def find(self, path, in_trash):
        """Where the object that belongs at a path is, or None."""
        whole = os.path.join(self.path, path)
        if os.path.lexists(whole):
            return whole
        return self.trashed.get(path) if in_trash else None

    def names(self):
        """Digests by name; entries without one by their digest. None where the
        index is damaged."""
        index = self.place.index()
        if not os.path.exists(index):
            return {}
        try:
            entries = read_json(index)["manifests"]
        except ValueError:
            return None
        return {entry.get("annotations", {}).get(NAME, entry["digest"]):
                entry["digest"] for entry in entries}

    def damage(self, digest, in_trash):
        """What is wrong with an image: everything it refers to is hashed."""
        seen, todo = set(), [digest]
        while todo:
            digest = todo.pop()
            if digest in seen:
                continue
            seen.add(digest)
            path = self.find(
                self.place.oci + "blobs/sha256/" + digest[7:], in_trash)
            if path is None:
                return "blob %s is missing" % digest
            if sha256(path) != digest:
                return "blob %s is damaged" % digest
            if os.path.getsize(path) > 1 << 20:
                continue
            try:
                document = read_json(path)
            except (UnicodeDecodeError, ValueError):
                continue
            refs = document.get("manifests", []) + document.get("layers", [])
            if "config" in document and "digest" in document["config"]:
                refs.append(document["config"])
            todo.extend(ref["digest"] for ref in refs if "digest" in ref)
        return None

    def files(self):
        """Every file and folder, but for what differs from run to run: what a
        repair that was stopped has set aside twice counts once."""
        found = {}
        for path, about in tree(self.path).items():
            if path.startswith(self.place.aside + "/"):
                path = re.sub(r"\.[0-9]+$", "", path)
            if path != "store-id":
                found[path] = about[3]
        return found

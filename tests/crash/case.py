"""One command that is stopped or failed, and what has to hold after it."""
import json
import os

import cases
import order
from bench import Wrong
from stored import Stored, du, tree

# Absorbed: the command goes on as if nothing had been.
ABSORBED = ("EINTR", "short")
KILLED = 137


class Seen:
    """What a store holds, as its files and its lists say."""

    def __init__(self, bench, place):
        stored = Stored(place)
        self.names = stored.names()
        self.snapshots, self.leases, self.trees = {}, {}, {}
        if not place.is_layout:
            self._take_lists(bench, place, stored)

    def _take_lists(self, bench, place, stored):
        listed = json.loads(bench.must(place, "snapshot", "list", "--json").out)
        leases = json.loads(bench.must(place, "lease", "list", "--json").out)
        self.snapshots = {s["key"]: (s["kind"], s["parent"], s["unpacked"])
                          for s in listed["snapshots"]}
        self.leases = {
            lease["id"]: sorted((r["kind"], r["key"])
                                for r in lease["resources"])
            for lease in leases["leases"]}
        for key, (_, _, unpacked) in self.snapshots.items():
            path = stored.find(folder_of(key, unpacked), True)
            self.trees[key] = tree(os.path.join(path, "fs")) if path else None

    def same(self, other):
        """Whether both hold the same."""
        return (self.names, self.snapshots, self.leases) == \
            (other.names, other.snapshots, other.leases)


def folder_of(key, unpacked):
    """Where a snapshot's folder belongs."""
    return "snapshots/" + ("layer-" + key[7:] if unpacked else "key-" + key)


def expect_between(what, found, before, after):
    """What is in both is there; whatever is there was in one of them. Before or
    meanwhile it may be a damaged index that says nothing."""
    if found is None:
        return
    before = before or {}
    for key in before.keys() & after.keys():
        if found.get(key) not in (before[key], after[key]):
            raise Wrong("%s %s is %s instead of %s" %
                        (what, key, found.get(key), after[key]))
    for key in found.keys() - before.keys() - after.keys():
        raise Wrong("%s %s came from nowhere" % (what, key))


def differences(found, wanted):
    """What differs between two dictionaries of dictionaries."""
    return {what: {key: (found[what].get(key), wanted[what].get(key))
                   for key in found[what].keys() | wanted[what].keys()
                   if found[what].get(key) != wanted[what].get(key)}
            for what in found if what != "trees"}


class Case:
    """One command of cases.py, and how it goes when nothing happens."""

    def __init__(self, bench, name, make, args, is_layout=False):
        self.bench, self.name, self.args = bench, name, args
        self.is_layout = is_layout
        self.notes = set()
        self.start = bench.prepared(make, is_layout)
        place = self._fresh()
        # Before any command that makes a database where there is none.
        self.known = self._damage(place)
        # With a new one, the database does not know the store.
        if any(key == "store-id" for _, key, _ in self.known):
            self.known.add(("database", "ullage.db", ""))
        self.start_files = tree(place.store)
        self.before = Seen(bench, self._fresh())
        place = self._fresh()
        self.trace = self._trace(place)
        self.after = Seen(bench, place)
        self.known |= self._damage(place)
        self._expect_unchanged(place)
        self._collect(place)
        self.end = Seen(bench, place)
        self.end_files = Stored(place).files()
        self.end_damage = self._damage(place)
        self.whole = self._whole_at_start()

    def _fresh(self):
        place = self.bench.copy(self.start, self.is_layout)
        if self.name in cases.FIRST:
            self.bench.must(place, *cases.FIRST[self.name])
        return place

    def _trace(self, place):
        path = os.path.join(self.bench.work, "trace")
        if os.path.exists(path):
            os.remove(path)
        done = self.bench.run(place, *self.args, trace=path)
        # A verification of what is damaged ends with 1, a collection that
        # leaves something with 3.
        if done.status not in (0, 3) and self.args[0] != "verify":
            raise Wrong("%s: %s" % (self.name, done.said))
        self.status = done.status
        with open(path, encoding="utf-8", errors="replace") as file:
            return [line.rstrip("\n").split("\t") for line in file]

    def _whole_at_start(self):
        """Digests that names stand for before or after, and that are whole."""
        stored = Stored(self._fresh())
        digests = {*(self.before.names or {}).values(),
                   *(self.after.names or {}).values()}
        return {digest for digest in digests
                if not stored.damage(digest, True)}

    def _damage(self, place):
        """What a verification finds, as a set of kinds and keys."""
        if not place.is_there():
            return set()
        deep = ["--deep"] if "--deep" in self.args else []
        done = self.bench.run(place, "verify", "--json", *deep)
        try:
            findings = json.loads(done.out)["findings"]
        except ValueError as wrong:
            raise Wrong("verify: %s" % done.said) from wrong
        damage = {(f["kind"], f["key"], f["what"]) for f in findings
                  if f["severity"] == "damage"}
        self.notes |= {(f["kind"], f["what"]) for f in findings
                       if f["severity"] == "note"}
        if done.status != (1 if damage else 0):
            raise Wrong("verify ends with %d: %s" % (done.status, done.said))
        return damage

    def _expect_unchanged(self, place):
        """A verification changes nothing."""
        if self.args[0] != "verify" or "--repair" in self.args:
            return
        now = {path: about for path, about in tree(place.store).items()
               if not path.startswith("ingest/")}
        if now != self.start_files:
            raise Wrong("it changed %s" % sorted(
                path for path in now.keys() | self.start_files.keys()
                if now.get(path) != self.start_files.get(path)))

    def expect_order(self):
        """The trace's order of syncs, names and removals."""
        wrong = order.check(self.trace, self.bench.places[self.is_layout])
        if wrong:
            raise Wrong("\n  ".join(wrong))

    def steps(self, kind):
        """The calls that count for a kind of failure, in order."""
        return [line[3] for line in self.trace if kind in line[2].split(",")]

    def _collect(self, place):
        gc = ("gc", *(cases.ALONE if self.is_layout else cases.NOW))
        done = self.bench.run(place, *gc)
        # What was damaged and is only looked at stays so.
        if done.status == 1 and self.args[0] == "verify" and \
                "--repair" not in self.args and self._damage(place):
            return
        if done.status:
            raise Wrong("gc: %s" % done.said)
        again = json.loads(self.bench.must(place, *gc, "--json").out)
        if again["freed_bytes"] or again["removed"] or again["declined"]:
            raise Wrong("a second collection: %s" % again)

    def _expect_bytes(self, place):
        said = json.loads(
            self.bench.must(place, "df", "--json", "--measure").out)
        store = said["stores"][0]
        if store["residual_bytes"]:
            raise Wrong("df: residual %s" % store["residual_bytes"])
        if store["allocated_bytes"] != du(place.store):
            raise Wrong("df says %s, du %s" % (
                store["allocated_bytes"], du(place.store)))

    def _expect_explained(self, place):
        """Verify finds nothing that was not there before, or that the command
        itself does not leave."""
        news = {(kind, key) for kind, key, _ in self._damage(place)} - \
            {(kind, key) for kind, key, _ in self.known}
        if news:
            raise Wrong("verify finds %s" % sorted(news))

    def _expect_whole(self, place, in_trash):
        """Everything that was to stay is there, with all its content."""
        seen, stored = Seen(self.bench, place), Stored(place)
        expect_between("name", seen.names, self.before.names, self.after.names)
        expect_between("lease", seen.leases, self.before.leases,
                       self.after.leases)
        expect_between("snapshot", seen.snapshots, self.before.snapshots,
                       self.after.snapshots)
        # With a damaged index the names of before are still names.
        names = self.after.names if seen.names is None else seen.names
        for name, digest in (names or {}).items():
            damage = stored.damage(digest, in_trash)
            if damage and digest in self.whole:
                raise Wrong("%s: %s" % (name, damage))
        for key in seen.snapshots.keys() & self.before.trees.keys() & \
                self.after.trees.keys():
            if seen.trees[key] != self.before.trees[key]:
                raise Wrong("snapshot %s is not what it was" % key)
        if "work" in self.before.trees and "done" in self.after.trees and \
                self.before.trees["work"] not in seen.trees.values():
            raise Wrong("what was committed is lost")
        return seen

    def _again(self, place):
        """The same command comes to its end, or had come to it."""
        done = self.bench.run(place, *self.args)
        found = self._expect_whole(place, False)
        if done.status and found.names != self.after.names:
            raise Wrong("again: %s" % done.said)
        if done.status and self.args[0] in ("lease", "snapshot") and \
                not found.same(self.after):
            raise Wrong("again: %s" % done.said)

    def _expect_end(self, place):
        self._collect(place)
        end = Seen(self.bench, place)
        if not end.same(self.end):
            raise Wrong("it ends otherwise: %s" % differences(
                vars(end), vars(self.end)))
        files = Stored(place).files()
        if files != self.end_files:
            raise Wrong("left over: %s; lost: %s" % (
                sorted(files.keys() - self.end_files.keys()),
                sorted(self.end_files.keys() - files.keys())))
        self._expect_bytes(place)
        damage = self._damage(place)
        if damage != self.end_damage:
            raise Wrong("verify finds in the end %s" %
                        sorted(damage ^ self.end_damage))
        if self.args[0] == "prune":
            self._expect_undo(place)

    def _expect_undo(self, place):
        """Names come back with all their content, or not at all."""
        self.bench.run(place, "undo", "1")
        stored = Stored(place)
        for name, digest in stored.names().items():
            damage = stored.damage(digest, True)
            if damage:
                raise Wrong("undo brought back %s: %s" % (name, damage))

    def _look(self, place):
        """What has to hold right after."""
        if not place.is_there():
            return  # stopped before there was a store
        self._expect_explained(place)
        # Whoever asks for more waits for the index's writer, and long.
        if self._expect_whole(place, True).names is not None:
            self._expect_bytes(place)

    def _end(self, place, stops):
        """Stopped while it is done again, then done to its end. How many of
        the stops there were."""
        count = 0
        for step in stops:
            done = self.bench.run(place, *self.args, step=step)
            if done.status not in (0, 1, 3, KILLED):
                raise Wrong("status %d: %s" % (done.status, done.said))
            count += done.status == KILLED
            self._look(place)
        self._again(place)
        self._expect_end(place)
        return count

    def stop(self, *steps):
        """Killed at a step, and again at another while it does it again."""
        return self._end(self._fresh(), steps)

    def fail(self, step, kind, *stops):
        """A step fails: the command says so, or goes on all the same. Done
        again, it may be killed."""
        place = self._fresh()
        done = self.bench.run(place, *self.args, step=step)
        is_new = done.status != self.status
        if done.status and is_new and not done.talk:
            raise Wrong("status %d without a word" % done.status)
        if is_new and kind in ABSORBED:
            raise Wrong("not absorbed: %s" % done.said)
        if done.status not in (0, 1, 3):
            raise Wrong("status %d: %s" % (done.status, done.said))
        self._look(place)
        if not done.status and not Seen(self.bench, place).same(self.after):
            raise Wrong("status 0, but it is not done")
        return self._end(place, stops)

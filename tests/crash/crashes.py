#!/usr/bin/env python3
"""Stops and fails every command at steps that change the disk.

After each, whatever was there before and is not to go is whole, every byte is
explained, the same command comes to its end, and a collection then leaves
exactly what it leaves when nothing had happened.

    crashes.py BIN SAMPLES [--kills N] [--faults N] [--memory N] [--seed S]
               [--case NAME] [--all] [--seconds S]

BIN is the folder of the programs with steps. --kills and --faults are points
a command (and kind of failure), drawn by the seed so that every kind of step
occurs; --memory is how many allocations fail, one a run. --all takes each step there is, in an order drawn by the seed, until the
seconds are over; what time is left goes to random pairs of stops.
"""
import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

import cases
import order
from stored import Stored, du, tree

FAULTS = ("EIO", "ENOSPC", "EINTR", "short", "ENOSPC+")
# Absorbed: the command goes on as if nothing had been.
ABSORBED = ("EINTR", "short")
KILLED = 137


class Wrong(Exception):
    """Something that must not be."""


class Run:
    """One run of a program."""

    def __init__(self, done):
        self.status = done.returncode
        self.said = (done.stdout + done.stderr).decode(errors="replace")
        self.out = done.stdout
        self.talk = done.stderr


class Bench:
    """Where stores are made, copied and looked at."""

    def __init__(self, binaries, samples):
        memory = "/dev/shm"
        self.work = tempfile.mkdtemp(
            dir=memory if os.access(memory, os.W_OK) else None)
        self.program = os.path.join(os.path.abspath(binaries), "ullage")
        self.made = {}
        self.env = {key: value for key, value in os.environ.items()
                    if not key.startswith(("ULLAGE", "XDG"))}
        self.env["ASAN_OPTIONS"] = "detect_leaks=0"
        subprocess.run(["tar", "--zstd", "-xf", os.path.abspath(samples)],
                       cwd=self.work, check=True)

    def close(self):
        """Nothing is left behind."""
        shutil.rmtree(self.work)

    def run(self, state, *args, step="", trace=""):
        """A command, stopped or failed as `step` says."""
        env = dict(self.env)
        if step:
            env["ULLAGE_STEP"] = step
        if trace:
            env["ULLAGE_STEP_TRACE"] = trace
        return Run(subprocess.run(
            [self.program, "--state", state, *args], cwd=self.work, env=env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, timeout=120, check=False))

    def must(self, state, *args):
        """A command that has to succeed."""
        done = self.run(state, *args)
        if done.status != 0:
            raise Wrong("ullage %s: %s" % (" ".join(args), done.said))
        return done

    def prepared(self, make):
        """A store as a function of cases.py makes it; once."""
        if make not in self.made:
            path = os.path.join(self.work, "made-" + make.__name__)
            make(self.must, path)
            self.made[make] = path
        return self.made[make]

    def copy(self, path, name="state"):
        """A store of its own to try something on."""
        to = os.path.join(self.work, name)
        shutil.rmtree(to, ignore_errors=True)
        subprocess.run(["cp", "-a", path, to], check=True)
        return to


class Seen:
    """What a store holds, as its files and its lists say."""

    def __init__(self, bench, state):
        stored = Stored(state)
        listed = json.loads(bench.must(state, "snapshot", "list", "--json").out)
        leases = json.loads(bench.must(state, "lease", "list", "--json").out)
        self.names = stored.names()
        self.snapshots = {s["key"]: (s["kind"], s["parent"], s["unpacked"])
                          for s in listed["snapshots"]}
        self.leases = {
            lease["id"]: sorted((r["kind"], r["key"])
                                for r in lease["resources"])
            for lease in leases["leases"]}
        self.trees = {}
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
    """What is in both is there; whatever is there was in one of them."""
    for key in before.keys() & after.keys():
        if found.get(key) not in (before[key], after[key]):
            raise Wrong("%s %s is %s instead of %s" %
                        (what, key, found.get(key), after[key]))
    for key in found.keys() - before.keys() - after.keys():
        raise Wrong("%s %s came from nowhere" % (what, key))


class Case:
    """One command of cases.py, and how it goes when nothing happens."""

    def __init__(self, bench, name, make, args):
        self.bench, self.name, self.args = bench, name, args
        self.start = bench.prepared(make)
        self.before = Seen(bench, self._fresh())
        state = self._fresh()
        self.trace = self._trace(state)
        self.after = Seen(bench, state)
        self._collect(state)
        self.end = Seen(bench, state)
        self.end_files = Stored(state).files()

    def _fresh(self):
        state = self.bench.copy(self.start)
        if self.name in cases.FIRST:
            self.bench.must(state, *cases.FIRST[self.name])
        return state

    def _trace(self, state):
        path = os.path.join(self.bench.work, "trace")
        if os.path.exists(path):
            os.remove(path)
        done = self.bench.run(state, *self.args, trace=path)
        if done.status:
            raise Wrong("%s: %s" % (self.name, done.said))
        with open(path, encoding="utf-8", errors="replace") as file:
            return [line.rstrip("\n").split("\t") for line in file]

    def expect_order(self):
        """The trace's order of syncs, names and removals."""
        wrong = order.check(self.trace, os.path.join(self.bench.work, "state"))
        if wrong:
            raise Wrong("\n  ".join(wrong))

    def steps(self, kind):
        """The calls that count for a kind of failure, in order."""
        return [line[3] for line in self.trace if kind in line[2].split(",")]

    def _collect(self, state):
        self.bench.must(state, "gc", "--grace", "0", "--now")
        again = json.loads(self.bench.must(state, "gc", "--grace", "0", "--now",
                                           "--json").out)
        if again["freed_bytes"] or again["removed"] or again["declined"]:
            raise Wrong("a second collection: %s" % again)

    def _expect_bytes(self, state):
        said = json.loads(
            self.bench.must(state, "df", "--json", "--measure").out)
        store = said["stores"][0]
        if store["residual_bytes"]:
            raise Wrong("df: residual %s" % store["residual_bytes"])
        if store["allocated_bytes"] != du(os.path.join(state, "store")):
            raise Wrong("df says %s, du %s" % (
                store["allocated_bytes"], du(os.path.join(state, "store"))))

    def _expect_whole(self, state, in_trash):
        """Everything that was to stay is there, with all its content."""
        seen, stored = Seen(self.bench, state), Stored(state)
        expect_between("name", seen.names, self.before.names, self.after.names)
        expect_between("lease", seen.leases, self.before.leases,
                       self.after.leases)
        expect_between("snapshot", seen.snapshots, self.before.snapshots,
                       self.after.snapshots)
        for name, digest in seen.names.items():
            damage = stored.damage(digest, in_trash)
            if damage:
                raise Wrong("%s: %s" % (name, damage))
        for key in seen.snapshots.keys() & self.before.trees.keys() & \
                self.after.trees.keys():
            if seen.trees[key] != self.before.trees[key]:
                raise Wrong("snapshot %s is not what it was" % key)
        if "work" in self.before.trees and "done" in self.after.trees and \
                self.before.trees["work"] not in seen.trees.values():
            raise Wrong("what was committed is lost")
        return seen

    def _again(self, state):
        """The same command comes to its end, or had come to it."""
        done = self.bench.run(state, *self.args)
        found = self._expect_whole(state, False)
        if done.status and found.names != self.after.names:
            raise Wrong("again: %s" % done.said)
        if done.status and self.args[0] in ("lease", "snapshot") and \
                not found.same(self.after):
            raise Wrong("again: %s" % done.said)

    def _expect_end(self, state):
        self._collect(state)
        end = Seen(self.bench, state)
        if not end.same(self.end):
            raise Wrong("it ends with %s\ninstead of %s" %
                        (vars(end), vars(self.end)))
        files = Stored(state).files()
        if files != self.end_files:
            raise Wrong("left over: %s; lost: %s" % (
                sorted(files.keys() - self.end_files.keys()),
                sorted(self.end_files.keys() - files.keys())))
        self._expect_bytes(state)
        if self.args[0] == "prune":
            self._expect_undo(state)

    def _expect_undo(self, state):
        """Names come back with all their content, or not at all."""
        self.bench.run(state, "undo", "1")
        stored = Stored(state)
        for name, digest in stored.names().items():
            damage = stored.damage(digest, True)
            if damage:
                raise Wrong("undo brought back %s: %s" % (name, damage))

    def _look(self, state):
        """What has to hold right after."""
        if not os.path.exists(os.path.join(state, "store/store-id")):
            return  # stopped before there was a store
        self._expect_bytes(state)
        self._expect_whole(state, True)

    def stop(self, *steps):
        """Killed at a step, and again at another while it does it again."""
        state = self._fresh()
        for step in steps:
            done = self.bench.run(state, *self.args, step=step)
            if done.status != KILLED and done.status not in (0, 1):
                raise Wrong("status %d: %s" % (done.status, done.said))
            self._look(state)
        self._again(state)
        self._expect_end(state)

    def fail(self, step, kind):
        """A step fails: the command says so, or goes on all the same."""
        state = self._fresh()
        done = self.bench.run(state, *self.args, step=step)
        if done.status and not done.talk:
            raise Wrong("status %d without a word" % done.status)
        if done.status and kind in ABSORBED:
            raise Wrong("not absorbed: %s" % done.said)
        if done.status not in (0, 1, 3):
            raise Wrong("status %d: %s" % (done.status, done.said))
        self._look(state)
        if not done.status and not Seen(self.bench, state).same(self.after):
            raise Wrong("status 0, but it is not done")
        self._again(state)
        self._expect_end(state)


def drawn(calls, count, chance):
    """Points among the calls: one of each kind of call first."""
    by_call = {}
    for at, call in enumerate(calls):
        by_call.setdefault(call, []).append(at + 1)
    points = [chance.choice(by_call[call]) for call in sorted(by_call)]
    chance.shuffle(points)
    rest = sorted(set(range(1, len(calls) + 1)) - set(points))
    chance.shuffle(rest)
    return sorted((points + rest)[:count])


class Driver:
    """All cases, counted."""

    def __init__(self, options):
        self.options = options
        self.chance = random.Random(options.seed)
        self.counts, self.failed = {}, []
        self.calls, self.cases, self.work = set(), [], []
        self.until = time.monotonic() + options.seconds

    def _try(self, case, kind, what, doing):
        try:
            doing()
            self.counts[kind] = self.counts.get(kind, 0) + 1
        except Wrong as wrong:
            self.failed.append((case.name, what))
            print("FAILED: %s, %s: %s" % (case.name, what, wrong), flush=True)
        except (OSError, ValueError, KeyError,
                subprocess.TimeoutExpired) as wrong:
            self.failed.append((case.name, what))
            print("FAILED: %s, %s: %r" % (case.name, what, wrong), flush=True)

    def _points(self, case, kind, count):
        calls = case.steps(kind)
        points = range(1, len(calls) + 1) if self.options.all \
            else drawn(calls, count, self.chance)
        self.calls |= {calls[at - 1] for at in points}
        return points

    def _plan(self, case):
        """One command at its points, as things to do."""
        kills, faults = self.options.kills, self.options.faults
        for kind, count in (("kill", kills), ("torn", kills // 4)):
            for at in self._points(case, kind, count):
                step = "%d:%s" % (at, kind)
                self.work.append((case, kind, step, case.stop, (step,)))
        for kind in FAULTS:
            word = kind.rstrip("+")
            # Some commands have a single write that can be short.
            count = faults + (kind == "short")
            for at in self._points(case, word, count):
                step = "%d%s:%s" % (at, kind[len(word):], word)
                self.work.append((case, kind, step, case.fail, (step, word)))

    def _memory(self, case):
        """Allocations that fail: early ones as often as late ones."""
        count = 25 if self.options.all else self.options.memory
        for _ in range(count):
            step = "%d:memory" % round(3000 ** self.chance.random())
            self.work.append((case, "memory", step, case.fail,
                              (step, "memory")))

    def _is_time_left(self):
        return not self.options.all or time.monotonic() < self.until

    def _work(self):
        """What was planned, as far as the time goes."""
        if self.options.all:
            self.chance.shuffle(self.work)
        for case, kind, what, doing, args in self.work:
            if self._is_time_left():
                self._try(case, kind, what, lambda: doing(*args))

    def _pairs(self):
        """Stops while what a stop has left is put in order."""
        while self.options.all and self._is_time_left():
            case = self.chance.choice(self.cases)
            steps = ["%d:kill" % self.chance.randint(1, len(case.trace))
                     for _ in range(self.chance.randint(2, 3))]
            self._try(case, "pairs", " ".join(steps),
                      lambda: case.stop(*steps))

    def run(self, bench):
        """Everything; the exit status."""
        for name, make, args in cases.CASES:
            if self.options.case in (None, name):
                case = Case(bench, name, make, args)
                self.cases.append(case)
                self._try(case, "order", "order", case.expect_order)
                self._plan(case)
                self._memory(case)
        self._work()
        self._pairs()
        print("crashes: seed %d, %d points planned, done: %s; calls: %s" % (
            self.options.seed, len(self.work),
            ", ".join("%s %d" % pair for pair in sorted(self.counts.items())),
            " ".join(sorted(self.calls))))
        return 1 if self.failed else 0


def main():
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("bin")
    parser.add_argument("samples")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--faults", type=int, default=2)
    parser.add_argument("--memory", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--seconds", type=int, default=0)
    options = parser.parse_args()
    bench = Bench(options.bin, options.samples)
    try:
        return Driver(options).run(bench)
    finally:
        bench.close()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Stops and fails every command at steps that change the disk.

After each, whatever was there before and is not to go is whole, verify is clean
or finds only what was damaged before, every byte is explained, the same command
comes to its end, and a collection then leaves exactly what it leaves when
nothing had happened; a second one finds nothing.

    crashes.py BIN SAMPLES [--points KIND=N,...] [--seed S] [--case NAME]
               [--all] [--seconds S] [--part K/N]

BIN is the folder of the programs with steps. --points says how many points of
each kind are drawn by the seed, so that every command and every kind of call
occurs as far as that goes; "again" of the failures are done again under a kill.
--all takes each step there is, in an order drawn by the seed, until the seconds
are over (0: all of them); what time is left goes to random pairs of stops.
--part takes each N-th of them.
"""
import argparse
import random
import subprocess
import sys
import time

import cases
from bench import Bench, Wrong
from case import Case

FAULTS = ("EIO", "ENOSPC", "EINTR", "short", "ENOSPC+", "EDQUOT+")
# 400 points, of which 150 and `again` are kills, and each failure has 50.
POINTS = "kill=140,torn=10,EIO=50,ENOSPC=20,ENOSPC+=20,EDQUOT+=10,EINTR=50,short=50," \
    "memory=50,again=70"


class Point:
    """A command, and what is to happen to it."""

    def __init__(self, case, kind, at, call):
        self.case, self.kind, self.call = case, kind, call
        word = kind.rstrip("+")
        self.step = "%d%s:%s" % (at, kind[len(word):], word)
        self.again = ()

    def name(self):
        """As it is told of."""
        return " ".join([self.step, *self.again])

    def run(self):
        """How many kills there were."""
        if self.kind in ("kill", "torn"):
            return self.case.stop(self.step)
        return self.case.fail(self.step, self.kind.rstrip("+"), *self.again)


def drawn(points, count, chance):
    """Some of them: first one of each command, then one of each kind of call
    that did not occur yet."""
    rest = list(points)
    chance.shuffle(rest)
    taken, seen = [], set()
    for keys in (lambda point: point.case.name, lambda point: point.call):
        for point in list(rest):
            if len(taken) < count and keys(point) not in seen:
                seen |= {point.case.name, point.call}
                taken.append(point)
                rest.remove(point)
    return (taken + rest)[:count]


class Driver:
    """All cases, counted."""

    def __init__(self, options):
        self.options = options
        self.chance = random.Random(options.seed)
        self.quota = {kind: int(count) for kind, count in
                      (part.split("=") for part in options.points.split(","))}
        self.counts, self.failed = {}, []
        self.cases, self.work = [], []
        self.kills = 0
        self.until = time.monotonic() + options.seconds

    def _try(self, case, kind, what, doing):
        try:
            self.kills += doing() or 0
            self.counts[kind] = self.counts.get(kind, 0) + 1
        except (Wrong, OSError, ValueError, KeyError,
                subprocess.TimeoutExpired) as wrong:
            self.failed.append((case.name, what))
            print("FAILED: %s, %s: %s" % (
                case.name, what,
                wrong if isinstance(wrong, Wrong) else repr(wrong)), flush=True)

    def _steps(self, kind):
        """Every point there is of a kind."""
        word = kind.rstrip("+")
        return [Point(case, kind, at + 1, call) for case in self.cases
                for at, call in enumerate(case.steps(word))]

    def _memory(self, count):
        """Allocations that fail: early ones as often as late ones."""
        return [Point(case, "memory", round(3000 ** self.chance.random()),
                      "malloc")
                for case in self.cases for _ in range(count)]

    def _plan(self):
        """All points, or as many of each kind as are wanted."""
        for kind in ("kill", "torn", *FAULTS):
            points = self._steps(kind)
            if not self.options.all:
                points = drawn(points, self.quota.get(kind, 0), self.chance)
            self.work += points
        if self.options.all:
            self.work += self._memory(25)
        else:
            self.work += drawn(self._memory(5), self.quota.get("memory", 0),
                               self.chance)
        self.chance.shuffle(self.work)
        part, parts = map(int, self.options.part.split("/"))
        self.work = self.work[part - 1::parts]
        failures = [point for point in self.work
                    if point.kind not in ("kill", "torn")]
        for point in failures[:self.quota.get("again", 0)]:
            point.again = ("%d:kill" % self.chance.randint(
                1, max(1, len(point.case.trace) * 2 // 3)),)

    def _is_time_left(self):
        return not self.options.seconds or time.monotonic() < self.until

    def _work(self):
        """What was planned, as far as the time goes."""
        for point in self.work:
            if self._is_time_left():
                self._try(point.case, point.kind, point.name(), point.run)

    def _pairs(self):
        """Stops while what a stop has left is put in order."""
        while self.options.all and self.options.seconds and \
                self._is_time_left():
            case = self.chance.choice(self.cases)
            steps = ["%d:kill" % self.chance.randint(1, len(case.trace))
                     for _ in range(self.chance.randint(2, 3))]
            self._try(case, "pairs", " ".join(steps),
                      lambda: case.stop(*steps))

    def _make(self, bench):
        for is_layout, all_cases in ((False, cases.CASES),
                                     (True, cases.LAYOUT_CASES)):
            for name, make, args in all_cases:
                if self.options.case in (None, name):
                    case = Case(bench, name, make, args, is_layout)
                    self.cases.append(case)
                    self._try(case, "order", "order", case.expect_order)

    def _report(self):
        done = sum(count for kind, count in self.counts.items()
                   if kind not in ("order", "pairs"))
        print("crashes: seed %d, %d of %d points of %d commands done: %s; "
              "%d kills; calls: %s" % (
                  self.options.seed, done, len(self.work), len(self.cases),
                  ", ".join("%s %d" % pair
                            for pair in sorted(self.counts.items())),
                  self.kills,
                  " ".join(sorted({point.call for point in self.work}))))
        missing = {case.name for case in self.cases} - \
            {point.case.name for point in self.work}
        if missing and self.options.part == "1/1":
            print("FAILED: nothing was done to %s" % ", ".join(missing))
        return 1 if self.failed or missing else 0

    def run(self, bench):
        """Everything; the exit status."""
        self._make(bench)
        self._plan()
        try:
            self._work()
            self._pairs()
        except KeyboardInterrupt:
            print("crashes: interrupted")
        return self._report()


def main():
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("bin")
    parser.add_argument("samples")
    parser.add_argument("--points", default=POINTS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--seconds", type=int, default=0)
    parser.add_argument("--part", default="1/1")
    options = parser.parse_args()
    bench = Bench(options.bin, options.samples)
    try:
        return Driver(options).run(bench)
    finally:
        bench.close()


if __name__ == "__main__":
    sys.exit(main())

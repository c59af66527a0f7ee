#!/usr/bin/env python3
"""Run the tests of this folder: each class in a process of its own, on hosts of its own, a few at a time.

run_tests.py [--jobs N] [--list] [PATTERN…]     PATTERN: part of FILE.CLASS.TEST; all tests without one
run_tests.py [--jobs N] --matrix FILE           all tests; the fault matrix with their outcomes is written to FILE
run_tests.py [--jobs N] --door rpc [PATTERN…]   all tests over the RPC door, those too that are not repeated each time

Prints each test as it ends and a closing line. Exit 0: all passed; 1: some did not, or a row of the matrix was
shown by none; 2: this machine can't boot hosts.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import signal
import subprocess
import sys
import textwrap
import threading
import time
import unittest
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TextIO

from fleet import Interrupted, raise_on_signals, sweep
from fleetkit import preconditions
from fleetkit.run import write_whole
from matrix import Matrix, covered

HERE = Path(__file__).resolve().parent
ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


class Reporter(unittest.TestResult):
    """Writes each outcome as one line of JSON."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._began = time.monotonic()
        self._problems: list[str] = []
        self._outcome = "passed"

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._began, self._problems, self._outcome = time.monotonic(), [], "passed"

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        self._tell(test.id(), "failed" if self._problems else self._outcome, self._problems)

    def addFailure(self, test: unittest.TestCase, err: ExceptionInfo) -> None:
        super().addFailure(test, err)
        self._problems.append(self.failures[-1][1])

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: ExceptionInfo | None) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            found = self.failures if err[0] and issubclass(err[0], test.failureException) else self.errors
            self._problems.append(f"{subtest}\n{found[-1][1]}")

    def addError(self, test: unittest.TestCase, err: ExceptionInfo) -> None:
        super().addError(test, err)
        if err[0] is not None and issubclass(err[0], Interrupted):
            self.stop()  # no further test is begun; what this one has left is cleared away as always
        self._problems.append(self.errors[-1][1])
        if not isinstance(test, unittest.TestCase):  # the class could not be set up or torn down
            self._tell(test.id(), "failed", self._problems)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self._outcome = "skipped"

    def addExpectedFailure(self, test: unittest.TestCase, err: ExceptionInfo) -> None:
        self._outcome = "known to fail"

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self._problems.append("passed, and was said to fail")

    def _tell(self, name: str, outcome: str, problems: list[str]) -> None:
        seconds = round(time.monotonic() - self._began, 1)
        told = {"test": name, "outcome": outcome, "seconds": seconds, "text": "\n".join(problems)}
        print(json.dumps(told), file=self._stream, flush=True)


def cases(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for part in suite:
        if isinstance(part, unittest.TestSuite):
            yield from cases(part)
        else:
            yield part


def is_chosen(case: unittest.TestCase, door: str | None) -> bool:
    """Whether a test is run over this door; without one, whether it is run each time."""
    way = getattr(case, "door", None)
    if door:
        return (way is None or way.name == "ssh") == (door == "ssh")
    each_time = getattr(case, "each_time", None)
    return each_time is None or case.id().rpartition(".")[2] in each_time


class Doors:
    """Which tests are run over which door, for the reader of a run."""

    def __init__(self) -> None:
        self.ran: dict[str, int] = {}
        self.left: dict[str, int] = {}

    def count(self, case: unittest.TestCase, chosen: bool) -> None:
        way = getattr(case, "door", None)
        counts, name = self.ran if chosen else self.left, way.name if way else "ssh"
        counts[name] = counts.get(name, 0) + 1

    def tell(self) -> str:
        words = {"ssh": "over SSH or ways of their own", "rpc": "over the RPC door", "auto": "over both doors in one fleet"}
        text = "tests: " + ", ".join(f"{count} {words[name]}" for name, count in sorted(self.ran.items(), reverse=True))
        if self.left:
            text += "; NOT run: " + ", ".join(
                f"{count} {words[name]} (run_tests.py --door {name})" for name, count in sorted(self.left.items(), reverse=True))
        return text


def find(patterns: list[str], door: str | None) -> tuple[dict[str, list[str]], Matrix, Doors]:
    """The tests to run, by class, those that take longest first (`is_long`, then those with most hosts), so that none of them is the last;
    the matrix that they show; their doors."""
    loader = unittest.TestLoader()
    doors = Doors()
    found: dict[str, list[str]] = {}
    sizes: dict[str, tuple[bool, int, int]] = {}
    shown = {}
    for case in cases(loader.discover(str(HERE))):
        name = case.id()
        if not patterns or any(pattern in name for pattern in patterns):
            chosen = is_chosen(case, door)
            doors.count(case, chosen)
            if not chosen:
                continue
            group = name.rpartition(".")[0]
            found.setdefault(group, []).append(name)
            sizes[group] = (getattr(case, "is_long", False), getattr(case, "hosts", 0), len(found[group]))
            shown[name] = covered(case)
    if loader.errors:
        raise SystemExit("\n".join(loader.errors))
    return dict(sorted(found.items(), key=lambda item: sizes[item[0]], reverse=True)), Matrix(shown), doors


def work(names: list[str]) -> int:
    """Run tests here and report them on standard output, which nothing else gets to write to."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    raise_on_signals()
    unittest.TestLoader().loadTestsFromNames(names).run(Reporter(stream))
    return 0


class Run:
    """All tests of one call."""

    def __init__(self, groups: dict[str, list[str]]) -> None:
        self._waiting: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
        for names in groups.values():
            self._waiting.put(names)
        self._lock = threading.Lock()
        self._workers: set[subprocess.Popen[str]] = set()
        self._stopping = False
        self.counts = {"passed": 0, "failed": 0, "skipped": 0, "known to fail": 0}
        self.outcomes: dict[str, str] = {}

    def run(self, jobs: int) -> None:
        threads = [threading.Thread(target=self._take) for _ in range(jobs)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.5)  # in pieces, so that signals get through
        except Interrupted:
            self._stop()
            for thread in threads:
                thread.join()
            raise

    def _stop(self) -> None:
        with self._lock:
            self._stopping = True
            for worker in self._workers:
                worker.send_signal(signal.SIGTERM)

    def _take(self) -> None:
        while True:
            try:
                names = self._waiting.get_nowait()
            except queue.Empty:
                return
            with self._lock:
                if self._stopping:
                    return
                worker = subprocess.Popen([sys.executable, __file__, "--work", *names], cwd=HERE, text=True,
                                          stdout=subprocess.PIPE, start_new_session=True)
                self._workers.add(worker)
            with worker:
                told = self._listen(worker)
            with self._lock:
                self._workers.remove(worker)
                if (told < len(names) or worker.returncode != 0) and not self._stopping:
                    self.counts["failed"] += max(1, len(names) - told)
                    print(f"FAILED {names[0].rpartition('.')[0]}: only {told} of {len(names)} tests came to an end "
                          f"(exit {worker.returncode})", flush=True)

    def _listen(self, worker: subprocess.Popen[str]) -> int:
        assert worker.stdout is not None
        told = 0
        for line in worker.stdout:
            report = json.loads(line)
            told += 1
            with self._lock:
                self.counts[report["outcome"]] += 1
                self.outcomes[report["test"]] = report["outcome"]
                mark = {"passed": "ok    ", "failed": "FAILED", "skipped": "skip  ", "known to fail": "known "}[report["outcome"]]
                print(f"{mark} {report['seconds']:6.1f} s  {report['test']}", flush=True)
                if report["text"]:
                    print(textwrap.indent(report["text"].rstrip(), " " * 7), flush=True)
        return told


def main() -> int:
    parser = argparse.ArgumentParser(prog="run_tests.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*", metavar="PATTERN")
    parser.add_argument("--jobs", type=int, default=min(4, (os.cpu_count() or 1) + 1), help="classes at a time")
    parser.add_argument("--door", choices=("rpc", "ssh"), help="all tests over this door, and none over another")
    parser.add_argument("--list", action="store_true", help="only say which tests there are")
    parser.add_argument("--matrix", type=Path, metavar="FILE", help="write the fault matrix there (only with all tests)")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        return work(arguments.patterns)
    if arguments.matrix and (arguments.patterns or arguments.door):
        parser.error("--matrix: the matrix tells of all tests")
    groups, matrix, doors = find(arguments.patterns, arguments.door)
    if arguments.list:
        print("\n".join(name for names in groups.values() for name in names))
        return 0
    lacking = preconditions.missing()
    if lacking:
        print("\n".join(["can't boot test hosts here:", *lacking]), file=sys.stderr)
        return 2
    raise_on_signals()
    print(doors.tell(), flush=True)
    began = time.monotonic()
    run = Run(groups)
    try:
        run.run(max(1, arguments.jobs))
    except Interrupted as interrupted:
        return 128 + int(interrupted.args[0])
    finally:
        sweep()
    counts = run.counts
    others = "".join(f", {counts[other]} {other}" for other in ("skipped", "known to fail") if counts[other])
    print(f"{counts['passed']} passed, {counts['failed']} failed{others} in {time.monotonic() - began:.0f} s", flush=True)
    if doors.left:
        print(doors.tell(), flush=True)
    unshown = []
    if arguments.matrix:
        write_whole(arguments.matrix, matrix.table(run.outcomes))
        unshown = matrix.missing(run.outcomes)
        if unshown:
            print(f"rows of the fault matrix that no test showed: {', '.join(map(str, unshown))}", flush=True)
    return 1 if counts["failed"] or not counts["passed"] or unshown else 0


if __name__ == "__main__":
    sys.exit(main())

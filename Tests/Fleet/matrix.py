"""The fault matrix: what may go wrong, when, and what must come of it. Tests say which rows they show.

`run_tests.py --matrix FILE` writes it as a table with the outcome of each row's tests.
"""

from __future__ import annotations

import unittest
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

Function = TypeVar("Function", bound=Callable[..., object])
HEAD = """\
# Faults, and what comes of them

Each row is shown by the tests named in it, which make the fault on real hosts ([Tests/Fleet](../Tests/Fleet/README.md); each has systemd,
sshd and a network of its own) and hold what comes of it to what must. This page is written by `make test`; don't edit it.

| # | fault | when | what must come of it | tests | outcome |
|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Row:
    """One fault at one moment."""

    number: int
    fault: str
    moment: str
    required: str
    also: str = ""
    """What of it no test host can show, and which test of another kind shows that."""


ROWS = tuple(Row(number, *words) for number, words in enumerate((
    ("the controller is killed", "at every step", "taken up, it looks at the hosts and goes on; nothing is done twice",
     "between any two commits: simulated, `SimulationTests.crashPoint`"),
    ("the controller's machine loses power", "while the journal is written", "the old record or the new one, never half of one",
     "a kernel that loses power can't be made here: the file is cut and torn as that could leave it"),
    ("the journal's disk is full", "in a rollout", "nothing further is begun; the error names the journal and says what to do"),
    ("a bit of the journal is turned over", "start-up", "refused, naming the record; the other rollouts stay readable"),
    ("a second controller of the same rollout", "start-up", "it ends at once and names the first one"),
    ("the first controller wakes after a takeover", "soak", "the hosts refuse it; it changes nothing, says so and ends"),
    ("the state folder comes from a backup", "start-up", "what the hosts did since is seen; none of them is changed for it"),
    ("the controller's clock jumps a day ahead and back", "soak", "durations stay as they are"),
    ("the controller's machine reboots", "soak", "hosts stay as they are; their soak begins again"),
    ("the connection to a host drops", "upload", "the upload goes on or begins anew; the old side serves"),
    ("the connection to a host drops", "flip, proof and confirm", "what became of it is asked first; one flip is made, not two"),
    ("a host is cut off", "flipped, not confirmed", "the host goes back by itself by its deadline"),
    ("a host is cut off", "rollback", "one side serves meanwhile; the rollback ends when the host is back"),
    ("a host reboots", "candidate installed, not flipped", "the old side starts and serves"),
    ("a host reboots", "flipped, not confirmed", "one owner after the boot: the old side"),
    ("a host's disk is full", "preflight and staging", "the host fails; the old side is untouched, what was written is given back"),
    ("an archive is cut short, altered or hostile", "staging", "refused before anything of it is unpacked"),
    ("the candidate's port is taken", "preflight", "the host fails; who has the port is named and left alone"),
    ("the candidate exits, or crashes again and again", "start and gate", "the host fails; the candidate is stopped and removed"),
    ("the candidate hangs with its port open", "gate", "no answer in time is a failure"),
    ("another version answers with 200", "gate", "not healthy: the version is named"),
    ("the candidate's health flaps", "gate", "successes in a row begin anew with each failure; the deadline decides"),
    ("a dependency is missing on one host", "preflight", "that host fails and names it; the others go on within the budget"),
    ("a dependency is down for all hosts", "gate and soak", "the rollout pauses; nothing is rolled back"),
    ("the candidate turns sick slowly", "soak", "the host is rolled back"),
    ("the old side dies", "before the flip and after it", "it is told; no flip is forced, and no traffic goes to a dead side"),
    ("the old side can't be started", "rollback",
     "tried again, then quarantined; the new side serves on, and once dead is never started again"),
    ("a bad release", "canary", "the canary is restored; no other host is touched"),
    ("no samples", "soak", "nothing is promoted and no further wave starts",
     "answers that were never asked for: simulated, `ReducerTests.noSamples`"),
    ("every host's connection drops at once", "soak", "all come back and are promoted",
     "that they come back capped and at times of their own: `JumpTests.cap`, `TravelTests.lost`"),
    ("the operator aborts", "flip", "the flip ends or is undone, then the rollout; one owner"),
    ("a host's clock is hours off", "a whole rollout, and an unconfirmed flip", "durations stay as they are"),
    ("somebody flushes or reloads a host's firewall", "at rest and in a rollout", "the recorded owner is back within a second"),
    ("a host's firewall drops the candidate from outside", "flip", "not confirmed, undone, and the reason says so"),
    ("a host reboots", "soak", "the new side serves after the boot; the soak begins again"),
    ("confirm and revert meet", "at the deadline", "one of them wins on the host, and the controller learns which"),
    ("the candidate's unit fails", "soak, no controller", "the host is back on the old side at once"),
    ("the controller is gone for long", "soak", "nothing changes on any host"),
), start=1))
COUNT = len(ROWS)


def covers(*numbers: int) -> Callable[[Function], Function]:
    """Says of a test which rows of the matrix it shows."""
    for number in numbers:
        if not 1 <= number <= COUNT:
            raise ValueError(f"the fault matrix has rows 1 to {COUNT}, not {number}")

    def mark(function: Function) -> Function:
        setattr(function, "covers", numbers)
        return function

    return mark


def covered(case: unittest.TestCase) -> tuple[tuple[int, ...], str]:
    """The rows that a test shows, and the name that it goes by there: its subclasses' runs count as its own."""
    function = getattr(type(case), case.id().rpartition(".")[2], None)
    module = getattr(function, "__module__", "")
    return getattr(function, "covers", ()), f"{module}.{getattr(function, '__qualname__', '')}"


def worst(outcomes: set[str]) -> str:
    """What to say of several outcomes in one word."""
    return next((word for word in ("failed", "not run", "skipped", "known to fail", "passed") if word in outcomes), "no test")


class Matrix:
    """The rows with the outcomes of a run of all tests."""

    def __init__(self, cases: Mapping[str, tuple[tuple[int, ...], str]]) -> None:
        self._shown_by: dict[int, dict[str, list[str]]] = {row.number: {} for row in ROWS}
        for case, (numbers, name) in sorted(cases.items()):
            for number in numbers:
                self._shown_by[number].setdefault(name, []).append(case)

    def missing(self, outcomes: Mapping[str, str]) -> list[int]:
        """The rows of which no test ran."""
        return [number for number, tests in self._shown_by.items()
                if not any(outcomes.get(case) in ("passed", "failed") for ran in tests.values() for case in ran)]

    def table(self, outcomes: Mapping[str, str]) -> str:
        """The page in Markdown; the same outcomes give the same text."""
        lines = []
        for row in ROWS:
            tests, seen = [], set()
            for name, ran in self._shown_by[row.number].items():
                module, _, test = name.partition(".")
                found = worst({outcomes.get(case, "not run") for case in ran})
                seen.add(found)
                link = f"[{test.replace('.test_', '.')}](../Tests/Fleet/{module}.py)"
                tests.append(link if found == "passed" else f"{link} **{found}**")
            required = f"{row.required} ({row.also})" if row.also else row.required
            outcome = "passed, but for one" if seen == {"passed", "known to fail"} else worst(seen)
            lines.append(f"| {row.number} | {row.fault} | {row.moment} | {required} | {'<br>'.join(tests)} | {outcome} |\n")
        return HEAD + "".join(lines)

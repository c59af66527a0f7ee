"""Find and end processes, by their id only."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable

from .run import FleetError


def alive(pid: int) -> bool:
    """True while `pid` runs; a zombie that nobody has reaped counts as gone."""
    return state_and_start(pid) is not None


def state_and_start(pid: int) -> int | None:
    """The start time of a running process in clock ticks since boot, None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            # The name, in parentheses, may itself hold spaces and parentheses.
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in ("Z", "X") else int(fields[19])


def children(pid: int) -> list[int]:
    """The direct children of `pid`."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as file:
            return [int(child) for child in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def with_arguments(program: str | None, *arguments: str) -> list[int]:
    """The processes of this program name (None: any) that have exactly one of these among their arguments."""
    wanted = {argument.encode() for argument in arguments}
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                argv = file.read().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        named = program is None or os.path.basename(argv[0]).decode(errors="replace") == program
        if named and not wanted.isdisjoint(argv):
            found.append(int(entry))
    return found


def end(pids: Iterable[int], number: signal.Signals = signal.SIGKILL, within: float = 10) -> None:
    """Send each process a signal and wait until all are gone."""
    waiting = list(pids)
    for pid in waiting:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass
    if not wait_until(lambda: not any(alive(pid) for pid in waiting), within):
        left = [pid for pid in waiting if alive(pid)]
        raise FleetError(f"processes {left} still run {within:g} s after {number.name}")


def wait_until(condition: Callable[[], bool], within: float, pause: float = 0.02) -> bool:
    """Wait for a condition; False when it did not come true in time."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True

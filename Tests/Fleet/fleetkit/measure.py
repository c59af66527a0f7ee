"""Run a program and measure it: time, processor time, peak memory, for it and the children it waited for."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from .run import FleetError


@dataclass(frozen=True)
class Measured:
    """How one run went."""

    returncode: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    stdout: str
    stderr: str


class Running:
    """A program under way; `finish` waits for its end."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.argv = list(argv)
        self._out = tempfile.TemporaryFile()
        self._err = tempfile.TemporaryFile()
        self._peak = tempfile.NamedTemporaryFile(prefix="peak-")
        # A child that Python starts is charged with Python's own memory; one that time(1) starts is not.
        timed = ["/usr/bin/time", "--quiet", "--format=%M", f"--output={self._peak.name}", *self.argv]
        self._began = time.monotonic()
        try:
            self._process = subprocess.Popen(
                timed, stdin=subprocess.DEVNULL, stdout=self._out, stderr=self._err, start_new_session=True,
                env=None if environment is None else {**os.environ, **environment},
            )
        except FileNotFoundError:
            raise FleetError("/usr/bin/time: not found (make setup)") from None

    def kill(self) -> None:
        """End the program and what it started."""
        if self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)

    def ended(self) -> bool:
        """True once it has ended, without reaping it: `finish` still measures it."""
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return self._process.returncode is not None or os.waitid(os.P_PID, self._process.pid, options) is not None

    def finish(self, within: float) -> Measured:
        """Wait for the end; a program that takes longer is killed and an error raised."""
        timer = threading.Timer(within, self.kill)
        timer.start()
        try:
            _, status, usage = os.wait4(self._process.pid, 0)
        except BaseException:
            self.kill()
            raise
        finally:
            timer.cancel()
        seconds = time.monotonic() - self._began
        self._process.returncode = os.waitstatus_to_exitcode(status)
        peak = _text(self._peak).split()
        measured = Measured(self._process.returncode, seconds, usage.ru_utime + usage.ru_stime,
                            int(peak[-1]) * 1024 if peak else 0, _text(self._out), _text(self._err))
        if measured.returncode == -signal.SIGKILL and seconds >= within:
            raise FleetError(f"{' '.join(self.argv)}: no end within {within:g} s\n{measured.stderr[-2000:]}")
        return measured


def measure(argv: Sequence[str], within: float, environment: Mapping[str, str] | None = None) -> Measured:
    """Run a program to its end."""
    return Running(argv, environment).finish(within)


def _text(file: IO[bytes]) -> str:
    with file as opened:
        opened.seek(0)
        return opened.read().decode(errors="replace")

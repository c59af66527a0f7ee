"""Wall clocks that are wrong, for single programs: a machine's own clock is shared with all that runs on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .run import run

SOURCE = Path(__file__).with_name("clock.c")


@dataclass(frozen=True)
class WrongClock:
    """A library and a file that programs are started with; the file may change while they run."""

    library: Path
    file: Path

    @classmethod
    def make(cls, folder: Path) -> WrongClock:
        """Built with the Swift toolchain's C compiler; right until it is set."""
        clock = cls(folder / "clock.so", folder / "clock-ahead")
        run(["clang", "-shared", "-fPIC", "-O1", "-Wall", "-o", str(clock.library), str(SOURCE)])
        clock.set(0)
        return clock

    def set(self, ahead: int) -> None:
        """Seconds that the clock is ahead by, or behind by where they are negative."""
        self.file.write_text(f"{ahead}\n", encoding="ascii")

    @property
    def environment(self) -> dict[str, str]:
        """What a program must be started with."""
        return {"LD_PRELOAD": str(self.library), "CLOCK_AHEAD": str(self.file)}

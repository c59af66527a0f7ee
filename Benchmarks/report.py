"""What was measured, as a table for people and as JSON."""

from __future__ import annotations

import os
import platform
import statistics
from typing import Any

from fleetkit.measure import Measured

NAMES = {
    "floor": "shell script over OpenSSH, xargs -P20 (the floor)",
    "cold": "switchyard, program not yet on the hosts",
    "warm": "switchyard, program on the hosts",
    "sandboxed": "the same with the default, sandboxed unit",
    "ansible": "ansible-core, forks 20, pipelining, no facts",
}


class Report:
    """Collects the numbers of one run; of several rounds the median counts."""

    def __init__(self, hosts: int) -> None:
        self.hosts = hosts
        self.rounds: dict[str, list[Measured]] = {}
        self.singles: dict[str, float] = {}

    def add(self, key: str, measured: Measured) -> None:
        self.rounds.setdefault(key, []).append(measured)

    def set(self, key: str, value: float) -> None:
        self.singles[key] = value

    def seconds(self, key: str) -> float | None:
        runs = self.rounds.get(key)
        return statistics.median(run.seconds for run in runs) if runs else None

    def ratio(self, key: str, to: str) -> float | None:
        mine, other = self.seconds(key), self.seconds(to)
        return mine / other if mine is not None and other else None

    def peak(self, key: str) -> int:
        return max(run.peak_bytes for run in self.rounds[key])

    def aims(self) -> list[tuple[str, float | None, float, str]]:
        """What we want: what, measured, the most it may be, unit."""
        peaks = [self.peak(key) / 1e6 for key in ("cold", "warm") if key in self.rounds]
        return [
            ("warm, to the floor", self.ratio("warm", "floor"), 0.6, "×"),
            ("cold, to the floor", self.ratio("cold", "floor"), 1.0, "×"),
            ("warm, to Ansible", self.ratio("warm", "ansible"), 0.05, "×"),
            ("rollback in the soak, last host", self.singles.get("rollback_in_soak"), 1.0, "s"),
            ("requests failed in that", self.singles.get("failed_requests"), 0, ""),
            ("controller's peak memory", max(peaks) if peaks else None, 80, "MB"),
            ("switchyard --version", _thousandfold(self.singles.get("version")), 20, "ms"),
        ]

    def table(self) -> str:
        lines = [f"\nBlue-green upgrade of {self.hosts} hosts at once ({_machine()})\n",
                 f"{'who':52} {'wall s':>8} {'× floor':>8} {'CPU s':>7} {'peak MB':>8}   rounds"]
        for key, name in NAMES.items():
            runs = self.rounds.get(key)
            if not runs:
                continue
            cpu = statistics.median(run.cpu_seconds for run in runs)
            each = " ".join(f"{run.seconds:.2f}" for run in runs)
            lines.append(f"{name:52} {self.seconds(key):8.2f} {self.ratio(key, 'floor') or 0:8.2f} {cpu:7.2f} "
                         f"{self.peak(key) / 1e6:8.1f}   {each}")
        promoted = self.singles.get("rollback_after_promotion")
        if promoted is not None:
            lines.append(f"\nrollback after promotion, a new controller: {promoted:.2f} s")
        if "warm" in self.rounds:
            lines.append(f"\n{'aim':36} {'measured':>10} {'at most':>10}")
            for what, value, most, unit in self.aims():
                if value is not None:
                    mark = "met" if value <= most else "NOT MET"
                    lines.append(f"{what:36} {value:8.2f} {unit:2} {most:7g} {unit:2} {mark}")
        return "\n".join(lines)

    def values(self) -> dict[str, Any]:
        return {
            "hosts": self.hosts, "machine": _machine(),
            "upgrades": {key: [{"seconds": run.seconds, "cpu_seconds": run.cpu_seconds, "peak_bytes": run.peak_bytes}
                               for run in runs] for key, runs in self.rounds.items()},
            **self.singles,
            "aims": [{"what": what, "measured": value, "most": most, "unit": unit, "met": value <= most}
                     for what, value, most, unit in self.aims() if value is not None],
        }


def _thousandfold(value: float | None) -> float | None:
    return None if value is None else value * 1000


def _machine() -> str:
    return f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"

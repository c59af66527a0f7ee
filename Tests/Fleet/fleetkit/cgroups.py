"""A control group of its own for each host.

Without it all hosts would share the group of whoever starts them, and the systemd of one host would
see the processes of another one's services in its own groups.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from .run import FleetError

MOUNTS = Path("/proc/self/mounts")


def hierarchies() -> list[Path]:
    """Where systemd keeps its groups here: cgroup v2, the named v1 hierarchy, or both."""
    found = []
    for line in MOUNTS.read_text(encoding="utf-8").splitlines():
        _, where, kind, options, *_ = line.split()
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            found.append(Path(where))
    return found


def make(machine: str) -> list[Path]:
    """Make the groups of one host; a process joins by writing its id to their cgroup.procs."""
    groups = [hierarchy / f"fleet-{machine}" for hierarchy in hierarchies()]
    if not groups:
        raise FleetError("no cgroup hierarchy is mounted in which systemd could keep its services")
    for group in groups:
        group.mkdir(exist_ok=True)
    return groups


def remove(machine: str) -> None:
    """Remove a host's groups; its processes are gone already, the kernel may still be tidying up."""
    for hierarchy in hierarchies():
        group = hierarchy / f"fleet-{machine}"
        deadline = time.monotonic() + 10
        while group.exists():
            try:
                for folder, _, _ in os.walk(group, topdown=False):
                    os.rmdir(folder)
            except FileNotFoundError:
                continue
            except OSError as error:
                if time.monotonic() > deadline:
                    raise FleetError(f"{group}: can't be removed: {error.strerror}") from None
                time.sleep(0.05)

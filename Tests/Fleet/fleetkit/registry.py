"""Which fleets stand on this machine and who owns them, so that leftovers can be found."""

from __future__ import annotations

import fcntl
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from . import network, processes
from .run import FleetError, write_whole

FOLDER = Path("/run/switchyard-fleets")


@dataclass(frozen=True)
class Entry:
    """One fleet. It is recorded before anything of the fleet is made and removed last."""

    prefix: str
    index: int
    hosts: int
    folder: str
    owner: int  # process that the fleet lives for; 0: it stays until `down`
    owner_start: int

    @property
    def orphaned(self) -> bool:
        return self.owner != 0 and processes.state_and_start(self.owner) != self.owner_start


def claim(folder: Path, hosts: int, prefix: str | None, owner: int) -> Entry:
    """Reserve a number, so a subnet, and a prefix that no other fleet has."""
    if prefix is not None and not re.fullmatch(r"[a-z][a-z0-9]{0,7}", prefix):
        raise FleetError(f"prefix {prefix!r}: up to 8 lower-case letters and digits, a letter first")
    start = processes.state_and_start(owner) if owner else 0
    if start is None:
        raise FleetError(f"owner: there is no process {owner}")
    with _locked():
        standing = entries()
        for entry in standing:
            if entry.folder == str(folder):
                raise FleetError(f"{folder}: a fleet stands there already (fleet.py down --dir {folder})")
            if entry.prefix == prefix:
                raise FleetError(f"prefix {prefix!r} belongs to the fleet in {entry.folder}")
        taken = {entry.index for entry in standing}
        present = network.links()
        for index in range(network.MOST_FLEETS):
            name = prefix or f"sy{index}"
            if index in taken or f"{name}br" in present or not network.subnet_is_free(index):
                continue
            entry = Entry(name, index, hosts, str(folder), owner, start)
            write_whole(FOLDER / f"{name}.json", json.dumps(asdict(entry)) + "\n")
            return entry
    raise FleetError(f"no subnet 10.231.0-{network.MOST_FLEETS - 1}.0/24 is free here (or the bridge "
                     f"{prefix or 'sy…'}br exists)")


def release(entry: Entry) -> None:
    """Forget a fleet of which nothing is left."""
    (FOLDER / f"{entry.prefix}.json").unlink(missing_ok=True)


def entries() -> list[Entry]:
    """All fleets recorded on this machine."""
    if not FOLDER.is_dir():
        return []
    found = []
    for file in sorted(FOLDER.glob("[a-z]*.json")):
        try:
            found.append(Entry(**json.loads(file.read_text(encoding="utf-8"))))
        except FileNotFoundError:
            continue  # taken down in this very moment
    return found


def entry_of(folder: Path) -> Entry | None:
    """The record of the fleet whose folder this is."""
    return next((entry for entry in entries() if entry.folder == str(folder)), None)


@contextmanager
def _locked() -> Iterator[None]:
    FOLDER.mkdir(mode=0o755, exist_ok=True)
    with open(FOLDER / ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

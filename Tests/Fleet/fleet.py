#!/usr/bin/env python3
"""Boot, break and tear down fleets of real systemd hosts on this machine. See README.md."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType

from fleetkit import base, clientfiles, faults, network, preconditions, registry
from fleetkit.host import Host, kill_all
from fleetkit.network import Network
from fleetkit.run import FleetError, run, write_whole

INOTIFY_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_NEEDED = 8192  # each systemd takes some; the usual 128 end at 27 hosts


class Fleet:
    """A fleet of hosts in a folder; as a context manager it is torn down at the end."""

    def __init__(self, folder: Path, entry: registry.Entry) -> None:
        self.folder = folder
        self.entry = entry
        self.network = Network(entry.prefix, entry.index)
        self.hosts = [Host(folder, self.network, number) for number in range(1, entry.hosts + 1)]

    @classmethod
    def up(cls, folder: Path, hosts: int, prefix: str | None = None, owner: int | None = None,
           containers: bool = False) -> Fleet:
        """Boot a fleet and wait until every host is ready; on failure nothing is left.

        `owner` is the process that the fleet lives for (default: this one): once it is gone,
        `sweep` tears the fleet down. 0 keeps it until `down`. Hosts with `containers` have Podman.
        """
        preconditions.require()
        if not 1 <= hosts <= network.MOST_HOSTS:
            raise FleetError(f"hosts: {hosts} is not from 1 to {network.MOST_HOSTS}")
        folder = folder.absolute()
        if not re.fullmatch(r"[\w./+-]+", str(folder)):
            raise FleetError(f"{folder}: mount options can't hold such a path; letters, digits and . / + - _ only")
        system = base.ensure_base(containers)
        entry = registry.claim(folder, hosts, prefix, os.getpid() if owner is None else owner)
        fleet = cls(folder, entry)
        try:
            fleet._make(system, containers)
        except BaseException:
            fleet.down()
            raise
        return fleet

    @classmethod
    def standing(cls, folder: Path) -> Fleet:
        """The fleet that stands in a folder."""
        folder = folder.absolute()
        entry = registry.entry_of(folder)
        if entry is None:
            raise FleetError(f"{folder}: no fleet stands there (fleet.py status lists all)")
        return cls(folder, entry)

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def _make(self, system: Path, containers: bool) -> None:
        if self.folder.exists() and any(self.folder.iterdir()):
            raise FleetError(f"{self.folder}: is not empty; a fleet wants a folder of its own")
        (self.folder / "hosts").mkdir(parents=True)
        if int(INOTIFY_INSTANCES.read_text(encoding="ascii")) < INOTIFY_NEEDED:
            INOTIFY_INSTANCES.write_text(str(INOTIFY_NEEDED), encoding="ascii")
        self.network.make_bridge()
        authorized = clientfiles.make_keys(self.folder)
        names = clientfiles.hosts_file(self.hosts)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            keys = list(pool.map(lambda host: host.prepare(system, authorized, names, containers), self.hosts))
        clientfiles.write_known_hosts(self.folder, self.hosts, keys)
        clientfiles.write_inventories(self.folder, self.hosts)
        for host in self.hosts:
            host.start()
        for host in self.hosts:
            host.wait_ready(within=60 + 3 * len(self.hosts))
        self.write_description()

    def down(self) -> None:
        """Tear the fleet down, however much of it exists; the folder goes too if nothing else is in it."""
        with _deaf_to_signals():
            kill_all(self.hosts)
            for host in self.hosts:
                host.remove()
            self.network.remove_bridge()
            for name in ("hosts", "keys"):
                if (self.folder / name).exists():
                    shutil.rmtree(self.folder / name)
            for name in ("fleet.json", "known_hosts", ".lock", *(file for _, file in clientfiles.INVENTORIES.values())):
                (self.folder / name).unlink(missing_ok=True)
            if self.folder.exists() and not any(self.folder.iterdir()):
                self.folder.rmdir()
            registry.release(self.entry)

    def host(self, name: str) -> Host:
        for host in self.hosts:
            if host.name == name:
                return host
        raise FleetError(f"host {name!r}: there are h1 to h{len(self.hosts)}")

    def fault(self, name: str, fault: str, *values: str) -> None:
        """Do a fault of `faults.FAULTS` to a host; returns when it is done (boot: when ready)."""
        faults.apply(self.host(name), fault, *values)
        self.write_description()

    def execute(self, name: str, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command as root inside a host, whatever its network does."""
        return run(self.host(name).argv_inside(list(argv)), check=False)

    def describe(self) -> dict[str, object]:
        """Everything a client needs to know, as in fleet.json."""
        return {
            "prefix": self.entry.prefix, "index": self.entry.index, "folder": str(self.folder),
            "owner": self.entry.owner, "bridge": self.network.bridge, "gateway": self.network.gateway,
            "gateway6": self.network.gateway6, "users": ["root", "ops"],
            "keys": clientfiles.key_files(self.folder), "known_hosts": str(self.folder / "known_hosts"),
            "inventory": {user: str(self.folder / file) for user, (_, file) in clientfiles.INVENTORIES.items()},
            "hosts": [host.describe() for host in self.hosts],
        }

    def write_description(self) -> None:
        with open(self.folder / ".lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            write_whole(self.folder / "fleet.json", json.dumps(self.describe(), indent=1) + "\n")


def sweep() -> list[registry.Entry]:
    """Tear down the fleets whose owner is gone."""
    orphans = [entry for entry in registry.entries() if entry.orphaned]
    for entry in orphans:
        Fleet(Path(entry.folder), entry).down()
    return orphans


class Interrupted(BaseException):
    """SIGINT, SIGTERM or SIGHUP came; carries the signal's number."""


def raise_on_signals() -> None:
    """Turn the usual signals into an exception, so that clean-up code runs."""
    def interrupt(number: int, _: FrameType | None) -> None:
        raise Interrupted(number)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


@contextmanager
def _deaf_to_signals() -> Iterator[None]:
    """A second Ctrl-C must not stop the clean-up that the first one began."""
    signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# The command line


def _up(arguments: argparse.Namespace) -> int:
    owner = 0 if arguments.keep else arguments.owner or os.getppid()
    fleet = Fleet.up(Path(arguments.dir), arguments.hosts, arguments.prefix, owner, arguments.containers)
    if arguments.json:
        print(json.dumps(fleet.describe()))
    else:
        print(f"{len(fleet.hosts)} hosts are up: {fleet.network.ipv4(1)} and on; "
              f"inventory {fleet.folder / 'hosts.yml'}; down with: fleet.py down --dir {fleet.folder}")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    entry = registry.entry_of(Path(arguments.dir).absolute())
    if entry is not None:
        Fleet(Path(entry.folder), entry).down()
    return 0


def _sweep(_: argparse.Namespace) -> int:
    for entry in sweep():
        print(f"swept {entry.prefix}: {entry.hosts} hosts in {entry.folder}, owner {entry.owner} is gone")
    return 0


def _fault(arguments: argparse.Namespace) -> int:
    Fleet.standing(Path(arguments.dir)).fault(arguments.host, arguments.fault, *arguments.value)
    return 0


def _exec(arguments: argparse.Namespace) -> int:
    argv = Fleet.standing(Path(arguments.dir)).host(arguments.host).argv_inside(arguments.argv)
    os.execvp(argv[0], argv)


def _status(arguments: argparse.Namespace) -> int:
    standing = []
    for entry in registry.entries():
        fleet = Fleet(Path(entry.folder), entry)
        up = sum(host.pids() is not None for host in fleet.hosts)
        owner = "kept" if entry.owner == 0 else f"owner {entry.owner}{' is gone' if entry.orphaned else ''}"
        standing.append({"prefix": entry.prefix, "folder": entry.folder, "hosts": entry.hosts, "up": up,
                         "owner": entry.owner, "orphaned": entry.orphaned})
        if not arguments.json:
            print(f"{entry.prefix}: {up} of {entry.hosts} hosts up, {owner}, {entry.folder}")
    if arguments.json:
        print(json.dumps(standing))
    return 0


def _check(_: argparse.Namespace) -> int:
    preconditions.require()
    print("this machine can boot test hosts")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fleet.py", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, function: object, text: str, folder: bool = False) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, help=text, description=text)
        sub.set_defaults(function=function)
        if folder:
            sub.add_argument("--dir", required=True, help="the fleet's folder")
        return sub

    up = verb("up", _up, "boot a fleet and wait until all hosts are ready", folder=True)
    up.add_argument("--hosts", type=int, required=True, help=f"how many, up to {network.MOST_HOSTS}")
    up.add_argument("--prefix", help="what names of links and namespaces begin with (default: one that is free)")
    up.add_argument("--owner", type=int, help="process the fleet lives for, see sweep (default: the caller)")
    up.add_argument("--keep", action="store_true", help="no owner: stays until down")
    up.add_argument("--containers", action="store_true", help="hosts that can run containers, with Podman")
    up.add_argument("--json", action="store_true", help="print fleet.json")
    verb("down", _down, "tear a fleet down; no error when there is none", folder=True)
    verb("sweep", _sweep, "tear down all fleets whose owner is gone")
    fault = verb("fault", _fault, "do something bad to a host, or undo it", folder=True)
    fault.add_argument("host")
    fault.add_argument("fault", choices=sorted(faults.FAULTS), metavar="fault", help=", ".join(faults.FAULTS))
    fault.add_argument("value", nargs="*", help="slow MS, drop-port PORT, allow-port PORT, disk-full [LEAVE]")
    execute = verb("exec", _exec, "run a command as root inside a host, whatever its network does", folder=True)
    execute.add_argument("host")
    execute.add_argument("argv", nargs="+", help="after --: program and arguments")
    verb("status", _status, "list the fleets that stand").add_argument("--json", action="store_true")
    verb("check", _check, "say whether this machine can boot hosts; exit 2 when not")
    return parser


def main() -> int:
    arguments = _parser().parse_args()
    raise_on_signals()
    try:
        return int(arguments.function(arguments))
    except preconditions.MachineUnfit as error:
        print(f"fleet: {error}", file=sys.stderr)
        return 2
    except FleetError as error:
        print(f"fleet: {error}", file=sys.stderr)
        return 1
    except Interrupted as interrupted:
        return 128 + int(interrupted.args[0])


if __name__ == "__main__":
    sys.exit(main())

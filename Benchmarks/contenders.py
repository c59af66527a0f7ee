"""Those who do the same upgrade of the same hosts, each with an agent and ports of its own."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agents import Archive
from fleet import Fleet
from fleetkit import pypi
from fleetkit.measure import Measured, Running, measure
from fleetkit.run import FleetError, run

HERE = Path(__file__).resolve().parent
PROGRAM = HERE.parent / ".build/release/switchyard"
ANSIBLE = ("ansible-core==2.19.14",)
LONGEST = 600.0
PARALLEL = 20
SLOTS = ("blue", "green")


@dataclass(frozen=True)
class Ports:
    """Where an agent of the benchmark listens."""

    slots: tuple[int, int]
    public: int


class Contender(Protocol):
    """Somebody who can upgrade all hosts."""

    name: str
    ports: Ports

    def upgrade(self, archive: Archive) -> Measured:
        """Upgrade every host to this release."""


def check(fleet: Fleet, public: int, version: str) -> None:
    """Every host answers with this version on its public port, seen from outside."""
    def answer(address: str) -> str:
        with urllib.request.urlopen(f"http://{address}:{public}/health", timeout=5) as response:
            return str(json.load(response)["version"])
    with ThreadPoolExecutor(PARALLEL) as pool:
        answers = list(pool.map(answer, (host.network.ipv4(host.number) for host in fleet.hosts)))
    if set(answers) != {version}:
        raise FleetError(f"port {public}: hosts answer with {sorted(set(answers))}, not {version}")


def succeeded(measured: Measured, argv: Sequence[str]) -> Measured:
    if measured.returncode != 0:
        raise FleetError(f"{' '.join(argv)}: exit {measured.returncode}\n{measured.stdout[-2000:]}\n"
                         f"{measured.stderr[-2000:]}")
    return measured


class Shell:
    """The floor: a bare shell script per host over OpenSSH, started by xargs."""

    def __init__(self, fleet: Fleet, folder: Path, agent: str, ports: Ports) -> None:
        self.name = "shell script, xargs -P20"
        self.fleet = fleet
        self.agent = agent
        self.ports = ports
        self.upgrades = 0
        self.addresses = folder / f"{agent}.addresses"
        self.addresses.write_text("".join(f"{host.network.ipv4(host.number)}\n" for host in fleet.hosts))

    def upgrade(self, archive: Archive) -> Measured:
        slot = self.upgrades % 2
        self.upgrades += 1
        argv = ["xargs", f"--arg-file={self.addresses}", f"--max-procs={PARALLEL}", "--max-args=1",
                str(HERE / "shell/upgrade-host")]
        return succeeded(measure(argv, LONGEST, {
            "AGENT": self.agent, "VERSION": archive.version, "DIGEST": archive.sha256, "ARCHIVE": archive.file,
            "SLOT": SLOTS[slot], "PORT": str(self.ports.slots[slot]), "PUBLIC": str(self.ports.public),
            "KEY": str(self.fleet.folder / "keys/id_ed25519"), "KNOWN_HOSTS": str(self.fleet.folder / "known_hosts"),
        }), argv)


class Ansible:
    """ansible-core as fast as it goes without plug-ins: 20 forks, pipelining, kept connections, no facts."""

    def __init__(self, fleet: Fleet, folder: Path, ports: Ports) -> None:
        self.name = f"{ANSIBLE[0].replace('==', ' ')}, forks 20, pipelining"
        self.fleet = fleet
        self.ports = ports
        self.folder = folder / "ansible"
        self.folder.mkdir()
        self.python = pypi.environment("ansible", *ANSIBLE) / "python"
        self.before = Shell(fleet, folder, "bench-ansible", ports)

    def install(self, archive: Archive) -> None:
        """The first release comes by the shell script: only upgrades are measured."""
        self.before.upgrade(archive)

    def upgrade(self, archive: Archive) -> Measured:
        variables = self.folder / "variables.json"
        checksum = run(["sha1sum", archive.file]).stdout.split()[0]  # the kind that ansible.builtin.copy takes
        slot = self.before.upgrades % 2
        self.before.upgrades += 1
        variables.write_text(json.dumps({
            "agent": self.before.agent, "version": archive.version, "archive": archive.file, "checksum": checksum,
            "slot": SLOTS[slot], "port": self.ports.slots[slot], "public": self.ports.public,
        }))
        argv = [str(self.python), "-m", "ansible", "playbook", "--inventory", str(self.fleet.folder / "hosts.yml"),
                "--extra-vars", f"@{variables}", str(HERE / "ansible/upgrade.yml")]
        try:
            return succeeded(measure(argv, LONGEST, {
                "ANSIBLE_CONFIG": str(HERE / "ansible/ansible.cfg"), "ANSIBLE_HOME": str(self.folder),
                "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder / "cp"), "LC_ALL": "C.UTF-8",
            }), argv)
        finally:
            for path in (self.folder / "cp").glob("*"):
                run(["ssh", "-F", "none", "-o", f"ControlPath={path}", "-O", "exit", "nobody"], check=False)


class Switchyard:
    """The program that this is all about, with an agent file of `switchyard/`."""

    def __init__(self, fleet: Fleet, folder: Path, agent: str, ports: Ports) -> None:
        self.name = f"switchyard, {agent}"
        self.fleet = fleet
        self.agent = HERE / "switchyard" / agent
        self.ports = ports
        self.state = folder / "state"

    def arguments(self, *verb: str) -> list[str]:
        return [str(PROGRAM), *verb, "--state", str(self.state)]

    def start(self, archive: Archive, policy: str = "at-once.yml") -> Running:
        return Running(self.arguments(
            "rollout", "start", "--inventory", str(self.fleet.folder / "hosts.yml"),
            "--agent", str(self.agent), "--policy", str(HERE / "switchyard" / policy),
            "--version", archive.version, "--archive", archive.file, "--sha256", archive.sha256, "--yes"))

    def upgrade(self, archive: Archive) -> Measured:
        running = self.start(archive)
        return succeeded(running.finish(LONGEST), running.argv)

    def forget_program(self) -> None:
        """Make the hosts cold: the pushed program is gone, what it installed stays."""
        for host in self.fleet.hosts:
            done = self.fleet.execute(host.name, ["rm", "-rf", "/root/.cache/switchyard"])
            if done.returncode != 0:
                raise FleetError(f"{host.name}: {done.stderr.strip()}")

    def rollback(self) -> Measured:
        """Undo the newest rollout."""
        argv = self.arguments("rollout", "rollback", "--reason", "benchmark")
        return succeeded(measure(argv, LONGEST), argv)

    @staticmethod
    def present() -> bool:
        return os.access(PROGRAM, os.X_OK)

#!/usr/bin/env python3
"""A tour of Switchyard on five real hosts: install, upgrade under load, and a bad release that undoes itself."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
FLEET = REPOSITORY / "Tests/Fleet"
sys.path.insert(0, str(FLEET))

import agents  # noqa: E402
from fleet import Fleet, Interrupted, raise_on_signals, sweep  # noqa: E402
from fleetkit import preconditions  # noqa: E402
from fleetkit.run import FleetError  # noqa: E402

SWITCHYARD = REPOSITORY / ".build/release/switchyard"
HOSTS = 5
PORT = 8400
REQUESTS_A_SECOND = 10
VERSION_ON_PAGE = r"Supervisor</a> <span>([^<]*)</span>"
LONGEST_ROLLOUT = 300.0
PROMOTED, ROLLED_BACK = 0, 3


class DemoFailed(Exception):
    """The demo did not go as it should; the text says how."""


@dataclass(frozen=True)
class Rollout:
    """How one rollout ended."""

    seconds: float
    hosts: list[dict[str, Any]]

    def named(self, state: str) -> list[str]:
        return [host["host"] for host in self.hosts if host["state"] == state]


class Demo:
    """The demo's fleet, archives and clients."""

    def __init__(self, folder: Path, fleet: Fleet, archives: dict[str, agents.Archive]) -> None:
        self.folder = folder
        self.fleet = fleet
        self.archives = archives
        self.urls = [f"http://{host.network.ipv4(host.number)}:{PORT}/" for host in fleet.hosts]

    def switchyard(self, *arguments: str) -> list[str]:
        return [str(SWITCHYARD), *arguments, "--state", str(self.folder / "state")]

    def roll_out(self, archive: str, policy: str, expected: int) -> Rollout:
        """Run a rollout as a person would, its output going to the terminal."""
        release = self.archives[archive]
        argv = self.switchyard(
            "rollout", "start", "--inventory", str(self.fleet.folder / "hosts.yml"), "--agent", str(HERE / "agent.yml"),
            "--policy", str(HERE / policy), "--version", release.version, "--archive", release.file,
            "--sha256", release.sha256, "--yes")
        shown = " ".join(["switchyard", *argv[1:]])
        print("\n$ " + shown.replace(f"{self.folder}/", "").replace(f"{REPOSITORY}/", ""), flush=True)
        began = time.monotonic()
        with subprocess.Popen(argv) as process:
            try:
                code = process.wait(LONGEST_ROLLOUT)
            except BaseException:
                # A first Ctrl-C asks a rollout to pause; the hosts go away now, so it need not.
                process.kill()
                raise
        seconds = time.monotonic() - began
        if code != expected:
            raise DemoFailed(f"the rollout of {release.version} ended with exit {code}, not {expected}")
        status = subprocess.run(self.switchyard("rollout", "status", "--output", "json"),
                                capture_output=True, text=True, timeout=30, check=True)
        hosts = json.loads(status.stdout)["hosts"]
        if len(hosts) != HOSTS:
            raise DemoFailed(f"the rollout of {release.version} knows of {len(hosts)} hosts, not {HOSTS}")
        return Rollout(seconds, hosts)

    def start_clients(self, stack: ExitStack) -> subprocess.Popen[bytes]:
        argv = [sys.executable, str(FLEET / "load.py"), "--rate", str(REQUESTS_A_SECOND), "--version-pattern",
                VERSION_ON_PAGE, "--seconds", "1800", "--output", str(self.folder / "load.json")]
        for url in self.urls:
            argv += ["--url", url]
        # In a session of its own: Ctrl-C is the demo's to handle.
        clients = subprocess.Popen(argv, stderr=subprocess.DEVNULL, start_new_session=True)
        stack.callback(clients.wait)
        stack.callback(clients.kill)
        return clients

    def stop_clients(self, clients: subprocess.Popen[bytes]) -> dict[str, Any]:
        clients.send_signal(signal.SIGTERM)
        clients.wait(30)
        report: dict[str, Any] = json.loads((self.folder / "load.json").read_text(encoding="utf-8"))
        return report


def say(text: str) -> None:
    print(f"\n── {text}", flush=True)


def versions_seen(target: dict[str, Any]) -> list[str]:
    return [entry["version"] for entry in target["versions"]]


def tour(stack: ExitStack) -> None:
    """The whole demo; raises when something is not as promised."""
    began = time.monotonic()
    for entry in sweep():
        print(f"(torn down: the hosts of an earlier run in {entry.folder})")
    folder = Path(tempfile.mkdtemp(prefix="switchyard-demo-"))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    say("Two releases of Supervisor from PyPI, and a third that turns sick")
    archives = {archive.name: archive for archive in agents.build_real(folder / "archives")}
    for archive in archives.values():
        print(f"   {archive.version:12} {archive.about}")
    say(f"Booting {HOSTS} hosts: systemd, sshd, addresses of their own")
    fleet = stack.enter_context(Fleet.up(folder / "fleet", HOSTS))
    print(f"   up after {time.monotonic() - began:.0f} s: {fleet.network.ipv4(1)} to {fleet.network.ipv4(HOSTS)}")

    demo = Demo(folder, fleet, archives)
    say("First install: 4.2.5 on every host")
    installed = demo.roll_out("supervisor-4.2.5", "first-install.yml", PROMOTED)
    clients = demo.start_clients(stack)
    say(f"From now on clients ask every host {REQUESTS_A_SECOND} times a second and retry nothing")
    say("Upgrade to 4.3.0: one canary, then the others two by two")
    upgraded = demo.roll_out("supervisor-4.3.0", "canary.yml", PROMOTED)
    say("A bad release: it passes its gate and turns sick after its flip")
    undone = demo.roll_out("supervisor-sick", "canary.yml", ROLLED_BACK)
    if clients.poll() is not None:
        raise DemoFailed("the clients ended before they were told to")
    load = demo.stop_clients(clients)
    summarize(archives, installed, upgraded, undone, load, time.monotonic() - began)


def summarize(
    archives: dict[str, agents.Archive], installed: Rollout, upgraded: Rollout, undone: Rollout,
    load: dict[str, Any], seconds: float,
) -> None:
    old, new, sick = (archives[name].version for name in ("supervisor-4.2.5", "supervisor-4.3.0", "supervisor-sick"))
    touched = [host["host"] for host in undone.hosts if host["state"] == "restored"]
    slowest = max(target["slowest"] for target in load["targets"])
    say("What happened")
    rows = [
        ("hosts", f"{HOSTS}, each a systemd with sshd; upgraded over SSH, nothing installed on them before"),
        ("installed", f"{old} on {len(installed.named('promoted'))} hosts in {installed.seconds:.1f} s"),
        ("upgraded", f"{old} → {new} on {len(upgraded.named('promoted'))} hosts in {upgraded.seconds:.1f} s, "
                     "the old version running beside the new one"),
        ("undone", f"{sick} reached {', '.join(touched) or 'no host'}, turned sick there, and was taken back to {new} "
                   f"by itself after {undone.seconds:.1f} s; the other {HOSTS - len(touched)} hosts never saw it"),
        ("clients", f"{load['requests']:,} requests served, {load['failed']} failed; "
                    f"the slowest took {slowest * 1000:.0f} ms"),
        ("in all", f"{seconds:.0f} s"),
    ]
    for name, text in rows:
        print(f"   {name:10} {text}")
    wrong = []
    if load["failed"]:
        wrong += [f"requests failed: {target['url']}: {target['failures'][:3]}"
                  for target in load["targets"] if target["failed"]]
    for host, target in zip(upgraded.hosts, load["targets"]):
        expected = [old, new, sick, new] if host["host"] in touched else [old, new]
        if versions_seen(target) != expected:
            wrong.append(f"{target['url']} answered with {versions_seen(target)}, not {expected}")
    if wrong:
        raise DemoFailed("\n".join(wrong))


def main() -> int:
    raise_on_signals()
    try:
        preconditions.require()
        if not SWITCHYARD.exists():
            raise DemoFailed(f"{SWITCHYARD} is not there: make build")
        with ExitStack() as stack:
            tour(stack)
    except preconditions.MachineUnfit as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except (DemoFailed, FleetError, subprocess.SubprocessError) as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    except Interrupted as interrupted:
        print("\ndemo: interrupted; the hosts are gone", file=sys.stderr)
        return 128 + int(interrupted.args[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Measure the same blue-green upgrade of the same hosts by Switchyard, a bare shell script and Ansible. See README.md."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FLEET = HERE.parent / "Tests/Fleet"
sys.path.insert(0, str(FLEET))

import agents  # noqa: E402
from contenders import PROGRAM, Ansible, Contender, Ports, Shell, Switchyard, check  # noqa: E402
from fleet import Fleet, Interrupted, raise_on_signals, sweep  # noqa: E402
from fleetkit import preconditions  # noqa: E402
from fleetkit.measure import Measured, measure  # noqa: E402
from fleetkit.processes import wait_until  # noqa: E402
from fleetkit.run import FleetError  # noqa: E402
from report import Report  # noqa: E402

RELEASES = range(1, 41)


class Bench:
    """One run of the benchmark."""

    def __init__(self, fleet: Fleet, folder: Path, wishes: argparse.Namespace) -> None:
        self.fleet = fleet
        self.folder = folder
        self.wishes = wishes
        self.archives: Iterator[agents.Archive] = iter(agents.build_good(folder / "archives", RELEASES))
        self.report = Report(wishes.hosts)

    def run(self) -> None:
        shell = Shell(self.fleet, self.folder, "bench-shell", Ports((7101, 7102), 8401))
        self.once(shell, "installs first")
        switchyard = sandboxed = None
        if self.wishes.switchyard:
            switchyard = Switchyard(self.fleet, self.folder, "agent.yml", Ports((7001, 7002), 8400))
            sandboxed = Switchyard(self.fleet, self.folder, "sandboxed.yml", Ports((7301, 7302), 8403))
            self.once(switchyard, "installs first")
            self.once(sandboxed, "installs first")
        for _ in range(self.wishes.rounds):
            self.timed("floor", shell)
            if switchyard and sandboxed:
                self.timed("warm", switchyard)
                self.timed("sandboxed", sandboxed)
        if switchyard:
            for _ in range(self.wishes.rounds):
                switchyard.forget_program()
                self.timed("cold", switchyard)
            self.rollbacks(switchyard)
            self.version()
        if self.wishes.ansible:
            ansible = Ansible(self.fleet, self.folder, Ports((7201, 7202), 8402))
            ansible.install(next(self.archives))
            self.timed("ansible", ansible)

    def once(self, contender: Contender, what: str) -> Measured:
        archive = next(self.archives)
        measured = contender.upgrade(archive)
        check(self.fleet, contender.ports.public, archive.version)
        print(f"   {contender.name}: {what}: {measured.seconds:.2f} s", flush=True)
        return measured

    def timed(self, key: str, contender: Contender) -> None:
        self.report.add(key, self.once(contender, "upgrades" if key != "cold" else "upgrades cold hosts"))

    def rollbacks(self, switchyard: Switchyard) -> None:
        """Undo a promoted rollout (a new controller connects), then one in its soak (connections are open)."""
        times = []
        for _ in range(self.wishes.rounds):
            before, after = next(self.archives), next(self.archives)
            switchyard.upgrade(before)
            switchyard.upgrade(after)
            times.append(switchyard.rollback().seconds)
            check(self.fleet, switchyard.ports.public, before.version)
        self.report.set("rollback_after_promotion", statistics.median(times))
        soaked = [self.rollback_in_soak(switchyard) for _ in range(self.wishes.rounds)]
        self.report.set("rollback_in_soak", statistics.median(seconds for seconds, _ in soaked))
        self.report.set("failed_requests", sum(failed for _, failed in soaked))

    def rollback_in_soak(self, switchyard: Switchyard) -> tuple[float, int]:
        """Seconds from the command until the last host's clients get the old version; and failed requests."""
        before, after = next(self.archives), next(self.archives)
        switchyard.upgrade(before)
        output = self.folder / "load.json"
        argv = [sys.executable, str(FLEET / "load.py"), "--rate", "20", "--seconds", "300", "--output", str(output)]
        for host in self.fleet.hosts:
            argv += ["--url", f"http://{host.network.ipv4(host.number)}:{switchyard.ports.public}/health"]
        clients = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
        running = switchyard.start(after, "soak.yml")
        try:
            if not wait_until(lambda: running.ended() or self.all_serve(switchyard, after), 60, pause=0.5):
                raise FleetError("the new version did not serve on all hosts within 60 s")
            time.sleep(1)
            asked_at = time.time()
            switchyard.rollback()
            running.finish(120)
            time.sleep(0.5)
        finally:
            running.kill()
            clients.send_signal(signal.SIGTERM)
            clients.wait(30)
        check(self.fleet, switchyard.ports.public, before.version)
        load = json.loads(output.read_text(encoding="utf-8"))
        backs = [self.back_at(target, before.version, after.version) for target in load["targets"]]
        return max(backs) + load["began_at"] - asked_at, load["failed"]

    def all_serve(self, switchyard: Switchyard, archive: agents.Archive) -> bool:
        try:
            check(self.fleet, switchyard.ports.public, archive.version)
        except (FleetError, OSError):
            return False
        return True

    @staticmethod
    def back_at(target: dict[str, Any], old: str, new: str) -> float:
        seen = [entry["version"] for entry in target["versions"]]
        if seen != [old, new, old]:
            raise FleetError(f"{target['url']}: answered with {seen}, not {[old, new, old]}")
        return float(target["versions"][2]["at"])

    def version(self) -> None:
        times = [measure([str(PROGRAM), "--version"], 10).seconds for _ in range(20)]
        self.report.set("version", statistics.median(times))


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.py", description=__doc__)
    parser.add_argument("--hosts", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured, Ansible aside (3)")
    parser.add_argument("--no-ansible", dest="ansible", action="store_false", help="it takes more than a minute")
    parser.add_argument("--no-switchyard", dest="switchyard", action="store_false", help="only the others")
    parser.add_argument("--output", type=Path, default=HERE.parent / ".build/bench.json")
    wishes = parser.parse_args()
    if not 1 <= wishes.rounds <= 4:
        parser.error("--rounds: from 1 to 4")
    raise_on_signals()
    try:
        preconditions.require()
        if wishes.switchyard and not Switchyard.present():
            raise FleetError(f"{PROGRAM} is not there: make build")
        sweep()
        with ExitStack() as stack:
            folder = Path(tempfile.mkdtemp(prefix="switchyard-bench-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            print(f"booting {wishes.hosts} hosts", flush=True)
            bench = Bench(stack.enter_context(Fleet.up(folder / "fleet", wishes.hosts)), folder, wishes)
            bench.run()
    except preconditions.MachineUnfit as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except (FleetError, OSError, subprocess.SubprocessError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except Interrupted as interrupted:
        return 128 + int(interrupted.args[0])
    print(bench.report.table())
    wishes.output.parent.mkdir(parents=True, exist_ok=True)
    wishes.output.write_text(json.dumps(bench.report.values(), indent=1) + "\n", encoding="utf-8")
    print(f"\nwritten to {wishes.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

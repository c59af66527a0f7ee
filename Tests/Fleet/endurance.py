#!/usr/bin/env python3
"""Many rollouts on real hosts, good and bad ones in turn, whose controllers are killed at random moments and taken up again.

endurance.py [--rollouts 100] [--hosts 4] [--agents 3] [--seed N]

Several agents are upgraded side by side, under client load. Prints each rollout as it ends, then what was counted: no request may
have failed, each rollout must have ended as it should, and the rollout's state, each host's own record and what clients get must
agree. The seed makes the same choices again, not the same moments. Exit 0: nothing was wrong; 1: something was.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fleet import Fleet, Interrupted, raise_on_signals
from fleetkit import preconditions
from rollouts import PROMOTED, ROLLED_BACK, Agent, Command, Outcome, Site, all_archives, at_once, policy

RULES = policy(gate={"successes": 2, "interval": "150ms", "timeout": "2s", "deadline": "6s"})
LONGEST_BEFORE_A_KILL = 4.0  # seconds; most rollouts take longer when nobody disturbs them
MOST_KILLS = 3


@dataclass
class Counts:
    """What was seen by all workers."""

    rollouts: int = 0
    kills: int = 0
    requests: int = 0
    failed: int = 0
    wrong_hosts: int = 0
    wrong_ends: int = 0
    problems: list[str] = field(default_factory=list)


class Endurance:
    """All rollouts of one call."""

    def __init__(self, fleet: Fleet, folder: Path, rollouts: int, seed: int, counts: Counts) -> None:
        self.fleet = fleet
        self.folder = folder
        self.seed = seed
        self.left = rollouts
        self.counts = counts
        self.stopping = False
        self._lock = threading.Lock()

    @contextmanager
    def counting(self) -> Iterator[Counts]:
        with self._lock:
            yield self.counts

    def run(self, agents: int) -> None:
        with ThreadPoolExecutor(agents) as pool:
            workers = [pool.submit(Worker(self, index).work) for index in range(1, agents + 1)]
            try:
                for worker in workers:
                    worker.result()
            finally:
                self.stopping = True

    def take(self) -> bool:
        """Whether there is a rollout left to do."""
        with self._lock:
            if self.left == 0 or self.stopping:
                return False
            self.left -= 1
            return True


class Worker:
    """The rollouts of one agent, one after the other; all agents share the hosts and the journal."""

    def __init__(self, whole: Endurance, index: int) -> None:
        self.whole = whole
        self.chance = random.Random(whole.seed * 1000 + index)
        self.agent = Agent(f"e{index}", index, {"drain": "1s"})
        folder = whole.folder / self.agent.name
        folder.mkdir()
        self.site = Site(whole.fleet, folder, all_archives()).seen_from(whole.folder / "state")
        self.live = 1

    def work(self) -> None:
        code = self.start(self.live, "good", at_once()).end().code
        if code != PROMOTED:
            raise SystemExit(f"{self.agent.name}: the first installation ended with {code}")
        version, is_good = self.live, True
        while self.whole.take():
            version += 1
            self.upgrade(version, is_good)
            if is_good:
                self.live = version
            is_good = not is_good

    def start(self, version: int, behaviour: str, rules: dict[str, object]) -> Command:
        """A release is the test agent with another environment."""
        self.agent.fields["environment"] = {"SICKLY_VERSION": f"{version}.0.0", "SICKLY_BEHAVIOUR": behaviour}
        return self.site.command(
            "rollout", "start", "--inventory", self.site.inventory, "--agent", self.site.write(self.agent.file()),
            "--policy", self.site.write(rules), "--version", f"{version}.0.0",
            "--archive", self.site.archives["agent-1"].file, "--yes")

    def upgrade(self, version: int, is_good: bool) -> None:
        behaviour, code, state = ("good", PROMOTED, "promoted") if is_good else ("never-healthy", ROLLED_BACK, "rolled_back")
        problems: list[str] = []
        with self.site.load(self.agent, "--rate", "5") as finish:
            kills, outcome = self.through_kills(version, behaviour)
            rollout = self.rollout(version)
            seen = self.site.status(rollout)["state"] if rollout else "never begun"
            is_wrong = (outcome.code, seen) != (code, state)
            if is_wrong:
                problems.append(f"ended as {seen}, not {state}: {outcome.said}")
            wrong_hosts = self.wrong_hosts(rollout, version if is_good else self.live)
            report = finish()
        problems += wrong_hosts
        expected = [f"{self.live}.0.0", f"{version}.0.0"] if is_good else [f"{self.live}.0.0"]
        for target in report["targets"]:
            versions = [entry["version"] for entry in target["versions"]]
            if target["failed"] or versions != expected:
                problems.append(f"clients of {target['url']} got {versions}, {target['failed']} failed: {target['failures'][:3]}")
        name = f"{self.agent.name} {version}.0.0 {behaviour}"
        with self.whole.counting() as counts:
            counts.rollouts += 1
            counts.kills += kills
            counts.requests += report["requests"]
            counts.failed += report["failed"]
            counts.wrong_hosts += len(wrong_hosts)
            counts.wrong_ends += is_wrong
            counts.problems += [f"{name}: {problem}" for problem in problems]
            print(f"{counts.rollouts:4} {name}: {seen}, killed {kills} times", *problems, sep="\n       ", flush=True)

    def through_kills(self, version: int, behaviour: str) -> tuple[int, Outcome]:
        """The controller is killed and taken up again; the value is how often it was, and how the last one ended."""
        kills = 0
        command = self.start(version, behaviour, RULES)
        for _ in range(self.chance.randint(1, MOST_KILLS)):
            time.sleep(self.chance.uniform(0, LONGEST_BEFORE_A_KILL))
            if command.process.poll() is not None:
                break
            command.kill()
            kills += 1
            rollout = self.rollout(version)
            command = self.site.command("rollout", "resume", rollout) if rollout else self.start(version, behaviour, RULES)
        return kills, command.end()

    def rollout(self, version: int) -> str | None:
        """The name of the agent's rollout of a version, once it is in the journal."""
        rows = json.loads(self.site.run("rollout", "list", "--output", "json").stdout)
        mine = (row["id"] for row in rows if (row["agent"], row["version"]) == (self.agent.name, f"{version}.0.0"))
        return next(mine, None)

    def wrong_hosts(self, rollout: str | None, live: int) -> list[str]:
        """Where rollout, host and clients disagree, or the wrong version has the traffic."""
        wrong = []
        states = self.site.states(rollout) if rollout else {}
        for host in (host.name for host in self.whole.fleet.hosts):
            record = self.site.on_record(host, self.agent)
            owner = next(slot for slot in record["slots"] if slot["slot"] == record["owner"])
            phase = record["flip"]["phase"]
            answers, holds = self.site.answer(self.agent, host), owner["release"]["manifest"]["version"]
            if (answers, holds) != (f"{live}.0.0",) * 2 or phase not in ("promoted", "reverted") or record.get("lease"):
                wrong.append(f"{host} is {states.get(host)}, answers {answers}, has {holds} at {record['owner']}, flip {phase}")
        return wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="endurance.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollouts", type=int, default=100)
    parser.add_argument("--hosts", type=int, default=4)
    parser.add_argument("--agents", type=int, default=3, help="agents that are upgraded side by side")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"))
    arguments = parser.parse_args()
    raise_on_signals()
    print(f"seed {arguments.seed}", flush=True)
    began = time.monotonic()
    counts, interruption = Counts(), 0
    try:
        with tempfile.TemporaryDirectory(prefix="endurance-") as name, Fleet.up(Path(name) / "fleet", arguments.hosts) as fleet:
            Endurance(fleet, Path(name), arguments.rollouts, arguments.seed, counts).run(arguments.agents)
    except preconditions.MachineUnfit as error:
        print(error, file=sys.stderr)
        return 2
    except Interrupted as interrupted:  # what was counted until then is told all the same
        interruption = 128 + int(interrupted.args[0])
    print(f"{counts.rollouts} rollouts, {counts.wrong_ends} ended wrongly; {counts.kills} controllers killed; "
          f"{counts.requests} requests, {counts.failed} failed; {counts.wrong_hosts} hosts in a wrong state; "
          f"{time.monotonic() - began:.0f} s")
    return interruption or (1 if counts.problems else 0)


if __name__ == "__main__":
    sys.exit(main())

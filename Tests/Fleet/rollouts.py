"""Drive the `switchyard` program against a test fleet, as its users do: files in, exit codes and JSON out."""

from __future__ import annotations

import atexit
import copy
import functools
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import agents
from fleet import Fleet
from fleetkit import preconditions
from fleetkit.processes import wait_until

HERE = Path(__file__).resolve().parent
PROGRAM = Path(os.environ.get("SWITCHYARD_BIN", HERE.parent.parent / ".build/release")) / "switchyard"
PROMOTED, TOOL_ERROR, INVALID, ROLLED_BACK, INCOMPLETE, PAUSED, HALTED, EXCEPTIONS, ABORTED, WOULD_FAIL = range(10)
TIMED_OUT = 124
LONGEST = 180.0


@dataclass
class Agent:
    """An agent of a test: a name and ports of its own, so that tests don't meet on a host."""

    name: str
    index: int
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def public(self) -> int:
        return 8400 + self.index

    @property
    def slots(self) -> dict[str, int]:
        return {"blue": 7000 + 2 * self.index, "green": 7001 + 2 * self.index}

    @property
    def trigger(self) -> str:
        """The file on a host whose appearance makes a late sick release sick."""
        return f"/run/sick-{self.name}"

    def file(self) -> dict[str, Any]:
        base: dict[str, Any] = {
            "agent": self.name, "user": "root", "exec": "bin/agent", "slots": self.slots, "public_port": self.public,
            "traffic": "nftables", "drain": "2s", "environment": {"SICKLY_AFTER": self.trigger},
            "health": [{"http": "/health", "expect": {"status": 200, "json": {"version": "{{ version }}"}}}],
        }
        return {**base, **self.fields}


def policy(soak: str = "1s", **fields: Any) -> dict[str, Any]:
    """A policy for tests: a canary, then all others."""
    waves = [{"name": "canary", "hosts": 1, "soak": soak}, {"name": "rest", "hosts": "100%", "batch": "100%", "soak": soak}]
    base: dict[str, Any] = {
        "policy": "test", "waves": waves, "on_breach": "rollback", "confirm_within": "20s",
        "gate": {"successes": 3, "interval": "200ms", "timeout": "1s", "deadline": "10s"},
        "budget": {"canary": 0, "wave": 0, "fleet": 0, "unreachable": 0},
    }
    return {**base, **fields}


def at_once() -> dict[str, Any]:
    """A policy for what a test needs beforehand: all hosts together, as fast as it goes."""
    return policy(waves=[{"name": "all", "hosts": "100%", "batch": "100%", "soak": "100ms"}],
                  gate={"successes": 1, "interval": "100ms", "timeout": "2s", "deadline": "30s"})


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def said(self) -> str:
        return f"exit {self.code}\n{self.stdout}\n{self.stderr}"


class Command:
    """A `switchyard` command under way."""

    def __init__(self, arguments: list[str], prefix: Sequence[str] = (), **environment: str) -> None:
        self._out = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        self._err = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        self.process = subprocess.Popen([*prefix, str(PROGRAM), *arguments], stdin=subprocess.DEVNULL,
                                        stdout=self._out, stderr=self._err, start_new_session=True,
                                        env={**os.environ, **environment})

    def end(self, within: float = LONGEST) -> Outcome:
        try:
            code = self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            texts = "\n".join(os.pread(file.fileno(), 1 << 20, 0).decode("utf-8", "replace")
                              for file in (self._out, self._err))
            raise AssertionError(f"no end within {within:g} s; it said:\n{texts}") from None
        except BaseException:
            self.kill()
            raise
        texts = []
        for file in (self._out, self._err):
            file.seek(0)
            texts.append(file.read())
            file.close()
        return Outcome(code, *texts)

    def kill(self) -> None:
        """As if the controller's machine had lost it."""
        self.process.kill()
        self.process.wait()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It sleeps meanwhile, and knows nothing of it."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def complaints(self) -> str:
        """What it has written to standard error so far."""
        return os.pread(self._err.fileno(), 1 << 20, 0).decode("utf-8", "replace")


class Door:
    """By which way a test's controllers reach its hosts: SSH, or as a subclass has it. The hosts have what it needs."""

    #: As agent files and logs call it.
    name = "ssh"

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        self.fleet = fleet
        self.folder = folder

    def inventory(self, login: str) -> str:
        """The inventory file with which controllers get in."""
        return str(self.fleet.describe()["inventory"][login])  # type: ignore[index]

    def fields(self) -> dict[str, Any]:
        """What it adds to agent files."""
        return {}

    def drop(self, host: str) -> None:
        """Every connection through it that stands ends; new ones are taken."""
        self.fleet.fault(host, "drop-ssh")

    def shut(self, host: str) -> None:
        """The host is up, and nobody gets in."""
        self.fleet.execute(host, ["systemctl", "stop", "ssh.service", "ssh.socket"])

    def open(self, host: str) -> None:
        self.fleet.execute(host, ["systemctl", "start", "ssh.service"])

    def is_its_own(self, unit: str) -> bool:
        """Whether a line of systemctl's list is the door's doing, which comes and goes with a controller's conversations."""
        return False


class Site:
    """A fleet with a state folder: what a release manager works with."""

    def __init__(
        self, fleet: Fleet, folder: Path, archives: dict[str, agents.Archive], login: str = "root", door: Door | None = None
    ) -> None:
        self.fleet = fleet
        self.folder = folder
        self.archives = archives
        self.door = door or Door(fleet, folder)
        self.inventory = self.door.inventory(login)
        self.state = folder / f"state-{login}"
        self.prefix: list[str] = []
        self.environment: dict[str, str] = {}
        self._files = 0

    def write(self, content: dict[str, Any]) -> str:
        """A file in JSON, which is YAML too."""
        self._files += 1
        path = self.folder / f"file-{self._files}.yml"
        path.write_text(json.dumps(content), encoding="utf-8")
        return str(path)

    def agent_file(self, agent: Agent) -> str:
        """The agent's file, with the door that leads to its hosts."""
        return self.write({**self.door.fields(), **agent.file()})

    def seen_from(self, state: Path, *prefix: str, **environment: str) -> Site:
        """The same hosts as another controller's machine would see them; `prefix` is what starts its programs."""
        other = copy.copy(self)
        other.state, other.prefix, other.environment = state, list(prefix), environment
        return other

    def copy_state(self, name: str) -> Path:
        """The state folder as a backup, or a machine that lost its power, would have it."""
        target = self.folder / name
        shutil.copytree(self.state, target, ignore=shutil.ignore_patterns("*.sock"))
        return target

    def command(self, *arguments: str) -> Command:
        return Command([*arguments], self.prefix, SWITCHYARD_STATE=str(self.state), **self.environment)

    def run(self, *arguments: str) -> Outcome:
        return self.command(*arguments).end()

    def hosts(self, verb: str, agent: Agent, *more: str) -> Outcome:
        """A `hosts` verb; it needs no journal and gets none."""
        named = [] if verb == "list" else ["--agent", self.agent_file(agent)]
        return Command(["hosts", verb, "--inventory", self.inventory, *named, *more],
                       SWITCHYARD_STATE=str(self.folder / "no-journal")).end()

    def start(
        self, agent: Agent, release: str, rules: dict[str, Any] | None = None, *more: str, verb: str = "start"
    ) -> Command:
        archive = self.archives[release]
        yes = ["--yes"] if verb == "start" else []
        return self.command(
            "rollout", verb, "--inventory", self.inventory, "--agent", self.agent_file(agent),
            "--policy", self.write(rules or policy()), "--version", archive.version, "--archive", archive.file,
            *yes, *more)

    def roll_out(self, agent: Agent, release: str, rules: dict[str, Any] | None = None, *more: str) -> Outcome:
        return self.start(agent, release, rules, *more).end()

    def status(self, *rollout: str) -> dict[str, Any]:
        """How a rollout stands, the newest where none is named."""
        outcome = self.run("rollout", "status", *rollout, "--output", "json")
        if outcome.code not in range(10):
            raise AssertionError(outcome.said)
        status: dict[str, Any] = json.loads(outcome.stdout)
        return status

    def states(self, *rollout: str) -> dict[str, str]:
        return {host["host"]: host["state"] for host in self.status(*rollout)["hosts"]}

    def records(self, agent: Agent, release: str) -> list[dict[str, Any]]:
        """What the journal says of the newest rollout of a release, whoever writes to it meanwhile."""
        query = ("SELECT payload FROM records WHERE rollout = (SELECT max(number) FROM rollouts WHERE agent = ? AND version = ?)"
                 " ORDER BY sequence")
        try:
            with closing(sqlite3.connect(f"file:{self.state}/journal.sqlite?mode=ro", uri=True, timeout=10)) as journal:
                rows = journal.execute(query, (agent.name, self.archives[release].version)).fetchall()
        except sqlite3.OperationalError:  # not there yet
            return []
        return [json.loads(payload) for payload, in rows]

    def steps(self, agent: Agent, release: str) -> list[tuple[str, str]]:
        """The steps that were begun, with their hosts, in their order."""
        begun = (record["entry"].get("intent", {}).get("_0", {}).get("perform") for record in self.records(agent, release))
        return [(f"h{step['host'] + 1}", next(iter(step["_2"]))) for step in begun if step]

    def soaked(self, agent: Agent, release: str, host: str = "h1") -> float:
        """The seconds between the beginning of a host's last soak and its end, by the clock in the journal's records."""
        began = ended = 0
        for record in self.records(agent, release):
            entry = record["entry"]
            begun = entry.get("intent", {}).get("_0", {}).get("perform", {})
            over = entry.get("event", {}).get("_0", {}).get("event", {}).get("step", {})
            if f"h{begun.get('host', -1) + 1}" == host and "soak" in begun["_2"]:
                began, ended = record["wall"], 0
            elif f"h{over.get('host', -1) + 1}" == host and "soaked" in over["_2"]:
                ended = record["wall"]
        return (ended - began) / 1000

    def await_step(self, agent: Agent, release: str, step: str, host: str = "h1", within: float = 60) -> None:
        """Until the journal says that a step begins, at once: what a test does then comes in the midst of it."""
        if not wait_until(lambda: (host, step) in self.steps(agent, release), within, pause=0.003):
            raise AssertionError(f"{step} on {host} was not begun within {within:g} s: {self.steps(agent, release)}")

    def answer(self, agent: Agent, host: str, port: int | None = None) -> str:
        """The version that clients get on a host, or what went wrong."""
        address = self.fleet.network.ipv4(self.fleet.host(host).number)
        try:
            with urlopen(f"http://{address}:{port or agent.public}/", timeout=3) as response:
                return str(json.load(response)["version"])
        except (OSError, ValueError) as error:
            return f"{type(error).__name__}: {error}"

    def answers(self, agent: Agent) -> dict[str, str]:
        return {host.name: self.answer(agent, host.name) for host in self.fleet.hosts}

    def on_host(self, host: str, *argv: str) -> str:
        return self.fleet.execute(host, argv).stdout

    def on_record(self, host: str, agent: Agent) -> dict[str, Any]:
        """What the host itself knows of the agent."""
        said = self.on_host(host, "/opt/switchyard/bin/switchyard-host", "status", agent.name, "--json")
        record: dict[str, Any] = json.loads(said)
        return record

    def unit(self, host: str, agent: Agent, slot: str) -> dict[str, Any]:
        """How the host sees a slot's unit."""
        return next(dict(entry["unit"]) for entry in self.on_record(host, agent)["slots"] if entry["slot"] == slot)

    def exposure(self, host: str, unit: str) -> float:
        """How much of the host lies open to a unit, as systemd judges it: from 0 to 10."""
        said = self.on_host(host, "systemd-analyze", "security", "--no-pager", unit)
        found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
        if found is None:
            raise AssertionError(f"{unit}: {said}")
        return float(found[1])

    def starts(self, host: str, agent: Agent, slot: str) -> int:
        """How often a slot's unit was started, as systemd noted it."""
        lines = self.on_host(host, "journalctl", "-u", f"{agent.name}-{slot}.service", "-o", "cat", "--no-pager").splitlines()
        return sum(line.startswith("Started ") for line in lines)

    def inside(self, agent: Agent, host: str) -> str:
        """What a client on the host itself gets: also where the host is cut off."""
        said = self.on_host(host, "curl", "--silent", "--max-time", "2", f"http://127.0.0.1:{agent.public}/")
        return str(json.loads(said)["version"]) if said.startswith("{") else "nothing"

    def traces(self, host: str) -> list[str]:
        """All that Switchyard could have changed on a host: files with size and time, folders, firewall, processes."""
        folders = ["/opt", "/etc", "/var/lib/switchyard", "/var/lib/switchyard-agents", "/run/systemd/system"]
        found = self.on_host(host, "find", *folders, "-type", "d", "-printf", "%p/ %m\n", "-o",
                             "-printf", "%p %y %s %m %T@ %l\n").splitlines()
        units = self.on_host(host, "systemctl", "list-units", "--all", "--plain", "--no-legend", "--full", "--type=service,timer")
        found += [line for line in units.splitlines() if not self.door.is_its_own(line)]
        return sorted(found) + self.on_host(host, "nft", "list", "ruleset").splitlines()

    @contextmanager
    def load(self, agent: Agent, *more: str) -> Iterator[Callable[[], dict[str, Any]]]:
        """Clients on every host; the value, called, ends them and says what they saw."""
        self._files += 1
        output = self.folder / f"load-{self._files}.json"
        argv = [sys.executable, str(HERE / "load.py"), "--rate", "20", "--seconds", "300", "--output", str(output), *more]
        for host in self.fleet.hosts:
            argv += ["--url", f"http://{host.network.ipv4(host.number)}:{agent.public}/"]
        clients = subprocess.Popen(argv, stderr=subprocess.PIPE)
        assert clients.stderr is not None
        clients.stderr.readline()  # they say that they run

        def finish() -> dict[str, Any]:
            time.sleep(0.5)  # so that they see what has just come about
            clients.send_signal(signal.SIGTERM)
            clients.wait(60)
            report: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
            return report

        try:
            yield finish
        finally:
            if clients.poll() is None:
                clients.kill()
                clients.wait()
            clients.stderr.close()


@functools.cache
def all_archives() -> dict[str, agents.Archive]:
    """Built once for all tests of a run."""
    folder = tempfile.mkdtemp(prefix="rollout-archives-")
    atexit.register(shutil.rmtree, folder)
    return {archive.name: archive for archive in agents.build(Path(folder))}


class RolloutTest(unittest.TestCase):
    """A test class's hosts and archives; each test takes an agent of its own."""

    hosts = 2
    login = "root"
    containers = False
    #: The way to the hosts.
    door: type[Door] = Door
    #: Where a class repeats tests over another door than they were written for: those that are repeated each time. None: all.
    each_time: tuple[str, ...] | None = None
    site: Site
    fleet: Fleet
    _agents = 0

    @classmethod
    def setUpClass(cls) -> None:
        preconditions.require()
        if not PROGRAM.exists():
            raise AssertionError(f"{PROGRAM} is not there: make build")
        temporary = tempfile.TemporaryDirectory(prefix="rollout-test-")
        cls.addClassCleanup(temporary.cleanup)
        folder = Path(temporary.name)
        cls.fleet = Fleet.up(folder / "fleet", cls.hosts, containers=cls.containers)
        cls.addClassCleanup(cls.fleet.down)
        cls.site = Site(cls.fleet, folder, all_archives(), cls.login, cls.door(cls.fleet, folder))
        cls.addClassCleanup(cls._judge)

    @classmethod
    def _judge(cls) -> None:
        """What really took place is held to the same promises as what the simulator makes up."""
        if not (cls.site.state / "journal.sqlite").exists():
            return
        judge = subprocess.run([PROGRAM.with_name("simulate"), "--history", cls.site.state],
                               capture_output=True, text=True, check=False, timeout=LONGEST)
        if judge.returncode != 0:
            raise AssertionError(f"the class's rollouts broke a promise:\n{judge.stdout}{judge.stderr}")

    def agent(self, **fields: Any) -> Agent:
        RolloutTest._agents += 1
        return Agent(f"a{RolloutTest._agents}", RolloutTest._agents, fields)

    def installed(self, **fields: Any) -> Agent:
        """An agent whose version 1.0.0 is live on all hosts."""
        agent = self.agent(**fields)
        outcome = self.site.roll_out(agent, "agent-1", at_once())
        self.assertEqual(outcome.code, PROMOTED, outcome.said)
        self.assert_serving(agent, "1.0.0")
        return agent

    def assert_end(self, outcome: Outcome, code: int, state: str) -> dict[str, Any]:
        """The program's exit code and what it then says of the rollout agree; the value is the status."""
        self.assertEqual(outcome.code, code, outcome.said)
        status = self.site.status()
        self.assertEqual(status["state"], state, outcome.said)
        self.assertEqual(sum(status["counts"].values()), len(status["hosts"]))
        return status

    def assert_unchanged(self, before: list[str], after: list[str], what: str = "the host") -> None:
        """Two looks at a host's traces show the same."""
        added, gone = [line for line in after if line not in before], [line for line in before if line not in after]
        self.assertEqual((added, gone), ([], []), f"{what} is not as it was")

    def assert_serving(self, agent: Agent, version: str) -> None:
        self.assertEqual(self.site.answers(agent), {host.name: version for host in self.fleet.hosts})

    def assert_agreement(self, agent: Agent, old: str = "1.0.0", new: str = "2.0.0") -> None:
        """What the rollout says of each host, what the host has on record and what clients get are one, and final."""
        for host in self.site.status()["hosts"]:
            name, is_new = host["host"], host["state"] == "promoted"
            record = self.site.on_record(name, agent)
            phase = record.get("flip", {}).get("phase")
            self.assertIn(host["state"], ("promoted", "restored", "pending", "failed", "skipped"), host)
            self.assertEqual(self.site.answer(agent, name), new if is_new else old, host)
            self.assertEqual(record["owner"], "green" if is_new else "blue", host)
            self.assertIn(phase, ("promoted",) if is_new else ("reverted", "promoted", None), host)

    def assert_load(self, report: dict[str, Any], versions: list[list[str]]) -> None:
        """No request failed, and each host's clients got these versions one after the other."""
        failures = [(target["url"], target["failures"][:3]) for target in report["targets"] if target["failed"]]
        self.assertEqual(failures, [])
        seen = [[entry["version"] for entry in target["versions"]] for target in report["targets"]]
        self.assertEqual(seen, versions)

    def squat(self, agent: Agent, host: str, slot: str = "green") -> str:
        """A foreign process takes a slot's port; the value is its unit."""
        unit = f"squatter-{agent.name}"
        self.site.on_host(host, "systemd-run", f"--unit={unit}", "python3", "-m", "http.server", str(agent.slots[slot]))
        listening = ["ss", "-Hltn", f"sport = :{agent.slots[slot]}"]
        self.wait_for("the squatter", lambda: bool(self.site.on_host(host, *listening)))
        return unit

    def await_answer(self, agent: Agent, host: str, version: str, within: float = 60) -> None:
        """Until clients get a version, or those on the host itself where it is cut off."""
        self.wait_for(f"{version} on {host}", lambda: self.site.inside(agent, host) == version, within)

    @contextmanager
    def without_ssh(self) -> Iterator[None]:
        """Nobody can come over SSH: what works then went through the agents."""
        for host in self.fleet.hosts:
            self.fleet.fault(host.name, "drop-ssh")
            self.site.on_host(host.name, "systemctl", "stop", "ssh.service", "ssh.socket")
        try:
            yield
        finally:
            for host in self.fleet.hosts:
                self.site.on_host(host.name, "systemctl", "start", "ssh.service")

    def wait_for(self, what: str, condition: Callable[[], bool], within: float = 60) -> None:
        self.assertTrue(wait_until(condition, within, pause=0.1), f"{what}: not within {within:g} s")

    def await_state(self, host: str, *states: str, within: float = 60) -> None:
        deadline = time.monotonic() + within
        state = ""
        while time.monotonic() < deadline:
            state = self.site.states().get(host, "")
            if state in states:
                return
            time.sleep(0.1)
        self.fail(f"{host} is {state}, not {' or '.join(states)}, after {within:g} s")

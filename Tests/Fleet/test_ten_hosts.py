#!/usr/bin/env python3
"""The whole life of agents on ten hosts: from nothing, upgraded by themselves under load, in trouble, and with new certificates."""

from __future__ import annotations

import json
import ssl
import threading
import time
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent_verbs import AgentVerbTest
from callers import Callers
from own_agent import OwnAgent, archive
from rollouts import PROMOTED, ROLLED_BACK, Outcome, at_once, policy
from test_agent_playbooks import OWN_VERSION

NAME = "switchyard-agent"
HALF = ("h2", "h4", "h6", "h8", "h10")


class Processes:
    """Looks at all processes of this machine, its hosts' among them, again and again, for a secret in what everybody may see."""

    def __init__(self, secret: str) -> None:
        self.secret = secret.encode()
        self.looks = 0
        self.found: list[str] = []

    def look(self) -> None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if self.secret in path.read_bytes():
                    self.found.append(path.read_text(encoding="utf-8", errors="replace"))
            except OSError:
                continue  # it has ended
        self.looks += 1

    @contextmanager
    def watched(self) -> Iterator[None]:
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.1):
                self.look()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


class TenHosts(AgentVerbTest):
    """The tests build on one another, as the days of a fleet do: their names give the order."""

    hosts = 10

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        for number in (2, 3, 4, 5):
            cls.site.archives[f"own-{number}"] = archive(cls.site.folder, number)
        cls.site.archives["own-bad"] = archive(cls.site.folder, 9, broken=True)

    # What the tests use

    @property
    def names(self) -> list[str]:
        return [host.name for host in self.fleet.hosts]

    @property
    def secret(self) -> str:
        return self.token.read_text(encoding="ascii").strip()

    @property
    def desk(self) -> Path:
        """The controller's certificate."""
        return self.site.state / "authority/issued/desk"

    def agent(self, door: str = "auto", **fields: Any) -> OwnAgent:
        means = {"authority": str(self.desk / "ca.pem"), "certificate": str(self.desk / "desk.pem"),
                 "key": str(self.desk / "desk.key"), "token": str(self.token)}
        return OwnAgent(NAME, 0, {"door": door, "rpc": means, **fields})

    @contextmanager
    def calls(self) -> Iterator[Callers]:
        """RPC calls to every host meanwhile, none of which may fail."""
        trust = ssl.create_default_context(cafile=str(self.desk / "ca.pem"))
        trust.load_cert_chain(self.desk / "desk.pem", self.desk / "desk.key")
        # Ten hosts, their clients and the controller share this machine's processors: it is no fault of an agent when they are busy.
        callers = Callers([self.address(name) for name in self.names], trust, token=self.secret, pause=0.2, timeout=20)
        began = time.monotonic()
        with callers.busy():
            yield callers
        seconds = time.monotonic() - began
        print(f"{self.id().rpartition('.')[2]}: {callers.served} calls, {len(callers.failed)} failed, {seconds:.0f} s; connections that "
              f"stood: {len(callers.kept)} of {len(self.names)}, ended by agents: {sum(callers.ended.values())}", flush=True)
        self.assertEqual(callers.failed, [])
        # Each host was asked all the time, over both kinds of connections.
        self.assertGreater(callers.served, len(self.names) * 2 * seconds)

    def owners(self) -> dict[str, str]:
        return {name: self.site.on_record(name, self.agent())["owner"] for name in self.names}

    def live(self) -> dict[str, str]:
        """The version that each host has on record as the live one."""
        found = {}
        for name in self.names:
            record = self.site.on_record(name, self.agent())
            slot = next(slot for slot in record["slots"] if slot["slot"] == record["owner"])
            found[name] = slot["release"]["manifest"]["version"]
        return found

    def everywhere(self, value: Any) -> dict[str, Any]:
        return {name: value for name in self.names}

    def doors(self) -> dict[str, str]:
        """Which way the newest rollout's hosts were asked, as its log says."""
        said = self.site.run("rollout", "logs").stdout
        found = {}
        for line in said.splitlines():
            for name in self.names:
                if f" {name} " in line and "preflight passed" in line:
                    found[name] = line.partition(", over ")[2]
        return found

    # Tests

    def test_01_agents_are_installed_from_nothing_and_all_are_well(self) -> None:
        self.assertEqual(self.site.run("cert", "init").code, 0)
        self.assertEqual(self.site.run("cert", "issue", "desk", "--role", "controller").code, 0)
        registered = self.verb("register", "--token-file", str(self.token))
        self.assertEqual(registered.code, 0, registered.said)
        processes = Processes(self.secret)
        with processes.watched():
            began = time.monotonic()
            outcome = self.install("--token-file", str(self.token))
            print(f"installed on {len(self.names)} hosts in {time.monotonic() - began:.0f} s", flush=True)
            asked = self.ask("status")
        for row in (*self.rows(outcome).values(), *self.rows(asked).values()):
            self.assertEqual((row["ok"], row["version"], row["live_slot"], row["problems"]), (True, OWN_VERSION, "blue", []), row)
        self.assertEqual(sorted(self.rows(asked)), sorted(self.names))
        self.assertGreater(processes.looks, 20)
        self.assertEqual(processes.found, [])
        self.assert_token_is_nowhere(registered, outcome, asked)

    def test_02_installed_again_nothing_changes(self) -> None:
        before = {name: self.site.traces(name) for name in self.names}
        began = time.monotonic()
        outcome = self.install("--token-file", str(self.token))
        print(f"and again in {time.monotonic() - began:.0f} s\n{outcome.said}", flush=True)
        for row in self.rows(outcome).values():
            self.assertEqual((row["ok"], row["version"], row["live_slot"]), (True, OWN_VERSION, "blue"), row)
        for name, traces in before.items():
            self.assert_unchanged(traces, self.site.traces(name), name)

    def test_03_agents_upgrade_themselves_under_load_without_ssh(self) -> None:
        with self.without_ssh(), self.calls() as callers:
            outcome = self.site.roll_out(self.agent("rpc"), "own-2", policy())
            self.assertEqual(outcome.code, PROMOTED, outcome.said)
        self.assertEqual(self.live(), self.everywhere("2.0.0"))
        self.assertEqual(self.doors(), {})
        self.assertEqual(callers.ended, {}, "the old side was to be kept")


if __name__ == "__main__":
    unittest.main()

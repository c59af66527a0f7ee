#!/usr/bin/env python3
"""`switchyard service`: Caddy from nothing to a bad configuration that undoes itself, over SSH and behind the agent."""

from __future__ import annotations

import json
import unittest
from pathlib import Path
from typing import Any

import runners
from plays import PLAYBOOKS, PlaybookTest
from rollouts import Outcome

INVALID, TAKEN_BACK, UNCERTAIN = 2, 3, 4


def caddyfile(answer: str, port: int = 8080) -> str:
    return f'{{\n\tadmin localhost:2019\n}}\n:{port} {{\n\trespond "{answer}"\n}}\n'


class Services(runners.WithAgents, PlaybookTest):
    """The tests build on one another: their names give the order."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.prepare("h1")

    def service(self, verb: str, door: str, *more: str) -> Outcome:
        agent = [] if door == "ssh" else ["--agent", self.agent_file(door)]
        return self.site.command(
            "service", verb, "caddy", "--inventory", self.site.inventory, "--door", door, *agent,
            "--ansible-runner", str(self.runner), "--playbooks", str(PLAYBOOKS), *more).end(590)

    def deploy(self, door: str, answer: str, *more: str, port: int = 8080) -> Outcome:
        config = Path(self.folder / f"Caddyfile-{answer}")
        config.write_text(caddyfile(answer, port), encoding="utf-8")
        return self.service("deploy", door, "--config", str(config), "--health-url", "http://127.0.0.1:8080/",
                            "-e", "caddy_health_seconds:=5", *more)

    def status(self, door: str) -> dict[str, Any]:
        outcome = self.service("status", door, "--output", "json")
        self.assertEqual(outcome.code, 0, outcome.said)
        row: dict[str, Any] = json.loads(outcome.stdout)[0]
        return row

    @property
    def url(self) -> str:
        return f"http://{self.address()}:8080/"

    def test_1_a_host_without_it_says_so(self) -> None:
        self.assertEqual(self.status("ssh")["loaded"], "not-found")

    def test_2_it_is_deployed_and_probed_from_here(self) -> None:
        outcome = self.deploy("ssh", "first", "--probe", "http:8080/")
        self.assertEqual(outcome.code, 0, outcome.said)
        self.assertEqual(self.get(self.url), "first")
        self.assertEqual(self.status("rpc")["active"], "active/running")

    def test_3_behind_the_agent_it_is_upgraded_as_well(self) -> None:
        outcome = self.deploy("rpc", "second", "--probe", "http:8080/")
        self.assertEqual(outcome.code, 0, outcome.said)
        self.assertEqual(self.get(self.url), "second")

    def test_4_a_configuration_that_does_not_work_is_taken_back_through_both_doors(self) -> None:
        for door in ("ssh", "rpc"):
            outcome = self.deploy(door, "third", port=8081)
            self.assertEqual(outcome.code, TAKEN_BACK, outcome.said)
            self.assertIn("are back and were seen to work", outcome.stdout)
            self.assertEqual(self.get(self.url), "second")

    def test_5_a_configuration_that_is_none_changes_nothing(self) -> None:
        config = self.folder / "Caddyfile-broken"
        config.write_text("respond {", encoding="utf-8")
        outcome = self.service("deploy", "rpc", "--config", str(config), "--health-url", "http://127.0.0.1:8080/")
        self.assertEqual(outcome.code, INVALID, outcome.said)
        self.assertEqual(self.get(self.url), "second")

    def test_6_what_no_client_can_reach_is_no_success(self) -> None:
        outcome = self.deploy("rpc", "fourth", "--probe", "http:8099/")
        self.assertEqual(outcome.code, UNCERTAIN, outcome.said)
        self.assertIn("from here", outcome.stderr)

    def test_7_it_is_removed(self) -> None:
        outcome = self.service("remove", "rpc")
        self.assertEqual(outcome.code, 0, outcome.said)
        self.assertEqual(self.status("ssh")["loaded"], "not-found")


if __name__ == "__main__":
    unittest.main()

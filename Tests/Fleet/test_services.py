#!/usr/bin/env python3
"""`switchyard service`: Caddy and Xray from nothing to a bad configuration that undoes itself, over SSH and behind the agent."""

from __future__ import annotations

import json
import unittest
from pathlib import Path
from typing import Any

import runners
from plays import LONGEST, PLAYBOOKS, PlaybookTest
from rollouts import Outcome
from test_playbooks import xray

INVALID, TAKEN_BACK, UNCERTAIN = 2, 3, 4


def caddyfile(answer: str, port: int = 8080) -> str:
    return f'{{\n\tadmin localhost:2019\n}}\n:{port} {{\n\trespond "{answer}"\n}}\n'


class ServiceTest(runners.WithAgents, PlaybookTest):
    """A host with an agent, and a service that is kept on it."""

    name: str

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.prepare(*(host.name for host in cls.fleet.hosts))

    def service(self, verb: str, door: str, *more: str) -> Outcome:
        agent = [] if door == "ssh" else ["--agent", self.agent_file(door)]
        return self.site.command(
            "service", verb, self.name, "--inventory", self.site.inventory, "--door", door, *agent,
            "--ansible-runner", str(self.runner), "--playbooks", str(PLAYBOOKS), *more).end(LONGEST)

    def status(self, door: str) -> dict[str, Any]:
        outcome = self.service("status", door, "--output", "json")
        self.assertEqual(outcome.code, 0, outcome.said)
        row: dict[str, Any] = json.loads(outcome.stdout)[0]
        return row


class Services(ServiceTest):
    """The tests build on one another: their names give the order."""

    name = "caddy"

    def deploy(self, door: str, answer: str, *more: str, port: int = 8080) -> Outcome:
        config = Path(self.folder / f"Caddyfile-{answer}")
        config.write_text(caddyfile(answer, port), encoding="utf-8")
        return self.service("deploy", door, "--config", str(config), "--health-url", "http://127.0.0.1:8080/",
                            "-e", "caddy_health_seconds:=5", *more)

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


class Xray(ServiceTest):
    """The tests build on one another: their names give the order."""

    name = "xray"
    secret = "nobody-elses-business"

    def deploy(self, door: str, *more: str, tag: str, outbound: str = "freedom") -> Outcome:
        config = Path(self.folder / f"xray-{tag}-{outbound}.json")
        content = xray(outbound, self.secret)
        content["inbounds"][0]["tag"] = tag
        config.write_text(json.dumps(content), encoding="utf-8")
        outcome = self.service(
            "deploy", door, "--config", str(config), "--health-proxy", "http://127.0.0.1:8118", "--health-url", f"{self.supplies.url}/hello",
            "-e", "xray_health_seconds:=5", "-e", f"xray_python_find_links={self.wheels_url}", *more)
        self.assertNotIn(self.secret, outcome.said)
        return outcome

    def proxied(self) -> tuple[str, str]:
        return self.proxied_by("h1", self.secret)

    def assert_proxies(self, tag: str) -> None:
        self.assertEqual(self.proxied(), ("hello from outside\n", self.address()))
        self.assertIn(f'"{tag}"', self.site.on_host("h1", "cat", "/etc/xray/config.json"))

    def test_1_it_is_deployed_from_nothing_and_proxies_requests(self) -> None:
        self.assertEqual(self.status("ssh")["loaded"], "not-found")
        outcome = self.deploy("ssh", "--probe", "tcp:8119", tag="first")
        self.assertEqual(outcome.code, 0, outcome.said)
        self.assert_proxies("first")
        for door in ("ssh", "rpc"):
            self.assertEqual(self.status(door)["active"], "active/running")

    def test_2_behind_the_agent_it_gets_another_configuration(self) -> None:
        outcome = self.deploy("rpc", "--probe", "tcp:8119", tag="second")
        self.assertEqual(outcome.code, 0, outcome.said)
        self.assert_proxies("second")

    def test_3_where_requests_are_not_proxied_the_last_configuration_is_back_through_both_doors(self) -> None:
        for door in ("ssh", "rpc"):
            outcome = self.deploy(door, tag="third", outbound="blackhole")
            self.assertEqual(outcome.code, TAKEN_BACK, outcome.said)
            self.assertIn("are back and were seen to work", outcome.stdout)
            self.assert_proxies("second")

    def test_4_a_configuration_that_xray_refuses_changes_nothing(self) -> None:
        before = self.invocation("xray")
        outcome = self.deploy("rpc", tag="fourth", outbound="nonsense")
        self.assertEqual(outcome.code, INVALID, outcome.said)
        self.assert_proxies("second")
        self.assertEqual(self.invocation("xray"), before)

    def test_5_the_secret_in_its_configuration_is_nowhere_else(self) -> None:
        self.assertNotIn(self.secret, self.site.on_host("h1", "journalctl", "--no-pager", "-o", "cat"))
        found = self.site.on_host("h1", "grep", "-rls", self.secret, "/etc", "/var/lib", "/var/cache", "/run", "/tmp", "/root")
        about = self.site.on_host("h1", "stat", "--format=%a", *found.split())
        self.assertLessEqual(set(about.split()), {"600", "640"}, found)

    def test_6_it_is_removed(self) -> None:
        outcome = self.service("remove", "rpc")
        self.assertEqual(outcome.code, 0, outcome.said)
        self.assertEqual(self.status("ssh")["loaded"], "not-found")
        self.assertIn("Error", self.proxied()[0])


if __name__ == "__main__":
    unittest.main()

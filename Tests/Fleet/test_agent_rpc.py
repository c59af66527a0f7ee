#!/usr/bin/env python3
"""Switchyard's own agent: the RPC door, upgrades of the agent itself through it, and the way back over SSH."""

from __future__ import annotations

import ssl
import subprocess
import threading
import time
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.request import urlopen

from own_agent import OwnAgentTest, archive
from rollouts import PROGRAM, PROMOTED, ROLLED_BACK, Agent, at_once, policy

@dataclass
class Clients:
    """Clients that ask every host's agent again and again, and retry nothing."""

    urls: list[str]
    served: int = 0
    failed: list[str] = field(default_factory=list)

    def ask(self, url: str, over: threading.Event) -> None:
        trust = ssl.create_default_context()
        trust.check_hostname = False
        trust.verify_mode = ssl.CERT_NONE  # whom they reach is not what is tested here
        while not over.wait(0.05):
            try:
                with urlopen(url, timeout=5, context=trust) as response:
                    response.read()
                self.served += 1
            except OSError as error:
                self.failed.append(f"{url}: {error}")

    @contextmanager
    def busy(self) -> Iterator[None]:
        over = threading.Event()
        threads = [threading.Thread(target=self.ask, args=(url, over)) for url in self.urls]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()


class RPCDoor(OwnAgentTest):
    """The tests build on one another, as the days of an agent do: their names give the order."""

    def owners(self, agent: Agent) -> set[str]:
        return {self.site.on_record(host.name, agent)["owner"] for host in self.fleet.hosts}

    def is_quiet(self) -> bool:
        before = [self.site.traces(host.name) for host in self.fleet.hosts]
        time.sleep(3)
        return before == [self.site.traces(host.name) for host in self.fleet.hosts]

    @property
    def clients(self) -> Clients:
        return Clients([f"https://{host.network.ipv4(host.number)}:7440/version" for host in self.fleet.hosts])

    def test_1_where_no_agent_answers_auto_takes_ssh_and_says_why(self) -> None:
        outcome = self.site.roll_out(self.own("auto"), "own-1", at_once())
        self.assertEqual(outcome.code, PROMOTED, outcome.said)
        self.assertRegex(self.site.run("rollout", "logs").stdout, "over SSH: .*7440: no agent answers")
        self.assertEqual(self.owners(self.own("ssh")), {"blue"})

    def test_2_an_agent_upgrades_itself_under_load_without_ssh(self) -> None:
        clients = self.clients
        with self.without_ssh(), clients.busy():
            outcome = self.site.roll_out(self.own("rpc"), "own-2", policy())
        self.assertEqual(outcome.code, PROMOTED, outcome.said)
        self.assertEqual(self.owners(self.own("ssh")), {"green"})
        self.assertGreater(clients.served, 100)
        self.assertEqual(clients.failed, [])

    def test_3_a_bad_release_is_undone_through_the_agents(self) -> None:
        clients = self.clients
        with self.without_ssh(), clients.busy():
            outcome = self.site.roll_out(self.own("rpc"), "own-bad", policy())
        self.assertEqual(outcome.code, ROLLED_BACK, outcome.said)
        self.assertEqual(self.owners(self.own("ssh")), {"green"})
        self.assertEqual(clients.failed, [])

    def test_3_one_that_dies_in_its_soak_is_undone_by_the_host_and_the_old_side_carries_the_rollout_to_its_end(self) -> None:
        self.site.archives["own-4"] = archive(self.folder, 4)
        agent = self.own("rpc")
        with self.without_ssh():
            command = self.site.start(agent, "own-4", policy(soak="60s"))
            self.await_state("h1", "soaking")
            self.kill_for_good("h1")
            outcome = command.end()
        self.assert_end(outcome, ROLLED_BACK, "rolled_back")
        flip = self.site.on_record("h1", agent)["flip"]
        self.assertEqual((flip["phase"], flip.get("orderedBy")), ("reverted", None), flip)
        self.assertIn("the candidate stopped in probation", flip["reason"])
        self.assertEqual(self.owners(agent), {"green"})
        self.assertEqual(self.site.states(), {"h1": "restored", "h2": "pending"})
        self.assertEqual(self.doors(), {"h1": ["rpc"], "h2": []})

    def test_4_an_agent_that_is_dead_is_no_way_back_and_one_that_was_stopped_is_started_over_ssh(self) -> None:
        program, unit = "/opt/switchyard/switchyard-agent/green/bin/switchyard-agent", "switchyard-agent-green.service"
        on_host, state = self.site.on_host, lambda: self.site.unit("h1", self.own("ssh"), "green")["activeState"]
        # Only the host itself can say these: it was asked over SSH.
        on_host("h1", "systemctl", "stop", unit)
        on_host("h1", "chmod", "000", program)
        self.assert_no_way_back("the live version was stopped and does not start")
        self.assertEqual(state(), "inactive", "it is left as it was found")
        on_host("h1", "chmod", "755", program)
        on_host("h1", "systemctl", "start", unit)
        self.kill_for_good("h1")
        self.assert_no_way_back("not healthy")

        on_host("h1", "systemctl", "stop", unit)
        on_host("h1", "systemctl", "reset-failed", unit)
        on_host("h1", "chmod", "755", program)
        plan = self.site.start(self.own("auto"), "own-3", at_once(), verb="plan").end()
        self.assertIn("start what was stopped", plan.stdout)
        self.assertEqual(state(), "inactive", "a plan changes nothing")
        outcome = self.site.roll_out(self.own("auto"), "own-3", at_once())
        self.assertEqual(outcome.code, PROMOTED, outcome.said)
        self.assertEqual(self.owners(self.own("ssh")), {"blue"})

    def assert_no_way_back(self, why: str) -> None:
        outcome = self.site.roll_out(self.own("auto"), "own-3", at_once())
        self.assertNotEqual(outcome.code, PROMOTED, outcome.said)
        told = {host["host"]: host for host in self.site.status()["hosts"]}
        self.assertRegex(told["h1"]["reason"], f"{why}.*no way back", outcome.said)
        self.assertEqual(told["h1"]["state"], "failed", outcome.said)
        self.assertEqual(self.owners(self.own("ssh")), {"green"})

    def test_5_a_controller_with_a_foreign_certificate_is_refused(self) -> None:
        for arguments in (["init", "--name", "another authority"], ["issue", "ops", "--role", "controller", "--out",
                                                                    str(self.folder / "foreign")]):
            ended = subprocess.run([PROGRAM, "cert", *arguments, "--authority", self.folder / "another"],
                                   capture_output=True, text=True, check=False, timeout=60)
            self.assertEqual(ended.returncode, 0, ended.stderr)
        agent = self.own("rpc")
        agent.fields["rpc"] = {"authority": str(self.folder / "ops/ca.pem"),
                               "certificate": str(self.folder / "foreign/ops.pem"), "key": str(self.folder / "foreign/ops.key")}
        # What the hosts still do by themselves after the last rollout, drains and the end of its conversations, is over then.
        self.wait_for("quiet hosts", self.is_quiet)
        before = {host.name: self.site.traces(host.name) for host in self.fleet.hosts}
        outcome = self.site.hosts("check", agent)
        self.assertNotEqual(outcome.code, 0, outcome.said)
        for name, traces in before.items():
            self.assert_unchanged(traces, self.site.traces(name), name)


if __name__ == "__main__":
    unittest.main()

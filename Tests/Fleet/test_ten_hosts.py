#!/usr/bin/env python3
"""Ten hosts: agents from nothing, upgraded by themselves under load, in trouble, with new certificates; playbooks and services behind them."""

from __future__ import annotations

import json
import os
import re
import ssl
import time
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from agent_verbs import AgentVerbTest
from callers import Callers
from leaks import Processes
from own_agent import OwnAgent, OwnAgentTest, archive
from plays import LONGEST, PLAYBOOKS
from rollouts import PROMOTED, ROLLED_BACK, RolloutTest, at_once, policy
from test_agent_playbooks import OWN_VERSION
from test_playbooks import caddyfile, xray

NAME = "switchyard-agent"
#: Of a verb that was to bring the old release back.
RESTORED = 0
HALF = ("h2", "h4", "h6", "h8", "h10")
PLAYBOOK = """
- name: The same through both doors
  hosts: all
  gather_facts: false
  tasks:
    - name: Make a folder
      ansible.builtin.file: {path: /srv/play, state: directory, mode: "0750"}
    - name: Write what was handed over
      ansible.builtin.copy: {content: "{{ text }} {{ number + 1 }}", dest: /srv/play/written, mode: "0640"}
    - name: Copy a file of the project
      ansible.builtin.copy: {src: copied, dest: /srv/play/copied, mode: "0600"}
    - name: Fail where that does not matter
      ansible.builtin.command: {argv: ["false"]}
      changed_when: false
      ignore_errors: true
    - name: Skip
      ansible.builtin.command: {argv: ["false"]}
      when: false
"""


class Ten(RolloutTest):
    """What both classes have of their ten hosts. The tests build on one another, as the days of a fleet do: their names give the order."""

    hosts = 10

    @property
    def names(self) -> list[str]:
        return [host.name for host in self.fleet.hosts]

    def everywhere(self, value: Any) -> dict[str, Any]:
        return {name: value for name in self.names}


class FromNothing(Ten, AgentVerbTest):
    """Hosts with nothing but Debian, over the command line alone. Ansible's work on ten of them takes two processors five minutes: each
    run has two, SWITCHYARD_FROM_NOTHING=10 all."""

    hosts = int(os.environ.get("SWITCHYARD_FROM_NOTHING", "2"))
    is_long = True

    def agent_file(self) -> str:
        desk = self.site.state / "authority/issued/desk"
        means = {"authority": str(desk / "ca.pem"), "certificate": str(desk / "desk.pem"), "key": str(desk / "desk.key"),
                 "token": str(self.token)}
        return self.site.write(OwnAgent(NAME, 0, {"door": "auto", "rpc": means}).file())

    def test_1_agents_are_installed_from_nothing_and_all_are_well(self) -> None:
        self.assertEqual(self.site.run("cert", "init").code, 0)
        self.assertEqual(self.site.run("cert", "issue", "desk", "--role", "controller").code, 0)
        registered = self.verb("register", "--token-file", str(self.token))
        self.assertEqual(registered.code, 0, registered.said)
        processes = Processes()
        with processes.watched():
            began = time.monotonic()
            outcome = self.install("--token-file", str(self.token))
            print(f"installed on {len(self.names)} hosts in {time.monotonic() - began:.0f} s", flush=True)
            asked = self.ask("status")
        for row in (*self.rows(outcome).values(), *self.rows(asked).values()):
            self.assertEqual((row["ok"], row["version"], row["live_slot"], row["problems"]), (True, OWN_VERSION, "blue", []), row)
        self.assertEqual(sorted(self.rows(asked)), sorted(self.names))
        self.assertGreater(processes.looks, 20)
        self.assertEqual(processes.showing(self.secret, *self.keys), [])
        self.assert_secrets_are_nowhere(registered, outcome, asked)

    def test_2_a_playbook_has_equal_results_through_both_doors(self) -> None:
        project = self.site.folder / "project"
        project.mkdir()
        (project / "site.yml").write_text(PLAYBOOK, encoding="utf-8")
        (project / "copied").write_text("from the project\n", encoding="utf-8")
        found: dict[str, Any] = {}
        for door in ("ssh", "rpc"):
            began = time.monotonic()
            outcome = self.site.command(
                "playbook", "run", str(project / "site.yml"), "--inventory", self.site.inventory, "--door", door,
                "--agent", self.agent_file(), "--ansible-runner", str(self.runner), "--output", "json",
                "-e", "text=it's $HOME; `x`", "-e", "number:=41").end(LONGEST)
            self.assertEqual(outcome.code, 0, outcome.said)
            print(f"playbook over {door}: {time.monotonic() - began:.0f} s", flush=True)
            report = json.loads(outcome.stdout.splitlines()[-1])["report"]["hosts"]
            self.assertEqual({entry["host"]: entry["door"]["door"] for entry in report}, self.everywhere(door))
            left = {name: self.site.on_host(name, "sh", "-c", "cd /srv/play && stat -c '%n %a %U:%G' * && head * && rm -r /srv/play")
                    for name in self.names}
            found[door] = {entry["host"]: (entry["outcome"], entry["counts"], left[entry["host"]]) for entry in report}
        self.assertEqual(found["ssh"], found["rpc"])
        for outcome, counts, text in found["rpc"].values():
            self.assertEqual((outcome, counts["changed"], counts["skipped"], counts["ignored"]), ("changed", 3, 1, 1), counts)
            self.assertIn("it's $HOME; `x` 42", text)

    def deploy(self, service: str, tag: str, config: str, *more: str) -> None:
        file = self.site.folder / f"{service}-{tag}"
        file.write_text(config, encoding="utf-8")
        began = time.monotonic()
        outcome = self.site.command(
            "service", "deploy", service, "--inventory", self.site.inventory, "--door", "auto", "--agent", self.agent_file(),
            "--ansible-runner", str(self.runner), "--playbooks", str(PLAYBOOKS), "--config", str(file),
            "-e", f"{service}_health_seconds:=5", *more).end(LONGEST)
        self.assertEqual(outcome.code, 0, outcome.said)
        for name in self.names:
            self.assertRegex(outcome.stdout, rf"(?m)^{name} +through the agent at {self.address(name)}")
        print(f"{service}, {tag}: deployed on {len(self.names)} hosts in {time.monotonic() - began:.0f} s", flush=True)

    def test_3_caddy_is_deployed_on_all_at_once_and_gets_another_configuration(self) -> None:
        for answer in ("first", "second"):
            self.deploy("caddy", answer, caddyfile(answer), "--health-url", "http://127.0.0.1:8080/", "--probe", "http:8080/")
            self.assertEqual({name: self.get(f"http://{self.address(name)}:8080/") for name in self.names}, self.everywhere(answer))

    @unittest.skipUnless(hosts == 10, "only with SWITCHYARD_FROM_NOTHING=10: it takes more than another minute")
    def test_4_xray_is_deployed_on_all_at_once_and_proxies_requests(self) -> None:
        secret = "asked-of-each-client"
        self.deploy("xray", "first", json.dumps(xray(secret=secret)), "--health-proxy", "http://127.0.0.1:8118",
                    "--health-url", f"{self.supplies.url}/hello", "--probe", "tcp:8119",
                    "-e", f"xray_python_find_links={self.wheels_url}")
        for name in self.names:
            self.assertEqual(self.proxied_by(name, secret), ("hello from outside\n", self.address(name)))


class TenHosts(Ten, OwnAgentTest):
    """The life of ten agents, with clients that retry nothing."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        for number in (4, 5):
            cls.site.archives[f"own-{number}"] = archive(cls.site.folder, number)

    # What the tests use

    @contextmanager
    def calls(self) -> Iterator[Callers]:
        """RPC calls to every host meanwhile, none of which may fail."""
        trust = ssl.create_default_context(cafile=str(self.folder / "ops/ca.pem"))
        trust.load_cert_chain(self.folder / "ops/ops.pem", self.folder / "ops/ops.key")
        # Ten hosts, their clients and the controller share this machine's processors: it is no fault of an agent when they are busy.
        callers = Callers([self.address(name) for name in self.names], trust, pause=0.2, timeout=20)
        began = time.monotonic()
        with callers.busy():
            yield callers
        seconds = time.monotonic() - began
        print(f"{self.id().rpartition('.')[2]}: {callers.served} calls, {len(callers.failed)} failed, {seconds:.0f} s; connections that "
              f"stood: {len(callers.kept)} of {len(self.names)}, ended by agents: {sum(callers.ended.values())}", flush=True)
        self.assertEqual(callers.failed, [])
        # Each host was asked all the time, as often as a busy machine lets them.
        self.assertGreater(callers.served, len(self.names) * seconds)

    def owners(self) -> dict[str, str]:
        return {name: self.site.on_record(name, self.own("ssh"))["owner"] for name in self.names}

    def live(self) -> dict[str, str]:
        """The version that each host has on record as the live one."""
        found = {}
        for name in self.names:
            record = self.site.on_record(name, self.own("ssh"))
            slot = next(slot for slot in record["slots"] if slot["slot"] == record["owner"])
            found[name] = slot["release"]["manifest"]["version"]
        return found

    def assert_told(self, host: str, what: str) -> None:
        """The newest rollout tells which door was taken to a host, and why."""
        lines = [line for line in self.site.run("rollout", "logs").stdout.splitlines() if re.search(rf"\b{host}\b", line)]
        self.assertRegex("\n".join(lines), what)

    def assert_reached(self, version: str) -> None:
        """The release is live on every host, and every agent answers clients."""
        self.assertEqual(self.live(), self.everywhere(version))
        self.assertEqual({name: self.ask(name, "GET", "/v1/facts").status for name in self.names}, self.everywhere(200))

    def address(self, host: str) -> str:
        return self.fleet.network.ipv4(self.fleet.host(host).number)

    def serials(self) -> dict[str, str]:
        return {name: ssl.get_server_certificate((self.address(name), 7440)) for name in self.names}

    # Tests

    def test_1_a_first_release_is_installed_on_all(self) -> None:
        self.install()
        self.assert_reached("1.0.0")

    def test_2_agents_upgrade_themselves_under_load_without_ssh(self) -> None:
        with self.without_ssh(), self.calls() as callers:
            outcome = self.site.roll_out(self.own("rpc"), "own-2", policy())
            self.assertEqual(outcome.code, PROMOTED, outcome.said)
        self.assertEqual(self.live(), self.everywhere("2.0.0"))
        self.assertEqual(self.doors(), self.everywhere(["rpc"]))
        self.assertEqual(callers.ended, {}, "the old side was to be kept")

    def test_3_a_bad_release_is_taken_back_through_each_door_under_load(self) -> None:
        owners = self.owners()
        with self.calls():
            for door, again in (("rpc", ()), ("ssh", ("--again", "--reason", "once more, over SSH"))):
                outcome = self.site.roll_out(self.own(door), "own-bad", policy(), *again)
                self.assertEqual(outcome.code, ROLLED_BACK, outcome.said)
                states = self.site.states()
                self.assertEqual(states["h1"], "restored", outcome.said)
                self.assertEqual({states[name] for name in self.names[1:]}, {"pending"}, outcome.said)
        self.assertEqual((self.owners(), self.live()), (owners, self.everywhere("2.0.0")))

    def test_4_twice_in_a_row_the_oldest_side_lets_go_of_its_connections_without_a_failure(self) -> None:
        with self.calls() as callers:
            for release in ("own-3", "own-4"):
                outcome = self.site.roll_out(self.own("rpc"), release, at_once())
                self.assertEqual(outcome.code, PROMOTED, outcome.said)
        self.assertEqual(self.live(), self.everywhere("4.0.0"))
        # They stood on the side that the second one has taken the place of.
        self.assertEqual(callers.kept, {})

    def test_5_where_half_of_the_agents_are_stopped_those_are_upgraded_over_ssh(self) -> None:
        owners = self.owners()
        for name in HALF:
            self.site.on_host(name, "systemctl", "stop", f"{NAME}-{owners[name]}.service")
        outcome = self.site.roll_out(self.own("auto"), "own-5", at_once())
        self.assertEqual(outcome.code, PROMOTED, outcome.said)
        self.assertEqual(self.doors(), {name: ["ssh"] if name in HALF else ["rpc"] for name in self.names})
        for name in self.names:
            self.assert_told(name, f"over SSH: .*{self.address(name)}:7440: no agent answers" if name in HALF else
                             f"over RPC, the agent at {self.address(name)}:7440")
        self.assert_reached("5.0.0")

    def test_6_successors_that_are_dead_are_rolled_back_over_ssh(self) -> None:
        for name in ("h1", "h2"):
            self.kill_for_good(name)
        outcome = self.site.run("rollout", "rollback", "--reason", "two have died")
        self.assertEqual(outcome.code, RESTORED, outcome.said)
        self.assertEqual(set(self.site.states().values()), {"restored"}, outcome.said)
        doors = self.doors()
        self.assertEqual([doors[name][-1] for name in ("h1", "h2")], ["ssh", "ssh"])
        self.assert_reached("4.0.0")

    def test_7_all_certificates_are_renewed_under_load(self) -> None:
        before = self.serials()
        with self.calls() as callers:
            self.cert("renew", "--all")
            outcome = self.site.run(
                "cert", "push", "--inventory", self.site.inventory, "--agent", self.site.write(self.own("auto").file()), "--door", "rpc",
                "--authority", str(self.folder / "authority"), "--output", "json")
            self.assertEqual(outcome.code, 0, outcome.said)
            rows = {row["host"]: (row["state"], row["changed"]) for row in json.loads(outcome.stdout)}
            self.assertEqual(rows, self.everywhere(("serving", True)))
        after = self.serials()
        self.assertEqual([name for name in self.names if before[name] == after[name]], [])
        self.assertEqual(sorted(callers.kept), sorted(self.address(name) for name in self.names), "a connection was ended")


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""Certificates are brought to hosts under load: nobody's connection drops, and what isn't served is put back."""

from __future__ import annotations

import json
import ssl
import unittest
from pathlib import Path
from typing import Any

from callers import Callers
from leaks import Processes, files_with, secret_line
from own_agent import OwnAgentTest
from rollouts import INVALID, ROLLED_BACK, TOOL_ERROR, Outcome

FOLDER = "/etc/switchyard-agent/tls"


class CertPush(OwnAgentTest):
    """The tests build on one another, as the days of an authority do: their names give the order."""

    def push(self, door: str, *more: str, authority: Path | None = None) -> Outcome:
        return self.site.run(
            "cert", "push", "--inventory", self.site.inventory, "--agent", self.site.write(self.own("auto").file()),
            "--door", door, "--authority", str(authority or self.folder / "authority"), "--output", "json", *more)

    def address(self, host: str) -> str:
        return self.fleet.network.ipv4(self.fleet.host(host).number)

    def served(self) -> dict[str, str]:
        return {host.name: ssl.get_server_certificate((self.address(host.name), 7440)) for host in self.fleet.hosts}

    def issued(self, host: str) -> str:
        return (self.folder / f"authority/issued/{host}/{host}.pem").read_text(encoding="ascii")

    def tls(self, host: str) -> list[str]:
        return sorted(self.site.on_host(host, "find", FOLDER, "-printf", "%p %M %u:%g %s %T@\n").splitlines())

    @property
    def callers(self) -> Callers:
        trust = ssl.create_default_context(cafile=str(self.folder / "ops/ca.pem"))
        trust.load_cert_chain(self.folder / "ops/ops.pem", self.folder / "ops/ops.key")
        return Callers([self.address(host.name) for host in self.fleet.hosts], trust)

    def assert_renewed(self, outcome: Outcome, changed: bool = True) -> None:
        self.assertEqual(outcome.code, 0, outcome.said)
        rows = json.loads(outcome.stdout)
        self.assertEqual([(row["host"], row["state"], row["changed"]) for row in rows],
                         [(host.name, "serving", changed) for host in self.fleet.hosts])
        self.assertEqual(self.served(), {host.name: self.issued(host.name) for host in self.fleet.hosts})
        for host in self.fleet.hosts:
            listed = self.tls(host.name)
            self.assertTrue(any(f"{FOLDER}/agent.key -rw-r----- root:switchyard-agent" in line for line in listed), listed)
            self.assertFalse(any(".before" in line or ".new" in line for line in listed), listed)

    def test_1_all_certificates_are_renewed_under_load_through_the_agents_alone(self) -> None:
        self.install()
        callers = self.callers
        before = self.served()
        with self.without_ssh(), callers.busy():
            self.cert("renew", "--all")
            self.assert_renewed(self.push("rpc"))
        self.assertNotEqual(self.served(), before)
        self.assertEqual(callers.failed, [])
        self.assertGreater(callers.served, 50)
        self.assertEqual(len(callers.kept), len(self.fleet.hosts), "a connection that was to stay was ended")

    def test_2_and_again_over_ssh_and_once_more_with_nothing_left_to_do(self) -> None:
        callers = self.callers
        with callers.busy():
            self.cert("renew", "--all")
            self.assert_renewed(self.push("ssh"))
            self.assert_renewed(self.push("auto"), changed=False)
        self.assertEqual(callers.failed, [])
        self.assertEqual(len(callers.kept), len(self.fleet.hosts), "a connection that was to stay was ended")

    def test_3_keys_are_in_no_log_no_output_and_no_process(self) -> None:
        processes, keys, said = Processes(pause=0.01), set(), ""
        with processes.watched():
            for door in ("ssh", "rpc"):
                self.cert("renew", "--all")
                outcome = self.push(door)
                self.assert_renewed(outcome)
                keys |= {secret_line(path) for path in (self.folder / "authority").rglob("*.key")}
                said += outcome.said
        said += "".join(self.site.on_host(host.name, "journalctl", "--no-pager", "-o", "cat") for host in self.fleet.hosts)
        self.assertGreater(len(keys), 2 * len(self.fleet.hosts))
        for key in keys:
            self.assertNotIn(key, said)
        self.assertEqual(files_with(self.site.state, *keys), [])
        self.assertEqual(processes.showing(*keys), [])

    def test_4_a_revoked_controller_is_shut_out_once_the_list_is_there(self) -> None:
        self.cert("issue", "leaver", "--role", "controller", "--out", str(self.folder / "leaver"))
        self.cert("revoke", "leaver")
        self.assertEqual(self.ask("h1", "GET", "/v1/facts", client="leaver").status, 403)  # none of the controllers
        self.assert_renewed(self.push("auto"))
        answer = self.ask("h1", "GET", "/v1/facts", client="leaver")
        self.assertEqual(answer.status, 403)
        self.assertIn("revoked", answer.json["error"]["message"])

    def test_5_what_can_not_be_a_hosts_is_refused_before_any_host_is_asked(self) -> None:
        before = {host.name: self.tls(host.name) for host in self.fleet.hosts}

        def refused(why: str, **options: Any) -> None:
            outcome = self.push("auto", **options)
            self.assertEqual(outcome.code, INVALID, outcome.said)
            self.assertRegex(outcome.stderr, why)
            self.assertEqual({name: self.tls(name) for name in before}, before)

        self.cert("revoke", "h2")
        refused("h2: the newest certificate of h2 is revoked")
        self.cert("issue", "h2", "--san", "ip:192.0.2.1")
        refused("h2: its certificate is not for")
        self.cert("revoke", "h2")
        self.cert("issue", "h2", "--san", f"ip:{self.address('h2')}")
        self.assert_renewed(self.push("auto"))

    def test_6_another_authoritys_certificate_is_refused_with_nothing_changed(self) -> None:
        foreign = self.folder / "foreign"
        for arguments in (["init"], *(["issue", host.name, "--san", f"ip:{self.address(host.name)}"] for host in self.fleet.hosts)):
            self.assertEqual(self.site.run("cert", *arguments, "--authority", str(foreign)).code, 0)
        before = {host.name: self.tls(host.name) for host in self.fleet.hosts}
        outcome = self.push("auto", authority=foreign)
        self.assertEqual(outcome.code, TOOL_ERROR, outcome.said)
        self.assertEqual([row["state"] for row in json.loads(outcome.stdout)], ["refused"] * len(before))
        self.assertEqual({name: self.tls(name) for name in before}, before)

    def test_7_what_the_agent_does_not_serve_is_put_back(self) -> None:
        # This agent reads other files than those that are brought.
        on_host = self.site.on_host
        on_host("h1", "cp", "-a", FOLDER, "/etc/switchyard-agent/other")
        on_host("h1", "sed", "-i", "s,/tls/,/other/,", "/etc/switchyard-agent/agent.yml")
        on_host("h1", "systemctl", "restart", "switchyard-agent-blue.service")
        before, served = self.tls("h1"), self.served()
        self.cert("renew", "--all")
        outcome = self.push("ssh", "--within", "6s")
        self.assertEqual(outcome.code, ROLLED_BACK, outcome.said)
        states = {row["host"]: row["state"] for row in json.loads(outcome.stdout)}
        self.assertEqual(states, {"h1": "put_back", "h2": "serving"})
        self.assertEqual(self.served()["h1"], served["h1"])
        self.assertEqual([line.rsplit(" ", 1)[0] for line in self.tls("h1")], [line.rsplit(" ", 1)[0] for line in before])

    def test_8_where_no_agent_answers_nothing_is_placed_unless_that_is_asked_for(self) -> None:
        self.site.on_host("h2", "systemctl", "stop", "switchyard-agent-blue.service")
        self.cert("renew", "h2")
        before = self.tls("h2")
        outcome = self.push("auto", "--limit", "h2")
        self.assertEqual(outcome.code, TOOL_ERROR, outcome.said)
        self.assertIn("--unseen", outcome.stdout)
        self.assertEqual(self.tls("h2"), before)
        outcome = self.push("auto", "--limit", "h2", "--unseen")
        self.assertEqual(outcome.code, 0, outcome.said)
        self.assertEqual(json.loads(outcome.stdout)[0]["state"], "placed")
        self.site.on_host("h2", "systemctl", "start", "switchyard-agent-blue.service")
        self.assertEqual(self.served()["h2"], self.issued("h2"))


if __name__ == "__main__":
    unittest.main()

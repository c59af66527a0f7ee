#!/usr/bin/env python3
"""`agent install`: from hosts with nothing to agents that are asked over RPC with a token, and away again."""

from __future__ import annotations

import json
import unittest

from agent_verbs import AgentVerbTest
from fleetkit.processes import wait_until
from own_agent import archive, left
from rollouts import HALTED, INVALID, TOOL_ERROR
from test_agent_playbooks import OWN_VERSION


class AgentVerbInstall(AgentVerbTest):
    """The tests build on one another, as the days of an agent do: their names give the order."""

    hosts = 2
    is_long = True

    def test_1_what_is_not_registered_is_not_installed(self) -> None:
        before = {host.name: self.site.traces(host.name) for host in self.fleet.hosts}
        self.assertEqual(self.install().code, INVALID)
        self.assertEqual(self.site.run("cert", "init").code, 0)
        self.assertEqual(self.site.run("cert", "issue", "desk", "--role", "controller").code, 0)
        self.rows(self.verb("register", "--token-file", str(self.token)))
        outcome = self.install()
        self.assertEqual(outcome.code, INVALID, outcome.said)
        self.assertIn("--token-file", outcome.stderr)
        other = self.site.folder / "other-token"
        other.write_text("0" * 64 + "\n", encoding="ascii")
        other.chmod(0o644)
        self.assertIn("may be read by others", self.install("--token-file", str(other)).stderr)
        other.chmod(0o600)
        outcome = self.install("--token-file", str(other))
        self.assertEqual(outcome.code, INVALID, outcome.said)
        self.assertIn("its token is another", outcome.stderr)
        for name, traces in before.items():
            self.assert_unchanged(traces, self.site.traces(name), name)

    def test_2_agents_are_installed_from_nothing_and_well(self) -> None:
        outcome = self.install("--token-file", str(self.token))
        for row in self.rows(outcome).values():
            self.assertEqual((row["version"], row["live_slot"], row["ok"]), (OWN_VERSION, "blue", True), row)
        self.assert_secrets_are_nowhere(outcome)

    def test_3_they_are_asked_with_the_token_and_not_without(self) -> None:
        asked = self.ask("status")
        self.rows(asked)
        said = self.site.run("agent", "exec", "all", "whoami", "--inventory", self.site.inventory, "--output", "json",
                             "--controller", "desk", "--door", "rpc", "--token-file", str(self.token))
        for row in self.rows(said).values():
            self.assertEqual(row["stdout"], "switchyard-agent\n")
        self.assert_secrets_are_nowhere(asked, said)
        without = self.verb("restart", "--controller", "desk", "--door", "rpc")
        self.assertEqual(without.code, TOOL_ERROR, without.said)
        self.assertIn("token", without.stdout)

    def test_4_installed_again_it_is_as_it_was(self) -> None:
        first = self.site.on_host("h1", "systemctl", "show", "-P", "InvocationID", "switchyard-agent-blue.service")
        self.rows(self.install("--token-file", str(self.token)))
        self.assertEqual(self.site.on_host("h1", "systemctl", "show", "-P", "InvocationID", "switchyard-agent-blue.service"), first)

    def test_4_installed_under_another_authority_they_are_left_alone(self) -> None:
        another = str(self.site.folder / "another")
        self.assertEqual(self.site.run("cert", "init", "--authority", another).code, 0)
        self.assertEqual(self.site.run("cert", "issue", "desk", "--role", "controller", "--authority", another).code, 0)
        before = {host.name: self.site.traces(host.name) for host in self.fleet.hosts}
        outcome = self.install("--token-file", str(self.token), "--authority", another)
        self.assertEqual(outcome.code, TOOL_ERROR, outcome.said)
        self.assertIn("another authority", outcome.stderr)
        self.assertIn("no host was changed", outcome.stderr)
        for name, traces in before.items():
            self.assert_unchanged(traces, self.site.traces(name), name)
        self.rows(self.ask("status"))

    def test_5_uninstalled_they_are_gone_from_hosts_and_registry(self) -> None:
        self.rows(self.ask("uninstall", "--yes"))
        for host in self.fleet.hosts:
            # Over RPC its silence was seen, after which it may still drain.
            wait_until(lambda name=host.name: not left(self.fleet, name), 60, pause=0.5)
            self.assertEqual(left(self.fleet, host.name), [])
        self.assertEqual(json.loads(self.site.run("agent", "list", "--output", "json").stdout), [])

    def test_6_where_they_do_not_get_well_that_is_waited_for_and_none_is_left_running(self) -> None:
        token = self.site.folder / "third-token"
        self.rows(self.verb("register", "--token-file", str(token), "--limit", "h1"))
        bad = archive(self.site.folder, 9, broken=True)
        outcome = self.install("--token-file", str(token), "--limit", "h1", release=bad, output="text")
        self.assertEqual(outcome.code, HALTED, outcome.said)
        self.assertIn("waiting until the agents are healthy on port 7440\n", outcome.stdout)
        self.assertIn("the agents were not all installed", outcome.stderr)
        self.assertEqual(self.site.on_host("h1", "systemctl", "list-units", "--plain", "--no-legend", "switchyard-agent-*"), "")
        self.assertEqual(self.site.on_host("h1", "ss", "-Hltn", "sport >= 7440 and sport <= 7442"), "")


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""`agent install`: from hosts with nothing to agents that are asked over RPC with a token, and away again."""

from __future__ import annotations

import json
import unittest
from pathlib import Path
from typing import Any

import runners
from agents import Archive
from fleetkit.processes import wait_until
from own_agent import left
from plays import PLAYBOOKS, PlaybookTest
from rollouts import INVALID, TOOL_ERROR, Outcome
from test_agent_playbooks import OWN_VERSION, own_archive


class AgentVerbInstall(PlaybookTest):
    """The tests build on one another, as the days of an agent do: their names give the order."""

    hosts = 2
    own: Archive
    runner: Path
    token: Path

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.own = own_archive(cls.site.folder)
        cls.runner = runners.here(cls.site.folder / "ansible")
        cls.token = cls.site.folder / "token"

    def verb(self, verb: str, *more: str) -> Outcome:
        # The tools for playbooks are installed on the hosts, which takes long.
        return self.site.command("agent", verb, *more, "--inventory", self.site.inventory, "--output", "json").end(590)

    def ask(self, verb: str, *more: str) -> Outcome:
        return self.verb(verb, *more, "--controller", "desk", "--door", "rpc", "--token-file", str(self.token))

    def install(self, *more: str) -> Outcome:
        config = self.site.folder / "more.yml"
        config.write_text("commands:\n  whoami: {run: [/usr/bin/id, -un]}\n", encoding="ascii")
        return self.verb(
            "install", "--version", OWN_VERSION, "--archive", self.own.file, "--controller", "desk", "--config", str(config),
            "--playbooks", str(PLAYBOOKS), "--ansible-runner", str(self.runner),
            "-e", f"agent_python_find_links={self.wheels_url}", *more)

    def rows(self, outcome: Outcome, code: int = 0) -> dict[str, dict[str, Any]]:
        self.assertEqual(outcome.code, code, outcome.said)
        return {row["host"]: row for row in json.loads(outcome.stdout)}

    def assert_token_is_nowhere(self, *outcomes: Outcome) -> None:
        """Not in what was said, nor in the state folder, nor on hosts, whose agents know its digest alone."""
        token = self.token.read_text(encoding="ascii").strip()
        for outcome in outcomes:
            self.assertNotIn(token, outcome.said)
        for path in self.site.state.rglob("*"):
            if path.is_file():
                self.assertNotIn(token.encode(), path.read_bytes(), path)
        for host in self.fleet.hosts:
            self.assertNotIn(token, self.site.on_host(host.name, "journalctl", "--no-pager", "-o", "cat"))
            self.assertEqual(self.site.on_host(host.name, "grep", "-rls", token, "/etc", "/opt/switchyard", "/var/lib"), "")

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
        self.assert_token_is_nowhere(outcome)

    def test_3_they_are_asked_with_the_token_and_not_without(self) -> None:
        asked = self.ask("status")
        self.rows(asked)
        said = self.site.run("agent", "exec", "all", "whoami", "--inventory", self.site.inventory, "--output", "json",
                             "--controller", "desk", "--door", "rpc", "--token-file", str(self.token))
        for row in self.rows(said).values():
            self.assertEqual(row["stdout"], "switchyard-agent\n")
        self.assert_token_is_nowhere(asked, said)
        without = self.verb("restart", "--controller", "desk", "--door", "rpc")
        self.assertEqual(without.code, TOOL_ERROR, without.said)
        self.assertIn("token", without.stdout)

    def test_4_installed_again_it_is_as_it_was(self) -> None:
        first = self.site.on_host("h1", "systemctl", "show", "-P", "InvocationID", "switchyard-agent-blue.service")
        self.rows(self.install("--token-file", str(self.token)))
        self.assertEqual(self.site.on_host("h1", "systemctl", "show", "-P", "InvocationID", "switchyard-agent-blue.service"), first)

    def test_5_uninstalled_they_are_gone_from_hosts_and_registry(self) -> None:
        self.rows(self.ask("uninstall", "--yes"))
        for host in self.fleet.hosts:
            # Over RPC its silence was seen, after which it may still drain.
            wait_until(lambda name=host.name: not left(self.fleet, name), 60, pause=0.5)
            self.assertEqual(left(self.fleet, host.name), [])
        self.assertEqual(json.loads(self.site.run("agent", "list", "--output", "json").stdout), [])


if __name__ == "__main__":
    unittest.main()

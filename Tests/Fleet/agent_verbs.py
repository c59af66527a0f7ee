"""What the tests of `switchyard agent` share: agents that are installed from nothing, over the command line, as a user does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import runners
from agents import Archive
from leaks import files_with, secret_line
from plays import LONGEST, PLAYBOOKS, PlaybookTest
from rollouts import Outcome
from test_agent_playbooks import own_archive


class AgentVerbTest(PlaybookTest):
    """Hosts with nothing, and what a controller needs to install agents there."""

    own: Archive
    runner: Path
    token: Path

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.own = own_archive(cls.site.folder)
        cls.runner = runners.here(cls.site.folder / "ansible")
        cls.token = cls.site.folder / "token"

    def verb(self, verb: str, *more: str, output: str = "json") -> Outcome:
        # The tools for playbooks are installed on the hosts, which takes long.
        return self.site.command("agent", verb, *more, "--inventory", self.site.inventory, "--output", output).end(LONGEST)

    def ask(self, verb: str, *more: str) -> Outcome:
        return self.verb(verb, *more, "--controller", "desk", "--door", "rpc", "--token-file", str(self.token))

    def install(self, *more: str, release: Archive | None = None, output: str = "json") -> Outcome:
        config = self.site.folder / "more.yml"
        config.write_text("commands:\n  whoami: {run: [/usr/bin/id, -un]}\n", encoding="ascii")
        release = release or self.own
        return self.verb(
            "install", "--version", release.version, "--archive", release.file, "--controller", "desk", "--config", str(config),
            "--playbooks", str(PLAYBOOKS), "--ansible-runner", str(self.runner),
            "-e", f"agent_python_find_links={self.wheels_url}", *more, output=output)

    def rows(self, outcome: Outcome, code: int = 0) -> dict[str, dict[str, Any]]:
        self.assertEqual(outcome.code, code, outcome.said)
        return {row["host"]: row for row in json.loads(outcome.stdout)}

    @property
    def secret(self) -> str:
        return self.token.read_text(encoding="ascii").strip()

    @property
    def keys(self) -> list[str]:
        """A line of each private key: the authority's own, the controller's and the agents'."""
        keys = [secret_line(path) for path in (self.site.state / "authority").rglob("*.key")]
        self.assertGreaterEqual(len(keys), 2 + len(self.fleet.hosts))
        return keys

    def assert_secrets_are_nowhere(self, *outcomes: Outcome) -> None:
        """Not in what was said, nor in the state folder, whose authority keeps keys alone, nor in hosts' journals. Of the token agents know
        the digest."""
        token, keys, state = self.secret, self.keys, self.site.state
        self.assertEqual(files_with(state, token), [])
        self.assertEqual(files_with(state, *keys, beside=state / "authority"), [])
        for secret in (token, *keys):
            for outcome in outcomes:
                self.assertNotIn(secret, outcome.said)
        for host in self.fleet.hosts:
            journal = self.site.on_host(host.name, "journalctl", "--no-pager", "-o", "cat")
            for secret in (token, *keys):
                self.assertNotIn(secret, journal)
            self.assertEqual(self.site.on_host(host.name, "grep", "-rls", token, "/etc", "/opt/switchyard", "/var/lib"), "")

#!/usr/bin/env python3
"""What an agent does on its host: commands, uploads, runs and their logs, the token, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import secrets
import socket
import time
import unittest
import uuid
from typing import Any

from leaks import Processes, files_with
from own_agent import Answer, OwnAgentTest
from rollouts import PROMOTED, at_once

TOKEN = secrets.token_hex(24)
UPLOADS = "/var/lib/switchyard-agent/uploads"


class AgentWork(OwnAgentTest):
    hosts = 1
    configuration = (
        f"token_sha256: {hashlib.sha256(TOKEN.encode()).hexdigest()}\nupload_limit: 8MB\nupload_total: 16MB\ncommands:\n"
        "  show: {run: [/usr/bin/printf, '%s', '{{ text }}'], arguments: {text: '[a-z]+'}}\n"
        "  count: {run: [/usr/bin/seq, '3']}\n")

    def setUp(self) -> None:
        if self.site.on_host("h1", "systemctl", "list-units", "--plain", "--no-legend", "switchyard-agent-*") == "":
            self.install()

    def own_with_token(self, token: str | None, release: str = "rpc") -> Any:
        agent = self.own(release)
        if token is not None:
            path = self.folder / f"token-{hashlib.sha256(token.encode()).hexdigest()[:8]}"
            path.write_text(token + "\n", encoding="utf-8")
            path.chmod(0o600)
            agent.fields["rpc"] = {**agent.fields["rpc"], "token": str(path)}
        return agent

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        return self.ask("h1", method, path, body, headers={"Authorization": f"Bearer {TOKEN}", **headers})

    def command(self, name: str, run: str | None = None, **arguments: str) -> Answer:
        body = json.dumps({"name": name, "arguments": arguments}).encode()
        headers = {"Run-ID": run} if run else {}
        return self.call("POST", "/v1/commands", body, **headers)

    def test_a_run_has_a_log_on_the_host_that_outlives_the_slot_that_wrote_it(self) -> None:
        run = str(uuid.uuid4())
        said = self.command("count", run)
        self.assertEqual((said.status, said.lines[-1]), (200, {"exit": 0}))
        self.assertEqual(self.command("count", run).status, 409)
        outcome = self.site.roll_out(self.own_with_token(TOKEN), "own-2", at_once())
        self.assertEqual(outcome.code, PROMOTED, outcome.said)
        log = self.call("GET", f"/v1/runs/{run}/log?follow=1")
        self.assertEqual((log.status, log.lines[0]["run"]["name"], log.lines[-1]["exit"]), (200, "count", 0))
        self.assertIn(run, [entry["id"] for entry in self.call("GET", "/v1/runs").json["runs"]])
        self.assertEqual(self.call("GET", f"/v1/runs/{uuid.uuid4()}/log").status, 404)

    def test_commands_off_the_list_and_shell_text_run_nothing(self) -> None:
        for name in ("reboot", "/usr/bin/touch", "show;touch", "../show"):
            self.assertEqual(self.command(name).status, 403, name)
        for text in ("a; touch /run/caught", "$(touch /run/caught)", "`touch /run/caught`", "a|tee /run/caught", "--help", "a\nb", ""):
            self.assertEqual(self.command("show", text=text).status, 403, text)
        self.assertEqual(self.command("show", text="plain").lines[0], {"stream": "stdout", "data": "plain"})
        self.assertEqual(self.site.on_host("h1", "find", "/run", "-maxdepth", "1", "-name", "caught*"), "")

    def test_a_file_is_brought_in_two_parts_and_belongs_to_the_agent(self) -> None:
        content = secrets.token_bytes(3_000_000)
        digest = hashlib.sha256(content).hexdigest()
        first = self.call("PUT", f"/v1/uploads/{digest}?size={len(content)}&offset=0", content[:1_000_000])
        self.assertEqual((first.status, first.json["have"], first.json["complete"]), (200, 1_000_000, False))
        have = self.call("GET", f"/v1/uploads/{digest}").json["have"]
        last = self.call("PUT", f"/v1/uploads/{digest}?size={len(content)}&offset={have}", content[have:])
        self.assertEqual((last.status, last.json["complete"]), (200, True), last.body)
        said = self.site.on_host("h1", "sha256sum", f"{UPLOADS}/{digest}")
        self.assertEqual(said.split()[0], digest)
        self.assertEqual(self.site.on_host("h1", "stat", "-c", "%U %a", f"{UPLOADS}/{digest}").split(), ["switchyard-agent", "600"])

    def test_path_tricks_and_foreign_bytes_leave_nothing(self) -> None:
        digest = hashlib.sha256(b"that").hexdigest()
        before = self.site.on_host("h1", "find", "/etc", "/var/lib", "/run", "/tmp", "-newermt", "-1 second", "-name", "*passwd*")
        for name in ("..%2f..%2fetc%2fpasswd", "../../etc/passwd", "%2e%2e/passwd", digest[:-1], digest + ".part", digest.upper()):
            answer = self.call("PUT", f"/v1/uploads/{name}?size=4&offset=0", b"this")
            self.assertIn(answer.status, (400, 404), name)
        self.assertEqual(self.call("PUT", f"/v1/uploads/{digest}?size=4&offset=0", b"this").status, 422)
        self.assertEqual(self.call("PUT", f"/v1/uploads/{digest}?size=9000000&offset=0", b"this").status, 413)
        self.assertNotIn(digest, self.site.on_host("h1", "find", "/var/lib/switchyard-agent"))
        self.assertEqual(self.site.on_host("h1", "find", "/etc", "/var/lib", "/run", "/tmp", "-newermt", "-1 second", "-name",
                                           "*passwd*"), before)

    def test_without_the_token_a_controllers_certificate_opens_nothing_and_it_is_seen_nowhere(self) -> None:
        for headers in ({}, {"Authorization": "Bearer wrong-token-of-ours"}, {"Authorization": f"Basic {TOKEN}"}):
            for method, path in (("GET", "/v1/facts"), ("POST", "/v1/host"), ("POST", "/v1/tunnel?port=7441")):
                self.assertEqual(self.ask("h1", method, path, headers=headers).status, 401, path)
        self.assertEqual(self.ask("h1", "GET", "/v1/facts", client=None, headers={"Authorization": f"Bearer {TOKEN}"}).status, 401)
        good, bad = self.own_with_token(TOKEN), self.own_with_token("another-token-of-ours")
        processes = Processes(pause=0.002)
        with processes.watched():
            self.assertEqual(self.site.hosts("check", good).code, 0)
        self.assertGreater(processes.looks, 0)
        self.assertEqual(processes.showing(TOKEN), [])
        for agent in (bad, self.own_with_token(None)):
            outcome = self.site.hosts("check", agent)
            self.assertNotEqual(outcome.code, 0)
            self.assertIn("401", outcome.said)
            self.assertNotIn("another-token", outcome.said)
        self.assertNotIn(TOKEN, self.site.on_host("h1", "journalctl", "--no-pager", "-o", "cat"))
        self.assertEqual(self.site.on_host("h1", "find", "/etc", "/var/lib", "-type", "f", "-exec", "grep", "-l", TOKEN, "{}", "+"), "")
        self.assertEqual(files_with(self.site.state, TOKEN), [])

    def test_a_token_that_others_may_read_is_refused_by_the_controller(self) -> None:
        agent = self.own_with_token(TOKEN)
        path = agent.fields["rpc"]["token"]
        loose = self.folder / "loose"
        loose.write_bytes(open(path, "rb").read())
        loose.chmod(0o644)
        agent.fields["rpc"]["token"] = str(loose)
        outcome = self.site.hosts("check", agent)
        self.assertNotEqual(outcome.code, 0)
        self.assertIn("owner's alone", outcome.said)

    def test_strangers_who_hold_connections_keep_no_controller_out(self) -> None:
        address = self.fleet.network.ipv4(self.fleet.host("h1").number)
        held = [socket.create_connection((address, 7440), timeout=10) for _ in range(400)]
        try:
            time.sleep(0.5)
            for _ in range(10):
                self.assertEqual(self.call("GET", "/v1/facts").status, 200)
        finally:
            for connection in held:
                connection.close()

    def test_the_shipped_services_are_exposed_no_more_than_they_must_be(self) -> None:
        for unit in ("switchyard-agent-blue.service", "switchyard-agent-green.service", "switchyard-host@1.service"):
            if "green" in unit and "green" not in self.site.on_host("h1", "ls", "/etc/systemd/system"):
                continue
            self.assertLessEqual(self.site.exposure("h1", unit), 3.0, unit)


if __name__ == "__main__":
    unittest.main()

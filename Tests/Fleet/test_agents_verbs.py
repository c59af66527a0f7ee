#!/usr/bin/env python3
"""The `agent` verbs on real hosts, each through both doors."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fleetkit.clock import WrongClock
from fleetkit.processes import wait_until
from leaks import Processes, files_with
from own_agent import OwnAgentTest, left
from rollouts import INVALID, PROMOTED, TOOL_ERROR, Outcome, policy

DOORS = ("ssh", "rpc", "auto")
COMMANDS = """
commands:
  say: {run: [/bin/echo, "{{ word }}"], arguments: {word: "[a-z ]{1,40}"}, timeout: 5s}
  fail: {run: [/bin/false]}
  whoami: {run: [/usr/bin/id, -un]}
  sleep: {run: [/bin/sleep, "30"], timeout: 1s}
  long: {run: [/usr/bin/python3, -c, "import time; print('begun', flush=True); time.sleep(30)"], timeout: 60s}
  both: {run: [/usr/bin/python3, -c, "import sys; print('out'); print('err', file=sys.stderr); print('\\\\x1b[31mred')"]}
"""


class AgentVerbs(OwnAgentTest):
    """The tests build on one another, as the days of an agent do: their names give the order."""

    configuration = COMMANDS
    #: The folder of the controller's certificate.
    certificate = "ops"

    def agent_verb(self, verb: str, *more: str, door: str = "auto", certificate: str | None = None) -> Outcome:
        certificate = certificate or self.certificate
        agent = self.own("auto")
        agent.fields["rpc"] = {"authority": str(self.folder / "ops/ca.pem"),
                               "certificate": str(self.folder / certificate / "ops.pem"),
                               "key": str(self.folder / certificate / "ops.key")}
        return self.site.run("agent", verb, *more, "--inventory", self.site.inventory, "--agent",
                             self.site.write(agent.file()), "--door", door, "--output", "json")

    def rows(self, outcome: Outcome, code: int = 0) -> dict[str, dict[str, Any]]:
        self.assertEqual(outcome.code, code, outcome.said)
        return {row["host"]: row for row in json.loads(outcome.stdout)}

    @property
    def names(self) -> list[str]:
        return [host.name for host in self.fleet.hosts]

    @contextmanager
    def without_ssh(self) -> Iterator[None]:
        for host in self.fleet.hosts:
            self.fleet.fault(host.name, "drop-ssh")
            self.site.on_host(host.name, "systemctl", "stop", "ssh.service", "ssh.socket")
        try:
            yield
        finally:
            for host in self.fleet.hosts:
                self.site.on_host(host.name, "systemctl", "start", "ssh.service")

    def state(self, host: str) -> str:
        return self.fleet.execute(host, ["systemctl", "is-active", "switchyard-agent-blue.service"]).stdout.strip()

    def invocation(self, host: str) -> str:
        return self.site.on_host(host, "systemctl", "show", "-P", "InvocationID", "switchyard-agent-blue.service")

    # MARK: Before there is an agent

    def test_01_register_makes_a_token_and_ports_and_keeps_the_token_to_one_file(self) -> None:
        tokens = self.folder / "tokens"
        processes = Processes(pause=0.002)
        with processes.watched():
            outcome = self.site.run("agent", "register", "--inventory", self.site.inventory, "--token-file", str(tokens),
                                    "--output", "json")
        rows = self.rows(outcome)
        self.assertEqual({name: row["port"] for name, row in rows.items()}, dict.fromkeys(self.names, 7440))
        self.assertEqual(stat.S_IMODE(tokens.stat().st_mode), 0o600)
        token = tokens.read_text(encoding="ascii").strip()
        self.assertRegex(token, "^[0-9a-f]{64}$")
        self.assertEqual({row["token_sha256"] for row in rows.values()}, {hashlib.sha256(token.encode()).hexdigest()})
        self.assertNotIn(token, outcome.said)
        self.assertEqual(files_with(self.site.state, token), [])
        self.assertEqual(processes.showing(token), [])
        registry = self.site.state / "agents.json"
        self.assertEqual(stat.S_IMODE(registry.stat().st_mode), 0o600)
        self.assertEqual(self.rows(self.site.run("agent", "list", "--output", "json")), rows)

    def test_02_registering_again_and_a_token_file_that_is_there_are_refused(self) -> None:
        before = (self.site.state / "agents.json").read_bytes()
        tokens = self.folder / "tokens"
        text = tokens.read_bytes()
        for file, why in ((self.folder / "others", "registered already"), (tokens, "registered already")):
            outcome = self.site.run("agent", "register", "--inventory", self.site.inventory, "--token-file", str(file))
            self.assertEqual(outcome.code, INVALID, outcome.said)
            self.assertIn(why, outcome.stderr)
        state = self.folder / "another-state"
        outcome = self.site.run("agent", "register", "--inventory", self.site.inventory, "--token-file", str(tokens),
                                "--state", str(state))
        self.assertEqual(outcome.code, INVALID, outcome.said)
        self.assertIn("is there already", outcome.stderr)
        self.assertFalse((state / "agents.json").exists())
        self.assertEqual((self.site.state / "agents.json").read_bytes(), before)
        self.assertEqual(tokens.read_bytes(), text)
        self.assertFalse((self.folder / "others").exists())

    def test_03_a_host_without_an_agent_is_told_as_such(self) -> None:
        rows = self.rows(self.agent_verb("status"), TOOL_ERROR)
        for row in rows.values():
            self.assertEqual(row["way"], "ssh")
            self.assertEqual([door["answers"] for door in row["doors"]], [False, True])
            self.assertIn("no agent is installed", " ".join(row["problems"]))
        for row in self.rows(self.agent_verb("start"), TOOL_ERROR).values():
            self.assertIn("no agent is installed", row["text"])

    # MARK: While it runs

    def test_10_status_tells_of_both_doors_and_of_what_clients_get(self) -> None:
        self.install()
        for door in DOORS:
            rows = self.rows(self.agent_verb("status", door=door))
            self.assertEqual(sorted(rows), sorted(self.names))
            for row in rows.values():
                self.assertEqual((row["version"], row["live_slot"], row["unit_state"]), ("1.0.0", "blue", "active"))
                self.assertEqual(row["way"], "ssh" if door == "ssh" else "rpc")
                self.assertEqual([sight["door"] for sight in row["doors"]], ["rpc", "ssh"] if door == "auto" else [door])
                self.assertTrue(all(sight["ok"] for sight in row["health"]) and row["health"], row)
                self.assertGreater(row["certificate"]["not_after"], 0)

    def test_11_status_says_why_a_door_is_closed(self) -> None:
        with self.without_ssh():
            for row in self.rows(self.agent_verb("status")).values():
                self.assertEqual([(sight["door"], sight["answers"]) for sight in row["doors"]], [("rpc", True), ("ssh", False)])
                self.assertTrue(row["doors"][1]["text"])

    def test_12_commands_run_through_either_door_with_equal_results(self) -> None:
        results = {}
        for door in DOORS:
            rows = self.rows(self.agent_verb("exec", "all", "say", "word=hello there", door=door))
            for row in rows.values():
                self.assertTrue(row["door"].startswith("SSH" if door == "ssh" else "RPC"), row)
                self.assertEqual((row["exit"], row["stdout"], row["stderr"]), (0, "hello there\n", ""))
            results[door] = {name: {key: value for key, value in row.items() if key != "door"} for name, row in rows.items()}
        self.assertEqual(results["ssh"], results["rpc"])
        self.assertEqual(results["ssh"], results["auto"])
        for door in DOORS:
            for row in self.rows(self.agent_verb("exec", "h1", "whoami", door=door)).values():
                self.assertEqual(row["stdout"], "switchyard-agent\n")
            for row in self.rows(self.agent_verb("exec", "all", "both", door=door)).values():
                self.assertEqual((row["stdout"], row["stderr"]), ("out\n\x1b[31mred\n", "err\n"))
            self.assertEqual(self.rows(self.agent_verb("exec", "h1", "fail", door=door), TOOL_ERROR)["h1"]["exit"], 1)
            self.assertIs(self.rows(self.agent_verb("exec", "h1", "sleep", door=door), TOOL_ERROR)["h1"]["timeout"], True)

    def test_13_what_hosts_say_does_not_steer_a_terminal(self) -> None:
        for door in ("ssh", "rpc"):
            outcome = self.site.run(
                "agent", "exec", "h1", "both", "--inventory", self.site.inventory, "--door", door,
                "--agent", self.site.write(self.own("auto").file()))
            self.assertEqual(outcome.code, 0, outcome.said)
            self.assertIn("h1 | out\n", outcome.stdout)
            self.assertIn("h1 ! err\n", outcome.stdout)
            self.assertNotIn("\x1b", outcome.stdout)

    def test_14_what_is_not_on_the_list_is_not_run(self) -> None:
        bad: tuple[tuple[str, ...], ...] = (
            ("reboot",), ("say",), ("say", "word=$(id)"), ("say", "word=a;b"), ("say", "word=x", "more=y"), ("say", "word=" + "a" * 300))
        for door in ("ssh", "rpc"):
            for words in bad:
                row = self.rows(self.agent_verb("exec", "h1", *words, door=door), TOOL_ERROR)["h1"]
                self.assertIn(row["error"]["code"], ("command_not_allowed", "argument_not_allowed", "invalid"), words)
                self.assertEqual(row["stdout"], "")
        self.assertEqual(self.agent_verb("exec", "h1", "say", "word").code, INVALID)
        self.assertEqual(self.agent_verb("exec", "nobody", "say", "word=x").code, INVALID)

    def test_15_restart_stop_and_start_through_each_door(self) -> None:
        for door in DOORS:
            before = {name: self.invocation(name) for name in self.names}
            rows = self.rows(self.agent_verb("restart", door=door))
            self.assertEqual({name: row["state"] for name, row in rows.items()}, dict.fromkeys(self.names, "active"))
            for name in self.names:
                self.assertNotEqual(self.invocation(name), before[name])
        for door in DOORS:
            self.rows(self.agent_verb("stop", door=door))
            for name in self.names:
                # Over RPC its silence was seen, after which it may still drain.
                self.wait_for(f"the end of {name}'s agent", lambda name=name: self.state(name) == "inactive", 1 if door == "ssh" else 60)
            if door == "rpc":
                self.rows(self.agent_verb("start", door="rpc"), TOOL_ERROR)  # nobody is there to be asked
            started = self.rows(self.agent_verb("start", door="ssh" if door == "rpc" else door))
            if door == "rpc":
                continue
            for row in started.values():
                self.assertTrue(row["door"].startswith("SSH"), row)
        self.rows(self.agent_verb("status"))

    def test_16_commands_run_over_ssh_where_the_agent_is_down(self) -> None:
        self.rows(self.agent_verb("stop", "--limit", "h2"))
        rows = self.rows(self.agent_verb("exec", "all", "say", "word=x"))
        self.assertTrue(rows["h1"]["door"].startswith("RPC") and rows["h2"]["door"].startswith("SSH"), rows)
        self.assertIn("no agent answers", rows["h2"]["door"])
        self.rows(self.agent_verb("exec", "h2", "say", "word=x", door="rpc"), TOOL_ERROR)
        self.rows(self.agent_verb("start", "--limit", "h2"))

    def test_16_over_ssh_a_command_that_is_broken_off_is_not_one_that_was_not_begun(self) -> None:
        running = self.site.command(
            "agent", "exec", "h1", "long", "--inventory", self.site.inventory, "--door", "ssh", "--output", "json",
            "--agent", self.site.write(self.own("auto").file()))

        def runs() -> str:
            return self.fleet.execute("h1", ["pgrep", "-f", "bin/switchyard-agent --run"]).stdout

        self.wait_for("the command's process", lambda: bool(self.fleet.execute("h1", ["pgrep", "-f", "time.sleep"]).stdout))
        self.site.on_host("h1", "kill", "-KILL", *runs().split())
        error = self.rows(running.end(), TOOL_ERROR)["h1"]["error"]
        self.assertEqual(error["code"], "lost", error)
        self.assertNotIn("upgrade", error["hint"])

    def test_17_files_are_brought_through_either_door_and_only_what_is_lacking_is_sent(self) -> None:
        for number, (first, second) in enumerate((("rpc", "ssh"), ("ssh", "rpc"))):
            file = self.folder / f"payload-{number}"
            content = os.urandom(3 << 20)
            file.write_bytes(content)
            digest = hashlib.sha256(content).hexdigest()
            place = f"/var/lib/switchyard-agent/uploads/{digest}"
            for row in self.rows(self.agent_verb("upload", str(file), door=first)).values():
                self.assertIn(f"of which {len(content)} were sent", row["text"])
            for row in self.rows(self.agent_verb("upload", str(file), door=second)).values():
                self.assertIn("of which 0 were sent", row["text"])
            for name in self.names:
                self.assertEqual(self.site.on_host(name, "sha256sum", place).split()[0], digest)
                # Cut off, it is gone on with through the other door.
                self.site.on_host(name, "truncate", "-s", str(1 << 20), place)
                self.site.on_host(name, "mv", place, f"{place}.part")
            for row in self.rows(self.agent_verb("upload", str(file), door=second)).values():
                self.assertIn(f"of which {2 << 20} were sent", row["text"])
            for name in self.names:
                self.assertEqual(self.site.on_host(name, "sha256sum", place).split()[0], digest)
        self.assertEqual(self.agent_verb("upload", str(self.folder / "nothing")).code, INVALID)

    # MARK: Who is let in

    def assert_refused(self, outcome: Outcome, *because: str) -> None:
        """Each host's agent has refused, for this reason: an agent that merely can't be reached lets nobody in either."""
        for name, row in self.rows(outcome, TOOL_ERROR).items():
            for words in because:
                self.assertIn(words, json.dumps(row), name)

    def controllers(self) -> dict[str, str]:
        """Folders of certificates that no agent may let in, by what agents answer to them in the handshake."""
        found = {}
        for arguments in (("init",), ("issue", "ops", "--role", "controller", "--out", str(self.folder / "foreign-ops"))):
            ended = self.site.run("cert", *arguments, "--authority", str(self.folder / "foreign-authority"))
            self.assertEqual(ended.code, 0, ended.said)
        found["ALERT_UNKNOWN_CA"] = "foreign-ops"
        shutil.copytree(self.folder / "h1", self.folder / "server-ops")  # an agent's own, which is for servers
        for kind in ("pem", "key"):
            (self.folder / f"server-ops/h1.{kind}").rename(self.folder / f"server-ops/ops.{kind}")
        found["ALERT_UNSUPPORTED_CERTIFICATE"] = "server-ops"
        return found

    def test_20_no_agent_lets_in_who_has_no_right_to_and_nothing_is_changed(self) -> None:
        bad = self.controllers()
        before = {name: self.site.traces(name) for name in self.names}
        for why, folder in bad.items():
            for verb in (("status",), ("restart",), ("stop",), ("exec", "all", "say", "word=x"), ("uninstall", "--yes")):
                self.assert_refused(self.agent_verb(*verb, door="rpc", certificate=folder), "no trust", why)
        for name, traces in before.items():
            self.assert_unchanged(traces, self.site.traces(name), name)

    def test_22_a_host_that_shows_another_hosts_certificate_is_not_trusted(self) -> None:
        tls = "/etc/switchyard-agent/tls"
        good = {name: (self.folder / "h1" / f"h1.{kind}").read_bytes() for name, kind in (("agent.pem", "pem"), ("agent.key", "key"))}
        for name, kind in (("agent.key", "key"), ("agent.pem", "pem")):
            self.put("h1", f"{tls}/{name}", (self.folder / "h2" / f"h2.{kind}").read_bytes(),
                     0o640 if kind == "key" else 0o644, "switchyard-agent")
        self.site.on_host("h1", "systemctl", "restart", "switchyard-agent-blue.service")
        before = self.site.traces("h1")
        for verb in (("restart", "--limit", "h1"), ("exec", "h1", "say", "word=x"), ("uninstall", "--yes", "--limit", "h1")):
            outcome = self.agent_verb(*verb, door="rpc")
            self.assertEqual(outcome.code, TOOL_ERROR, outcome.said)
            self.assertRegex(outcome.stdout, "no trust")
        self.assert_unchanged(before, self.site.traces("h1"), "h1")
        row = self.rows(self.agent_verb("exec", "h1", "say", "word=x"))["h1"]
        self.assertIn("no trust", row["door"])
        for name in ("agent.key", "agent.pem"):
            self.put("h1", f"{tls}/{name}", good[name], 0o640 if name == "agent.key" else 0o644, "switchyard-agent")
        self.site.on_host("h1", "systemctl", "restart", "switchyard-agent-blue.service")

    def test_23_an_expired_controller_is_not_let_in(self) -> None:
        clock = WrongClock.make(self.folder)
        clock.set(-3 * 86_400)
        expired, authority = self.folder / "expired-ops", self.folder / "authority"
        expired.mkdir()
        (expired / "use").write_text("extendedKeyUsage=clientAuth\n", encoding="ascii")
        for argv in (["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=ops",
                      "-keyout", expired / "ops.key", "-out", expired / "ops.csr"],
                     ["x509", "-req", "-in", expired / "ops.csr", "-CA", authority / "ca.pem", "-CAkey", authority / "ca.key",
                      "-set_serial", "12345", "-days", "1", "-extfile", expired / "use", "-out", expired / "ops.pem"]):
            subprocess.run(["openssl", *argv], check=True, capture_output=True, env={**os.environ, **clock.environment}, timeout=30)
        before = {name: self.site.traces(name) for name in self.names}
        for verb in (("restart",), ("exec", "all", "say", "word=x")):
            self.assert_refused(
                self.agent_verb(*verb, door="rpc", certificate="expired-ops"), "no trust", "ALERT_CERTIFICATE_EXPIRED")
        for name, traces in before.items():
            self.assert_unchanged(traces, self.site.traces(name), name)

    def test_24_a_revoked_controller_is_not_let_in(self) -> None:
        self.cert("renew", "ops", "--out", str(self.folder / "new-ops"))
        self.cert("renew", *self.names)
        said = subprocess.run(["openssl", "x509", "-in", self.folder / "ops/ops.pem", "-noout", "-serial"],
                              check=True, capture_output=True, text=True, timeout=30).stdout
        self.cert("revoke", "--serial", said.strip().removeprefix("serial="))
        pushed = self.site.run("cert", "push", "--inventory", self.site.inventory, "--door", "ssh", "--agent",
                               self.site.write(self.own("auto").file()), "--authority", str(self.folder / "authority"))
        self.assertEqual(pushed.code, 0, pushed.said)
        before = {name: self.site.traces(name) for name in self.names}
        for verb in (("restart",), ("exec", "all", "say", "word=x")):
            self.assert_refused(self.agent_verb(*verb, door="rpc"), "is revoked")
        for name, traces in before.items():
            self.assert_unchanged(traces, self.site.traces(name), name)
        type(self).certificate = "new-ops"
        self.rows(self.agent_verb("exec", "all", "say", "word=x", door="rpc"))

    # MARK: Its end

    def test_90_uninstall_asks_first(self) -> None:
        outcome = self.agent_verb("uninstall")
        self.assertEqual(outcome.code, INVALID, outcome.said)
        self.assertIn("--yes", outcome.stderr)
        self.rows(self.agent_verb("status"))

    def test_90_uninstall_is_refused_while_a_rollout_is_at_work(self) -> None:
        agent = self.own("ssh")
        running = self.site.start(
            agent, "own-2", policy(waves=[{"name": "all", "hosts": "100%", "batch": "100%", "soak": "15s"}]))
        self.site.await_step(agent, "own-2", "soak")
        for door in ("rpc", "ssh"):
            row = self.rows(self.agent_verb("uninstall", "--yes", "--limit", "h1", door=door), TOOL_ERROR)["h1"]
            self.assertIn("is being changed by", row["text"])
        self.assertEqual(self.active("switchyard-host.socket", "h1"), "active")
        self.assertEqual(self.fleet.execute("h1", ["test", "-e", "/etc/switchyard-agent/agent.yml"]).returncode, 0)
        self.assertEqual(running.end().code, PROMOTED)
        self.rows(self.agent_verb("status"))

    def test_91_uninstall_leaves_only_what_it_says(self) -> None:
        for name, door in (("h1", "rpc"), ("h2", "ssh")):
            # As a playbook's run leaves it.
            self.site.on_host(name, "install", "-d", "-m", "0700", "/var/cache/switchyard", "/var/cache/switchyard/projects")
            self.rows(self.agent_verb("uninstall", "--yes", "--limit", name, door=door))
            # Over RPC its silence was seen, after which it may still drain.
            wait_until(lambda name=name: not left(self.fleet, name), 60, pause=0.5)
            self.assertEqual(left(self.fleet, name), [])
            units = self.site.on_host(name, "systemctl", "list-units", "--all", "--plain", "--no-legend", "switchyard-*")
            # The conversation that carried the order outlives its unit's file: where the agent broke it off, it is listed as failed.
            self.assertEqual([line for line in units.splitlines() if not line.startswith("switchyard-host@")], [])
            self.assertIn("switchyard-agent", self.site.on_host(name, "getent", "passwd", "switchyard-agent"))
        self.assertEqual(self.rows(self.site.run("agent", "list", "--output", "json")), {})
        # Done twice it is done.
        self.rows(self.agent_verb("uninstall", "--yes", door="ssh"))


if __name__ == "__main__":
    unittest.main()

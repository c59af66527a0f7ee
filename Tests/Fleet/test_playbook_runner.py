#!/usr/bin/env python3
"""Playbooks over SSH and behind the agents: the same playbook, equal results; what fails is told apart; secrets stay secret."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import unittest
from pathlib import Path
from typing import Any

import runners
from fleetkit.processes import wait_until
from rollouts import Command, Outcome

SECRET = "planted-7f3a91c2"
VAULTED = "vaulted-5be0d417"
ABORTED = 8

PLAYBOOK = """
- name: Everything that can happen
  hosts: all
  gather_facts: false
  tasks:
    - name: Write what was handed over
      ansible.builtin.copy:
        content: "{{ text }} {{ number + 1 }} {{ group_value }} {{ own_value | default('none') }} {{ flag }}"
        dest: /srv/written
        mode: "0640"
    - name: Copy a file of the project
      ansible.builtin.copy: {src: "{{ source }}", dest: /srv/copied, mode: preserve}
    - name: Copy an attached file
      ansible.builtin.copy: {src: "{{ attached }}", dest: /srv/attached, mode: "0600"}
    - name: Handle a secret
      ansible.builtin.copy: {content: "{{ password }}", dest: /srv/secret, mode: "0600"}
      no_log: true
    - name: Fail with a secret
      ansible.builtin.command: {argv: [ls, "/{{ password }}"]}
      no_log: true
      ignore_errors: true
    - name: Become somebody else
      ansible.builtin.command: {argv: [id, -un]}
      become: true
      become_user: ops
      register: who
      changed_when: false
    - name: Write who that was
      ansible.builtin.copy: {content: "{{ who.stdout }}", dest: /srv/who, mode: "0644"}
    - name: Skip
      ansible.builtin.command: {argv: ["false"]}
      when: false
    - name: Rescue
      block:
        - name: Go wrong
          ansible.builtin.command: {argv: ["false"]}
      rescue:
        - name: Put it right
          ansible.builtin.file: {path: /srv/rescued, state: directory, mode: "0755"}
    - name: Fail where it should
      ansible.builtin.fail: {msg: "as asked"}
      when: fails | default(false)
"""

LONG = """
- name: Long
  hosts: all
  gather_facts: false
  tasks:
    - name: Take long
      ansible.builtin.command: {argv: [sleep, '3471']}
"""


class PlaybookRunner(runners.WithAgents):
    """h1 and h2 have an agent, h3 has none."""

    hosts = 3
    is_long = True
    project: Path

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.project = cls.folder / "project"
        (cls.project / "files").mkdir(parents=True)
        (cls.project / "site.yml").write_text(PLAYBOOK, encoding="utf-8")
        (cls.project / "files" / "source.txt").write_text("from the project\n", encoding="utf-8")
        (cls.project / "long.yml").write_text(LONG, encoding="utf-8")
        (cls.project / "filler.bin").write_bytes(os.urandom(400_000))
        (cls.folder / "attached.txt").write_text("from the controller\n", encoding="utf-8")
        cls.prepare("h1", "h2")

    # What the tests use

    def inventory(self) -> str:
        """The fleet's own, with variables of groups and hosts beside it."""
        folder = self.folder / "inventory"
        if not folder.exists():
            (folder / "group_vars").mkdir(parents=True)
            (folder / "host_vars").mkdir()
            shutil.copy(self.site.inventory, folder / "hosts.yml")
            (folder / "group_vars" / "all.yml").write_text("group_value: of all\n", encoding="utf-8")
            (folder / "host_vars" / "h1.yml").write_text("own_value: of h1\n", encoding="utf-8")
        return str(folder / "hosts.yml")

    def command(self, door: str, *more: str, playbook: Path | None = None, limit: str = "h1,h2") -> Command:
        agent = [] if door == "ssh" else ["--agent", self.agent_file(door)]
        return self.site.command(
            "playbook", "run", str(playbook or self.project / "site.yml"), "--inventory", self.inventory(), "--limit", limit,
            "--door", door, *agent, "--ansible-runner", str(self.runner), "--output", "json", *more)

    def variables(self, **more: Any) -> list[str]:
        path = self.folder / "vars.json"
        path.write_text(json.dumps({"number": 41, "flag": True, "password": SECRET, "source": "source.txt", **more}), encoding="utf-8")
        return ["--vars", str(path), "-e", "text=it's $HOME; `x`", "--file", f"attached={self.folder / 'attached.txt'}"]

    def report(self, outcome: Outcome) -> dict[str, dict[str, Any]]:
        """The last line's hosts, by name."""
        lines = outcome.stdout.splitlines()
        self.assertTrue(lines, outcome.said)
        last = json.loads(lines[-1])
        self.assertEqual(last["event"], "report", outcome.said)
        return {host["host"]: host for host in last["report"]["hosts"]}

    def log(self, outcome: Outcome) -> list[dict[str, Any]]:
        """The lines of a run's log."""
        run = json.loads(outcome.stdout.splitlines()[-1])["run"]
        logs = self.site.run("logs", run, "--source", "playbook", "--output", "json")
        self.assertEqual(logs.code, 0, logs.said)
        return [json.loads(line) for line in logs.stdout.splitlines()]

    def left(self, host: str) -> dict[str, tuple[str, str]]:
        """What the playbook has left on a host: mode and owner, and content; it is gone afterwards."""
        found = {}
        for name in ("written", "copied", "attached", "secret", "who", "rescued"):
            about = self.site.on_host(host, "stat", "-c", "%a %U", f"/srv/{name}").strip()
            found[name] = (about, self.site.on_host(host, "cat", f"/srv/{name}"))
            self.site.on_host(host, "rm", "-rf", f"/srv/{name}")
        return found

    def processes(self, *words: str) -> list[str]:
        """Processes of this machine, its hosts' among them, that have one of these words in their arguments."""
        listing = subprocess.run(["ps", "-eo", "pid,args", "--no-headers"], capture_output=True, text=True, check=True).stdout
        return [line for line in listing.splitlines() if any(word in line for word in words)]

    # Tests

    def test_1_both_doors_give_equal_results(self) -> None:
        left, counts = {}, {}
        for door in ("ssh", "rpc"):
            outcome = self.command(door, *self.variables()).end()
            self.assertEqual(outcome.code, 0, outcome.said)
            report = self.report(outcome)
            log = self.log(outcome)
            for host in ("h1", "h2"):
                said = [line["text"] for line in log if line.get("host") == host]
                self.assertIn("changed  Copy a file of the project", said)
                self.assertRegex(said[-1], "^done: changed  ")
            self.assertEqual(log[-1]["text"], "it has ended")
            self.assertEqual({host: entry["door"]["door"] for host, entry in report.items()}, {"h1": door, "h2": door})
            counts[door] = {host: (entry["outcome"], entry["counts"]) for host, entry in report.items()}
            left[door] = {host: self.left(host) for host in ("h1", "h2")}
        self.assertEqual(counts["ssh"], counts["rpc"])
        self.assertEqual(counts["ssh"]["h1"][0], "changed")
        self.assertEqual((counts["ssh"]["h1"][1]["rescued"], counts["ssh"]["h1"][1]["ignored"], counts["ssh"]["h1"][1]["skipped"]), (1, 1, 2))
        self.assertEqual(left["ssh"], left["rpc"])
        self.assertEqual(left["ssh"]["h1"]["written"], ("640 root", "it's $HOME; `x` 42 of all of h1 True"))
        self.assertEqual(left["ssh"]["h2"]["written"], ("640 root", "it's $HOME; `x` 42 of all none True"))
        self.assertEqual(left["ssh"]["h1"]["who"][1], "ops")
        self.assertEqual(left["ssh"]["h1"]["attached"], ("600 root", "from the controller\n"))
        self.assertEqual(left["ssh"]["h1"]["secret"][1], SECRET)

    def test_2_auto_takes_the_agent_where_one_answers_and_says_why_where_not(self) -> None:
        outcome = self.command("auto", *self.variables(), limit="all").end()
        self.assertEqual(outcome.code, 0, outcome.said)
        doors = {host: entry["door"] for host, entry in self.report(outcome).items()}
        self.assertEqual({host: door["door"] for host, door in doors.items()}, {"h1": "rpc", "h2": "rpc", "h3": "ssh"})
        self.assertIn("no agent answers", doors["h3"]["why"])

    def test_3_failed_unreachable_and_skipped_are_told_apart(self) -> None:
        playbook = self.project / "apart.yml"
        playbook.write_text(
            "- name: Apart\n  hosts: all\n  gather_facts: false\n  tasks:\n"
            "    - name: Fail on h1\n      ansible.builtin.command: {argv: [ls, /nowhere]}\n      when: inventory_hostname == 'h1'\n"
            "    - name: Reach h3\n      ansible.builtin.ping:\n      when: inventory_hostname == 'h3'\n",
            encoding="utf-8")
        self.fleet.fault("h3", "cut")
        try:
            outcome = self.command("auto", playbook=playbook, limit="all").end()
        finally:
            self.fleet.fault("h3", "heal")
        self.assertEqual(outcome.code, 7, outcome.said)
        report = self.report(outcome)
        self.assertEqual({host: entry["outcome"] for host, entry in report.items()},
                         {"h1": "failed", "h2": "skipped", "h3": "unreachable"}, outcome.said)
        self.assertEqual(report["h1"]["failedTask"], "Fail on h1")
        self.assertIn("/nowhere", report["h1"]["reason"])

    def test_4_a_project_is_sent_once_and_again_where_its_copy_was_altered(self) -> None:
        self.site.on_host("h1", "rm", "-rf", "/var/cache/switchyard/projects")
        sent = []
        for number in range(4):
            if number == 2:
                digest = self.site.on_host("h1", "ls", "/var/cache/switchyard/projects").split()[-1]
                self.site.on_host("h1", "sh", "-c", f"echo '# altered' >> /var/cache/switchyard/projects/{digest}/site.yml")
            outcome = self.command("rpc", *self.variables(), limit="h1").end()
            self.assertEqual(outcome.code, 0, outcome.said)
            entry = self.report(outcome)["h1"]
            sent.append((entry["sentProject"], entry["sentBytes"]))
        self.assertEqual([project for project, _ in sent], [True, False, True, False], sent)
        self.assertGreater(sent[0][1], 400_000)
        self.assertLess(sent[1][1], 20_000)
        self.assertGreater(sent[2][1], 400_000)

    def test_5_nothing_of_a_run_that_is_broken_off_stays(self) -> None:
        killed = 0
        ours = ("sleep 3471", str(self.folder / "tools"))
        for door, ending in (("rpc", signal.SIGKILL), ("rpc", signal.SIGINT), ("ssh", signal.SIGINT)):
            with self.subTest(door=door, ending=ending):
                command = self.command(door, playbook=self.project / "long.yml")
                self.wait_for("the playbook's task", lambda: len(self.processes("sleep 3471")) >= 2)
                command.process.send_signal(ending)
                outcome = command.end()
                if ending == signal.SIGINT:
                    self.assertEqual(outcome.code, ABORTED, outcome.said)
                    self.assertEqual({entry["outcome"] for entry in self.report(outcome).values()}, {"lost"}, outcome.said)
                self.assertTrue(wait_until(lambda: not self.processes(*ours), 15), self.processes(*ours))
                for host in ("h1", "h2"):
                    self.wait_for("the unit's end", lambda: "playbook@" not in self.site.on_host(host, "systemctl", "list-units", "--no-legend"))
                    self.assertEqual(self.site.on_host(host, "ls", "/run/switchyard-playbook").split(), [])
                if ending == signal.SIGKILL:
                    killed = command.process.pid
        # Nobody was left to remove it: the next run has.
        self.assertEqual(list(Path("/run").glob(f"switchyard-playbook-{killed}-*")), [])

    def test_6_a_deadline_ends_a_run(self) -> None:
        outcome = self.command("rpc", "--deadline", "6s", playbook=self.project / "long.yml", limit="h1").end(60)
        self.assertEqual(outcome.code, 124, outcome.said)
        self.assertTrue(wait_until(lambda: not self.processes("sleep 3471"), 15))

    def test_7_secrets_are_in_no_file_and_no_output(self) -> None:
        vault = self.folder / "vault-password"
        vault.write_text("open sesame\n", encoding="utf-8")
        encrypted = subprocess.run(
            [self.runner.with_name("ansible-vault"), "encrypt_string", "--vault-password-file", vault, "--name", "vaulted", VAULTED],
            capture_output=True, text=True, check=True, timeout=60).stdout
        variables = self.folder / "vaulted.yml"
        variables.write_text(encrypted, encoding="utf-8")
        playbook = self.project / "vaulted.yml"
        playbook.write_text(
            "- name: Vaulted\n  hosts: all\n  gather_facts: false\n  tasks:\n"
            "    - name: Fail with a vault's secret\n      ansible.builtin.command: {argv: [ls, '/{{ vaulted }}']}\n", encoding="utf-8")
        before = time.time() - 1
        for door in ("ssh", "rpc"):
            outcome = self.command(door, *self.variables(fails=True)).end()
            self.assertEqual(outcome.code, 1, outcome.said)
            self.assertNotIn(SECRET, outcome.said)
            self.assertIn("as asked", outcome.said)
            outcome = self.command(door, "--vars", str(variables), "--vault-password-file", str(vault), playbook=playbook).end()
            self.assertEqual(outcome.code, 1, outcome.said)
            self.assertEqual({entry["outcome"] for entry in self.report(outcome).values()}, {"failed"}, outcome.said)
            self.assertNotIn(VAULTED, outcome.said)
            self.assertIn("withheld", outcome.said)
        self.assertEqual(self.files_with(before), [])
        for host in ("h1", "h2"):
            found = self.site.on_host(host, "grep", "-rlE", f"{SECRET}|{VAULTED}", "/var", "/etc", "/root", "/opt/switchyard", "/run",
                                      "/tmp", "/home")
            self.assertEqual(found.split(), [], host)
            journal = self.site.on_host(host, "journalctl", "--no-pager", "-o", "cat")
            self.assertNotIn(SECRET, journal)
            self.assertNotIn(VAULTED, journal)

    def files_with(self, since: float) -> list[str]:
        """Files of this machine, written since, that hold a secret; those that the test has written aside."""
        found = []
        for base in ("/run", "/tmp", "/var/lib", str(Path.home() / ".ansible")):
            # Others' folders come and go meanwhile; hosts' disks are looked at on the hosts.
            for folder, _, names in os.walk(base):
                for path in (Path(folder) / name for name in names if name != "vars.json" and "/fleet/" not in folder):
                    try:
                        if path.is_symlink() or not path.is_file() or path.stat().st_mtime < since or path.stat().st_size > 50_000_000:
                            continue
                        content = path.read_bytes()
                    except OSError:
                        continue
                    if SECRET.encode() in content or VAULTED.encode() in content:
                        found.append(str(path))
        return found

    def test_8_what_is_wrong_is_told_before_anything_runs(self) -> None:
        plays = {
            "role.yml": ("  roles: [nowhere]\n", "nowhere"), "module.yml": ("  tasks: [{no.such.module: {}}]\n", "no.such.module"),
            "syntax.yml": ("  tasks: [{name: x\n", "YAML"),
        }
        for name, (rest, word) in plays.items():
            playbook = self.project / name
            playbook.write_text("- name: Wrong\n  hosts: all\n" + rest, encoding="utf-8")
            outcome = self.command("ssh", playbook=playbook).end()
            self.assertEqual(outcome.code, 2, outcome.said)
            self.assertIn(word, outcome.stderr)
            playbook.unlink()
        empty = self.project / "empty.yml"
        empty.write_text("- name: Nobody\n  hosts: nobody\n  tasks: [{ansible.builtin.debug: {msg: x}}]\n", encoding="utf-8")
        self.assertEqual(self.command("ssh", playbook=empty).end().code, 2)
        self.assertEqual(self.command("ssh", playbook=self.project / "missing.yml").end().code, 2)
        self.assertEqual(self.command("ssh", limit="nobody").end().code, 2)
        self.assertEqual(self.command("ssh", "-e", "no value").end().code, 2)
        outcome = self.site.run("playbook", "run", str(self.project / "site.yml"), "--inventory", self.inventory(),
                                "--ansible-runner", "/nonexistent/ansible-runner")
        self.assertEqual(outcome.code, 1, outcome.said)
        self.assertIn("pip install", outcome.stderr)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""A playbook prepares hosts of a rollout: before anything of the agent is changed, and with a failure that changes nothing of it."""

from __future__ import annotations

import json
import unittest

import runners
from rollouts import PROMOTED, ROLLED_BACK, Agent, at_once, policy

INVALID = 2

PLAYBOOK = """
- name: Prepare
  hosts: all
  gather_facts: false
  tasks:
    - name: Leave a mark
      ansible.builtin.copy: {content: "%(mark)s", dest: /srv/prepared, mode: "0644"}
    - name: Fail where it should
      ansible.builtin.fail: {msg: "as asked"}
      when: inventory_hostname == '%(fails)s'
"""


class Prepare(runners.WithAgents):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.site.environment = {"SWITCHYARD_ANSIBLE_RUNNER": str(cls.runner)}
        (cls.site.folder / "plays").mkdir()

    def prepared_by(self, agent: Agent, mark: str, fails: str = "") -> Agent:
        path = self.site.folder / "plays" / f"{mark}.yml"
        path.write_text(PLAYBOOK % {"mark": mark, "fails": fails}, encoding="utf-8")
        agent.fields["prepare"] = str(path)
        return agent

    def marks(self) -> list[str]:
        return [self.site.on_host(host.name, "cat", "/srv/prepared") for host in self.fleet.hosts]

    def test_hosts_are_prepared_before_they_get_their_first_release(self) -> None:
        agent = self.prepared_by(self.agent(), "first")
        outcome = self.site.roll_out(agent, "agent-1", at_once())
        self.assertEqual(outcome.code, PROMOTED, outcome.said)
        self.assertEqual(self.marks(), ["first", "first"])
        self.assert_serving(agent, "1.0.0")

    def test_behind_an_agent_it_is_run_there(self) -> None:
        self.prepare("h1")
        means = {"port": 7440, "authority": str(self.folder / "ops/ca.pem"), "certificate": str(self.folder / "ops/ops.pem"),
                 "key": str(self.folder / "ops/ops.key")}
        agent = self.prepared_by(self.agent(door="auto", rpc=means), "third")
        outcome = self.site.roll_out(agent, "agent-1", at_once())
        self.assertEqual(outcome.code, PROMOTED, outcome.said)
        self.assertEqual(self.marks(), ["third", "third"])
        runs = {host: self.site.on_host(host, "journalctl", "--no-pager", "-o", "cat").count("a playbook's run")
                for host in ("h1", "h2")}
        self.assertGreater(runs["h1"], 0)
        self.assertEqual(runs["h2"], 0)

    def test_whoever_follows_a_hosts_log_reads_the_playbooks_lines_before_the_candidates_start(self) -> None:
        agent = self.prepared_by(self.installed(), "fourth")
        command = self.site.start(agent, "agent-2", policy(soak="3s"))
        self.site.await_step(agent, "agent-2", "stage")
        follower = self.site.command("logs", self.site.status()["id"], "--host", "h1", "--follow", "--output", "json")
        self.assertEqual(command.end().code, PROMOTED)
        read = follower.end()
        self.assertEqual(read.code, 0, read.said)
        lines = [json.loads(line) for line in read.stdout.splitlines()]
        door = self.site.door.name
        self.assertLessEqual({"step", "playbook", "gate", "rollout", door}, {line["source"] for line in lines})
        self.assertEqual([line["wall"] for line in lines], sorted(line["wall"] for line in lines))
        self.assertEqual({line["host"] for line in lines}, {"h1"})
        prepared = max(place for place, line in enumerate(lines) if line["source"] == "playbook")
        started = min(place for place, line in enumerate(lines) if line["source"] == door and line["text"].startswith("start"))
        self.assertIn("Leave a mark", read.stdout)
        self.assertLess(prepared, started, read.stdout)

    def test_where_it_fails_nothing_of_the_agent_is_changed(self) -> None:
        agent = self.prepared_by(self.installed(), "second", fails="h1")
        outcome = self.site.roll_out(agent, "agent-2", policy(), "--output", "json")
        self.assertEqual(outcome.code, ROLLED_BACK, outcome.said)
        self.assertIn("Fail where it should: as asked", outcome.said)
        self.assert_serving(agent, "1.0.0")
        begun = [step for _, step in self.site.steps(agent, "agent-2")]
        self.assertIn("stage", begun)
        self.assertNotIn("start", begun)
        # The journal has it before what it came to.
        said = self.site.run("rollout", "logs", "--host", "h1").stdout
        self.assertRegex(said, r"(?s)h1: prepare second.yml: failed: Fail where it should.*h1: failed: ")
        news = [event for event in (json.loads(line) for line in outcome.stdout.splitlines()) if event["event"] == "playbook"]
        self.assertIn(("prepare", "second.yml", "Fail where it should", "failed"),
                      [(event["playbook"]["occasion"], event["playbook"]["playbook"], event["playbook"]["news"].get("task"),
                        event["playbook"]["news"].get("outcome")) for event in news])

    def test_a_playbook_that_is_none_is_refused_before_any_host_is_asked(self) -> None:
        agent = self.agent()
        path = self.site.folder / "plays" / "wrong.yml"
        path.write_text("- name: Wrong\n  hosts: all\n  roles: [nowhere]\n", encoding="utf-8")
        agent.fields["prepare"] = str(path)
        outcome = self.site.roll_out(agent, "agent-1", at_once())
        path.unlink()
        self.assertEqual(outcome.code, INVALID, outcome.said)
        self.assertIn("nowhere", outcome.stderr)


if __name__ == "__main__":
    unittest.main()

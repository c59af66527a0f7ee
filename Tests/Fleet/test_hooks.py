#!/usr/bin/env python3
"""Playbooks around waves: what they are told, what waits for them, and a controller that dies in the middle of one."""

from __future__ import annotations

import json
import unittest
from typing import Any

import runners
from rollouts import PROMOTED, Agent, policy

INVALID, PAUSED = 2, 5

CHECKS = """
- name: Checks
  hosts: all
  gather_facts: false
  tasks:
    - name: Leave a mark
      ansible.builtin.shell: >-
        echo before {{ switchyard_rollout }} {{ switchyard_wave }} {{ switchyard_version }} {{ switchyard_agent }}
        >> /srv/hooks-%(name)s
    - name: Wait as long as it should
      ansible.builtin.shell: while test -e /srv/hold-%(name)s; do sleep 0.2; done
    - name: Refuse where it should
      ansible.builtin.stat: {path: /srv/refuse-%(name)s}
      register: refusal
      failed_when: refusal.stat.exists
"""

VERIFY = """
- name: Verify
  hosts: all
  gather_facts: false
  tasks:
    - name: Leave a mark
      ansible.builtin.shell: echo after {{ switchyard_wave }} >> /srv/hooks-%(name)s
    - name: Look at what is served
      ansible.builtin.uri: {url: "http://127.0.0.1:%(port)s/", return_content: true}
      register: answer
      failed_when: answer.json.version != switchyard_version
"""


class Hooks(runners.WithAgents):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.site.environment = {"SWITCHYARD_ANSIBLE_RUNNER": str(cls.runner)}

    def hooked(self, agent: Agent) -> dict[str, Any]:
        """A canary and a rest, both with hooks; the files lie beside the policy."""
        for kind, text in (("checks", CHECKS), ("verify", VERIFY)):
            folder = self.site.folder / f"{kind}-{agent.name}"
            folder.mkdir()
            (folder / "hook.yml").write_text(text % {"name": agent.name, "port": agent.public}, encoding="utf-8")
        return policy(hooks={"before_wave": f"checks-{agent.name}/hook.yml", "after_wave": f"verify-{agent.name}/hook.yml"})

    def marks(self, agent: Agent, host: str) -> list[list[str]]:
        return [line.split() for line in self.site.on_host(host, "cat", f"/srv/hooks-{agent.name}").splitlines()]

    def hooks(self, agent: Agent) -> list[tuple[str, int, str]]:
        """Hooks as the journal has them: begun, and what they came to."""
        said = []
        for record in self.site.records(agent, "agent-2"):
            entry = record["entry"]
            begun = entry.get("intent", {}).get("_0", {}).get("runHook")
            ended = entry.get("event", {}).get("_0", {}).get("event", {}).get("hook")
            if begun or ended:
                run = (begun or ended)["_0"]
                said.append((run["hook"], run["wave"], "begun" if begun else next(iter(ended["_1"]))))
        return said

    def news(self, agent: Agent) -> list[tuple[str, str, str]]:
        """What playbooks did, as the journal has it: on which host, what, and how it ended."""
        said = []
        for record in self.site.records(agent, "agent-2"):
            event = record["entry"].get("playbook", {}).get("_0", {}).get("event", {})
            if "result" in event:
                result = event["result"]["_0"]
                said.append((result["host"], result["task"]["name"], result["outcome"]))
            elif "ended" in event:
                said.append((event["ended"]["_0"]["host"], "", event["ended"]["_0"]["outcome"]))
        return said

    def doors(self, agent: Agent) -> set[str]:
        """The doors that playbooks took to hosts, as the journal has it."""
        events = (record["entry"].get("playbook", {}).get("_0", {}).get("event", {}) for record in self.site.records(agent, "agent-2"))
        return {event["door"]["_1"]["door"] for event in events if "door" in event}

    ALL = [(hook, wave, how) for wave in (0, 1) for hook in ("before_wave", "after_wave") for how in ("begun", "passed")]

    def test_each_wave_waits_for_its_hooks_which_are_told_what_goes_on(self) -> None:
        agent = self.installed()
        rules = self.hooked(agent)
        plan = self.site.start(agent, "agent-2", rules, "--output", "json", verb="plan").end()
        self.assertEqual(len(json.loads(plan.stdout)["hooks"]["after_wave"]["digest"]), 64, plan.said)
        outcome = self.site.roll_out(agent, "agent-2", rules)
        status = self.assert_end(outcome, PROMOTED, "promoted")
        self.assertIn("wave canary waits: before_wave hook.yml on 1 host", outcome.stdout)
        self.assertIn("wave rest: after_wave hook.yml passed", outcome.stdout)
        for wave, host in ((1, "h1"), (2, "h2")):
            told = ["before", status["id"], str(wave), "2.0.0", agent.name]
            self.assertEqual(self.marks(agent, host), [told, ["after", str(wave)]])
        self.assertEqual(self.hooks(agent), self.ALL)
        self.assertEqual(self.doors(agent), {self.site.door.name})
        self.assertEqual(status["hooks"], {"before_wave": "hook.yml", "after_wave": "hook.yml"})
        log = self.site.run("logs", status["id"], "--source", "playbook").stdout
        for words in ("before_wave runs Leave a mark", "before_wave changed: Leave a mark", "after_wave runs Look at what is served",
                      "after_wave ended as changed"):
            self.assertIn(words, log)
        self.assertNotIn("Look at what is served", self.site.run("logs", status["id"], "--source", "step").stdout)
        done = [("Leave a mark", "changed"), ("Wait as long as it should", "changed"), ("", "changed")]
        self.assertEqual(self.news(agent), [
            (host, *what) for host in ("h1", "h2") for what in [*done, done[0], done[2]]])
        self.assertRegex(outcome.stdout, r"h1 before_wave hook.yml of wave canary: changed: Leave a mark")
        self.assertRegex(self.site.run("rollout", "logs", status["id"], "--host", "h2").stdout,
                         r"h2: after_wave hook.yml of wave rest: ended as changed")
        self.assert_serving(agent, "2.0.0")

    def test_a_failed_check_begins_nothing_and_is_run_again_once_its_cause_is_mended(self) -> None:
        agent = self.installed()
        rules = self.hooked(agent)
        self.site.on_host("h2", "touch", f"/srv/refuse-{agent.name}")
        before = self.site.traces("h2")
        outcome = self.site.roll_out(agent, "agent-2", rules)
        status = self.assert_end(outcome, PAUSED, "paused")
        for word in ("before_wave hook.yml", "wave rest", "h2", "Refuse where it should"):
            self.assertIn(word, status["reason"])
        self.assertEqual(self.site.answers(agent), {"h1": "2.0.0", "h2": "1.0.0"})
        self.assertEqual({host for host, _ in self.site.steps(agent, "agent-2")}, {"h1"})
        self.assertEqual(self.news(agent)[-2:], [("h2", "Refuse where it should", "failed"), ("h2", "", "failed")])
        self.assert_unchanged(before, self.site.traces("h2"))
        self.site.on_host("h2", "rm", f"/srv/refuse-{agent.name}")
        self.assert_end(self.site.run("rollout", "resume"), PROMOTED, "promoted")
        self.assertEqual([mark[0] for mark in self.marks(agent, "h2")], ["before", "before", "after"])
        self.assert_serving(agent, "2.0.0")

    def test_a_controller_killed_in_the_middle_of_a_hook_leaves_it_to_the_next_one(self) -> None:
        agent = self.installed()
        rules = self.hooked(agent)
        self.site.on_host("h2", "touch", f"/srv/hold-{agent.name}")
        command = self.site.start(agent, "agent-2", rules)
        self.wait_for("the second wave's hook", lambda: ("before_wave", 1, "begun") in self.hooks(agent))
        self.wait_for("its first task", lambda: self.site.on_host("h2", "ls", "/srv").count(f"hooks-{agent.name}") > 0)
        waiting = self.site.status()
        self.assertEqual(waiting["waves"][1]["state"], "pending")
        self.assertEqual(waiting["waves"][1]["hook"]["playbook"], "hook.yml")
        command.kill()
        self.site.on_host("h2", "rm", f"/srv/hold-{agent.name}")
        self.assert_end(self.site.run("rollout", "resume"), PROMOTED, "promoted")
        self.assertEqual(self.hooks(agent), [*self.ALL[:5], ("before_wave", 1, "begun"), *self.ALL[5:]])
        self.assertEqual([mark[0] for mark in self.marks(agent, "h2")], ["before", "before", "after"])
        self.assert_serving(agent, "2.0.0")

    def test_a_pause_ends_a_hook_at_once_and_an_altered_one_is_not_run(self) -> None:
        agent = self.installed()
        rules = self.hooked(agent)
        self.site.on_host("h1", "touch", f"/srv/hold-{agent.name}")
        command = self.site.start(agent, "agent-2", rules)
        self.wait_for("the first wave's hook", lambda: ("before_wave", 0, "begun") in self.hooks(agent))
        self.assertEqual(self.site.run("rollout", "pause").code, 0)
        self.assert_end(command.end(30), PAUSED, "paused")
        self.assertEqual(self.hooks(agent)[-1], ("before_wave", 0, "cancelled"))
        playbook = self.site.folder / f"checks-{agent.name}" / "hook.yml"
        text = playbook.read_text(encoding="utf-8")
        playbook.write_text(text + "# altered\n", encoding="utf-8")
        self.site.on_host("h1", "rm", f"/srv/hold-{agent.name}")
        status = self.assert_end(self.site.run("rollout", "resume"), PAUSED, "paused")
        self.assertIn("no longer what the plan has frozen", status["reason"])
        self.assertEqual(self.site.steps(agent, "agent-2"), [])
        playbook.write_text(text, encoding="utf-8")
        self.assert_end(self.site.run("rollout", "resume"), PROMOTED, "promoted")

    def test_a_hook_that_is_none_is_refused_before_any_host_is_asked(self) -> None:
        agent = self.agent()
        outcome = self.site.roll_out(agent, "agent-1", policy(hooks={"after_wave": "nowhere.yml"}))
        self.assertEqual(outcome.code, INVALID, outcome.said)
        self.assertRegex(outcome.stderr, r":\d+:\d+: there is no playbook \S*nowhere\.yml")


if __name__ == "__main__":
    unittest.main()

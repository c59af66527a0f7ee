#!/usr/bin/env python3
"""What the program says of hosts, what it leaves on them, and for how long there is a way back."""

from __future__ import annotations

import json
import re
import time
import unittest
from typing import Any

from rollouts import INCOMPLETE, INVALID, PROMOTED, ROLLED_BACK, TOOL_ERROR, WOULD_FAIL, Agent, RolloutTest, at_once, policy

SHORT_GATE = {"successes": 3, "interval": "200ms", "timeout": "1s", "deadline": "3s"}


class Plans(RolloutTest):
    def plan(self, agent: Agent, release: str, *more: str) -> tuple[int, dict[str, Any], str]:
        outcome = self.site.start(agent, release, None, "--output", "json", *more, verb="plan").end()
        return outcome.code, json.loads(outcome.stdout), outcome.stderr

    def actions(self, plan: dict[str, Any]) -> dict[str, str]:
        return {host["host"]: host["action"] for host in plan["hosts"]}

    def test_everything_that_stands_in_a_hosts_way_is_told_at_once_and_nothing_is_changed(self) -> None:
        agent = self.installed()
        self.squat(agent, "h1")
        agent.fields["dependencies"] = [{"tcp": "127.0.0.1:9"}, {"disk_free": "900TB"}]
        before = {host: self.site.traces(host) for host in ("h1", "h2")}
        code, plan, complaint = self.plan(agent, "agent-2")
        self.assertEqual((code, self.actions(plan)), (WOULD_FAIL, {"h1": "fail", "h2": "fail"}))
        self.assertIn("2 of 2", complaint)
        problems = {host["host"]: host["problem"] for host in plan["hosts"]}
        for said in ("127.0.0.1:9", "disk", str(agent.slots["green"]), "python3"):
            self.assertIn(said, problems["h1"])
        self.assertNotIn("python3", problems["h2"])
        text = self.site.start(agent, "agent-2", verb="plan").end()
        self.assertEqual(text.code, WOULD_FAIL, text.said)
        for host, traces in before.items():
            self.assert_unchanged(traces, self.site.traces(host), host)
        listed = self.site.run("rollout", "list", "--output", "json")
        self.assertNotIn("2.0.0", [row["version"] for row in json.loads(listed.stdout) if row["agent"] == agent.name])

    def test_a_plan_says_what_would_be_done(self) -> None:
        agent = self.installed()
        code, plan, _ = self.plan(agent, "agent-2")
        self.assertEqual((code, self.actions(plan)), (0, {"h1": "upgrade", "h2": "upgrade"}))
        self.assertEqual([wave["hosts"] for wave in plan["waves"]], [["h1"], ["h2"]])
        self.assertEqual({(host["live_version"], host["live_slot"], host["candidate_slot"]) for host in plan["hosts"]},
                         {("1.0.0", "blue", "green")})
        self.assertEqual(self.actions(self.plan(agent, "agent-1")[1]), {"h1": "none", "h2": "none"})
        self.assertEqual(self.actions(self.plan(self.agent(), "agent-1")[1]), {"h1": "install", "h2": "install"})
        self.assertEqual(self.actions(self.plan(agent, "agent-2", "--offline")[1]), {"h1": "unknown", "h2": "unknown"})
        code, plan, _ = self.plan(agent, "agent-2", "--limit", "h2")
        self.assertEqual((code, self.actions(plan)), (0, {"h2": "upgrade"}))

    def test_a_verb_that_lacks_something_is_no_success(self) -> None:
        outcome = self.site.run("rollout", "start", "--inventory", self.site.inventory, "--version", "2.0.0", "--yes")
        self.assertEqual((outcome.code, outcome.stdout), (INVALID, ""), outcome.said)
        self.assertRegex(self.site.run("--version").stdout, r"^switchyard \d")

    def test_files_that_are_wrong_are_all_named_and_nothing_is_asked_or_written(self) -> None:
        agent = self.agent(public_port=70000)
        before = self.site.traces("h1")
        rules = policy(waves=[{"name": "a", "hosts": "101%"}])
        outcome = self.site.roll_out(agent, "agent-1", rules, "--output", "json")
        self.assertEqual((outcome.code, outcome.stdout), (INVALID, ""), outcome.said)
        places = re.findall(r"^(\S+\.yml):\d+:\d+: ", outcome.stderr, re.MULTILINE)
        self.assertEqual(len(set(places)), 2, outcome.said)
        self.assert_unchanged(before, self.site.traces("h1"))


class HostVerbs(RolloutTest):
    def test_hosts_are_listed_and_checked(self) -> None:
        agent = self.installed()
        listed = self.site.hosts("list", agent, "--output", "json")
        self.assertEqual([host["name"] for host in json.loads(listed.stdout)], ["h1", "h2"], listed.said)
        self.assertEqual(len(self.site.hosts("list", agent, "--limit", "h2").stdout.splitlines()), 1)
        checked = self.site.hosts("check", agent, "--output", "json")
        self.assertEqual(checked.code, 0, checked.said)
        self.assertEqual([row["facts"]["agent"]["owner"] for row in json.loads(checked.stdout)], ["blue", "blue"])
        self.site.door.shut("h2")
        self.addCleanup(self.site.door.open, "h2")
        checked = self.site.hosts("check", agent, "--output", "json")
        self.assertEqual(checked.code, TOOL_ERROR, checked.said)
        self.assertEqual([row["ok"] for row in json.loads(checked.stdout)], [True, False])

    def test_clear_lets_a_refused_release_be_tried_again(self) -> None:
        agent = self.installed()
        self.assertEqual(self.site.roll_out(agent, "agent-2", at_once()).code, PROMOTED)
        self.assertEqual(self.site.run("rollout", "rollback").code, 0)
        self.assertEqual(self.site.roll_out(agent, "agent-2", at_once()).code, ROLLED_BACK)
        self.assertEqual(self.site.hosts("clear", agent, "--reason", "it was the network").code, 0)
        self.assert_end(self.site.roll_out(agent, "agent-2", at_once()), PROMOTED, "promoted")

    def test_forget_removes_what_is_ours_of_the_agent(self) -> None:
        agent = self.installed()
        refused = self.site.hosts("forget", agent)
        self.assertEqual(refused.code, TOOL_ERROR, refused.said)
        self.assertIn("--force", refused.said)
        self.assert_serving(agent, "1.0.0")
        self.assertEqual(self.site.hosts("forget", agent, "--force").code, 0)
        for host in ("h1", "h2"):
            left = [line for line in self.site.traces(host) if f"{agent.name}-" in line or f"/{agent.name}/" in line]
            own = f"/var/lib/switchyard-agents/{agent.name}/"  # the agent's data is its own
            self.assertEqual([line for line in left if not line.startswith(own)], [])
            self.assertNotEqual(self.site.answer(agent, host), "1.0.0")
        self.assertEqual(self.site.roll_out(agent, "agent-1", at_once()).code, PROMOTED)

    def test_units_are_confined(self) -> None:
        units = ["switchyard-restore.service", "switchyard-guard.service"]
        for user in ("root", "nobody"):
            units.append(f"{self.installed(user=user).name}-blue.service")
        for unit in units:
            with self.subTest(unit):
                self.assertLessEqual(self.site.exposure("h1", unit), 3.0)


class Retention(RolloutTest):
    def keep(self, running: str, installed: str) -> dict[str, Any]:
        return {**at_once(), "keep_old": {"running": running, "installed": installed}}

    def await_unit(self, agent: Agent, slot: str, state: str) -> None:
        for host in ("h1", "h2"):
            self.wait_for(f"{slot} {state} on {host}", lambda host=host: state == self.unit_state(host, agent, slot))

    def unit_state(self, host: str, agent: Agent, slot: str) -> str:
        units = {entry["slot"]: entry for entry in self.site.on_record(host, agent)["slots"]}
        return "gone" if not units[slot].get("release") else str(units[slot]["unit"]["activeState"])

    def test_a_retained_release_that_does_not_run_any_more_is_started_for_a_rollback(self) -> None:
        agent = self.installed()
        with self.site.load(agent) as finish:
            self.assertEqual(self.site.roll_out(agent, "agent-2", self.keep("1s", "1h")).code, PROMOTED)
            self.await_unit(agent, "blue", "inactive")
            status = self.assert_end(self.site.run("rollout", "rollback"), 0, "rolled_back")
            report = finish()
        self.assertEqual({host["live_version"] for host in status["hosts"]}, {"1.0.0"})
        self.assert_load(report, [["1.0.0", "2.0.0", "1.0.0"]] * 2)

    def test_a_release_that_is_tried_again_at_the_end_of_its_drain_is_not_stopped_with_it(self) -> None:
        """The host's timer may come a moment after the drain's end; here it is held back until the new try has begun."""
        agent = self.installed(drain="1s")
        self.assertEqual(self.site.roll_out(agent, "agent-2", at_once()).code, PROMOTED)
        self.assertEqual(self.site.run("rollout", "rollback").code, 0)
        for host in ("h1", "h2"):
            self.site.on_host(host, "systemctl", "stop", f"switchyard-tick-{agent.name}.timer")
        time.sleep(2)
        outcome = self.site.roll_out(agent, "agent-2", None, "--again", "--reason", "test")
        self.assert_end(outcome, PROMOTED, "promoted")

    def test_a_rollback_is_refused_where_nothing_is_retained(self) -> None:
        agent = self.installed()
        self.assertEqual(self.site.roll_out(agent, "agent-2", self.keep("1s", "1s")).code, PROMOTED)
        self.await_unit(agent, "blue", "gone")
        refused = self.site.run("rollout", "rollback")
        self.assert_end(refused, INVALID, "promoted")
        self.assertIn("h1, h2", refused.stderr)
        by_hosts = self.site.hosts("rollback", agent)
        self.assertEqual(by_hosts.code, INCOMPLETE, by_hosts.said)
        self.assert_serving(agent, "2.0.0")
        self.assert_end(self.site.roll_out(agent, "agent-3", at_once()), PROMOTED, "promoted")

    def test_a_rollback_restores_the_hosts_that_still_can_be(self) -> None:
        agent = self.installed()
        self.assertEqual(self.site.roll_out(agent, "agent-2", at_once()).code, PROMOTED)
        self.assertEqual(self.site.hosts("forget", agent, "--force", "--limit", "h1").code, 0)
        incomplete = self.site.run("rollout", "rollback")
        status = self.assert_end(incomplete, INCOMPLETE, "rollback_incomplete")
        self.assertEqual(status["hosts"][1]["state"], "restored")
        self.assertEqual(self.site.answer(agent, "h2"), "1.0.0")


if __name__ == "__main__":
    unittest.main()

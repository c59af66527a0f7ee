#!/usr/bin/env python3
"""What a release depends on is missing on one host, or down for all of them."""

from __future__ import annotations

import time
import unittest

from matrix import covers
from rollouts import EXCEPTIONS, PAUSED, PROMOTED, Agent, Command, RolloutTest, at_once, policy

NEEDED = "/opt/needed"
#: Long enough for all hosts to turn sick in it, on a busy machine too.
GATE = {"successes": 15, "interval": "200ms", "timeout": "1s", "deadline": "8s"}


class Dependencies(RolloutTest):
    hosts = 3

    @covers(23)
    def test_a_dependency_missing_on_one_host_fails_that_host_by_name_and_the_others_go_on(self) -> None:
        agent = self.installed()
        for host in ("h1", "h3"):
            self.site.on_host(host, "ln", "-s", "/usr/bin/true", NEEDED)
        agent.fields["dependencies"] = [{"command": [NEEDED]}]
        before = self.site.traces("h2")
        rules = policy(budget={"canary": 0, "wave": 1, "fleet": 1, "unreachable": 0})
        with self.site.load(agent) as finish:
            outcome = self.site.roll_out(agent, "agent-2", rules)
            report = finish()
        status = self.assert_end(outcome, EXCEPTIONS, "promoted_with_exceptions")
        self.assertEqual([host["state"] for host in status["hosts"]], ["promoted", "failed", "promoted"])
        self.assertIn(NEEDED, status["hosts"][1]["reason"])
        self.assert_unchanged(before, self.site.traces("h2"), "h2")
        self.assert_load(report, [["1.0.0", "2.0.0"], ["1.0.0"], ["1.0.0", "2.0.0"]])

    @covers(24)
    def test_a_dependency_down_for_all_in_the_gate_pauses_and_rolls_nothing_back(self) -> None:
        agent, command = self.sick_all_over("gate")
        self.await_pause()
        self.well_again(agent)
        status = self.assert_end(command.end(), PAUSED, "paused")
        self.assertEqual([host["state"] for host in status["hosts"]], ["promoted", "pending", "pending"])
        self.assert_agreement(agent)
        self.assert_end(self.site.run("rollout", "resume"), PROMOTED, "promoted")
        self.assert_agreement(agent)

    @covers(24)
    def test_a_dependency_down_for_all_for_long_in_the_gate_pauses_and_rolls_nothing_back(self) -> None:
        agent, command = self.sick_all_over("gate")
        self.await_pause()
        for _ in range(45):
            status = self.site.status()
            self.assertEqual(status["state"], "paused", status)
            time.sleep(1)
        self.well_again(agent)
        self.assert_end(command.end(), PAUSED, "paused")
        self.assert_end(self.site.run("rollout", "resume"), PROMOTED, "promoted")

    @covers(24)
    def test_a_dependency_down_for_all_in_the_soak_pauses_and_rolls_nothing_back(self) -> None:
        agent, command = self.sick_all_over("soak")
        self.await_pause()
        for _ in range(20):
            self.assertEqual(self.site.status()["state"], "paused")
            self.assertEqual([self.site.on_record(host, agent)["owner"] for host in ("h1", "h2", "h3")], ["green"] * 3)
            time.sleep(1)
        self.well_again(agent)
        self.assert_end(command.end(), PAUSED, "paused")
        self.assert_end(self.site.run("rollout", "resume"), PROMOTED, "promoted")
        steps = self.site.steps(agent, "agent-2")
        self.assertNotIn("restore", [step for _, step in steps])
        self.assertEqual([steps.count((host, "flip")) for host in ("h1", "h2", "h3")], [1] * 3)
        self.assert_agreement(agent)

    def sick_all_over(self, step: str) -> tuple[Agent, Command]:
        """Old and new turn sick on every host while the others follow the canary; their clients are served on."""
        agent = self.agent()
        agent.fields["environment"] = {"SICKLY_AFTER": agent.trigger, "SICKLY_BEHAVIOUR": "sickens"}
        self.assertEqual(self.site.roll_out(agent, "agent-1", at_once()).code, PROMOTED)
        command = self.site.start(agent, "agent-2", policy(gate=GATE, waves=[
            {"name": "canary", "hosts": 1, "soak": "200ms"}, {"name": "rest", "hosts": "100%", "batch": "100%", "soak": "10s"}]))
        for host in ("h2", "h3"):
            self.site.await_step(agent, "agent-2", step, host)
        for host in ("h1", "h2", "h3"):
            self.site.on_host(host, "touch", agent.trigger)
        return agent, command

    def await_pause(self) -> None:
        self.wait_for("the pause", lambda: self.site.status()["state"] == "paused")
        self.assertIn("nor the old one beside it", self.site.status()["reason"])

    def well_again(self, agent: Agent) -> None:
        for host in ("h1", "h2", "h3"):
            self.site.on_host(host, "rm", agent.trigger)


if __name__ == "__main__":
    unittest.main()

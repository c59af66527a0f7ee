#!/usr/bin/env python3
"""Hosts that reboot, and old sides that die, while a candidate is being proved: one side owns the traffic, and that one lives."""

from __future__ import annotations

import time
import unittest
from typing import Any

from matrix import covers
from rollouts import INCOMPLETE, PAUSED, PROMOTED, Agent, RolloutTest, policy

# In the gate, and from the flip to the confirm, there is time to put the controller to sleep.
UNHURRIED = {"successes": 5, "interval": "500ms", "timeout": "1s", "deadline": "40s"}


class Reboots(RolloutTest):
    """The controller sleeps while the host boots, so that what is seen then is the host's own doing."""

    @covers(14)
    def test_rebooted_before_the_flip_the_host_serves_from_the_old_side(self) -> None:
        agent = self.rebooted_at("gate", {"gate": UNHURRIED}, phase=None, version="1.0.0", owner="blue")
        self.assert_end(self.command.end(), PROMOTED, "promoted")
        self.assert_agreement(agent)

    @covers(15)
    def test_rebooted_before_the_confirm_the_host_has_one_owner_the_old_side(self) -> None:
        agent = self.rebooted_at("prove", {"gate": UNHURRIED}, phase="reverted", version="1.0.0", owner="blue")
        self.assert_end(self.command.end(), PROMOTED, "promoted")
        self.assertEqual(self.site.steps(agent, "agent-2").count(("h1", "flip")), 2, "it was begun anew")
        self.assert_agreement(agent)

    @covers(35)
    def test_rebooted_in_the_soak_the_host_serves_from_the_new_side_and_soaks_anew(self) -> None:
        agent = self.rebooted_at("soak", {"soak": "5s"}, phase="confirmed", version="2.0.0", owner="green")
        self.assert_end(self.command.end(), PROMOTED, "promoted")
        steps = self.site.steps(agent, "agent-2")
        self.assertEqual((steps.count(("h1", "flip")), steps.count(("h1", "soak"))), (1, 2))
        self.assertGreaterEqual(self.site.soaked(agent, "agent-2"), 5)
        self.assert_agreement(agent)

    def rebooted_at(self, step: str, fields: dict[str, Any], phase: str | None, version: str, owner: str) -> Agent:
        agent = self.installed()
        self.command = self.site.start(agent, "agent-2", policy(**fields), "--limit", "h1")
        self.site.await_step(agent, "agent-2", step)
        with self.command.stopped():
            self.fleet.fault("h1", "reboot")
            self.await_answer(agent, "h1", version)
            record = self.site.on_record("h1", agent)
            flip = record.get("flip", {})
            self.assertEqual(record["owner"], owner)
            # The flip of the first installation is there before.
            self.assertEqual(flip["phase"] if flip.get("to") == "green" else None, phase)
            self.assertEqual(self.site.answer(agent, "h1"), version)
        return agent


class DeadOldSides(RolloutTest):
    def break_old_side(self, agent: Agent, host: str = "h1") -> str:
        """It is down, and can't be started; the value is its program."""
        program = f"/opt/switchyard/{agent.name}/blue/bin/agent"
        self.site.on_host(host, "chmod", "000", program)
        self.site.on_host(host, "systemctl", "stop", f"{agent.name}-blue.service")
        return program

    @covers(26)
    def test_an_old_side_that_dies_before_the_flip_is_told_and_forces_no_flip(self) -> None:
        agent = self.installed()
        gate = {"successes": 3, "interval": "200ms", "timeout": "1s", "deadline": "2s"}
        command = self.site.start(agent, "agent-never-healthy", policy(gate=gate))
        self.site.await_step(agent, "agent-never-healthy", "gate")
        self.break_old_side(agent)
        outcome = command.end()
        self.assertIn(outcome.code, (PAUSED, INCOMPLETE), outcome.said)
        self.assertNotIn(("h1", "flip"), self.site.steps(agent, "agent-never-healthy"))
        self.assertEqual(self.site.on_record("h1", agent)["owner"], "blue")
        self.assertIn("old", self.site.status()["hosts"][0]["reason"], "it is told that the old side is down")

    @covers(26)
    def test_an_old_side_that_dies_after_the_flip_is_told_and_gets_no_traffic_back(self) -> None:
        agent = self.installed()
        version = self.site.archives["agent-sickens"].version
        command = self.site.start(agent, "agent-sickens", policy(soak="60s"))
        self.await_state("h1", "soaking")
        self.break_old_side(agent)
        with self.site.load(agent) as finish:
            self.site.on_host("h1", "touch", agent.trigger)
            self.wait_for("the pause", lambda: self.site.status()["state"] == "paused")
            self.assertIn("nor the old one beside it", self.site.status()["reason"])
            self.assertEqual(self.site.on_record("h1", agent)["owner"], "green")
            command.kill()
            outcome = self.site.run("rollout", "rollback", "--reason", "test")
            status = self.assert_end(outcome, INCOMPLETE, "rollback_incomplete")
            report = finish()
        self.assert_load(report, [[version], ["1.0.0"]])
        self.assertEqual(status["hosts"][0]["state"], "quarantined")
        self.assertIn("blue side can't be made to answer", status["hosts"][0]["reason"])

    @covers(27)
    def test_a_rollback_to_an_old_side_that_does_not_start_is_quarantined_and_the_new_side_serves(self) -> None:
        agent = self.installed()
        self.assert_end(self.site.roll_out(agent, "agent-2"), PROMOTED, "promoted")
        program = self.break_old_side(agent)
        with self.site.load(agent) as finish:
            outcome = self.site.run("rollout", "rollback", "--reason", "test")
            status = self.assert_end(outcome, INCOMPLETE, "rollback_incomplete")
            self.assertEqual([host["state"] for host in status["hosts"]], ["quarantined", "restored"])
            self.assertEqual(self.site.on_record("h1", agent)["owner"], "green")
            self.assertEqual(self.site.starts("h1", agent, "green"), 1)
            # Repaired and cleared, it is as good as the others.
            self.site.on_host("h1", "chmod", "755", program)
            self.assert_end(self.site.run("rollout", "rollback", "--reason", "repaired"), 0, "rolled_back")
            report = finish()
        self.assert_load(report, [["2.0.0", "1.0.0"]] * 2)

    @covers(27)
    def test_an_old_side_that_starts_again_is_given_the_traffic_of_a_dead_new_side(self) -> None:
        agent, program = self.with_two_dead_sides()
        self.wait_for("the quarantine", lambda: "quarantine" in self.site.on_record("h1", agent))
        self.site.on_host("h1", "chmod", "755", program)
        self.await_answer(agent, "h1", "1.0.0")
        self.assertEqual(self.site.on_record("h1", agent)["owner"], "blue")
        self.wait_for("the end of the new side", lambda: self.site.unit("h1", agent, "green")["activeState"] != "active")
        self.assertEqual(self.site.run("rollout", "rollback").code, 0)
        self.assert_agreement(agent)

    @covers(27)
    def test_a_dead_new_side_is_never_started_again_though_the_old_one_can_not_be_started(self) -> None:
        agent, _ = self.with_two_dead_sides()
        self.wait_for("the quarantine", lambda: "quarantine" in self.site.on_record("h1", agent))
        for _ in range(20):
            self.assertEqual(self.site.starts("h1", agent, "green"), 1)
            time.sleep(1)

    def with_two_dead_sides(self) -> tuple[Agent, str]:
        """The candidate crashes in its soak, without a controller, and the old side, whose program is the value, can't be started."""
        agent = self.installed()
        command = self.site.start(agent, "agent-crashes", policy(soak="60s"))
        self.await_state("h1", "soaking")
        command.kill()
        program = self.break_old_side(agent)
        self.site.on_host("h1", "touch", agent.trigger)
        return agent, program


if __name__ == "__main__":
    unittest.main()

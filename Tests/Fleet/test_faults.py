#!/usr/bin/env python3
"""Faults on real hosts in the middle of a rollout: one owner, serving, afterwards."""

from __future__ import annotations

import time
import unittest

from matrix import covers
from rollouts import HALTED, PROMOTED, ROLLED_BACK, WOULD_FAIL, Agent, RolloutTest, policy

# From the flip to the confirm, and in the gate, there is time to do something bad.
UNHURRIED = {"successes": 5, "interval": "1s", "timeout": "1s", "deadline": "30s"}


class Faults(RolloutTest):
    @covers(12)
    def test_a_host_cut_off_between_flip_and_confirm_reverts_by_itself(self) -> None:
        agent = self.installed()
        command = self.site.start(agent, "agent-2", policy(gate=UNHURRIED, confirm_within="10s"))
        self.await_answer(agent, "h1", "2.0.0")
        self.fleet.fault("h1", "cut")
        self.await_answer(agent, "h1", "1.0.0")
        self.wait_for("the revert's end", lambda: self.site.on_record("h1", agent)["flip"]["phase"] == "reverted")
        record = self.site.on_record("h1", agent)
        self.assertEqual((record["owner"], record["flip"]["isUnconfirmed"]), ("blue", True))
        self.fleet.fault("h1", "heal")
        # Nobody's release was at fault: it is begun anew.
        self.assert_end(command.end(), PROMOTED, "promoted")
        self.assert_agreement(agent)

    def test_a_host_rebooted_in_any_phase_ends_with_one_owner(self) -> None:
        for phase in ("gating", "flipping", "soaking"):
            with self.subTest(phase):
                agent = self.installed()
                command = self.site.start(agent, "agent-2", policy(soak="5s", gate=UNHURRIED), "--limit", "h1")
                self.await_state("h1", phase)
                self.fleet.fault("h1", "reboot")
                outcome = command.end()
                self.assertIn(outcome.code, (PROMOTED, ROLLED_BACK), outcome.said)
                state = self.site.states()["h1"]
                expected = "2.0.0" if state == "promoted" else "1.0.0"
                self.assertEqual(self.site.answer(agent, "h1"), expected, state)

    def test_after_power_loss_the_owner_serves_again(self) -> None:
        agent = self.installed()
        self.assertEqual(self.site.roll_out(agent, "agent-2").code, PROMOTED)
        self.fleet.fault("h1", "kill")
        self.fleet.fault("h1", "boot")
        self.wait_for("2.0.0 after the boot", lambda: self.site.answer(agent, "h1") == "2.0.0")

    @covers(33)
    def test_a_firewall_flushed_or_reloaded_gets_the_owner_back(self) -> None:
        """At rest, and in a soak, where the traffic must go on to the candidate."""
        agent = self.installed()
        self.fleet.fault("h1", "flush-firewall")
        self.assert_back_within_a_second(agent, "1.0.0")
        command = self.site.start(agent, "agent-2", policy(soak="8s"))
        self.site.await_step(agent, "agent-2", "soak")
        self.site.on_host("h1", "nft", "-f", "/etc/nftables.conf")  # as `systemctl reload nftables` does
        self.assert_back_within_a_second(agent, "2.0.0")
        self.assertIn("table inet filter", self.site.on_host("h1", "nft", "list", "ruleset"))
        self.assert_end(command.end(), PROMOTED, "promoted")
        self.assert_agreement(agent)

    def assert_back_within_a_second(self, agent: Agent, version: str) -> None:
        """Counted from when the rules are gone."""
        gone = time.monotonic()
        self.wait_for("the owner is back", lambda: self.site.answer(agent, "h1") == version)
        self.assertLessEqual(time.monotonic() - gone, 1.0)

    @covers(34)
    def test_a_firewall_that_drops_the_candidate_from_outside_is_noticed(self) -> None:
        agent = self.installed()
        self.fleet.fault("h1", "drop-port", str(agent.slots["green"]))
        outcome = self.site.roll_out(agent, "agent-2", policy(gate={"successes": 2, "interval": "200ms", "timeout": "1s",
                                                                    "deadline": "5s"}))
        status = self.assert_end(outcome, ROLLED_BACK, "rolled_back")
        self.assertIn(f"the public port {agent.public} did not answer from outside", status["hosts"][0]["reason"])
        self.assertIn(f"a firewall of the host drops port {agent.slots['green']}", status["hosts"][0]["reason"])
        self.assertEqual(self.site.on_record("h1", agent)["owner"], "blue")
        self.fleet.fault("h1", "flush-firewall")
        self.wait_for("the old one serves", lambda: self.site.answer(agent, "h1") == "1.0.0")

    @covers(16)
    def test_a_full_disk_fails_the_host_and_touches_nothing(self) -> None:
        """Too little is free for the archive, or enough for it and not for what is in it."""
        agent = self.installed()
        releases = f"/opt/switchyard/{agent.name}/releases"
        with self.site.load(agent) as finish:
            for leave, phase in (("8M", "preflight"), ("40M", "staging")):
                with self.subTest(phase):
                    before = self.site.on_host("h1", "ls", "-A", releases)
                    self.fleet.fault("h1", "disk-full", leave)
                    outcome = self.site.roll_out(agent, "agent-large")
                    free = int(self.site.on_host("h1", "df", "--output=avail", "-B1", "/opt").splitlines()[1])
                    self.fleet.fault("h1", "disk-free")
                    status = self.assert_end(outcome, ROLLED_BACK, "rolled_back")
                    self.assertIn("free", status["hosts"][0]["reason"])
                    self.assertEqual("staging" in status["hosts"][0]["phases"], phase == "staging")
                    self.assertEqual(self.site.on_host("h1", "ls", "-A", releases), before)
                    self.assertGreater(free, 4 << 20, "what was written is given back")
            report = finish()
        self.assert_load(report, [["1.0.0"]] * 2)

    @covers(18)
    def test_a_taken_port_is_named_and_its_owner_left_alone(self) -> None:
        agent = self.installed()
        unit = f"squatter-{agent.name}"
        self.site.on_host("h1", "systemd-run", f"--unit={unit}", "python3", "-m", "http.server", str(agent.slots["green"]))
        outcome = self.site.roll_out(agent, "agent-2")
        self.assertEqual(outcome.code, ROLLED_BACK, outcome.said)
        self.assertIn("python3", outcome.said)
        self.assertEqual(self.site.on_host("h1", "systemctl", "is-active", unit), "active\n")
        self.assert_serving(agent, "1.0.0")

    def test_a_missing_dependency_changes_nothing(self) -> None:
        agent = self.installed()
        agent.fields["dependencies"] = [{"command": ["/usr/bin/no-such-program", "--version"], "version": ">=1"},
                                        {"tcp": "127.0.0.1:9"}]
        plan = self.site.start(agent, "agent-2", verb="plan").end()
        self.assertEqual(plan.code, WOULD_FAIL, plan.said)
        before = self.site.on_host("h1", "ls", "-AR", f"/opt/switchyard/{agent.name}")
        outcome = self.site.roll_out(agent, "agent-2")
        self.assertIn(outcome.code, (ROLLED_BACK, HALTED), outcome.said)
        for name in ("no-such-program", "127.0.0.1:9"):
            self.assertIn(name, outcome.said, "all that is missing is told at once")
        self.assertEqual(self.site.on_host("h1", "ls", "-AR", f"/opt/switchyard/{agent.name}"), before)

    def test_a_killed_controller_is_taken_up(self) -> None:
        agent = self.installed()
        with self.site.load(agent) as finish:
            command = self.site.start(agent, "agent-2", policy(soak="3s"))
            self.await_state("h1", "soaking")
            command.kill()
            outcome = self.site.run("rollout", "resume")
            self.assertEqual(outcome.code, PROMOTED, outcome.said)
            report = finish()
        self.assert_load(report, [["1.0.0", "2.0.0"]] * 2)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""Releases good and sick on real hosts: the old version answers all along, no request fails."""

from __future__ import annotations

import unittest
from typing import Any

from matrix import covers
from rollouts import PROMOTED, ROLLED_BACK, RolloutTest, policy

# Enough for a good release, and soon over for a bad one.
SHORT_GATE = {"successes": 3, "interval": "200ms", "timeout": "1s", "deadline": "4s"}


class GoodReleases(RolloutTest):
    def test_each_upgrade_takes_the_other_slot(self) -> None:
        agent = self.installed()
        for release, before, after, slot in (("agent-2", "1.0.0", "2.0.0", "green"), ("agent-3", "2.0.0", "3.0.0", "blue")):
            with self.site.load(agent, "--keep-alive", "1", "--idle", "1") as finish:
                outcome = self.site.roll_out(agent, release)
                report = finish()
            status = self.assert_end(outcome, PROMOTED, "promoted")
            self.assert_load(report, [[before, after]] * 2)
            for host in status["hosts"]:
                self.assertEqual((host["state"], host["live_slot"], host["live_version"], host["retained_version"]),
                                 ("promoted", slot, after, before))
            for host in self.fleet.hosts:
                record = self.site.on_record(host.name, agent)
                self.assertEqual((record["owner"], record["flip"]["phase"]), (slot, "promoted"))

    def test_slow_start_within_the_deadline_is_promoted(self) -> None:
        agent = self.installed(environment={"SICKLY_AFTER": "2"})
        with self.site.load(agent) as finish:
            outcome = self.site.roll_out(agent, "agent-slow-start")
            report = finish()
        self.assert_end(outcome, PROMOTED, "promoted")
        self.assert_load(report, [["1.0.0", self.site.archives["agent-slow-start"].version]] * 2)

    def test_configuration_alone_is_a_release(self) -> None:
        agent = self.installed()
        agent.fields["environment"] = {"SICKLY_AFTER": agent.trigger, "SICKLY_VERSION": "1.0.0", "COLOUR": "red"}
        with self.site.load(agent) as finish:
            outcome = self.site.roll_out(agent, "agent-1")
            report = finish()
        status = self.assert_end(outcome, PROMOTED, "promoted")
        self.assert_load(report, [["1.0.0"]] * 2)
        self.assertEqual({host["live_slot"] for host in status["hosts"]}, {"green"})
        self.assertIn("COLOUR=", self.site.on_host("h1", "cat", f"/etc/switchyard/{agent.name}/green.env"))
        self.assertNotIn("COLOUR=", self.site.on_host("h1", "cat", f"/etc/switchyard/{agent.name}/blue.env"))

    def test_rollback_of_a_promoted_rollout(self) -> None:
        agent = self.installed()
        with self.site.load(agent) as finish:
            self.assertEqual(self.site.roll_out(agent, "agent-2").code, PROMOTED)
            outcome = self.site.run("rollout", "rollback", "--reason", "test")
            report = finish()
        status = self.assert_end(outcome, 0, "rolled_back")
        self.assertEqual({host["state"] for host in status["hosts"]}, {"restored"})
        self.assertEqual({host["live_version"] for host in status["hosts"]}, {"1.0.0"})
        self.assert_load(report, [["1.0.0", "2.0.0", "1.0.0"]] * 2)

    def test_rollback_by_the_hosts_own_state_alone(self) -> None:
        agent = self.installed()
        with self.site.load(agent) as finish:
            self.assertEqual(self.site.roll_out(agent, "agent-2").code, PROMOTED)
            outcome = self.site.hosts("rollback", agent, "--reason", "test")
            self.assertEqual(outcome.code, 0, outcome.said)
            report = finish()
        self.assert_load(report, [["1.0.0", "2.0.0", "1.0.0"]] * 2)

    def test_rollback_on_the_host_itself(self) -> None:
        agent = self.installed()
        with self.site.load(agent) as finish:
            self.assertEqual(self.site.roll_out(agent, "agent-2").code, PROMOTED)
            said = self.site.on_host("h1", "/opt/switchyard/bin/switchyard-host", "rollback", agent.name, "--reason", "test")
            self.assertIn("1.0.0", said)
            report = finish()
        self.assert_load(report, [["1.0.0", "2.0.0", "1.0.0"], ["1.0.0", "2.0.0"]])
        self.assertEqual(self.site.on_record("h1", agent)["owner"], "blue")
        self.assertEqual(self.site.on_record("h2", agent)["owner"], "green")

    def test_what_was_rolled_back_is_tried_again_only_when_somebody_says_so(self) -> None:
        agent = self.installed()
        self.assertEqual(self.site.roll_out(agent, "agent-2").code, PROMOTED)
        self.assertEqual(self.site.run("rollout", "rollback").code, 0)
        outcome = self.site.roll_out(agent, "agent-2")
        self.assertNotIn(outcome.code, (PROMOTED, 7), outcome.said)
        self.assertIn("--again", outcome.said)
        self.assert_serving(agent, "1.0.0")
        outcome = self.site.roll_out(agent, "agent-2", None, "--again", "--reason", "the cause was elsewhere")
        self.assert_end(outcome, PROMOTED, "promoted")
        self.assert_serving(agent, "2.0.0")


class GoodReleasesAsPlainUser(GoodReleases):
    login = "sudo"


class BadReleases(RolloutTest):
    def refused(self, release: str, **fields: Any) -> str:
        """The release is tried on the canary alone, never gets a client, and is undone; the value is the reason."""
        agent = self.installed(**fields)
        other = self.site.traces("h2")
        with self.site.load(agent) as finish:
            outcome = self.site.roll_out(agent, release, policy(gate=SHORT_GATE))
            report = finish()
        status = self.assert_end(outcome, ROLLED_BACK, "rolled_back")
        self.assert_load(report, [["1.0.0"]] * 2)
        canary, untouched = status["hosts"]
        self.assertEqual((canary["host"], canary["state"], canary["live_version"]), ("h1", "restored", "1.0.0"))
        self.assertEqual(untouched["state"], "pending")
        self.assert_unchanged(other, self.site.traces("h2"), "h2, which is not the canary,")
        record = self.site.on_record("h1", agent)
        self.assertEqual(record["owner"], "blue")
        green = next(slot for slot in record["slots"] if slot["slot"] == "green")
        self.assertEqual(green["unit"]["activeState"], "inactive")
        self.assertIn("h1", outcome.said)
        return str(canary["reason"])

    @covers(28)
    def test_a_release_that_is_never_healthy_is_undone_on_the_canary_and_touches_no_other_host(self) -> None:
        self.assertIn("503", self.refused("agent-never-healthy"))

    @covers(19)
    def test_a_candidate_that_exits_at_once_is_undone(self) -> None:
        self.refused("agent-exits")

    @covers(19)
    def test_a_candidate_that_crashes_again_and_again_is_undone(self) -> None:
        reason = self.refused("agent-crashes", environment={"SICKLY_AFTER": "0.3"})
        self.assertIn("green", reason)

    @covers(20)
    def test_a_candidate_that_hangs_with_its_port_open_is_undone(self) -> None:
        self.refused("agent-hangs")

    @covers(21)
    def test_a_candidate_that_answers_with_another_version_is_undone(self) -> None:
        self.assertIn("0.0.0-wrong", self.refused("agent-wrong-version"))

    @covers(22)
    def test_a_candidate_that_flaps_never_passes_and_is_undone(self) -> None:
        self.refused("agent-flapping")

    def test_slow_start_beyond_the_deadline(self) -> None:
        self.refused("agent-slow-start")

    def sick_in_the_soak(self, release: str, kill: bool = False) -> None:
        agent = self.installed()
        sick = self.site.archives[release].version
        with self.site.load(agent) as finish:
            command = self.site.start(agent, release, policy(soak="60s"))
            self.await_state("h1", "soaking")
            if kill:
                command.kill()
            self.site.on_host("h1", "touch", agent.trigger)
            if kill:
                self.wait_for("the old version, without a controller", lambda: self.site.answer(agent, "h1") == "1.0.0")
                self.assertEqual(self.site.on_record("h1", agent)["owner"], "blue")
                outcome = self.site.run("rollout", "resume")
            else:
                outcome = command.end()
            report = finish()
        status = self.assert_end(outcome, ROLLED_BACK, "rolled_back")
        self.assertEqual([host["state"] for host in status["hosts"]], ["restored", "pending"])
        self.assert_serving(agent, "1.0.0")
        self.wait_for("the candidate's end", lambda: self.site.unit("h1", agent, "green")["activeState"] == "inactive")
        canary, other = report["targets"]
        self.assertEqual(other["failed"], 0)
        self.assertEqual([entry["version"] for entry in canary["versions"]], ["1.0.0", sick, "1.0.0"])
        if release == "agent-sickens":
            self.assertEqual(canary["failed"], 0)
        else:  # those between the sickness and the flip back, and no other
            back = canary["versions"][2]["at"]
            self.assertEqual([failure for failure in canary["failures"] if failure["at"] > back + 6], [])

    def test_crashes_in_the_soak(self) -> None:
        self.sick_in_the_soak("agent-crashes")

    @covers(37)
    def test_a_candidate_that_crashes_in_the_soak_without_a_controller_is_undone_by_the_host(self) -> None:
        self.sick_in_the_soak("agent-crashes", kill=True)

    @covers(25)
    def test_a_candidate_that_turns_unhealthy_in_the_soak_is_rolled_back(self) -> None:
        self.sick_in_the_soak("agent-sickens")

    def test_fails_every_request_in_the_soak(self) -> None:
        self.sick_in_the_soak("agent-fails")

    def test_a_first_install_that_fails_leaves_the_host_as_it_was(self) -> None:
        self.installed()  # what is there once per host, whichever agent it is
        before = self.without_times("h1"), self.without_times("h2")
        agent = self.agent()
        outcome = self.site.roll_out(agent, "agent-never-healthy", policy(gate=SHORT_GATE))
        status = self.assert_end(outcome, ROLLED_BACK, "rolled_back")
        self.assertIn(status["hosts"][0]["state"], ("failed", "restored"))
        self.assertIsNone(status["hosts"][0].get("live_version"))
        after = self.without_times("h1"), self.without_times("h2")
        # That this release was refused is remembered.
        memory = {line for line in after[0] if line.startswith(f"/var/lib/switchyard/{agent.name}/")}
        self.assert_unchanged(before[0], [line for line in after[0] if line not in memory])
        self.assert_unchanged(before[1], after[1])

    def without_times(self, host: str) -> list[str]:
        """Shared files may have been written anew, with the same content."""
        lines = self.site.traces(host)
        return [" ".join(line.split(" ")[:4]) if line.startswith("/") else line for line in lines]


class BadReleasesAsPlainUser(BadReleases):
    login = "sudo"


if __name__ == "__main__":
    unittest.main()

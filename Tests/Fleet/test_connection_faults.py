#!/usr/bin/env python3
"""Connections that drop, hosts that are cut off, clocks that are wrong on hosts: clients are served all along."""

from __future__ import annotations

import time
import unittest
from collections import Counter
from pathlib import Path

from fleetkit.clock import WrongClock
from matrix import covers
from rollouts import PROMOTED, ROLLED_BACK, Agent, RolloutTest, policy

CLOCK_OF_UNITS = "[Manager]\nDefaultEnvironment={}\n"


class DroppedConnections(RolloutTest):
    @covers(10)
    def test_an_upload_that_is_cut_off_goes_on_and_the_old_side_serves(self) -> None:
        agent = self.installed()
        version = self.site.archives["agent-large"].version
        self.fleet.fault("h1", "slow", "100")
        self.addCleanup(self.fleet.fault, "h1", "heal")
        with self.site.load(agent) as finish:
            command = self.site.start(agent, "agent-large")
            for least in (1 << 20, 3 << 20):  # the upload goes on from where it was, so it is cut off twice
                self.wait_for(f"{least} bytes", lambda least=least: self.uploaded(agent, "h1") >= least)
                self.site.door.drop("h1")
            self.assertEqual(self.site.answer(agent, "h1"), "1.0.0")
            outcome = command.end()
            report = finish()
        self.assert_end(outcome, PROMOTED, "promoted")
        self.assert_load(report, [["1.0.0", version]] * 2)
        self.assertIn(("h1", "reconcile"), self.site.steps(agent, "agent-large"), "the upload was cut off")
        self.assert_agreement(agent, new=version)

    def uploaded(self, agent: Agent, host: str) -> int:
        """The size of the largest file that an upload is being written to."""
        releases = self.fleet.host(host).root / f"opt/switchyard/{agent.name}/releases"
        return max((file.stat().st_size for file in releases.rglob("*") if file.is_file()), default=0)

    @covers(11)
    def test_a_connection_lost_at_the_flip_is_asked_for_its_outcome_and_one_flip_is_made(self) -> None:
        for step in ("flip", "prove", "confirm"):
            with self.subTest(step):
                agent = self.installed()
                with self.site.load(agent) as finish:
                    command = self.site.start(agent, "agent-2")
                    self.site.await_step(agent, "agent-2", step)
                    self.site.door.drop("h1")
                    outcome = command.end()
                    report = finish()
                self.assert_end(outcome, PROMOTED, "promoted")
                self.assert_load(report, [["1.0.0", "2.0.0"]] * 2)
                self.assert_agreement(agent)
                self.assertEqual(self.site.starts("h1", agent, "green"), 1)


class CutOff(RolloutTest):
    @covers(13)
    def test_a_host_cut_off_in_its_rollback_is_served_by_one_side_and_restored_when_it_is_back(self) -> None:
        """Before the order to revert has come through, and behind it."""
        for moment in ("begun", "reverted"):
            with self.subTest(moment):
                agent = self.installed()
                command = self.site.start(agent, "agent-sickens", policy(soak="60s"))
                self.await_state("h1", "soaking")
                self.site.on_host("h1", "touch", agent.trigger)
                self.site.await_step(agent, "agent-sickens", "restore")
                if moment == "reverted":
                    self.wait_for("the revert", lambda: self.site.on_record("h1", agent)["flip"]["phase"] == "reverted")
                self.fleet.fault("h1", "cut")
                self.addCleanup(self.fleet.fault, "h1", "heal")
                for _ in range(10):
                    record = self.site.on_record("h1", agent)
                    expected = {"blue": "1.0.0", "green": self.site.archives["agent-sickens"].version}[record["owner"]]
                    self.assertEqual(self.site.inside(agent, "h1"), expected, record["flip"])
                    time.sleep(0.3)
                self.fleet.fault("h1", "heal")
                self.assert_end(command.end(), ROLLED_BACK, "rolled_back")
                self.assert_agreement(agent)

    @covers(29)
    def test_a_host_cut_off_for_its_whole_soak_is_not_promoted_without_samples(self) -> None:
        agent = self.installed()
        with self.site.load(agent) as finish:
            command = self.site.start(agent, "agent-2", policy(soak="4s"))
            self.site.await_step(agent, "agent-2", "soak")
            self.fleet.fault("h1", "cut")
            self.addCleanup(self.fleet.fault, "h1", "heal")
            time.sleep(25)  # so that the connection, too, is seen to be lost
            status = self.site.status()
            self.assertEqual([host["state"] for host in status["hosts"]], ["soaking", "pending"], status)
            self.assertNotIn(("h1", "promote"), self.site.steps(agent, "agent-2"))
            self.assertNotIn(("h2", "preflight"), self.site.steps(agent, "agent-2"))
            self.fleet.fault("h1", "heal")
            outcome = command.end()
            report = finish()
        self.assert_end(outcome, PROMOTED, "promoted")
        self.assertGreaterEqual(self.site.soaked(agent, "agent-2"), 4)
        self.assertEqual(report["targets"][1]["failed"], 0)
        self.assert_agreement(agent)


class WrongClocks(RolloutTest):
    hosts = 2

    @covers(32)
    def test_hosts_whose_clocks_are_hours_off_are_upgraded_and_revert_in_time(self) -> None:
        for host, hours in (("h1", 5), ("h2", -7)):
            self.set_clock(host, hours)
        agent = self.installed()
        with self.site.load(agent) as finish:
            self.assert_end(self.site.roll_out(agent, "agent-2", policy(soak="3s")), PROMOTED, "promoted")
            report = finish()
        self.assert_load(report, [["1.0.0", "2.0.0"]] * 2)
        self.assert_agreement(agent)
        for host in ("h1", "h2"):
            self.assertGreaterEqual(self.site.soaked(agent, "agent-2", host), 3)
        self.assert_end(self.site.run("rollout", "rollback"), 0, "rolled_back")
        self.assert_serving(agent, "1.0.0")

        with self.site.load(agent) as finish:
            command = self.site.start(agent, "agent-3", policy(confirm_within="8s"))
            self.site.await_step(agent, "agent-3", "prove")
            command.kill()
            self.await_answer(agent, "h1", "3.0.0")
            self.await_answer(agent, "h1", "1.0.0")
            # It is noted a moment after the traffic has moved.
            self.wait_for("the host's note of its undo", lambda: self.site.on_record("h1", agent)["flip"]["phase"] == "reverted")
            self.assertTrue(self.site.on_record("h1", agent)["flip"]["isUnconfirmed"])
            report = finish()
        self.assert_load(report, [["1.0.0", "3.0.0", "1.0.0"], ["1.0.0"]])

    def set_clock(self, host: str, hours: int) -> None:
        """Wrong for all that sshd and systemd start there from now on."""
        root = self.fleet.host(host).root
        clock = WrongClock.make(root / "usr/local/lib")
        clock.set(hours * 3600)
        inside = [f"{name}=/{Path(place).relative_to(root)}" for name, place in clock.environment.items()]
        (root / "etc/ssh/sshd_config.d/clock.conf").write_text(f"SetEnv {' '.join(inside)}\n")
        (root / "etc/systemd/system.conf.d").mkdir(exist_ok=True)
        (root / "etc/systemd/system.conf.d/clock.conf").write_text(CLOCK_OF_UNITS.format(" ".join(inside)))
        self.site.on_host(host, "systemctl", "daemon-reexec")
        self.site.on_host(host, "systemctl", "restart", "ssh")
        said = self.site.on_host(host, "systemd-run", "--quiet", "--wait", "--pipe", "date", "+%s")
        self.assertAlmostEqual(int(said) - time.time(), hours * 3600, delta=600, msg="units have the wrong time")


class ManyHosts(RolloutTest):
    hosts = 12

    @covers(30)
    def test_all_hosts_that_lose_their_connections_at_once_come_back_and_are_promoted(self) -> None:
        agent = self.installed()
        with self.site.load(agent, "--rate", "5") as finish:
            waves = [{"name": "all", "hosts": "100%", "batch": "100%", "soak": "8s"}]
            command = self.site.start(agent, "agent-2", policy(waves=waves))
            names = [host.name for host in self.fleet.hosts]
            self.wait_for("all soak", lambda: all((name, "soak") in self.site.steps(agent, "agent-2") for name in names))
            for name in names:
                self.site.door.drop(name)
            outcome = command.end()
            report = finish()
        status = self.assert_end(outcome, PROMOTED, "promoted")
        self.assertEqual(Counter(host["state"] for host in status["hosts"]), {"promoted": 12})
        self.assert_load(report, [["1.0.0", "2.0.0"]] * 12)
        self.assertEqual([self.site.starts(name, agent, "green") for name in names], [1] * 12)


if __name__ == "__main__":
    unittest.main()

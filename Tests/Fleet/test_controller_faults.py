#!/usr/bin/env python3
"""Controllers that meet, sleep, come back or are gone, on machines whose clock jumps or that reboot."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import tempfile
import time
import unittest
from typing import Any

from fleetkit.clock import WrongClock
from matrix import covers
from rollouts import INVALID, PROMOTED, TOOL_ERROR, Agent, Command, Outcome, RolloutTest, policy

DAY, HOUR = 86_400, 3600


def rules(canary: str) -> dict[str, Any]:
    """The canary soaks for some time, then the other host comes."""
    return policy(waves=[{"name": "canary", "hosts": 1, "soak": canary}, {"name": "rest", "hosts": "100%", "soak": "500ms"}])


class Controllers(RolloutTest):
    def soaking(self, agent: Agent, canary: str) -> Command:
        command = self.site.start(agent, "agent-2", rules(canary))
        self.site.await_step(agent, "agent-2", "soak")
        return command

    def started_once(self, agent: Agent) -> None:
        self.assertEqual([self.site.starts(host, agent, "green") for host in ("h1", "h2")], [1, 1])

    @covers(5)
    def test_a_second_controller_of_a_rollout_names_the_first_and_ends(self) -> None:
        agent = self.installed()
        with self.site.load(agent) as finish:
            command = self.soaking(agent, "5s")
            second = self.site.run("rollout", "resume")
            self.assertEqual((second.code, second.stdout), (INVALID, ""), second.said)
            me = pwd.getpwuid(os.getuid()).pw_name
            for part in (f"process {command.process.pid}", me, socket.gethostname()):
                self.assertIn(part, second.stderr)
            self.assert_end(command.end(), PROMOTED, "promoted")
            report = finish()
        self.assert_load(report, [["1.0.0", "2.0.0"]] * 2)
        self.started_once(agent)

    def taken_over_in_the_soak_of(self, host: str, ends: bool) -> Outcome:
        """The first controller sleeps, another one goes on, and has ended or not when it wakes; the value is the first's end."""
        agent = self.installed(drain="300s")
        with self.site.load(agent) as finish:
            soak = "3s" if ends else "20s"
            first = self.site.start(agent, "agent-2", policy(waves=[
                {"name": "canary", "hosts": 1, "soak": soak if host == "h1" else "200ms"},
                {"name": "rest", "hosts": "100%", "soak": soak if host == "h2" else "200ms"}]))
            self.site.await_step(agent, "agent-2", "soak", host)
            with first.stopped():
                other = self.site.seen_from(self.site.copy_state(f"taken-over-{agent.name}"))
                second = other.command("rollout", "resume")
                if ends:
                    second.process.wait(60)
                else:
                    self.wait_for("the second soak", lambda: other.steps(agent, "agent-2").count((host, "soak")) == 2)
                before = {name: self.site.traces(name) for name in ("h1", "h2")}
            woken = first.end()
            if ends:
                for name, traces in before.items():
                    self.assert_unchanged(traces, self.site.traces(name), name)
            outcome = second.end()
            self.assertEqual((outcome.code, other.status()["state"]), (PROMOTED, "promoted"), outcome.said)
            report = finish()
        self.assert_load(report, [["1.0.0", "2.0.0"]] * 2)
        self.started_once(agent)
        return woken

    @covers(6)
    def test_a_controller_that_wakes_while_another_has_its_rollout_changes_nothing_and_says_so(self) -> None:
        woken = self.taken_over_in_the_soak_of("h1", ends=False)
        self.assertEqual(woken.code, TOOL_ERROR, woken.said)
        self.assertIn("another controller has taken this rollout over", woken.stderr)

    @covers(6)
    def test_a_controller_that_wakes_after_another_has_ended_its_rollout_changes_nothing(self) -> None:
        woken = self.taken_over_in_the_soak_of("h2", ends=True)
        self.assertNotEqual(woken.code, PROMOTED, woken.said)

    @covers(6)
    def test_a_controller_that_wakes_after_another_has_ended_its_rollout_says_that_it_was_overruled(self) -> None:
        woken = self.taken_over_in_the_soak_of("h1", ends=True)
        self.assertEqual(woken.code, TOOL_ERROR, woken.said)
        self.assertIn("another controller has taken this rollout over", woken.stderr)

    @covers(8)
    def test_a_clock_that_jumps_a_day_ahead_and_back_changes_no_soak(self) -> None:
        agent = self.installed()
        clock = WrongClock.make(self.site.folder)
        there = self.site.seen_from(self.site.state, **clock.environment)
        with self.site.load(agent) as finish:
            command = there.start(agent, "agent-2", rules("6s"))
            there.await_step(agent, "agent-2", "soak")
            clock.set(DAY)
            time.sleep(2)
            there.run("rollout", "pause")  # both are written down, with the time
            there.run("rollout", "resume")
            clock.set(-DAY)
            outcome = command.end()
            report = finish()
        status = self.assert_end(outcome, PROMOTED, "promoted")
        self.assertGreaterEqual(status["hosts"][0]["phases"]["soaking"], 6)
        records = self.site.records(agent, "agent-2")
        walls = [record["wall"] for record in records]
        self.assertGreater(max(walls) - walls[0], (DAY - HOUR) * 1000, "it did jump ahead")
        self.assertLess(walls[-1] - walls[0], -(DAY - HOUR) * 1000, "and back")
        moments = [record["entry"]["event"]["_0"]["at"] for record in records if "event" in record["entry"]]
        self.assertEqual(moments, sorted(moments))
        self.assert_load(report, [["1.0.0", "2.0.0"]] * 2)

    @covers(9)
    def test_a_reboot_of_the_controllers_machine_leaves_hosts_as_they_are_and_begins_the_soak_again(self) -> None:
        """The machine's clock since boot begins at 0 again, and what lay in memory is gone."""
        agent = self.installed(drain="300s")
        with self.site.load(agent) as finish:
            runtime = tempfile.mkdtemp()
            there = self.site.seen_from(self.site.state, XDG_RUNTIME_DIR=runtime)
            command = there.start(agent, "agent-2", rules("4s"))
            there.await_step(agent, "agent-2", "soak")
            before = {host: self.site.traces(host) for host in ("h1", "h2")}
            command.kill()
            shutil.rmtree(runtime)
            up = int(time.clock_gettime(time.CLOCK_BOOTTIME)) - 5
            rebooted = there.seen_from(self.site.state, "unshare", "--time", f"--boottime=-{up}", f"--monotonic=-{up}", "--")
            for host, traces in before.items():
                self.assert_unchanged(traces, self.site.traces(host), host)
            outcome = rebooted.run("rollout", "resume")
            report = finish()
        self.assert_end(outcome, PROMOTED, "promoted")
        self.assert_load(report, [["1.0.0", "2.0.0"]] * 2)
        self.started_once(agent)
        self.assertEqual(self.site.steps(agent, "agent-2").count(("h1", "soak")), 2)
        self.assertGreaterEqual(self.site.soaked(agent, "agent-2"), 4)

    @covers(38)
    def test_without_a_controller_nothing_changes_on_any_host(self) -> None:
        """An hour is not waited for: there is no timer of ours on the hosts, so the hour holds no more than these seconds."""
        agent = self.installed(drain="1s")
        with self.site.load(agent) as finish:
            command = self.soaking(agent, "3s")
            command.kill()
            # For a moment there is none while one is replaced.
            self.wait_for("the drain's end", lambda: not any(self.timers("h1", agent) or time.sleep(0.7) for _ in range(3)))
            before = {host: self.site.traces(host) for host in ("h1", "h2")}
            time.sleep(20)
            self.assertEqual(self.timers("h1", agent), [])
            for host, traces in before.items():
                self.assert_unchanged(traces, self.site.traces(host), host)
            self.assertEqual(self.site.answers(agent), {"h1": "2.0.0", "h2": "1.0.0"})
            self.assert_end(self.site.run("rollout", "resume"), PROMOTED, "promoted")
            report = finish()
        self.assert_load(report, [["1.0.0", "2.0.0"]] * 2)
        self.started_once(agent)

    def timers(self, host: str, agent: Agent) -> list[str]:
        """What the host has yet to do for the agent by itself."""
        lines = self.site.on_host(host, "systemctl", "list-timers", "--all", "--no-pager", "--no-legend").splitlines()
        return [line for line in lines if f"switchyard-tick-{agent.name}.timer" in line]


if __name__ == "__main__":
    unittest.main()

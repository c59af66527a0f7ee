#!/usr/bin/env python3
"""The controller is killed at each of its steps and taken up: the rollout ends as one that nobody killed, nothing is done twice."""

from __future__ import annotations

import unittest

from matrix import covers
from rollouts import PROMOTED, ROLLED_BACK, Agent, RolloutTest, policy

ALL_AT_ONCE = policy(waves=[{"name": "all", "hosts": "100%", "batch": "100%", "soak": "1s"}],
                     gate={"successes": 2, "interval": "200ms", "timeout": "1s", "deadline": "4s"})


class KilledTest(RolloutTest):
    def kill_at(self, step: str, agent: Agent, release: str, code: int, state: str) -> None:
        command = self.site.start(agent, release, ALL_AT_ONCE)
        self.site.await_step(agent, release, step)
        command.kill()
        self.assert_end(self.site.run("rollout", "resume"), code, state)

    def promoted_though_killed_at(self, *steps: str) -> None:
        for step in steps:
            with self.subTest(step):
                agent = self.installed()
                with self.site.load(agent) as finish:
                    self.kill_at(step, agent, "agent-2", PROMOTED, "promoted")
                    report = finish()
                self.assert_load(report, [["1.0.0", "2.0.0"]] * 2)
                self.assert_agreement(agent)
                self.assertEqual([self.site.starts(host, agent, "green") for host in ("h1", "h2")], [1, 1])


class KilledBeforeTheFlip(KilledTest):
    @covers(1)
    def test_killed_at_any_step_before_the_flip_it_goes_on_and_does_nothing_twice(self) -> None:
        self.promoted_though_killed_at("preflight", "stage", "start", "gate")

    @covers(1)
    def test_killed_while_it_restores_it_goes_on_restoring(self) -> None:
        agent = self.installed()
        with self.site.load(agent) as finish:
            self.kill_at("restore", agent, "agent-never-healthy", ROLLED_BACK, "rolled_back")
            report = finish()
        self.assert_load(report, [["1.0.0"]] * 2)
        self.assert_agreement(agent)
        self.assertEqual([self.site.starts(host, agent, "green") for host in ("h1", "h2")], [1, 1])


class KilledFromTheFlipOn(KilledTest):
    @covers(1)
    def test_killed_at_any_step_from_the_flip_on_it_goes_on_and_does_nothing_twice(self) -> None:
        self.promoted_though_killed_at("flip", "prove", "confirm", "soak", "promote", "retain")


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""What happens at the moment of a flip or of its deadline: one side wins, and all agree which."""

from __future__ import annotations

import unittest

from matrix import covers
from rollouts import ABORTED, PROMOTED, ROLLED_BACK, RolloutTest, policy


class Races(RolloutTest):
    @covers(31)
    def test_an_abort_during_the_flip_lets_it_end_and_leaves_one_owner(self) -> None:
        for step in ("flip", "prove", "confirm"):
            with self.subTest(step):
                agent = self.installed()
                before = self.site.traces("h2")
                with self.site.load(agent) as finish:
                    command = self.site.start(agent, "agent-2", policy(soak="60s"))
                    self.site.await_step(agent, "agent-2", step)
                    ordered = self.site.run("rollout", "abort", "--reason", "test")
                    outcome = command.end()
                    report = finish()
                self.assertEqual(ordered.code, 0, ordered.said)
                self.assert_end(outcome, ABORTED, "aborted")
                self.assertEqual(report["failed"], 0)
                self.assert_agreement(agent)
                self.assertIsNone(self.site.on_record("h1", agent).get("lease"))
                self.assert_unchanged(before, self.site.traces("h2"), "h2")

    @covers(36)
    def test_a_confirm_that_meets_the_deadline_wins_or_loses_and_the_controller_learns_which(self) -> None:
        """The proof takes two seconds and a little, or longer on a slow network: the host waits for less, for about as long, and for
        much longer. No request is lost, whichever wins."""
        either = (PROMOTED, ROLLED_BACK)
        for within, delay, ends in (("2050ms", "250", (ROLLED_BACK,)), ("2050ms", "0", either), ("2100ms", "0", either),
                                    ("2200ms", "0", either), ("10s", "0", (PROMOTED,))):
            with self.subTest(within, delay=delay):
                self.fleet.fault("h1", "slow", delay)
                agent = self.installed()
                rules = policy(confirm_within=within, gate={"successes": 3, "interval": "1s", "timeout": "1s", "deadline": "10s"})
                with self.site.load(agent) as finish:
                    outcome = self.site.roll_out(agent, "agent-2", rules, "--limit", "h1")
                    report = finish()
                self.assertIn(outcome.code, ends, outcome.said)
                self.assertEqual(report["failed"], 0)
                self.assert_agreement(agent)


if __name__ == "__main__":
    unittest.main()

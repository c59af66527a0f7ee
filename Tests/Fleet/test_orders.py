#!/usr/bin/env python3
"""Twenty real hosts: batches, budgets and what a release manager orders in the middle of a rollout."""

from __future__ import annotations

import unittest
from collections import Counter

from rollouts import ABORTED, EXCEPTIONS, HALTED, PAUSED, PROMOTED, ROLLED_BACK, RolloutTest, policy

BATCH = 4


def waves(*, soak: str = "1s", batch: int | str = BATCH, approve: bool = False) -> list[dict[str, object]]:
    return [{"name": "canary", "hosts": 1, "soak": soak},
            {"name": "rest", "hosts": "100%", "batch": batch, "soak": soak, "approve": approve}]


class TwentyHosts(RolloutTest):
    hosts = 20

    def break_host(self, agent_name: str, host: str) -> None:
        """The candidate can't be started there: its unit's name is taken by a foreign unit."""
        unit = self.fleet.host(host).root / f"etc/systemd/system/{agent_name}-green.service"
        unit.write_text("[Service]\nExecStart=/usr/bin/sleep infinity\n")

    def test_no_more_than_a_batch_is_ever_in_flight(self) -> None:
        agent = self.installed()
        command = self.site.start(agent, "agent-2", policy(waves=waves()))
        most = 0
        while command.process.poll() is None:
            counts = self.site.status()["counts"]
            self.assertEqual(sum(counts.values()), self.hosts)
            most = max(most, counts["in_flight"])
        self.assertEqual(command.end().code, PROMOTED)
        self.assertLessEqual(most, BATCH)
        self.assertGreater(most, 0)
        self.assert_serving(agent, "2.0.0")

    def test_failures_within_the_budget_are_borne(self) -> None:
        agent = self.installed()
        self.break_host(agent.name, "h7")
        budget = {"canary": 0, "wave": 1, "fleet": 1, "unreachable": 0}
        outcome = self.site.roll_out(agent, "agent-2", policy(waves=waves(), budget=budget))
        self.assertEqual(outcome.code, EXCEPTIONS, outcome.said)
        states = self.site.states()
        self.assertEqual(states.pop("h7"), "failed")
        self.assertEqual(Counter(states.values()), {"promoted": self.hosts - 1})

    def test_a_breach_takes_every_host_back(self) -> None:
        agent = self.installed()
        self.break_host(agent.name, "h12")
        with self.site.load(agent) as finish:
            outcome = self.site.roll_out(agent, "agent-2", policy(waves=waves()))
            self.assertEqual(outcome.code, ROLLED_BACK, outcome.said)
            report = finish()
        self.assertEqual(report["failed"], 0)
        self.assert_serving(agent, "1.0.0")

    def test_a_breach_with_halt_leaves_promoted_hosts(self) -> None:
        agent = self.installed()
        self.break_host(agent.name, "h12")
        outcome = self.site.roll_out(agent, "agent-2", policy(waves=waves(), on_breach="halt"))
        self.assertEqual(outcome.code, HALTED, outcome.said)
        answers = self.site.answers(agent)
        self.assertEqual(answers["h1"], "2.0.0")
        self.assertEqual(answers["h20"], "1.0.0")

    def test_approval_is_waited_for(self) -> None:
        agent = self.installed()
        outcome = self.site.roll_out(agent, "agent-2", policy(waves=waves(approve=True, batch="100%")))
        self.assertEqual(outcome.code, PAUSED, outcome.said)
        self.assertEqual(self.site.status()["state"], "awaiting_approval")
        self.assertEqual(Counter(self.site.answers(agent).values()), {"2.0.0": 1, "1.0.0": self.hosts - 1})
        outcome = self.site.run("rollout", "approve", "--reason", "looks good")
        self.assertEqual(outcome.code, PROMOTED, outcome.said)
        self.assert_serving(agent, "2.0.0")

    def test_pause_resume_and_abort(self) -> None:
        agent = self.installed()
        command = self.site.start(agent, "agent-2", policy(waves=waves(soak="2s")))
        self.await_state("h1", "soaking", "promoted")
        self.site.run("rollout", "pause", "--reason", "lunch")
        self.assertEqual(command.end().code, PAUSED)
        self.assertEqual(self.site.status()["state"], "paused")
        again = self.site.command("rollout", "resume")
        self.await_state("h2", "gating", "flipping", "soaking", "promoted")
        self.site.run("rollout", "abort", "--reason", "enough")
        self.assertEqual(again.end().code, ABORTED)
        for host, state in self.site.states().items():
            self.assertEqual(self.site.answer(agent, host), "2.0.0" if state == "promoted" else "1.0.0", (host, state))

    def test_unreachable_hosts_have_a_budget_of_their_own(self) -> None:
        agent = self.installed()
        for host in ("h5", "h6"):
            self.fleet.fault(host, "cut")
            self.addCleanup(self.fleet.fault, host, "heal")
        budget = {"canary": 0, "wave": 0, "fleet": 0, "unreachable": "10%"}
        outcome = self.site.roll_out(agent, "agent-2", policy(waves=waves(batch="100%"), budget=budget))
        self.assertEqual(outcome.code, EXCEPTIONS, outcome.said)
        states = Counter(self.site.states().values())
        self.assertEqual(states, {"promoted": self.hosts - 2, "unreachable": 2})


if __name__ == "__main__":
    unittest.main()

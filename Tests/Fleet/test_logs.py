#!/usr/bin/env python3
"""The log of a run: what went to hosts, what probes saw and what units said, in one order, by one identifier."""

from __future__ import annotations

import json
import shutil
import unittest
from typing import Any

from rollouts import PROMOTED, ROLLED_BACK, RolloutTest, policy


class RunLogs(RolloutTest):
    def lines(self, *argv: str) -> list[dict[str, Any]]:
        outcome = self.site.run("logs", *argv, "--output", "json")
        self.assertEqual(outcome.code, 0, outcome.said)
        return [json.loads(line) for line in outcome.stdout.splitlines()]

    def test_a_rollouts_log_has_door_gate_and_unit_lines_in_the_order_of_what_happened(self) -> None:
        agent = self.installed()
        outcome = self.site.roll_out(agent, "agent-2", policy(soak="5s"))
        self.assertEqual(outcome.code, PROMOTED, outcome.said)
        run = self.site.status()["id"]
        lines = self.lines(run)
        self.assertEqual({line["source"] for line in lines}, {"rollout", "step", "gate", self.site.door.name, "unit"})
        self.assertEqual([line["wall"] for line in lines], sorted(line["wall"] for line in lines))
        of_host = [(line["source"], line["text"]) for line in self.lines(run, "--host", "h1")]
        door = self.site.door.name
        places = [next(place for place, (source, text) in enumerate(of_host) if source == wanted and text.startswith(start))
                  for wanted, start in ((door, "acquire: done"), (door, "stage 2.0.0"), (door, "start: done"), ("gate", "waits: "),
                                        (door, "flip: done"), (door, "confirm: done"), ("gate", "soaks"), (door, "promote: done"))]
        self.assertEqual(places, sorted(places), of_host)
        self.assertTrue(all(line["host"] == "h2" and line["source"] == "gate" for line in self.lines(run, "--host", "h2", "--source", "gate")))

    def test_the_lines_of_a_unit_that_fails_stand_beside_the_verdict(self) -> None:
        agent = self.installed()
        outcome = self.site.roll_out(agent, "agent-exits", policy())
        self.assertEqual(outcome.code, ROLLED_BACK, outcome.said)
        said = {(line["source"], line["text"]) for line in self.lines()}
        self.assertTrue(any(source == "unit" for source, _ in said), said)
        self.assertTrue(any(source == self.site.door.name and text.startswith("start: refused") for source, text in said), said)

    def test_whoever_follows_reads_on_to_the_end(self) -> None:
        agent = self.installed()
        command = self.site.start(agent, "agent-2", policy(soak="3s"))
        self.site.await_step(agent, "agent-2", "soak")
        follower = self.site.run("logs", self.site.status()["id"], "--follow")
        self.assertEqual(command.end().code, PROMOTED)
        self.assertEqual(follower.code, 0, follower.said)
        self.assertIn("the rollout is promoted", follower.stdout)

    def test_a_log_that_goes_missing_is_told_and_triggers_nothing(self) -> None:
        """The old system took a missing log for a dead agent, and installed it anew."""
        agent = self.installed()
        with self.site.load(agent) as finish:
            command = self.site.start(agent, "agent-2", policy(soak="8s"))
            self.site.await_step(agent, "agent-2", "soak")  # on h1, the canary
            run = self.site.status()["id"]
            before = self.site.unit("h1", agent, "green")["invocation"]
            shutil.rmtree(self.site.state / "logs")
            missing = self.site.run("logs", run)
            self.assertEqual(missing.code, 2, missing.said)
            self.assertIn("says nothing of the run itself", missing.said)
            outcome = command.end()
            report = finish()
        self.assert_end(outcome, PROMOTED, "promoted")
        self.assertEqual(report["failed"], 0)
        self.assertEqual(self.site.unit("h1", agent, "green")["invocation"], before, "nothing was installed or started anew")
        self.assert_agreement(agent)


if __name__ == "__main__":
    unittest.main()

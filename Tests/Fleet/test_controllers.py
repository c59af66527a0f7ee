#!/usr/bin/env python3
"""A controller is interrupted, watched, spoken to and met by others of its kind."""

from __future__ import annotations

import json
import unittest
from typing import Any

from rollouts import (
    ABORTED, EXCEPTIONS, HALTED, INVALID, PAUSED, PROMOTED, ROLLED_BACK, TIMED_OUT, Agent, RolloutTest, policy,
)

FOREVER = "300s"


def walk(canary: str, rest: str = "500ms", *, batch: int | str = "100%", approve: bool = False, **fields: Any) -> dict[str, Any]:
    """A policy: a canary that soaks for some time, then the others."""
    return policy(**fields, waves=[
        {"name": "canary", "hosts": 1, "soak": canary},
        {"name": "rest", "hosts": "100%", "batch": batch, "soak": rest, "approve": approve}])


class Interrupted(RolloutTest):
    hosts = 3

    def test_ctrl_c_starts_no_further_host_and_resume_goes_on(self) -> None:
        agent = self.installed()
        with self.site.load(agent) as finish:
            command = self.site.start(agent, "agent-2", walk("2s", "2s", batch=1))
            self.await_state("h1", "soaking")
            command.interrupt()
            outcome = command.end()
            status = self.assert_end(outcome, PAUSED, "paused")
            self.assertIn(f"switchyard rollout resume {status['id']}", outcome.stderr)
            self.assertEqual(status["counts"]["in_flight"], 0)
            self.assertEqual(status["hosts"][2]["state"], "pending")
            self.assertEqual(self.site.answer(agent, "h3"), "1.0.0")
            self.assert_end(self.site.run("rollout", "resume"), PROMOTED, "promoted")
            report = finish()
        self.assert_load(report, [["1.0.0", "2.0.0"]] * 3)

    def test_ctrl_c_twice_leaves_at_once_and_resume_goes_on(self) -> None:
        agent = self.installed()
        with self.site.load(agent) as finish:
            command = self.site.start(agent, "agent-2", walk("6s"))
            self.await_state("h1", "soaking")
            command.interrupt()
            self.wait_for("it says what Ctrl-C did", lambda: "pausing" in command.complaints())
            command.interrupt()
            outcome = command.end()
            self.assertEqual(outcome.code, PAUSED, outcome.said)
            status = self.site.status()
            self.assertIn(status["state"], ("paused", "running"), "nobody waited until the pause was written down")
            self.assertIn(f"switchyard rollout resume {status['id']}", outcome.stderr)
            self.assert_end(self.site.run("rollout", "resume"), PROMOTED, "promoted")
            report = finish()
        self.assert_load(report, [["1.0.0", "2.0.0"]] * 3)

    def test_what_was_left_at_once_may_be_aborted_and_leaves_no_lease(self) -> None:
        agent = self.installed()
        command = self.site.start(agent, "agent-2", walk(FOREVER))
        self.await_state("h1", "soaking")
        command.kill()
        self.assert_end(self.site.run("rollout", "abort", "--reason", "no more"), 0, "aborted")
        self.assert_serving(agent, "1.0.0")
        self.assertIsNone(self.site.on_record("h1", agent).get("lease"))
        self.assert_end(self.site.roll_out(agent, "agent-3", walk("200ms")), PROMOTED, "promoted")

    def test_a_release_that_is_drained_after_a_rollback_is_not_taken_for_the_new_try(self) -> None:
        agent = self.installed(drain="4s")
        self.assert_end(self.site.roll_out(agent, "agent-2", walk("200ms")), PROMOTED, "promoted")
        self.assertEqual(self.site.run("rollout", "rollback").code, 0)
        command = self.site.start(agent, "agent-2", walk("200ms"), "--again", "--reason", "test")
        self.await_state("h1", "staging", "starting", "gating", "soaking", "promoted")
        command.kill()
        outcome = self.site.run("rollout", "resume")
        self.assert_end(outcome, PROMOTED, "promoted")
        self.assert_serving(agent, "2.0.0")


class Detached(RolloutTest):
    def started(self, agent: Agent, rules: dict[str, Any]) -> str:
        outcome = self.site.roll_out(agent, "agent-2", rules, "--detach", "--output", "json")
        self.assertEqual(outcome.code, 0, outcome.said)
        return str(json.loads(outcome.stdout)["id"])

    def test_others_look_at_it_and_order_it_about(self) -> None:
        agent = self.installed()
        rollout = self.started(agent, walk(FOREVER))
        watch = self.site.command("rollout", "watch", rollout, "--output", "json")
        self.await_state("h1", "soaking")

        late = self.site.run("rollout", "watch", "--timeout", "1s")
        self.assertEqual(late.code, TIMED_OUT, late.said)
        self.assertIn(rollout, late.stderr)
        rows = json.loads(self.site.run("rollout", "list", "--output", "json").stdout)
        self.assertEqual((rows[0]["id"], rows[0]["state"]), (rollout, "running"))
        self.assertIn("soaking", self.site.run("rollout", "explain", "h1").stdout)
        logged = self.site.run("rollout", "logs", rollout, "--host", "h1", "--output", "json").stdout.splitlines()
        self.assertTrue(logged and all(json.loads(line) for line in logged))
        self.assertEqual(self.site.run("rollout", "logs", "--host", "h9").code, INVALID)
        self.assertIn("h1: confirmed", self.site.run("rollout", "logs").stdout)

        for verb, state in (("pause", "paused"), ("resume", "running")):
            said = self.site.run("rollout", verb, "--reason", "test", "--output", "json")
            self.assertEqual((said.code, json.loads(said.stdout)["state"]), (0, state), said.said)
            self.assertEqual(self.site.status()["state"], state)
        approval = self.site.run("rollout", "approve")
        self.assertEqual(approval.code, INVALID, approval.said)

        second = self.site.run("rollout", "resume", rollout)
        self.assertEqual(second.code, INVALID, second.said)
        self.assertRegex(second.stderr, r"process \d+")
        self.assertEqual(second.stdout, "")

        said = self.site.run("rollout", "abort", "--reason", "enough")
        self.assert_end(said, 0, "aborted")
        watched = watch.end()
        self.assertEqual(watched.code, ABORTED, watched.said)
        self.assertTrue(all(json.loads(line) for line in watched.stdout.splitlines()))
        self.assert_serving(agent, "1.0.0")
        for verb in ("pause", "abort"):
            outcome = self.site.run("rollout", verb)
            self.assertEqual(outcome.code, INVALID if verb == "pause" else 0, outcome.said)

    def test_an_approval_is_given_elsewhere(self) -> None:
        agent = self.installed()
        rollout = self.started(agent, walk("200ms", approve=True))
        watched = self.site.run("rollout", "watch", rollout)
        self.assert_end(watched, PAUSED, "awaiting_approval")
        outcome = self.site.run("rollout", "approve", rollout, "--reason", "looks good")
        self.assert_end(outcome, PROMOTED, "promoted")
        self.assert_serving(agent, "2.0.0")

    def test_a_second_rollout_of_the_agent_is_refused_unless_it_takes_over(self) -> None:
        agent = self.installed()
        first = self.site.start(agent, "agent-never-healthy", walk("1s", gate={
            "successes": 1, "interval": "200ms", "timeout": "1s", "deadline": FOREVER}))
        self.await_state("h1", "gating")
        rollout = self.site.status()["id"]
        second = self.site.roll_out(agent, "agent-2", walk("200ms"))
        self.assertEqual(second.code, ROLLED_BACK, second.said)
        self.assertIn(rollout, self.site.status()["reason"])
        self.assertEqual(self.site.states(rollout)["h1"], "gating")
        self.assert_serving(agent, "1.0.0")
        self.assertEqual(self.site.roll_out(agent, "agent-2", None, "--take-over").code, INVALID)
        first.kill()
        with self.site.load(agent) as finish:
            third = self.site.roll_out(agent, "agent-2", walk("200ms"), "--take-over", "--reason", "its machine is gone")
            self.assert_end(third, PROMOTED, "promoted")
            report = finish()
        self.assert_load(report, [["1.0.0", "2.0.0"]] * 2)


class Hotfixes(RolloutTest):
    hosts = 3

    def test_a_hotfix_supersedes_a_rollout_that_is_under_way(self) -> None:
        agent = self.installed()
        with self.site.load(agent) as finish:
            first = self.site.start(agent, "agent-2", walk("200ms", FOREVER))
            self.await_state("h2", "soaking")
            self.await_state("h3", "soaking")
            old = self.site.status()["id"]
            outcome = self.site.roll_out(agent, "agent-3", walk("200ms"), "--supersede", old, "--output", "json")
            status = self.assert_end(outcome, PROMOTED, "promoted")
            events = [json.loads(line) for line in outcome.stdout.splitlines()]
            self.assertEqual(events[-1]["status"]["id"], status["id"])
            self.assertEqual([event["event"] for event in events].count("end"), 1)
            ended = first.end()
            self.assertEqual(ended.code, ABORTED, ended.said)
            report = finish()
        before = self.site.status(old)
        self.assertEqual(before["state"], "aborted")
        self.assertIn(status["id"], before["reason"])
        self.assertEqual([host["state"] for host in before["hosts"]], ["promoted", "restored", "restored"])
        self.assert_load(report, [["1.0.0", "2.0.0", "3.0.0"]] + [["1.0.0", "2.0.0", "1.0.0", "3.0.0"]] * 2)

    def test_a_hotfix_supersedes_a_rollout_whose_controller_died(self) -> None:
        agent = self.installed()
        with self.site.load(agent) as finish:
            first = self.site.start(agent, "agent-2", walk(FOREVER))
            self.await_state("h1", "soaking")
            first.kill()
            old = self.site.status()["id"]
            self.assert_end(self.site.roll_out(agent, "agent-3", walk("200ms"), "--supersede", old), PROMOTED, "promoted")
            report = finish()
        self.assertEqual(self.site.status(old)["state"], "aborted")
        self.assert_load(report, [["1.0.0", "2.0.0", "1.0.0", "3.0.0"]] + [["1.0.0", "3.0.0"]] * 2)

    def test_hosts_are_skipped_before_they_start_and_in_flight(self) -> None:
        agent = self.installed()
        command = self.site.start(agent, "agent-2", walk("200ms", FOREVER, batch=1))
        self.await_state("h2", "soaking")
        rollout = self.site.status()["id"]
        for host in ("h3", "h2"):
            said = self.site.run("rollout", "skip", rollout, host, "--reason", "kept for a test")
            self.assertIn(said.code, (0, EXCEPTIONS), said.said)
        status = self.assert_end(command.end(), EXCEPTIONS, "promoted_with_exceptions")
        self.assertEqual([host["state"] for host in status["hosts"]], ["promoted", "skipped", "skipped"])
        self.assertEqual(status["counts"]["skipped"], 2)
        self.assertTrue(all("kept for a test" in host["reason"] for host in status["hosts"][1:]))
        self.assertEqual(self.site.answers(agent), {"h1": "2.0.0", "h2": "1.0.0", "h3": "1.0.0"})
        late = self.site.run("rollout", "skip", rollout, "h1")
        self.assertEqual(late.code, INVALID, late.said)

    def test_a_failed_host_is_tried_again_once_it_is_repaired(self) -> None:
        agent = self.installed()
        unit = self.squat(agent, "h2")
        budget = {"canary": 0, "wave": 1, "fleet": 1, "unreachable": 0}
        outcome = self.site.roll_out(agent, "agent-2", walk("200ms", budget=budget))
        status = self.assert_end(outcome, EXCEPTIONS, "promoted_with_exceptions")
        self.assertEqual([host["state"] for host in status["hosts"]], ["promoted", "failed", "promoted"])
        self.assertIn(str(agent.slots["green"]), status["hosts"][1]["reason"])
        again = self.site.run("rollout", "retry", status["id"], "h2")
        self.assert_end(again, EXCEPTIONS, "promoted_with_exceptions")
        self.site.on_host("h2", "systemctl", "stop", unit)
        again = self.site.run("rollout", "retry", status["id"], "h2", "--reason", "the port is free")
        status = self.assert_end(again, PROMOTED, "promoted")
        self.assertEqual(status["counts"]["promoted"], 3)
        self.assert_serving(agent, "2.0.0")
        needless = self.site.run("rollout", "retry", status["id"], "h2")
        self.assertEqual(needless.code, INVALID, needless.said)

    def test_a_halted_rollout_is_rolled_back(self) -> None:
        agent = self.installed()
        self.squat(agent, "h3")
        with self.site.load(agent) as finish:
            outcome = self.site.roll_out(agent, "agent-2", walk("200ms", batch=1, on_breach="halt"))
            status = self.assert_end(outcome, HALTED, "halted")
            self.assertEqual([host["state"] for host in status["hosts"]], ["promoted", "promoted", "failed"])
            self.assertIn(f"rollout rollback {status['id']}", outcome.stderr)
            self.assertEqual(self.site.answers(agent), {"h1": "2.0.0", "h2": "2.0.0", "h3": "1.0.0"})
            status = self.assert_end(self.site.run("rollout", "rollback"), 0, "rolled_back")
            report = finish()
        self.assertEqual([host["state"] for host in status["hosts"]], ["restored", "restored", "failed"])
        self.assert_load(report, [["1.0.0", "2.0.0", "1.0.0"]] * 2 + [["1.0.0"]])


if __name__ == "__main__":
    unittest.main()

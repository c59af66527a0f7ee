#!/usr/bin/env python3
"""Services of a host through its agent: what is told is what systemd shows, and what is protected stays as it is."""

from __future__ import annotations

import json
import unittest
from typing import Any

from own_agent import OwnAgentTest
from rollouts import PROMOTED, at_once, policy

PROBE = """[Unit]
Description=A service of the test's
[Service]
ExecStart=/usr/bin/sleep infinity
"""
ENDS = """[Service]
ExecStart=/usr/bin/false
"""
ONCE = """[Service]
Type=oneshot
ExecStart=/usr/bin/touch /run/once-ran
"""
SLOW = """[Service]
Type=notify
ExecStart=/usr/bin/sleep infinity
"""


def one_wave(soak: str) -> dict[str, Any]:
    return policy(waves=[{"name": "all", "hosts": "100%", "batch": "100%", "soak": soak}])


class AgentServices(OwnAgentTest):
    hosts = 1
    configuration = ("services: [probe.service, ends.service, once.service, slow.service, probe-alias.service, gone.service,"
                     " switchyard-guard.service, guard-alias.service, a1-blue.service, a1-green.service, slot-alias.service]\n")

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        for name, text in (("probe", PROBE), ("ends", ENDS), ("once", ONCE), ("slow", SLOW)):
            cls.put("h1", f"/etc/systemd/system/{name}.service", text.encode())
        for alias, unit in (("probe-alias", "probe"), ("guard-alias", "switchyard-guard"), ("slot-alias", "a1-green")):
            cls.site.on_host("h1", "ln", "-s", f"/etc/systemd/system/{unit}.service", f"/etc/systemd/system/{alias}.service")
        cls.site.on_host("h1", "systemctl", "daemon-reload")

    def setUp(self) -> None:
        if self.site.on_host("h1", "systemctl", "list-units", "--plain", "--no-legend", "switchyard-agent-*") == "":
            self.install()

    def shown(self, unit: str, *names: str) -> list[str]:
        """A unit's properties, as systemctl says them on the host."""
        said = self.site.on_host("h1", "systemctl", "show", unit, *(f"--property={name}" for name in names))
        values = dict(line.split("=", 1) for line in said.splitlines())
        return [values[name] for name in names]

    def change(self, unit: str, action: str, timeout: int = 20) -> tuple[int, dict[str, Any]]:
        answer = self.ask("h1", "POST", f"/v1/services/{unit}/{action}?timeout={timeout}")
        return answer.status, answer.json

    def test_a_service_is_started_looked_at_restarted_and_stopped(self) -> None:
        status, seen = self.change("probe.service", "start")
        self.assertEqual((status, seen["as_asked"], seen["job"]), (200, True, "done"), seen)
        self.assertEqual([seen["active"], seen["sub"], str(seen["main_pid"])],
                         self.shown("probe.service", "ActiveState", "SubState", "MainPID"))
        first = seen["main_pid"]
        looked = self.ask("h1", "GET", "/v1/services/probe.service").json
        self.assertEqual((looked["main_pid"], looked["result"], looked["load"]), (first, "success", "loaded"))
        self.assertLess(looked["age_ms"], 60_000)
        status, seen = self.change("probe-alias.service", "restart")
        self.assertEqual((status, seen["unit"], seen["as_asked"]), (200, "probe.service", True), seen)
        self.assertNotEqual(seen["main_pid"], first)
        status, seen = self.change("probe.service", "stop")
        self.assertEqual((status, seen["active"], seen["as_asked"], seen["main_pid"]), (200, "inactive", True, None), seen)
        self.assertEqual(self.shown("probe.service", "ActiveState"), ["inactive"])

    def test_what_does_not_come_up_is_said_to_be_down_with_its_last_words(self) -> None:
        status, seen = self.change("ends.service", "start")
        self.assertEqual((status, seen["as_asked"], seen["active"], seen["result"]), (200, False, "failed", "exit-code"), seen)
        self.assertTrue(seen["last_lines"], seen)
        status, seen = self.change("slow.service", "start", timeout=1)
        self.assertEqual((status, seen["as_asked"], seen["job"], seen["active"]), (200, False, "running", "activating"), seen)
        self.assertEqual(self.change("slow.service", "stop")[1]["as_asked"], True)
        status, seen = self.change("once.service", "start")
        self.assertEqual((status, seen["as_asked"], seen["type"]), (200, True, "oneshot"), seen)
        self.assertEqual(self.change("gone.service", "start")[0], 404)
        self.assertEqual(self.ask("h1", "GET", "/v1/services/gone.service").json["load"], "not-found")

    def test_what_is_not_on_the_list_is_not_touched(self) -> None:
        before = self.shown("ssh.service", "ActiveState", "InvocationID")
        for path in ("ssh.service", "..%2fssh.service", "probe.service%00ssh.service", "probe.service;ssh.service", "ssh"):
            for action in ("stop", "restart"):
                self.assertEqual(self.ask("h1", "POST", f"/v1/services/{path}/{action}").status, 404, path)
        self.assertEqual(self.ask("h1", "POST", "/v1/services/probe.service/stop", client=None).status, 401)
        self.assertEqual(self.shown("ssh.service", "ActiveState", "InvocationID"), before)

    def test_switchyards_own_units_are_refused_by_the_host_program_also_by_an_alias(self) -> None:
        before = self.shown("switchyard-guard.service", "ActiveState", "InvocationID")
        for unit in ("switchyard-guard.service", "guard-alias.service"):
            for action in ("stop", "restart"):
                status, said = self.change(unit, action)
                self.assertEqual((status, said["error"]["code"]), (403, "forbidden"), said)
        self.assertEqual(self.shown("switchyard-guard.service", "ActiveState", "InvocationID"), before)

    def test_a_slots_unit_is_left_alone_while_a_rollout_has_the_lease_and_is_free_afterwards(self) -> None:
        agent = self.agent()
        agent.name = "a1"
        installed = self.site.roll_out(agent, "agent-1", at_once())
        self.assertEqual(installed.code, PROMOTED, installed.said)
        status, seen = self.change("a1-blue.service", "restart")
        self.assertEqual((status, seen["as_asked"]), (200, True), seen)
        running = self.site.start(agent, "agent-2", one_wave(soak="8s"))
        self.site.await_step(agent, "agent-2", "soak")
        before = self.shown("a1-green.service", "ActiveState", "InvocationID")
        for unit in ("a1-blue.service", "a1-green.service", "slot-alias.service"):
            for action in ("stop", "restart", "start"):
                status, said = self.change(unit, action)
                self.assertEqual((status, said["error"]["code"]), (409, "protected"), json.dumps(said))
        self.assertEqual(self.ask("h1", "GET", "/v1/services/a1-green.service").json["active"], "active")
        self.assertEqual(self.shown("a1-green.service", "ActiveState", "InvocationID"), before)
        self.assertEqual(running.end().code, PROMOTED)
        status, seen = self.change("slot-alias.service", "restart")
        self.assertEqual((status, seen["unit"], seen["as_asked"]), (200, "a1-green.service", True), seen)
        self.assert_serving(agent, "2.0.0")


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""Connections: none that exists is broken, and new ones reach the right side by every way there is."""

from __future__ import annotations

import json
import unittest

from rollouts import PROMOTED, Agent, RolloutTest

LONG_DOWNLOAD = "/slow?bytes=20000000&seconds=20"
OLD_UNIT = """\
[Service]
Environment=PORT={port}
ExecStart=/opt/old-{name}/bin/agent
"""


class Connections(RolloutTest):
    def test_a_flip_and_a_give_back_break_none(self) -> None:
        agent = self.installed()
        more = ("--keep-alive", "2", "--idle", "2", "--download", LONG_DOWNLOAD)
        with self.site.load(agent, *more) as finish:
            self.assertEqual(self.site.roll_out(agent, "agent-2").code, PROMOTED)
            self.assertEqual(self.site.run("rollout", "rollback").code, PROMOTED)
            report = finish()
        self.assert_load(report, [["1.0.0", "2.0.0", "1.0.0"]] * 2)

    def test_an_agent_installed_by_other_means_is_adopted_and_given_back(self) -> None:
        agent = self.agent()
        agent.fields["adopt"] = {"unit": f"old-{agent.name}.service", "port": agent.public}
        for host in self.fleet.hosts:
            self.install_by_hand(host.name, agent)
        more = ("--keep-alive", "2", "--idle", "2", "--download", LONG_DOWNLOAD)
        with self.site.load(agent, *more) as finish:
            outcome = self.site.roll_out(agent, "agent-2")
            self.assertEqual(outcome.code, PROMOTED, outcome.said)
            outcome = self.site.run("rollout", "rollback")
            self.assertEqual(outcome.code, PROMOTED, outcome.said)
            report = finish()
        self.assert_load(report, [["1.0.0", "2.0.0", "1.0.0"]] * 2)

    def install_by_hand(self, host: str, agent: Agent) -> None:
        release, unit = f"/opt/old-{agent.name}", f"old-{agent.name}.service"
        root = self.fleet.host(host).root
        (root / release[1:]).mkdir()
        (root / "etc/systemd/system" / unit).write_text(OLD_UNIT.format(port=agent.public, name=agent.name))
        with open(self.site.archives["agent-1"].file, "rb") as archive:
            (root / "opt/old.tar.gz").write_bytes(archive.read())
        self.site.on_host(host, "tar", "-xzf", "/opt/old.tar.gz", "-C", release)
        self.site.on_host(host, "systemctl", "daemon-reload")
        self.site.on_host(host, "systemctl", "start", unit)
        self.wait_for("the old agent", lambda: self.site.answer(agent, host) == "1.0.0")

    def test_every_way_in_leads_to_the_live_side_and_no_way_out_is_bent(self) -> None:
        agent = self.installed()
        extra = self.fleet.network.secondary_ipv4(1)
        extra6 = self.fleet.network.secondary_ipv6(1)
        self.site.on_host("h1", "ip", "address", "add", f"{extra}/24", "dev", "eth0")
        self.site.on_host("h1", "ip", "address", "add", f"{extra6}/64", "dev", "eth0", "nodad")
        outcome = self.site.roll_out(agent, "agent-2", None, "--limit", "h1")
        self.assertEqual(outcome.code, PROMOTED, outcome.said)
        address, address6 = self.fleet.network.ipv4(1), self.fleet.network.ipv6(1)
        inside = ["127.0.0.1", "[::1]", address, f"[{address6}]", extra, f"[{extra6}]"]
        self.assertEqual([self.fetch("h1", to, agent) for to in inside], ["2.0.0"] * len(inside))
        outside = inside[2:]
        self.assertEqual([self.fetch("h2", to, agent) for to in outside], ["2.0.0"] * len(outside))
        elsewhere = [self.fleet.network.ipv4(2), f"[{self.fleet.network.ipv6(2)}]"]
        self.assertEqual([self.fetch("h1", to, agent) for to in elsewhere], ["1.0.0"] * 2)

    def fetch(self, host: str, to: str, agent: Agent) -> str:
        """What a client on `host` gets from an address."""
        said = self.site.on_host(host, "curl", "--silent", "--max-time", "5", f"http://{to}:{agent.public}/")
        return str(json.loads(said)["version"]) if said else "nothing"


if __name__ == "__main__":
    unittest.main()

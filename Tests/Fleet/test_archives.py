#!/usr/bin/env python3
"""Archives damaged and hostile: refused whole, with nothing of them visible on the host, and no request failed."""

from __future__ import annotations

import unittest

from matrix import covers
from rollouts import INVALID, ROLLED_BACK, RolloutTest

HOSTILE = ("absolute", "dotdot", "symlink-out", "symlink-absolute", "symlink-through", "hardlink-out", "device", "fifo",
           "setuid", "bomb", "truncated", "altered", "not-an-archive")


class HostileArchives(RolloutTest):
    @covers(17)
    def test_each_is_refused_and_leaves_nothing(self) -> None:
        agent = self.installed()
        free = self.free("h1")
        with self.site.load(agent) as finish:
            for name in HOSTILE:
                with self.subTest(name):
                    before = self.visible("h1")
                    other = self.site.traces("h2")
                    outcome = self.site.roll_out(agent, f"hostile-{name}")
                    self.assertIn(outcome.code, (INVALID, ROLLED_BACK), outcome.said)
                    self.assert_unchanged(before, self.visible("h1"))
                    self.assert_unchanged(other, self.site.traces("h2"))
                    self.assertEqual(self.site.on_host("h1", "find", "/", "-xdev", "-name", "switchyard-evil"), "")
            report = finish()
        self.assert_load(report, [["1.0.0"]] * 2)
        self.assertGreater(self.free("h1"), free - (8 << 20), "disk is given back")

    def visible(self, host: str) -> list[str]:
        """Releases, slots and units of an agent; not the lease and what was refused, which the host may note."""
        return [line for line in self.site.traces(host)
                if not line.startswith(("/var/lib/switchyard", "/etc/systemd/system/switchyard-", "/opt/switchyard/bin"))
                and not line.startswith("switchyard-tick")]

    def free(self, host: str) -> int:
        return int(self.site.on_host(host, "df", "--output=avail", "-B1", "/").splitlines()[1])

    def test_another_digest_than_asked_for_is_refused_before_any_host_is_asked(self) -> None:
        agent = self.agent()
        before = self.site.traces("h1")
        outcome = self.site.roll_out(agent, "hostile-altered", None, "--sha256", self.site.archives["agent-1"].sha256)
        self.assertEqual(outcome.code, INVALID, outcome.said)
        self.assertIn(self.site.archives["agent-1"].sha256[:12], outcome.said)
        self.assert_unchanged(before, self.site.traces("h1"))


class HostileArchivesAsPlainUser(HostileArchives):
    login = "sudo"


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""The agent's Debian package on a real host: installed, started, upgraded, removed, purged."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import unittest
from pathlib import Path

from own_agent import OwnAgentTest, left
from rollouts import PROGRAM

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"
GONE = ["/etc/switchyard-agent", "/etc/default/switchyard-agent", "/var/lib/switchyard-agent", "/usr/bin/switchyard-agent",
        "/usr/lib/switchyard", "/lib/systemd/system/switchyard-agent.service", "/run/switchyard/host.sock"]


class AgentPackage(OwnAgentTest):
    hosts = 1

    @classmethod
    def prepare(cls, host: str, address: str) -> None:
        """Nothing: the package does it."""
        cls.cert("issue", host, "--san", f"ip:{address}", "--out", str(cls.folder / host))

    @classmethod
    def package(cls, version: str) -> str:
        """Builds a package and puts it on the host; its path there."""
        made = subprocess.run([sys.executable, PACKAGING / "package.py", "--programs", PROGRAM.parent, "--out", cls.folder,
                               "--version", version], capture_output=True, text=True, check=False, timeout=300)
        if made.returncode != 0:
            raise AssertionError(made.stdout + made.stderr)
        path = f"/root/{version}.deb"
        package, archive = map(Path, made.stdout.splitlines())
        with tarfile.open(archive) as tar:
            if tar.getnames() != ["bin", "bin/switchyard-agent"]:
                raise AssertionError(f"{archive}: {tar.getnames()}")
        cls.put("h1", path, package.read_bytes())
        return path

    def dpkg(self, *arguments: str) -> str:
        return self.site.on_host("h1", "dpkg", *arguments)

    def state(self, *units: str) -> list[str]:
        said = self.site.on_host("h1", "systemctl", "show", "--property=ActiveState", "--value", *units)
        return said.split()

    def test_installed_started_upgraded_removed_and_purged(self) -> None:
        self.dpkg("--install", self.package("0.1.0"))
        self.assertIn("Status: install ok installed", self.dpkg("--status", "switchyard-agent"))
        # Without a certificate it does not run, and that is no failure.
        self.assertEqual(self.state("switchyard-agent.service", "switchyard-host.socket"), ["inactive", "active"])
        issued = self.folder / "h1"
        for name, source in (("agent.pem", "h1.pem"), ("ca.pem", "ca.pem")):
            self.put("h1", f"/etc/switchyard-agent/tls/{name}", (issued / source).read_bytes())
        self.put("h1", "/etc/switchyard-agent/tls/agent.key", (issued / "h1.key").read_bytes(), 0o640, "switchyard-agent")
        self.site.on_host("h1", "switchyard-agent", "--check")
        self.site.on_host("h1", "systemctl", "start", "switchyard-agent.service")
        self.assertEqual(self.ask("h1", "GET", "/readyz", client=None).status, 200)
        self.assertEqual(self.ask("h1", "GET", "/v1/facts").status, 200)
        self.assertEqual(self.site.on_host("h1", "dpkg", "--verify", "switchyard-agent"), "")

        # A service of the configuration that a person has changed: kept by the upgrade, and carried out by the package's host program.
        self.site.on_host("h1", "sed", "-i", "s/^# services: .*/services: [cron.service, dbus.service]/", "/etc/switchyard-agent/agent.yml")
        first = self.site.on_host("h1", "systemctl", "show", "--property=MainPID", "switchyard-agent.service")
        self.dpkg("--install", self.package("0.1.1"))
        self.assertNotEqual(self.site.on_host("h1", "systemctl", "show", "--property=MainPID", "switchyard-agent.service"), first)
        self.assertEqual(self.state("switchyard-agent.service"), ["active"])
        self.assertIn("Version: 0.1.1", self.dpkg("--status", "switchyard-agent"))
        looked = self.ask("h1", "GET", "/v1/services/dbus.service")
        self.assertEqual((looked.status, looked.json["active"]), (200, "active"), looked.body)
        for unit in ("switchyard-agent.service", "switchyard-host@1.service"):
            self.assertLessEqual(self.site.exposure("h1", unit), 3.0, unit)

        # Stopped on purpose, an upgrade leaves it so.
        self.site.on_host("h1", "systemctl", "disable", "--now", "switchyard-agent.service")
        self.dpkg("--install", self.package("0.1.2"))
        self.assertEqual(self.state("switchyard-agent.service", "switchyard-host.socket"), ["inactive", "active"])
        said = self.site.on_host("h1", "systemctl", "is-enabled", "switchyard-agent.service")
        self.assertEqual(said.strip(), "disabled")

        # Slots live by the package's socket.
        self.put("h1", "/etc/systemd/system/switchyard-agent-blue.service", b"[Service]\nExecStart=/bin/true\n")
        self.site.on_host("h1", "dpkg", "--remove", "switchyard-agent")
        self.assertIn(" ok installed", self.dpkg("--status", "switchyard-agent"))
        self.assertEqual(self.state("switchyard-host.socket"), ["active"])
        self.site.on_host("h1", "rm", "/etc/systemd/system/switchyard-agent-blue.service")

        self.dpkg("--remove", "switchyard-agent")
        self.assertEqual(self.state("switchyard-agent.service", "switchyard-host.socket"), ["inactive", "inactive"])
        self.assertEqual(self.site.on_host("h1", "find", "/etc/switchyard-agent", "-name", "agent.yml"), "/etc/switchyard-agent/agent.yml\n")
        # Installed again it runs again, though its configuration had stayed.
        self.dpkg("--install", "/root/0.1.2.deb")
        self.assertEqual(self.state("switchyard-agent.service", "switchyard-host.socket"), ["active", "active"])
        self.dpkg("--purge", "switchyard-agent")
        for path in GONE:
            self.assertEqual(self.site.on_host("h1", "find", str(Path(path).parent), "-maxdepth", "1", "-path", path), "", path)
        self.assertNotIn("switchyard-agent", self.site.on_host("h1", "cat", "/etc/passwd", "/etc/group"))
        self.assertNotIn("switchyard", self.site.on_host("h1", "systemctl", "list-units", "--all", "--plain", "--no-legend", "--failed"))

    def test_uninstalled_by_its_verb_the_socket_is_not_back_after_a_boot(self) -> None:
        self.dpkg("--install", self.package("0.1.2"))
        outcome = self.site.run("agent", "uninstall", "--yes", "--inventory", self.site.inventory, "--door", "ssh",
                                "--agent", self.site.write(self.own("ssh").file()))
        self.assertEqual(outcome.code, 0, outcome.said)
        self.assertEqual(self.state("switchyard-host.socket"), ["inactive"])
        enabled = self.fleet.execute("h1", ["systemctl", "is-enabled", "switchyard-host.socket"]).stdout
        self.assertEqual(enabled, "disabled\n")
        self.dpkg("--purge", "switchyard-agent")
        self.assertEqual(left(self.fleet, "h1"), [])


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""The fleet's own check: boots two hosts, breaks them, and looks for leftovers. Run it as root."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from fleetkit import network, preconditions, processes, registry
from fleetkit.cgroups import hierarchies
from fleetkit.run import FleetError, run
from fleet import Fleet, sweep

FLEET = Path(__file__).with_name("fleet.py")


def leftovers(prefix: str, folder: Path) -> list[str]:
    """Everything of a fleet that is still on this machine."""
    found = [f"link {name}" for name in network.links() if name.startswith(prefix)]
    found += [f"namespace {path}" for path in network.NAMESPACES.glob(f"{prefix}h*")]
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    found += [f"mount {line}" for line in mounts if f" {folder}/" in line]
    found += [f"group {path}" for tree in hierarchies() for path in tree.glob(f"fleet-{prefix}h*")]
    found += [f"process {pid}" for number in range(1, 9)
              for pid in processes.with_arguments("systemd-nspawn", f"--machine={prefix}h{number}")]
    found += [f"record {entry}" for entry in registry.entries() if entry.prefix == prefix]
    found += [f"file {path}" for path in folder.glob("*")]
    return found


class FleetTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory(prefix="fleet-test-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name) / "fleet"

    def ssh(self, fleet: Fleet, number: int, user: str, *argv: str, key: str = "ed25519") -> subprocess.CompletedProcess[str]:
        return run(["ssh", "-n", "-F", "none", "-o", "BatchMode=yes", "-o", "ConnectTimeout=3",
                    "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes",
                    "-o", f"UserKnownHostsFile={fleet.folder}/known_hosts", "-i", f"{fleet.folder}/keys/id_{key}",
                    f"{user}@{fleet.network.ipv4(number)}", *argv], check=False)

    def test_two_hosts_through_their_life(self) -> None:
        with Fleet.up(self.folder, 2) as fleet:
            prefix = fleet.entry.prefix
            self.log_in_everywhere(fleet)
            self.cut_and_heal(fleet)
            self.slow_down(fleet)
            self.kill_and_boot(fleet)
            self.fill_the_disk(fleet)
            self.drop_a_port(fleet)
            described = json.loads((self.folder / "fleet.json").read_text(encoding="utf-8"))
            self.assertEqual([host["up"] for host in described["hosts"]], [True, True])
        self.assertEqual(leftovers(prefix, self.folder), [])
        fleet.down()  # twice is no error

    def log_in_everywhere(self, fleet: Fleet) -> None:
        for number in (1, 2):
            self.assertEqual(self.ssh(fleet, number, "root", "hostname").stdout, f"h{number}\n")
            self.assertEqual(self.ssh(fleet, number, "ops", "sudo", "-n", "id", "-u").stdout, "0\n")
            state = self.ssh(fleet, number, "ops", "systemctl", "is-system-running").stdout
            self.assertEqual(state, "running\n", "a unit of the base failed")
        for key in ("ecdsa", "rsa"):
            self.assertEqual(self.ssh(fleet, 1, "root", "id", "-u", key=key).stdout, "0\n")

    def cut_and_heal(self, fleet: Fleet) -> None:
        fleet.fault("h1", "cut")
        self.assertEqual(self.ssh(fleet, 1, "root", "true").returncode, 255)
        self.assertEqual(self.ssh(fleet, 2, "root", "true").returncode, 0)
        self.assertEqual(fleet.execute("h1", ["hostname"]).stdout, "h1\n")
        fleet.fault("h1", "heal")
        self.assertEqual(self.ssh(fleet, 1, "root", "true").returncode, 0)

    def slow_down(self, fleet: Fleet) -> None:
        fleet.fault("h1", "slow", "300")
        self.assertEqual(self.ssh(fleet, 1, "root", "head", "-c", "1000000", "/dev/zero").stdout, "\0" * 1000000)
        began = time.monotonic()
        socket.create_connection((fleet.network.ipv4(1), 22), timeout=5).close()
        self.assertGreaterEqual(time.monotonic() - began, 0.3, "the delay itself is what is tested")
        fleet.fault("h1", "reboot")
        began = time.monotonic()
        socket.create_connection((fleet.network.ipv6(1), 22), timeout=5).close()
        self.assertGreaterEqual(time.monotonic() - began, 0.3, "a delay outlasts a reboot")
        fleet.fault("h1", "heal")
        self.assertEqual(self.ssh(fleet, 1, "root", "true").returncode, 0)

    def kill_and_boot(self, fleet: Fleet) -> None:
        fleet.execute("h2", ["sh", "-c", "echo kept > /opt/kept; nft add table ip gone"])
        before = fleet.execute("h2", ["cat", "/proc/sys/kernel/random/boot_id"]).stdout
        for fault in (["kill", "boot"], ["reboot"]):
            for step in fault:
                fleet.fault("h2", step)
            self.assertEqual(self.ssh(fleet, 2, "root", "cat", "/opt/kept").stdout, "kept\n")
            self.assertEqual(fleet.execute("h2", ["nft", "list", "tables"]).stdout, "")
            after = fleet.execute("h2", ["cat", "/proc/sys/kernel/random/boot_id"]).stdout
            self.assertNotEqual(before, after)
            before = after

    def fill_the_disk(self, fleet: Fleet) -> None:
        write = ["dd", "if=/dev/zero", "of=/var/lib/filler", "bs=64K", "count=16"]
        fleet.fault("h1", "disk-full")
        self.assertIn("No space left", fleet.execute("h1", write).stderr)
        self.assertEqual(fleet.execute("h2", write).returncode, 0)
        fleet.fault("h1", "disk-free")
        self.assertEqual(fleet.execute("h1", write).returncode, 0)

    def drop_a_port(self, fleet: Fleet) -> None:
        for undo in (["allow-port", "22"], ["flush-firewall"]):
            fleet.fault("h1", "drop-port", "22")
            self.assertEqual(self.ssh(fleet, 1, "root", "true").returncode, 255)
            fleet.fault("h1", *undo)
            self.assertEqual(self.ssh(fleet, 1, "root", "true").returncode, 0)

    def test_a_killed_run_is_swept(self) -> None:
        owner = subprocess.Popen(["sleep", "1000"])
        try:
            fleet = Fleet.up(self.folder, 1, owner=owner.pid)
            self.assertNotIn(fleet.entry, sweep())
        finally:
            owner.kill()
            owner.wait()
        self.assertIn(fleet.entry, sweep())
        self.assertEqual(leftovers(fleet.entry.prefix, self.folder), [])

    def test_an_interrupted_start_leaves_nothing(self) -> None:
        argv = [sys.executable, str(FLEET), "up", "--hosts", "2", "--dir", str(self.folder), "--prefix", "fint"]
        starting = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.assertTrue(processes.wait_until((self.folder / "hosts/h1/root/etc").exists, 30))
        os.kill(starting.pid, signal.SIGTERM)
        self.assertEqual(starting.wait(timeout=60), 128 + signal.SIGTERM)
        self.assertEqual(leftovers("fint", self.folder), [])

    def test_two_fleets_stand_side_by_side(self) -> None:
        with Fleet.up(self.folder / "a", 1) as first, Fleet.up(self.folder / "b", 1) as second:
            self.assertNotEqual(first.network.ipv4(1), second.network.ipv4(1))
            first.down()
            self.assertEqual(self.ssh(second, 1, "root", "hostname").stdout, "h1\n")

    def test_wrong_use_is_refused(self) -> None:
        with self.assertRaisesRegex(FleetError, "hosts: 0"):
            Fleet.up(self.folder, 0)
        with self.assertRaisesRegex(FleetError, "prefix"):
            Fleet.up(self.folder, 1, prefix="../x")
        with self.assertRaisesRegex(FleetError, "mount options"):
            Fleet.up(self.folder / "a,b", 1)
        with self.assertRaisesRegex(FleetError, "no fleet stands there"):
            Fleet.standing(self.folder)


if __name__ == "__main__":
    lacking = preconditions.missing()
    if lacking:
        print("\n".join(["can't boot test hosts here:", *lacking]), file=sys.stderr)
        sys.exit(2)
    unittest.main()

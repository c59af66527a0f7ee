#!/usr/bin/env python3
"""Checks that the test agents behave as they are described, and that the archives are what they say."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import signal
import socket
import subprocess
import tarfile
import tempfile
import unittest
import zlib
from pathlib import Path

import agents
from fleetkit import processes


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class AgentsTest(unittest.TestCase):
    folder: Path
    archives: dict[str, agents.Archive]

    @classmethod
    def setUpClass(cls) -> None:
        temporary = tempfile.TemporaryDirectory(prefix="agents-test-")
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = Path(temporary.name)
        cls.archives = {archive.name: archive for archive in agents.build(cls.folder / "archives")}

    def start(self, name: str, **environment: str) -> tuple[subprocess.Popen[bytes], int]:
        release = self.folder / name
        if not release.exists():
            release.mkdir()
            subprocess.run(["tar", "-xzf", self.archives[name].file, "-C", str(release)], check=True)
        port = free_port()
        process = subprocess.Popen([str(release / "bin/agent")], stderr=subprocess.DEVNULL,
                                   env={**os.environ, "PORT": str(port), **environment})
        self.addCleanup(process.wait, 10)
        self.addCleanup(process.kill)
        return process, port

    def listening(self, port: int, host: str = "127.0.0.1") -> bool:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            return False
        return True

    def get(self, port: int, path: str = "/health", host: str = "127.0.0.1") -> tuple[int, dict[str, object]]:
        self.assertTrue(processes.wait_until(lambda: self.listening(port, host), 10))
        connection = http.client.HTTPConnection(host, port, timeout=2)
        connection.request("GET", path)
        response = connection.getresponse()
        body = json.loads(response.read())
        connection.close()
        return response.status, body

    def test_good_says_its_version_on_both_families(self) -> None:
        _, port = self.start("agent-2")
        for host in ("127.0.0.1", "::1"):
            status, body = self.get(port, host=host)
            self.assertEqual((status, body["version"]), (200, "2.0.0"))

    def test_bad_ones_misbehave(self) -> None:
        self.assertEqual(self.get(self.start("agent-never-healthy")[1])[0], 503)
        self.assertEqual(self.get(self.start("agent-wrong-version")[1])[1]["version"], "0.0.0-wrong")
        self.assertEqual(self.start("agent-exits")[0].wait(10), 1)
        with self.assertRaises(TimeoutError):
            self.get(self.start("agent-hangs")[1])
        _, port = self.start("agent-flapping")
        answers = [self.get(port)[0] for _ in range(20)]
        self.assertIn(200, answers)
        for index in range(len(answers) - 2):
            self.assertIn(503, answers[index:index + 3])

    def test_late_ones_wait_for_their_trigger(self) -> None:
        trigger = self.folder / "trigger"
        slow = self.start("agent-slow-start", SICKLY_AFTER=str(trigger))[1]
        sick = self.start("agent-sickens", SICKLY_AFTER=str(trigger))[1]
        crash, crash_port = self.start("agent-crashes", SICKLY_AFTER=str(trigger))
        self.assertEqual(self.get(sick)[0], 200)
        self.assertEqual(self.get(crash_port)[0], 200)
        self.assertFalse(self.listening(slow))
        trigger.touch()
        self.assertEqual(crash.wait(10), 3)
        self.assertEqual(self.get(sick)[0], 503)
        self.assertEqual(self.get(sick, "/")[0], 200)
        self.assertEqual(self.get(slow)[0], 200)

    def test_a_download_outlives_sigterm_and_is_whole(self) -> None:
        process, port = self.start("agent-1")
        self.get(port)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/slow?bytes=1000003&seconds=1")
        response = connection.getresponse()
        process.send_signal(signal.SIGTERM)
        body = response.read()
        self.assertEqual(len(body), 1000003)
        self.assertTrue(all(byte == index % 251 for index, byte in enumerate(body)))
        self.assertEqual(process.wait(10), 0)
        self.assertFalse(self.listening(port))

    def test_hostile_archives_hold_what_they_say(self) -> None:
        found = {}
        for name, archive in self.archives.items():
            if name.startswith("hostile-") and name not in (
                "hostile-truncated", "hostile-altered", "hostile-not-an-archive"
            ):
                with tarfile.open(archive.file) as tar:
                    found[name] = [(info.name, info.linkname, info.type, info.mode, info.size) for info in tar]
        self.assertTrue(any(name.startswith("/etc/") for name, *_ in found["hostile-absolute"]))
        self.assertTrue(any("/../" in name for name, *_ in found["hostile-dotdot"]))
        self.assertTrue(any(mode & 0o4000 for *_, mode, _ in found["hostile-setuid"]))
        self.assertEqual(found["hostile-bomb"][0][4], 40 << 26)
        kinds = {"symlink-out": tarfile.SYMTYPE, "hardlink-out": tarfile.LNKTYPE, "device": tarfile.CHRTYPE,
                 "fifo": tarfile.FIFOTYPE}
        for name, kind in kinds.items():
            self.assertTrue(any(entry[2] == kind for entry in found[f"hostile-{name}"]))
        for name in ("truncated", "altered"):
            with self.assertRaises((EOFError, OSError, tarfile.TarError, zlib.error)):
                with tarfile.open(self.archives[f"hostile-{name}"].file) as tar:
                    for info in tar:
                        file = tar.extractfile(info)
                        if file:
                            file.read()
                with gzip.open(self.archives[f"hostile-{name}"].file) as plain:
                    plain.read()  # to the checksum at the end


if __name__ == "__main__":
    unittest.main()

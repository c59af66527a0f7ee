#!/usr/bin/env python3
"""Switchyard's own agent: the RPC door, upgrades of the agent itself through it, and the way back over SSH."""

from __future__ import annotations

import io
import ssl
import subprocess
import tarfile
import threading
import time
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from agents import Archive, pack, member, folders
from rollouts import PROGRAM, PROMOTED, ROLLED_BACK, Agent, RolloutTest, at_once, policy

AGENT = PROGRAM.with_name("switchyard-agent")
UNITS = Path(__file__).resolve().parents[2] / "units"


@dataclass
class Clients:
    """Clients that ask every host's agent again and again, and retry nothing."""

    urls: list[str]
    served: int = 0
    failed: list[str] = field(default_factory=list)

    def ask(self, url: str, over: threading.Event) -> None:
        trust = ssl.create_default_context()
        trust.check_hostname = False
        trust.verify_mode = ssl.CERT_NONE  # whom they reach is not what is tested here
        while not over.wait(0.05):
            try:
                with urlopen(url, timeout=5, context=trust) as response:
                    response.read()
                self.served += 1
            except OSError as error:
                self.failed.append(f"{url}: {error}")

    @contextmanager
    def busy(self) -> Iterator[None]:
        over = threading.Event()
        threads = [threading.Thread(target=self.ask, args=(url, over)) for url in self.urls]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()


class OwnAgent(Agent):
    """Switchyard's agent, as its agent file has it, with ports of a test's own."""

    @property
    def public(self) -> int:
        return 7440

    @property
    def slots(self) -> dict[str, int]:
        return {"blue": 7441, "green": 7442}

    def file(self) -> dict[str, Any]:
        base: dict[str, Any] = {
            "agent": self.name, "user": "switchyard-agent", "exec": "bin/switchyard-agent", "slots": self.slots,
            "public_port": self.public, "drain": "2s", "unit": str(UNITS / "switchyard-agent.service"),
            "environment": {"SLOT": "{{ slot }}"},
            "health": [{"https": "/readyz", "verify": False, "expect": {"status": 200}},
                       {"https": "/version", "verify": False, "expect": {"json": {"agent": "switchyard-agent"}}}],
            "dependencies": [{"file": "/etc/switchyard-agent/agent.yml"}, {"file": "/run/switchyard/host.sock"}],
        }
        return {**base, **self.fields}


class RPCDoor(RolloutTest):
    """The tests build on one another, as the days of an agent do: their names give the order."""

    folder: Path

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.folder = cls.site.folder
        cls.cert("init", "--name", "fleet authority")
        cls.cert("issue", "ops", "--role", "controller", "--out", str(cls.folder / "ops"))
        for host in cls.fleet.hosts:
            cls.prepare(host.name, host.network.ipv4(host.number))
        for number in (1, 2, 3):
            cls.site.archives[f"own-{number}"] = cls.archive(number)
        cls.site.archives["own-bad"] = cls.archive(9, broken=True)

    @classmethod
    def cert(cls, *arguments: str) -> None:
        ended = subprocess.run([PROGRAM, "cert", *arguments, "--authority", cls.folder / "authority"],
                               capture_output=True, text=True, check=False, timeout=60)
        if ended.returncode != 0:
            raise AssertionError(f"cert {arguments}: {ended.stdout}{ended.stderr}")

    @classmethod
    def archive(cls, number: int, broken: bool = False) -> Archive:
        program = b"#!/bin/false\n" if broken else AGENT.read_bytes()
        content = pack([*folders(["bin"]), member("bin/switchyard-agent", program, 0o755),
                        member("GENERATION", f"{number}\n".encode())])
        file = cls.folder / f"own-{number}.tar.gz"
        file.write_bytes(content)
        return Archive(f"own-{number}", str(file), f"{number}.0.0", "", "Switchyard's own agent")

    @classmethod
    def put(cls, host: str, path: str, content: bytes, mode: int = 0o644, group: str = "root") -> None:
        """A file on a host, by way of its tar: nothing has to be there but the base system."""
        bundle = io.BytesIO()
        with tarfile.open(fileobj=bundle, mode="w") as tar:
            info = tarfile.TarInfo(path.lstrip("/"))
            info.size, info.mode, info.gname = len(content), mode, group
            tar.addfile(info, io.BytesIO(content))
        argv = cls.fleet.host(host).argv_inside(["tar", "-x", "-C", "/"])
        subprocess.run(argv, input=bundle.getvalue(), check=True, timeout=60)

    @classmethod
    def prepare(cls, host: str, address: str) -> None:
        """What docs/agent.md asks for before the first install."""
        cls.cert("issue", host, "--san", f"ip:{address}", "--out", str(cls.folder / host))
        on_host = cls.site.on_host
        on_host(host, "useradd", "--system", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", "switchyard-agent")
        on_host(host, "install", "-d", "-m", "0750", "-g", "switchyard-agent", "/etc/switchyard-agent", "/etc/switchyard-agent/tls")
        issued = cls.folder / host
        for name, source in (("agent.pem", f"{host}.pem"), ("ca.pem", "ca.pem"), ("crl.pem", "crl.pem")):
            cls.put(host, f"/etc/switchyard-agent/tls/{name}", (issued / source).read_bytes())
        cls.put(host, "/etc/switchyard-agent/tls/agent.key", (issued / f"{host}.key").read_bytes(), 0o640, "switchyard-agent")
        cls.put(host, "/etc/switchyard-agent/agent.yml", (
            "listen: 0.0.0.0\ncertificate: /etc/switchyard-agent/tls/agent.pem\nkey: /etc/switchyard-agent/tls/agent.key\n"
            "authority: /etc/switchyard-agent/tls/ca.pem\nrevoked: /etc/switchyard-agent/tls/crl.pem\ncontrollers: [ops]\n"
            "tunnels: [7441, 7442]\ndrain: 5s\n").encode())
        for unit in ("switchyard-host.socket", "switchyard-host@.service"):
            cls.put(host, f"/etc/systemd/system/{unit}", (UNITS / unit).read_bytes())
        on_host(host, "systemctl", "daemon-reload")
        on_host(host, "systemctl", "enable", "--now", "switchyard-host.socket")

    def own(self, door: str, **fields: Any) -> OwnAgent:
        means = {"authority": str(self.folder / "ops/ca.pem"), "certificate": str(self.folder / "ops/ops.pem"),
                 "key": str(self.folder / "ops/ops.key")}
        return OwnAgent("switchyard-agent", 0, {"door": door, "rpc": means, **fields})

    def owners(self, agent: Agent) -> set[str]:
        return {self.site.on_record(host.name, agent)["owner"] for host in self.fleet.hosts}

    @property
    def clients(self) -> Clients:
        return Clients([f"https://{host.network.ipv4(host.number)}:7440/version" for host in self.fleet.hosts])

    @contextmanager
    def without_ssh(self) -> Iterator[None]:
        """Nobody can come over SSH: what works then went through the agents."""
        for host in self.fleet.hosts:
            self.fleet.fault(host.name, "drop-ssh")
            self.site.on_host(host.name, "systemctl", "stop", "ssh.service", "ssh.socket")
        try:
            yield
        finally:
            for host in self.fleet.hosts:
                self.site.on_host(host.name, "systemctl", "start", "ssh.service")

    def test_1_where_no_agent_answers_auto_takes_ssh_and_says_why(self) -> None:
        outcome = self.site.roll_out(self.own("auto"), "own-1", at_once())
        self.assertEqual(outcome.code, PROMOTED, outcome.said)
        self.assertRegex(self.site.run("rollout", "logs").stdout, "over SSH: .*7440: no agent answers")
        self.assertEqual(self.owners(self.own("ssh")), {"blue"})

    def test_2_an_agent_upgrades_itself_under_load_without_ssh(self) -> None:
        clients = self.clients
        with self.without_ssh(), clients.busy():
            outcome = self.site.roll_out(self.own("rpc"), "own-2", policy())
        self.assertEqual(outcome.code, PROMOTED, outcome.said)
        self.assertEqual(self.owners(self.own("ssh")), {"green"})
        self.assertGreater(clients.served, 100)
        self.assertEqual(clients.failed, [])

    def test_3_a_bad_release_is_undone_through_the_agents(self) -> None:
        clients = self.clients
        with self.without_ssh(), clients.busy():
            outcome = self.site.roll_out(self.own("rpc"), "own-bad", policy())
        self.assertEqual(outcome.code, ROLLED_BACK, outcome.said)
        self.assertEqual(self.owners(self.own("ssh")), {"green"})
        self.assertEqual(clients.failed, [])

    def test_4_a_host_whose_agent_is_down_is_asked_over_ssh_and_upgraded_once_it_is_back(self) -> None:
        self.site.on_host("h1", "systemctl", "stop", "switchyard-agent-green.service")
        outcome = self.site.roll_out(self.own("auto"), "own-3", at_once())
        self.assertNotEqual(outcome.code, PROMOTED, outcome.said)
        reasons = {host["host"]: host["reason"] for host in self.site.status()["hosts"]}
        # Only the host itself knows that: it was asked.
        self.assertIn("no way back", reasons["h1"], outcome.said)
        self.site.on_host("h1", "systemctl", "start", "switchyard-agent-green.service")
        time.sleep(1)
        outcome = self.site.roll_out(self.own("auto"), "own-3", at_once())
        self.assertEqual(outcome.code, PROMOTED, outcome.said)
        self.assertEqual(self.owners(self.own("ssh")), {"blue"})

    def test_5_a_controller_with_a_foreign_certificate_is_refused(self) -> None:
        for arguments in (["init", "--name", "another authority"], ["issue", "ops", "--role", "controller", "--out",
                                                                    str(self.folder / "foreign")]):
            ended = subprocess.run([PROGRAM, "cert", *arguments, "--authority", self.folder / "another"],
                                   capture_output=True, text=True, check=False, timeout=60)
            self.assertEqual(ended.returncode, 0, ended.stderr)
        agent = self.own("rpc")
        agent.fields["rpc"] = {"authority": str(self.folder / "ops/ca.pem"),
                               "certificate": str(self.folder / "foreign/ops.pem"), "key": str(self.folder / "foreign/ops.key")}
        before = {host.name: self.site.traces(host.name) for host in self.fleet.hosts}
        outcome = self.site.hosts("check", agent)
        self.assertNotEqual(outcome.code, 0, outcome.said)
        for name, traces in before.items():
            self.assert_unchanged(traces, self.site.traces(name), name)


if __name__ == "__main__":
    unittest.main()

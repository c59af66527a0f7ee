"""Switchyard's own agent on the hosts of a test: certificates, configuration, archives, and a client of its RPC."""

from __future__ import annotations

import http.client
import io
import json
import ssl
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents import Archive, folders, member, pack
from rollouts import PROGRAM, PROMOTED, Agent, RolloutTest, at_once

AGENT = PROGRAM.with_name("switchyard-agent")
HOST_PROGRAM = PROGRAM.with_name("switchyard-host")
UNITS = Path(__file__).resolve().parents[2] / "units"


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


def archive(folder: Path, number: int, broken: bool = False) -> Archive:
    """A release of the agent that differs from others by its number, or one that ends at once."""
    program = b"#!/bin/false\n" if broken else AGENT.read_bytes()
    content = pack([*folders(["bin"]), member("bin/switchyard-agent", program, 0o755),
                    member("GENERATION", f"{number}\n".encode())])
    file = folder / f"own-{number}.tar.gz"
    file.write_bytes(content)
    return Archive(f"own-{number}", str(file), f"{number}.0.0", "", "Switchyard's own agent")


@dataclass(frozen=True)
class Answer:
    """What an agent answered."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]


class OwnAgentTest(RolloutTest):
    """Hosts that have all that docs/agent.md asks for before the agent's first install."""

    folder: Path
    #: More lines for the agents' configuration.
    configuration = ""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.folder = cls.site.folder
        cls.cert("init", "--name", "fleet authority")
        cls.cert("issue", "ops", "--role", "controller", "--out", str(cls.folder / "ops"))
        for host in cls.fleet.hosts:
            cls.prepare(host.name, host.network.ipv4(host.number))
        for number in (1, 2, 3):
            cls.site.archives[f"own-{number}"] = archive(cls.folder, number)
        cls.site.archives["own-bad"] = archive(cls.folder, 9, broken=True)

    @classmethod
    def cert(cls, *arguments: str) -> None:
        ended = subprocess.run([PROGRAM, "cert", *arguments, "--authority", cls.folder / "authority"],
                               capture_output=True, text=True, check=False, timeout=60)
        if ended.returncode != 0:
            raise AssertionError(f"cert {arguments}: {ended.stdout}{ended.stderr}")

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
            f"tunnels: [7441, 7442]\ndrain: 5s\n{cls.configuration}").encode())
        for unit in ("switchyard-host.socket", "switchyard-host@.service"):
            cls.put(host, f"/etc/systemd/system/{unit}", (UNITS / unit).read_bytes())
        on_host(host, "systemctl", "daemon-reload")
        on_host(host, "systemctl", "enable", "--now", "switchyard-host.socket")

    def own(self, door: str, **fields: Any) -> OwnAgent:
        means = {"authority": str(self.folder / "ops/ca.pem"), "certificate": str(self.folder / "ops/ops.pem"),
                 "key": str(self.folder / "ops/ops.key")}
        return OwnAgent("switchyard-agent", 0, {"door": door, "rpc": means, **fields})

    def install(self, **fields: Any) -> None:
        """The agent on every host, over SSH."""
        outcome = self.site.roll_out(self.own("ssh", **fields), "own-1", at_once())
        self.assertEqual(outcome.code, PROMOTED, outcome.said)

    def ask(
        self, host: str, method: str, path: str, body: bytes | None = None, *, client: str | None = "ops",
        headers: dict[str, str] | None = None, port: int = 7440, timeout: float = 60,
    ) -> Answer:
        """A request as a controller makes it, or without a certificate where `client` is None."""
        trust = ssl.create_default_context(cafile=str(self.folder / "ops/ca.pem"))
        if client is not None:
            trust.load_cert_chain(self.folder / client / f"{client}.pem", self.folder / client / f"{client}.key")
        address = self.fleet.network.ipv4(self.fleet.host(host).number)
        connection = http.client.HTTPSConnection(address, port, context=trust, timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.read())
        finally:
            connection.close()

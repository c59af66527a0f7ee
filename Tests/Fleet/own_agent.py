"""Switchyard's own agent on the hosts of a test: certificates, configuration, archives, and a client of its RPC."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents import Archive, folders, member, pack
from fleet import Fleet
from fleetkit.clock import WrongClock
from rollouts import PROGRAM, PROMOTED, Agent, RolloutTest, at_once
from supplies import put

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


DOOR_UNITS = ("switchyard-host.socket", "switchyard-host@.service", "switchyard-playbook.socket", "switchyard-playbook@.service")


def certify(folder: Path, *arguments: str, clock: WrongClock | None = None) -> None:
    """A `cert` verb with the authority in a test's folder, today or when a clock says."""
    environment = {**os.environ, **(clock.environment if clock else {})}
    ended = subprocess.run([PROGRAM, "cert", *arguments, "--authority", folder / "authority"],
                           capture_output=True, text=True, check=False, timeout=60, env=environment)
    if ended.returncode != 0:
        raise AssertionError(f"cert {arguments}: {ended.stdout}{ended.stderr}")


def make_authority(folder: Path, clock: WrongClock | None = None) -> None:
    """The authority of a test's fleet, and its controllers' certificate."""
    certify(folder, "init", "--name", "fleet authority", clock=clock)
    certify(folder, "issue", "ops", "--role", "controller", "--out", str(folder / "ops"), clock=clock)


def means(folder: Path) -> dict[str, str]:
    """What an agent file says of the RPC door."""
    return {"authority": str(folder / "ops/ca.pem"), "certificate": str(folder / "ops/ops.pem"), "key": str(folder / "ops/ops.key")}


def prepare(fleet: Fleet, folder: Path, host: str, configuration: str, clock: WrongClock | None = None) -> None:
    """What docs/agent.md asks for before the first install."""
    certify(folder, "issue", host, "--san", f"ip:{fleet.network.ipv4(fleet.host(host).number)}", "--out", str(folder / host),
            clock=clock)
    for argv in (["useradd", "--system", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", "switchyard-agent"],
                 ["install", "-d", "-m", "0750", "-g", "switchyard-agent", "/etc/switchyard-agent", "/etc/switchyard-agent/tls"]):
        fleet.execute(host, argv)
    issued = folder / host
    for name, source in (("agent.pem", f"{host}.pem"), ("ca.pem", "ca.pem"), ("crl.pem", "crl.pem")):
        put(fleet, host, f"/etc/switchyard-agent/tls/{name}", (issued / source).read_bytes())
    put(fleet, host, "/etc/switchyard-agent/tls/agent.key", (issued / f"{host}.key").read_bytes(), 0o640, "switchyard-agent")
    put(fleet, host, "/etc/switchyard-agent/agent.yml", (
        "listen: 0.0.0.0\ncertificate: /etc/switchyard-agent/tls/agent.pem\nkey: /etc/switchyard-agent/tls/agent.key\n"
        "authority: /etc/switchyard-agent/tls/ca.pem\nrevoked: /etc/switchyard-agent/tls/crl.pem\ncontrollers: [ops]\n"
        f"drain: 5s\n{configuration}").encode())
    for unit in DOOR_UNITS:
        put(fleet, host, f"/etc/systemd/system/{unit}", (UNITS / unit).read_bytes())
    fleet.execute(host, ["systemctl", "daemon-reload"])
    fleet.execute(host, ["systemctl", "enable", "--now", *(unit for unit in DOOR_UNITS if unit.endswith(".socket"))])


#: What `agent uninstall` leaves on a host, by its own words: uploads and logs, tools for playbooks, what SSH's login has cached.
KEPT = ("/var/lib/switchyard-agent", "/opt/switchyard-python", "/root/.cache/switchyard")


def left(fleet: Fleet, host: str) -> list[str]:
    """Files with Switchyard's name on a host that `agent uninstall` does not say to leave, and links to units of it."""
    said = fleet.execute(host, ["find", "/", "/run", "-xdev", "-name", "*switchyard*", "-print", "-prune"]).stdout
    return sorted(path for path in set(said.splitlines()) if path not in KEPT)


class OwnAgentTest(RolloutTest):
    """Hosts that have all that docs/agent.md asks for before the agent's first install."""

    folder: Path
    #: More lines for the agents' configuration.
    configuration = ""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.folder = cls.site.folder
        make_authority(cls.folder)
        for host in cls.fleet.hosts:
            cls.prepare(host.name, host.network.ipv4(host.number))
        for number in (1, 2, 3):
            cls.site.archives[f"own-{number}"] = archive(cls.folder, number)
        cls.site.archives["own-bad"] = archive(cls.folder, 9, broken=True)

    @classmethod
    def cert(cls, *arguments: str) -> None:
        certify(cls.folder, *arguments)

    @classmethod
    def put(cls, host: str, path: str, content: bytes, mode: int = 0o644, group: str = "root") -> None:
        put(cls.fleet, host, path, content, mode, group)

    @classmethod
    def prepare(cls, host: str, address: str) -> None:
        """What docs/agent.md asks for before the first install."""
        prepare(cls.fleet, cls.folder, host, f"tunnels: [7441, 7442]\n{cls.configuration}")

    def own(self, door: str, **fields: Any) -> OwnAgent:
        return OwnAgent("switchyard-agent", 0, {"door": door, "rpc": means(self.folder), **fields})

    def install(self, **fields: Any) -> None:
        """The agent on every host, over SSH."""
        outcome = self.site.roll_out(self.own("ssh", **fields), "own-1", at_once())
        self.assertEqual(outcome.code, PROMOTED, outcome.said)

    def doors(self) -> dict[str, list[str]]:
        """The doors that the newest rollout took to each host, in the order of their first use, as its log has it."""
        outcome = self.site.run("logs", self.site.status()["id"], "--output", "json")
        self.assertEqual(outcome.code, 0, outcome.said)
        found: dict[str, list[str]] = {}
        for line in map(json.loads, outcome.stdout.splitlines()):
            taken = found.setdefault(line.get("host", ""), [])
            if line["source"] in ("ssh", "rpc") and line["source"] not in taken:
                taken.append(line["source"])
        return {host.name: found.get(host.name, []) for host in self.fleet.hosts}

    def active(self, unit: str, host: str) -> str:
        return self.site.on_host(host, "systemctl", "show", "--property=ActiveState", "--value", unit).strip()

    def kill_for_good(self, host: str) -> None:
        """The live slot's agent dies, and can't be started again."""
        name = self.own("ssh").name
        slot = self.site.on_record(host, self.own("ssh"))["owner"]
        self.site.on_host(host, "chmod", "000", f"/opt/switchyard/{name}/{slot}/bin/switchyard-agent")
        unit = f"{name}-{slot}.service"
        self.site.on_host(host, "systemctl", "kill", "--signal=KILL", unit)
        self.wait_for("its end", lambda: self.active(unit, host) != "active")

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

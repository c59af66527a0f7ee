"""The RPC door for tests that were written for SSH: an agent on each host, and no other way to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import own_agent
from fleet import Fleet
from fleetkit.clock import WrongClock
from rollouts import Door
from supplies import put

PORT = 7440
UNIT = "door.service"
#: How old a test's certificates are, in seconds: a clock that is a day behind still finds them valid.
AGE = 2 * 86_400
PROGRAM = "/opt/door/switchyard-agent"
#: The ports that the slots of a test's agents have, those that they had before Switchyard, and one on which nobody listens.
TUNNELS = [9, *range(7000, 7130), *range(8400, 8460)]


def unit() -> str:
    """The agent's unit for an agent without slots: no test's rollouts change it."""
    text = (own_agent.UNITS / "switchyard-agent.service").read_text(encoding="utf-8")
    program = "/opt/switchyard/switchyard-agent/{{ slot }}/bin/switchyard-agent"
    if program not in text:
        raise AssertionError(f"the unit has no {program} any more")
    return (text.replace(program, PROGRAM).replace("{{ slot }}", "only")
            + f"\n[Service]\nEnvironment=PORT={PORT} SLOT=only\n\n[Install]\nWantedBy=multi-user.target\n")


class RPC(Door):
    """Through the hosts' agents alone: by the inventory nobody can come over SSH."""

    name = "rpc"

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        super().__init__(fleet, folder)
        self.clock = WrongClock.make(folder)
        self.clock.set(-AGE)
        own_agent.make_authority(folder, self.clock)
        for host in self.behind(fleet):
            self.prepare(host)

    def behind(self, fleet: Fleet) -> list[str]:
        """The hosts that have an agent."""
        return [host.name for host in fleet.hosts]

    def prepare(self, host: str) -> None:
        own_agent.prepare(self.fleet, self.folder, host, f"tunnels: {TUNNELS}\n", self.clock)
        put(self.fleet, host, "/opt/switchyard/bin/switchyard-host", own_agent.HOST_PROGRAM.read_bytes(), 0o755)
        put(self.fleet, host, PROGRAM, own_agent.AGENT.read_bytes(), 0o755)
        put(self.fleet, host, f"/etc/systemd/system/{UNIT}", unit().encode())
        self.fleet.execute(host, ["systemctl", "daemon-reload"])
        self.fleet.execute(host, ["systemctl", "enable", UNIT])
        self.open(host)

    def inventory(self, login: str) -> str:
        """The fleet's, with a port for SSH on which nobody listens."""
        text = Path(super().inventory(login)).read_text(encoding="utf-8")
        if "ansible_port: 22\n" not in text:
            raise AssertionError(f"the inventory has no port any more:\n{text}")
        path = self.folder / f"hosts-{login}.yml"
        path.write_text(text.replace("ansible_port: 22\n", "ansible_port: 9\n"), encoding="utf-8")
        return str(path)

    def fields(self) -> dict[str, Any]:
        return {"door": "rpc", "rpc": {"port": PORT, **own_agent.means(self.folder)}}

    def drop(self, host: str) -> None:
        self.fleet.fault(host, "drop-tcp", str(PORT))

    def shut(self, host: str) -> None:
        """At once: an agent that is asked to end carries on for a while what it has begun."""
        for argv in (["stop", "--no-block"], ["kill", "--signal=KILL"], ["stop"]):
            self.fleet.execute(host, ["systemctl", *argv, UNIT])

    def open(self, host: str) -> None:
        """Its unit tells systemd when it serves: the command ends then."""
        ended = self.fleet.execute(host, ["systemctl", "start", UNIT])
        if ended.returncode != 0:
            raise AssertionError(f"{host}: the agent does not start: {ended.stderr}")

    def is_its_own(self, unit: str) -> bool:
        """The host program's conversations are units; those of SSH are none."""
        return unit.startswith("switchyard-host@")

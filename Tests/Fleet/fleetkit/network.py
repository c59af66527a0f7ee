"""The network of one fleet: a bridge, and for each host a namespace joined to it by a veth pair."""

from __future__ import annotations

import ipaddress
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from . import processes
from .run import FleetError, ToolFailed, run, tool_environment

MOST_HOSTS = 110
MOST_FLEETS = 200
NAMESPACES = Path("/run/netns")
RELAY = Path(__file__).with_name("relay.py")


@dataclass(frozen=True)
class Network:
    """Names and addresses of a fleet, all of them made from its prefix and its number."""

    prefix: str
    index: int

    @property
    def bridge(self) -> str:
        return f"{self.prefix}br"

    @property
    def gateway(self) -> str:
        return f"10.231.{self.index}.1"

    @property
    def gateway6(self) -> str:
        return self._ipv6("1")

    def machine(self, number: int) -> str:
        """The name of a host's namespace, veth (its end on the bridge) and nspawn machine."""
        return f"{self.prefix}h{number}"

    def ipv4(self, number: int) -> str:
        return f"10.231.{self.index}.{10 + number}"

    def ipv6(self, number: int) -> str:
        return self._ipv6(f"{10 + number:x}")

    def secondary_ipv4(self, number: int) -> str:
        """An address that nobody has yet, for tests that give a host a second one."""
        return f"10.231.{self.index}.{130 + number}"

    def secondary_ipv6(self, number: int) -> str:
        return self._ipv6(f"1:{10 + number:x}")

    def _ipv6(self, last: str) -> str:
        return str(ipaddress.IPv6Address(f"fd73:7977:{self.index:x}::{last}"))

    def mac(self, number: int) -> str:
        """Fixed, so that neighbours' caches stay right over a reboot."""
        return f"02:73:79:{self.index:02x}:00:{number:02x}"

    def make_bridge(self) -> None:
        name = self.bridge
        _ip_batch([
            f"link add {name} type bridge forward_delay 0 stp_state 0 mcast_snooping 0",
            f"addr add {self.gateway}/24 dev {name}",
            f"addr add {self.gateway6}/64 dev {name} nodad",
            f"link set {name} up",
        ])

    def remove_bridge(self) -> None:
        _remove_link(self.bridge)

    def make_host(self, number: int, *, cut: bool, delay_ms: int) -> None:
        """A fresh namespace: like real hardware after power-on it has no firewall and no connections."""
        name = self.machine(number)
        _ip_batch([
            f"netns add {name}",
            f"link add {name} type veth peer name eth0 address {self.mac(number)} netns {name}",
            f"link set {name} master {self.bridge}",
            f"link set {name} {'down' if cut else 'up'}",
        ])
        _ip_batch([
            "link set lo up",
            f"addr add {self.ipv4(number)}/24 dev eth0",
            f"addr add {self.ipv6(number)}/64 dev eth0 nodad",
            "link set eth0 up",
        ], namespace=name)
        if delay_ms:
            self.set_delay(number, delay_ms)

    def remove_host(self, number: int) -> None:
        """Remove link and namespace; what is already gone is no error."""
        name = self.machine(number)
        self._end_relay(number)
        _remove_link(name)
        if (NAMESPACES / name).exists():
            done = run(["ip", "netns", "del", name], check=False)
            if done.returncode != 0 and (NAMESPACES / name).exists():
                raise ToolFailed(f"ip netns del {name}: {done.stderr.strip()}")

    def processes_in(self, number: int) -> list[int]:
        """Processes in a host's namespace, also those that somebody started from outside."""
        name = self.machine(number)
        if not (NAMESPACES / name).exists():
            return []
        return [int(pid) for pid in run(["ip", "netns", "pids", name], check=False).stdout.split()]

    def set_link(self, number: int, *, up: bool) -> None:
        run(["ip", "link", "set", self.machine(number), "up" if up else "down"])

    def set_delay(self, number: int, milliseconds: int) -> None:
        """Delay what travels to the host; 0 takes the delay away."""
        name = self.machine(number)
        self._end_relay(number)
        run(["tc", "qdisc", "del", "dev", name, "root"], check=False)
        if milliseconds == 0:
            return
        netem = run(["tc", "qdisc", "replace", "dev", name, "root", "netem", "delay", f"{milliseconds}ms",
                     "limit", "100000"], check=False)
        if netem.returncode != 0:
            self._start_relay(number, milliseconds)

    def _start_relay(self, number: int, milliseconds: int) -> None:
        name = self.machine(number)
        argv = [sys.executable, "-I", "-S", str(RELAY), _relay_tag(name), name, self.bridge, str(milliseconds),
                str(NAMESPACES / name)]
        relay = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 start_new_session=True, env=tool_environment())
        assert relay.stdout is not None and relay.stderr is not None
        with relay.stdout, relay.stderr:
            if relay.stdout.readline() != b"ready\n":
                said = relay.stderr.read().decode(errors="replace").strip().splitlines()[-1:]
                relay.wait()
                raise FleetError(f"{name}: there is no netem here, and the relay did not start: {said}")

    def _end_relay(self, number: int) -> None:
        name = self.machine(number)
        relays = processes.with_arguments(None, _relay_tag(name))
        if relays:
            processes.end(relays)
            run(["ip", "link", "set", "dev", name, "promisc", "off", "master", self.bridge], check=False)

    def nft(self, number: int, script: str) -> None:
        """Feed an nftables script, one transaction, to the host's firewall."""
        run(["nsenter", f"--net={NAMESPACES / self.machine(number)}", "nft", "-f", "-"], stdin=script)


def links() -> set[str]:
    """The names of all links of the machine's own namespace."""
    return {link["ifname"] for link in json.loads(run(["ip", "-json", "link"]).stdout)}


def subnet_is_free(index: int) -> bool:
    """False when a route of this machine already leads to the subnet of fleet number `index`."""
    wanted = ipaddress.ip_network(f"10.231.{index}.0/24")
    for route in json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"]).stdout):
        if route["dst"] == "default":
            continue
        if ipaddress.ip_network(route["dst"], strict=False).overlaps(wanted):
            return False
    return True


def _relay_tag(machine: str) -> str:
    """An argument by which the relay of a host is found among all processes."""
    return f"fleet-relay-{machine}"


def _remove_link(name: str) -> None:
    done = run(["ip", "link", "del", name], check=False)
    if done.returncode != 0 and "Cannot find device" not in done.stderr:
        raise ToolFailed(f"ip link del {name}: {done.stderr.strip()}")


def _ip_batch(lines: list[str], namespace: str | None = None) -> None:
    """Several `ip` commands in one process; it stops at the first that fails."""
    where = ["-netns", namespace] if namespace else []
    run(["ip", *where, "-batch", "-"], stdin="\n".join(lines) + "\n")

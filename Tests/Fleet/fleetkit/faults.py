"""Faults on demand, by name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable

from .host import Faults, Host
from .run import FleetError, run

DROPS = "fleet_drop"  # the table of the firewall that drops ports


def cut(host: Host) -> None:
    _remember(host, cut=True)
    host.network.set_link(host.number, up=False)


def heal(host: Host) -> None:
    _remember(host, cut=False, delay_ms=0)
    host.network.set_link(host.number, up=True)
    host.network.set_delay(host.number, 0)


def slow(host: Host, milliseconds: str) -> None:
    delay = _whole(milliseconds, "milliseconds", 60_000)
    _remember(host, delay_ms=delay)
    host.network.set_delay(host.number, delay)


def kill(host: Host) -> None:
    host.kill()


def boot(host: Host) -> None:
    host.start()
    host.wait_ready()


def reboot(host: Host) -> None:
    host.shut_down()
    boot(host)


def disk_full(host: Host, leave: str = "0") -> None:
    host.fill_disk(_size(leave))


def disk_free(host: Host) -> None:
    host.free_disk()


def flush_firewall(host: Host) -> None:
    """What Debian's /etc/nftables.conf begins with, and what others do when they reload."""
    host.network.nft(host.number, "flush ruleset\n")


def drop_port(host: Host, port: str) -> None:
    """A firewall that drops new and old packets for a TCP port, but not on loopback."""
    number = _port(port)
    host.network.nft(host.number, (
        f"table inet {DROPS} {{\n"
        "  set ports { type inet_service; }\n"
        "  chain input { type filter hook input priority filter; policy accept; }\n"
        "}\n"
        f"flush chain inet {DROPS} input\n"
        f"add rule inet {DROPS} input iifname != \"lo\" tcp dport @ports drop\n"
        f"add element inet {DROPS} ports {{ {number} }}\n"
    ))


def allow_port(host: Host, port: str) -> None:
    number = _port(port)
    # Adding it first makes the deletion right also where the port was not dropped.
    host.network.nft(host.number, (
        f"table inet {DROPS} {{ set ports {{ type inet_service; }}; }}\n"
        f"add element inet {DROPS} ports {{ {number} }}\n"
        f"delete element inet {DROPS} ports {{ {number} }}\n"
    ))


def drop_ssh(host: Host) -> None:
    """End every SSH connection that stands, as a middlebox that forgets them would; new ones are taken."""
    listed = run(host.argv_inside(["ps", "-C", "sshd", "-o", "pid=,args="])).stdout.splitlines()
    pids = [line.split()[0] for line in listed if "[listener]" not in line]
    run(host.argv_inside(["kill", "-KILL", *pids]), check=False)  # some may have ended meanwhile


def drop_tcp(host: Host, port: str) -> None:
    """End every TCP connection to a port that stands; new ones are taken."""
    run(host.argv_inside(["ss", "--kill", "--tcp", "state", "connected", "sport", "=", f":{_port(port)}"]))


FAULTS: dict[str, Callable[..., None]] = {
    "cut": cut, "heal": heal, "slow": slow, "kill": kill, "boot": boot, "reboot": reboot,
    "disk-full": disk_full, "disk-free": disk_free, "flush-firewall": flush_firewall,
    "drop-port": drop_port, "allow-port": allow_port, "drop-ssh": drop_ssh, "drop-tcp": drop_tcp,
}


def apply(host: Host, fault: str, *values: str) -> None:
    """Do one fault to one host."""
    action = FAULTS.get(fault)
    if action is None:
        raise FleetError(f"fault {fault!r}: there are {', '.join(FAULTS)}")
    takes = list(inspect.signature(action).parameters.values())[1:]
    least = sum(parameter.default is parameter.empty for parameter in takes)
    if not least <= len(values) <= len(takes):
        names = " ".join(parameter.name.upper() for parameter in takes) or "no value"
        raise FleetError(f"fault {fault}: takes {names}")
    action(host, *values)


def _remember(host: Host, **changes: bool | int) -> None:
    faults = host.faults()
    host.remember(Faults(**{"cut": faults.cut, "delay_ms": faults.delay_ms, **changes}))  # type: ignore[arg-type]


def _whole(text: str, what: str, most: int) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > most:
        raise FleetError(f"{what}: {text!r} is not a whole number from 0 to {most}")
    return int(text)


def _port(text: str) -> int:
    port = _whole(text, "port", 65_535)
    if port == 0:
        raise FleetError("port: 0 is none")
    return port


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+)([KMG]?)", text)
    if match is None:
        raise FleetError(f"size: {text!r} is not a number with K, M, G or nothing behind it")
    return int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[match[2]]

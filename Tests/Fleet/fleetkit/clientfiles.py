"""What a client of the fleet needs: keys, known_hosts and Ansible inventories."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from .host import Host
from .run import run, write_whole

KEY_TYPES: tuple[tuple[str, list[str]], ...] = (("ed25519", []), ("ecdsa", ["-b", "256"]), ("rsa", ["-b", "3072"]))
INVENTORIES = {"root": ("root", "hosts.yml"), "sudo": ("ops", "hosts-sudo.yml")}


def make_keys(folder: Path) -> str:
    """One client key of each type; returns the text for authorized_keys."""
    keys = folder / "keys"
    keys.mkdir(mode=0o700)
    for kind, size in KEY_TYPES:
        run(["ssh-keygen", "-q", "-N", "", "-C", f"fleet-{kind}", "-t", kind, *size, "-f", str(keys / f"id_{kind}")])
    return "".join((keys / f"id_{kind}.pub").read_text(encoding="utf-8") for kind, _ in KEY_TYPES)


def key_files(folder: Path) -> dict[str, str]:
    return {kind: str(folder / "keys" / f"id_{kind}") for kind, _ in KEY_TYPES}


def write_known_hosts(folder: Path, hosts: list[Host], host_keys: list[list[str]]) -> None:
    lines: list[str] = []
    for host, keys in zip(hosts, host_keys):
        names = f"{host.name},{host.network.ipv4(host.number)},{host.network.ipv6(host.number)}"
        lines.extend(f"{names} {key}" for key in keys)
    write_whole(folder / "known_hosts", "\n".join(lines) + "\n")


def write_inventories(folder: Path, hosts: list[Host]) -> None:
    """hosts.yml logs in as root, hosts-sudo.yml as the plain user with passwordless sudo."""
    for user, name in INVENTORIES.values():
        write_whole(folder / name, inventory(folder, hosts, user))


def inventory(folder: Path, hosts: list[Host], user: str) -> str:
    """An Ansible inventory in YAML; JSON's way to quote strings is YAML's too."""
    known_hosts = shlex.quote(f"{folder}/known_hosts")
    lines = [
        "all:",
        "  vars:",
        "    ansible_port: 22",
        f"    ansible_user: {user}",
        f"    ansible_ssh_private_key_file: {json.dumps(key_files(folder)['ed25519'])}",
        f"    ansible_ssh_common_args: {json.dumps(f'-o UserKnownHostsFile={known_hosts}')}",
        "    ansible_python_interpreter: /usr/bin/python3",
        "  children:",
        "    fleet:",
        "      hosts:",
    ]
    for host in hosts:
        lines.append(f"        {host.name}:")
        lines.append(f"          ansible_host: {host.network.ipv4(host.number)}")
    return "\n".join(lines) + "\n"


def hosts_file(hosts: list[Host]) -> str:
    """/etc/hosts of every host: they know each other by name."""
    lines = ["127.0.0.1 localhost", "::1 localhost"]
    for host in hosts:
        lines.append(f"{host.network.ipv4(host.number)} {host.name}")
        lines.append(f"{host.network.ipv6(host.number)} {host.name}")
    return "\n".join(lines) + "\n"

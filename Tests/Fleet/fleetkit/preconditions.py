"""What a machine must have to boot a fleet, and how to get it."""

from __future__ import annotations

import ctypes
import os
import shutil

from .run import FleetError, run, tool_environment

# program -> the Debian package that has it
TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "tc": "iproute2",
    "nft": "nftables",
    "mount": "mount",
    "umount": "mount",
    "nsenter": "util-linux",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "chroot": "coreutils",
}
PACKAGES = sorted(set(TOOLS.values()))


class MachineUnfit(FleetError):
    """This machine can't boot hosts; the text names everything that is missing."""


def missing() -> list[str]:
    """All that is missing here, one sentence each; empty on a fit machine."""
    found = []
    if os.geteuid() != 0:
        found.append("root: run as root (hosts need namespaces, mounts and a bridge)")
    path = tool_environment()["PATH"]
    absent = sorted({package for tool, package in TOOLS.items() if not shutil.which(tool, path=path)})
    if absent:
        found.append(f"programs: apt-get install {' '.join(absent)}   (or: make setup)")
    if not _has_overlay():
        found.append("overlayfs: the kernel does not offer it (modprobe overlay)")
    if not found:
        found.extend(_missing_namespaces())
    return found


def require() -> None:
    """Raise `MachineUnfit` unless hosts can be booted here."""
    lacks = missing()
    if lacks:
        raise MachineUnfit("this machine can't boot test hosts; missing:\n" + "\n".join(f"  - {lack}" for lack in lacks))


def _has_overlay() -> bool:
    """Ask the kernel, and have it load the module where that is not built in."""
    for attempt in ("as it is", "after modprobe"):
        with open("/proc/filesystems", encoding="utf-8") as file:
            if any(line.split()[-1] == "overlay" for line in file):
                return True
        if attempt == "as it is" and shutil.which("modprobe", path=tool_environment()["PATH"]):
            run(["modprobe", "overlay"], check=False)
    return False


def _missing_namespaces() -> list[str]:
    """Try each namespace in a child: a container may be root and still be refused."""
    flags = {"mount": 0x00020000, "network": 0x40000000, "pid": 0x20000000, "uts": 0x04000000,
             "ipc": 0x08000000, "cgroup": 0x02000000}
    refused = []
    libc = ctypes.CDLL(None, use_errno=True)
    for name, flag in flags.items():
        child = os.fork()
        if child == 0:
            os._exit(0 if libc.unshare(flag) == 0 else 1)
        if os.waitpid(child, 0)[1] != 0:
            refused.append(name)
    if not refused:
        return []
    return [f"namespaces: the kernel refuses unshare of: {', '.join(refused)} (a container without CAP_SYS_ADMIN?)"]

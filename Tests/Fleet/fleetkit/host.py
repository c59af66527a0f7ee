"""One test host: a systemd with sshd, booted by systemd-nspawn on its own overlay and network."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from . import cgroups, processes
from .network import NAMESPACES, Network
from .run import FleetError, run, tool_environment, write_whole

DISK_SIZE = 2 << 30
LAUNCHER = Path(__file__).with_name("launch.py")
NSPAWN = Path("/run/systemd/nspawn")
HOST_KEY_TYPES: tuple[tuple[str, list[str]], ...] = (("ed25519", []), ("ecdsa", ["-b", "256"]), ("rsa", ["-b", "2048"]))


@dataclass
class Faults:
    """What was done to a host on purpose and must outlast a reboot; kept in host.json."""

    cut: bool = False
    delay_ms: int = 0


class Host:
    """The resources of one host. Every method may be repeated, also after a failure half-way."""

    def __init__(self, fleet_folder: Path, network: Network, number: int) -> None:
        self.network = network
        self.number = number
        self.name = f"h{number}"
        self.machine = network.machine(number)
        self.folder = fleet_folder / "hosts" / self.name
        self.disk = self.folder / "disk"
        self.root = self.folder / "root"
        self.console = self.folder / "console.log"
        # Podman keeps its images on the host's disk itself: an overlay can't lie on another one.
        self.containers = self.disk / "containers"
        self._ready: socket.socket | None = None
        self._nspawn: subprocess.Popen[bytes] | None = None

    # Disk

    def prepare(self, base: Path, authorized_keys: str, hosts_file: str, containers: bool = False) -> list[str]:
        """Make the disk and what is the host's own on it; returns the public host keys."""
        self.disk.mkdir(parents=True)
        self.root.mkdir()
        # A disk of its own, so that it can fill up without filling the others.
        run(["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE},mode=755", f"fleet-{self.machine}", str(self.disk)])
        (self.disk / "upper").mkdir()
        (self.disk / "work").mkdir()
        if containers:
            self.containers.mkdir()
        layers = f"lowerdir={base},upperdir={self.disk / 'upper'},workdir={self.disk / 'work'}"
        run(["mount", "-t", "overlay", "-o", layers, f"fleet-{self.machine}", str(self.root)])
        etc = self.root / "etc"
        (etc / "hostname").write_text(self.name + "\n", encoding="utf-8")
        (etc / "hosts").write_text(hosts_file, encoding="utf-8")
        (etc / "machine-id").write_text(uuid.uuid4().hex + "\n", encoding="utf-8")
        for user, home in (("root", self.root / "root"), ("ops", self.root / "home/ops")):
            self._authorize(home / ".ssh", authorized_keys, 0 if user == "root" else 1000)
        for kind, size in HOST_KEY_TYPES:
            run(["ssh-keygen", "-q", "-N", "", "-C", f"root@{self.name}", "-t", kind, *size,
                 "-f", str(etc / f"ssh/ssh_host_{kind}_key")])
        return [" ".join((etc / f"ssh/ssh_host_{kind}_key.pub").read_text(encoding="utf-8").split()[:2])
                for kind, _ in HOST_KEY_TYPES]

    @staticmethod
    def _authorize(folder: Path, keys: str, owner: int) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        file = folder / "authorized_keys"
        file.write_text(keys, encoding="utf-8")
        file.chmod(0o600)
        for path in (folder, file):
            os.chown(path, owner, owner)

    def fill_disk(self, leave: int) -> None:
        """Leave `leave` bytes free. The disk shrinks to what it holds: nothing is written."""
        for _ in range(50):
            usage = os.statvfs(self.disk)
            used = (usage.f_blocks - usage.f_bfree) * usage.f_frsize
            if run(["mount", "-o", f"remount,size={used + leave}", str(self.disk)], check=False).returncode == 0:
                return
        raise FleetError(f"{self.name}: its disk is being written faster than it can be filled")

    def free_disk(self) -> None:
        run(["mount", "-o", f"remount,size={DISK_SIZE}", str(self.disk)])

    # Power

    def pids(self) -> tuple[int, int] | None:
        """The ids of nspawn and of the host's own init; None while the host is off."""
        for nspawn in processes.with_arguments("systemd-nspawn", f"--machine={self.machine}"):
            init = processes.children(nspawn)
            if init:
                return nspawn, init[0]
        return None

    def start(self) -> None:
        """Power on: a fresh network namespace, then systemd. `wait_ready` tells when it is up."""
        if self.pids() is not None:
            raise FleetError(f"{self.name} is up already")
        self._clear_power_leftovers()
        faults = self.faults()
        self.network.make_host(self.number, cut=faults.cut, delay_ms=faults.delay_ms)
        groups = cgroups.make(self.machine)
        self._ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = f"fleet-{self.machine}-{uuid.uuid4().hex}"
        self._ready.bind("\0" + address)
        self._ready.setblocking(False)
        argv = [
            sys.executable, "-I", "-S", str(LAUNCHER), *map(str, groups), "--",
            "systemd-nspawn", "--quiet", f"--directory={self.root}", f"--machine={self.machine}",
            f"--hostname={self.name}", "--boot", "--register=no", "--keep-unit", "--link-journal=no",
            "--resolv-conf=off", "--timezone=off", *self._rights(),
            f"--network-namespace-path={NAMESPACES / self.machine}", "--notify-ready=yes", "--console=pipe",
        ]
        with open(self.console, "ab") as console:
            self._nspawn = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
                # Podman needs control groups of version 2, as hosts have them; the machine's own may be mixed.
                env=dict(tool_environment(), NOTIFY_SOCKET="@" + address,
                         **({"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"} if self.containers.exists() else {})),
            )

    def _rights(self) -> list[str]:
        """What nspawn allows the host beyond its own defaults."""
        if not self.containers.exists():
            return ["--capability=CAP_NET_ADMIN,CAP_NET_RAW"]
        # A host that starts containers does to them what nspawn does to the host.
        return ["--capability=all", "--system-call-filter=@keyring bpf", f"--bind={self.containers}:/var/lib/containers"]

    def is_ready(self) -> bool:
        """True once systemd has reported that booting is done and sshd greets."""
        if self._nspawn is not None and self._nspawn.poll() is not None:
            raise FleetError(f"{self.name}: did not boot (exit {self._nspawn.returncode}):\n{self.last_words()}")
        if self._ready is not None:
            try:
                while b"READY=1" not in self._ready.recv(4096):
                    pass
            except BlockingIOError:
                return False
            self._ready.close()
            self._ready = None
        return self.faults().cut or self._sshd_greets()

    def wait_ready(self, within: float = 60) -> None:
        if not processes.wait_until(self.is_ready, within):
            raise FleetError(f"{self.name}: not ready after {within:g} s:\n{self.last_words()}")

    def _sshd_greets(self) -> bool:
        try:
            with socket.create_connection((self.network.ipv4(self.number), 22), timeout=2) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def last_words(self) -> str:
        """The end of the console's log, for error texts."""
        try:
            lines = self.console.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return "  (nothing on its console)"
        return "\n".join(f"  {line}" for line in lines[-12:])

    def kill(self) -> None:
        """Power cut: everything on the host ends at once, nothing gets a chance to clean up."""
        kill_all([self])
        if self._nspawn is not None:
            self._nspawn.wait()
            self._nspawn = None
        self._clear_power_leftovers()

    def shut_down(self, within: float = 60) -> None:
        """An orderly shutdown, as by the power button."""
        processes.end(processes.with_arguments("systemd-nspawn", f"--machine={self.machine}"), signal.SIGTERM, within)
        if self._nspawn is not None:
            self._nspawn.wait()
            self._nspawn = None
        self._clear_power_leftovers()

    def _clear_power_leftovers(self) -> None:
        processes.end(self.network.processes_in(self.number))
        self.network.remove_host(self.number)
        cgroups.remove(self.machine)
        # What nspawn can't tidy up itself when it is killed.
        if (NSPAWN / "propagate" / self.machine).exists():
            (NSPAWN / "propagate" / self.machine).rmdir()
        if os.path.ismount(self.root):
            status = os.stat(self.root)
            (NSPAWN / "locks" / f"inode-{status.st_dev}:{status.st_ino}").unlink(missing_ok=True)

    def remove(self) -> None:
        """Power cut, then unmount and delete everything."""
        self.kill()
        if self._ready is not None:
            self._ready.close()
            self._ready = None
        for mount in (self.root, self.disk):
            _unmount(mount)
        if self.folder.exists():
            shutil.rmtree(self.folder)

    # State

    def faults(self) -> Faults:
        try:
            return Faults(**json.loads((self.folder / "host.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return Faults()

    def remember(self, faults: Faults) -> None:
        write_whole(self.folder / "host.json", json.dumps(asdict(faults)) + "\n")

    def describe(self) -> dict[str, object]:
        """What fleet.json says about this host."""
        pids = self.pids()
        return {
            "name": self.name, "machine": self.machine, "number": self.number,
            "ipv4": self.network.ipv4(self.number), "ipv6": self.network.ipv6(self.number),
            "secondary_ipv4": self.network.secondary_ipv4(self.number),
            "secondary_ipv6": self.network.secondary_ipv6(self.number),
            "port": 22, "netns": str(NAMESPACES / self.machine), "veth": self.machine, "root": str(self.root),
            "console": str(self.console), "up": pids is not None,
            "nspawn_pid": pids[0] if pids else None, "init_pid": pids[1] if pids else None,
            **asdict(self.faults()),
        }

    def argv_inside(self, argv: list[str]) -> list[str]:
        """The command that runs `argv` as root inside the host, not through its network."""
        pids = self.pids()
        if pids is None:
            raise FleetError(f"{self.name} is off")
        return ["nsenter", f"--target={pids[1]}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup",
                "--root", "--wd=/root", "--", "env", "-i", "HOME=/root", "LANG=C.UTF-8",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", *argv]


def kill_all(hosts: list[Host]) -> None:
    """End what runs on these hosts at once, their inits first."""
    nspawns = processes.with_arguments("systemd-nspawn", *(f"--machine={host.machine}" for host in hosts))
    inits = [init for nspawn in nspawns for init in processes.children(nspawn)]
    processes.end([*inits, *nspawns], within=30)


def _unmount(where: Path) -> None:
    deadline = time.monotonic() + 10
    while os.path.ismount(where):
        done = run(["umount", str(where)], check=False)
        if done.returncode != 0 and time.monotonic() > deadline:
            raise FleetError(f"umount {where}: {done.stderr.strip()}")
        if done.returncode != 0:
            time.sleep(0.05)

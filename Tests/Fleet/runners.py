"""Ansible's runner on this machine and on hosts, as the tests of playbook runs need it."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from fleet import Fleet
from fleetkit import pypi
from own_agent import certify, make_authority
from rollouts import PROGRAM, RolloutTest

AGENT = PROGRAM.with_name("switchyard-agent")
HOST_PROGRAM = PROGRAM.with_name("switchyard-host")
UNITS = Path(__file__).resolve().parents[2] / "units"
PACKAGES = ("ansible-core==2.19.14", "ansible-runner==2.4.3")
ON_HOSTS = "/opt/switchyard-python/ansible"
PROGRAMS = {"ansible-runner": "ansible_runner.__main__", "ansible-playbook": "ansible.cli.playbook",
            "ansible-inventory": "ansible.cli.inventory", "ansible-vault": "ansible.cli.vault"}


def script(python: str, module: str) -> str:
    return f"#!{python}\nimport sys\nfrom {module} import main\nsys.exit(main())\n"


def here(folder: Path) -> Path:
    """Ansible's programs on this machine; the value is the runner."""
    python = pypi.environment("runner", *PACKAGES) / "python"
    folder.mkdir()
    for name, module in PROGRAMS.items():
        (folder / name).write_text(script(str(python), module), encoding="utf-8")
        (folder / name).chmod(0o755)
    return folder / "ansible-runner"


def bundle() -> bytes:
    """What install_agent.yml leaves of Python's packages, to be unpacked on hosts."""
    packages = next((pypi.environment("runner", *PACKAGES).parent / "lib").glob("python3.*/site-packages"))
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.add(packages, f"{ON_HOSTS.lstrip('/')}/lib/python3.11/site-packages",
                filter=lambda info: None if "__pycache__" in info.name or "/ansible_test/" in info.name else info)
        for name, module in PROGRAMS.items():
            text = script(f"{ON_HOSTS}/bin/python3", module).encode()
            info = tarfile.TarInfo(f"{ON_HOSTS.lstrip('/')}/bin/{name}")
            info.size, info.mode = len(text), 0o755
            tar.addfile(info, io.BytesIO(text))
    return content.getvalue()


def install(fleet: Fleet, host: str, content: bytes) -> None:
    """A virtual environment with Ansible on a host."""
    inside = fleet.host(host).argv_inside
    subprocess.run(inside(["python3", "-m", "venv", "--without-pip", ON_HOSTS]), check=True, timeout=60)
    subprocess.run(inside(["tar", "-x", "-C", "/"]), input=content, check=True, timeout=120)


class WithAgents(RolloutTest):
    """Tests whose controller has Ansible's runner, and hosts with an agent that runs playbooks."""

    folder: Path
    runner: Path

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.folder = cls.site.folder
        cls.runner = here(cls.folder / "tools")
        if not (cls.folder / "authority").exists():  # the RPC door has made one
            make_authority(cls.folder)

    @classmethod
    def cert(cls, *arguments: str) -> None:
        certify(cls.folder, *arguments)

    @classmethod
    def prepare(cls, *hosts: str) -> None:
        """Gives hosts an agent as an ordinary unit, and what it needs to run playbooks."""
        content = bundle()
        for name in hosts:
            host = cls.fleet.host(name)
            cls.prepare_one(name, host.network.ipv4(host.number), content)

    @classmethod
    def prepare_one(cls, host: str, address: str, content: bytes) -> None:
        cls.cert("issue", host, "--san", f"ip:{address}", "--out", str(cls.folder / host))
        on_host = cls.site.on_host
        on_host(host, "useradd", "--system", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", "switchyard-agent")
        files: dict[str, tuple[bytes, int, str]] = {
            "etc/switchyard-agent/tls/agent.key": ((cls.folder / host / f"{host}.key").read_bytes(), 0o640, "switchyard-agent"),
            "etc/switchyard-agent/agent.yml": (
                b"certificate: /etc/switchyard-agent/tls/agent.pem\nkey: /etc/switchyard-agent/tls/agent.key\n"
                b"authority: /etc/switchyard-agent/tls/ca.pem\ncontrollers: [ops]\n", 0o644, "root"),
            "opt/switchyard/bin/switchyard-host": (HOST_PROGRAM.read_bytes(), 0o755, "root"),
            "opt/agent/switchyard-agent": (AGENT.read_bytes(), 0o755, "root"),
            "etc/systemd/system/agent.service": (
                b"[Service]\nType=notify\nUser=switchyard-agent\nEnvironment=PORT=7440 SLOT=blue\n"
                b"ExecStart=/opt/agent/switchyard-agent\n", 0o644, "root"),
        }
        for name, source in (("agent.pem", f"{host}.pem"), ("ca.pem", "ca.pem")):
            files[f"etc/switchyard-agent/tls/{name}"] = ((cls.folder / host / source).read_bytes(), 0o644, "root")
        for unit in ("switchyard-playbook.socket", "switchyard-playbook@.service"):
            files[f"etc/systemd/system/{unit}"] = ((UNITS / unit).read_bytes(), 0o644, "root")
        files_for_host = io.BytesIO()
        with tarfile.open(fileobj=files_for_host, mode="w") as tar:
            for path, (data, mode, group) in files.items():
                info = tarfile.TarInfo(path)
                info.size, info.mode, info.gname = len(data), mode, group
                tar.addfile(info, io.BytesIO(data))
        subprocess.run(cls.fleet.host(host).argv_inside(["tar", "-x", "-C", "/"]), input=files_for_host.getvalue(), check=True, timeout=60)
        install(cls.fleet, host, content)
        on_host(host, "systemctl", "daemon-reload")
        on_host(host, "systemctl", "start", "switchyard-playbook.socket", "agent.service")

    def agent_file(self, door: str) -> str:
        means = {"port": 7440, "authority": str(self.folder / "ops/ca.pem"), "certificate": str(self.folder / "ops/ops.pem"),
                 "key": str(self.folder / "ops/ops.key")}
        return self.site.write({
            "agent": "switchyard-agent", "user": "switchyard-agent", "exec": "bin/switchyard-agent",
            "slots": {"blue": 7441, "green": 7442}, "public_port": 7440, "drain": "2s", "door": door, "rpc": means,
            "health": [{"https": "/readyz", "verify": False, "expect": {"status": 200}}]})

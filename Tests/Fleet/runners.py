"""Ansible's runner on this machine and on hosts, as the tests of playbook runs need it."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from fleet import Fleet
from fleetkit import pypi

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


def on_host(fleet: Fleet, host: str, content: bytes) -> None:
    """A virtual environment with Ansible on a host."""
    inside = fleet.host(host).argv_inside
    subprocess.run(inside(["python3", "-m", "venv", "--without-pip", ON_HOSTS]), check=True, timeout=60)
    subprocess.run(inside(["tar", "-x", "-C", "/"]), input=content, check=True, timeout=120)

#!/usr/bin/env python3
"""Make the agent's Debian package, and its archive for rollouts, from the release programs."""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
HOST_PROGRAM = "/usr/lib/switchyard/switchyard-host"
CONFFILES = ["/etc/default/switchyard-agent", "/etc/switchyard-agent/agent.yml"]
DESCRIPTION = """the way to a host for Switchyard's controllers
 Listens for controllers with client certificates, carries their orders to the
 host program, tells facts, runs commands from a list, and looks after services.
 The agent has no rights of its own; the host program is started by systemd."""


def run(*argv: str, cwd: Path | None = None) -> str:
    ended = subprocess.run(argv, cwd=cwd, check=False, capture_output=True, text=True)
    if ended.returncode != 0:
        raise SystemExit(f"package: {argv[0]} failed: {ended.stderr.strip()}")
    return ended.stdout


def product_version() -> str:
    text = (ROOT / "Sources/RolloutModel/ProductVersion.swift").read_text(encoding="utf-8")
    found = re.search(r'switchyardVersion = "([0-9A-Za-z.+~-]+)"', text)
    if not found:
        raise SystemExit("package: ProductVersion.swift has no version")
    return found[1]


def agent_unit() -> str:
    """The slots' unit, for an agent without slots."""
    text = (ROOT / "units/switchyard-agent.service").read_text(encoding="utf-8")
    changes = {
        " ({{ slot }} slot)": "",
        "# Neither slot is enabled: switchyard-restore.service starts at boot what must run.\n":
            "ConditionPathExists=/etc/switchyard-agent/tls/agent.pem\n",
        "/opt/switchyard/switchyard-agent/{{ slot }}/bin/switchyard-agent": "/usr/bin/switchyard-agent",
        "Group=switchyard-agent\n": "Group=switchyard-agent\nEnvironmentFile=/etc/default/switchyard-agent\n",
    }
    for old, new in changes.items():
        if old not in text:
            raise SystemExit(f"package: the slots' unit has no {old!r} any more")
        text = text.replace(old, new)
    if "{{" in text:
        raise SystemExit("package: the unit has a placeholder that nothing fills in")
    return ("# Switchyard's agent as its package installs it, without slots.\n" + text[text.index("[Unit]"):]
            + "\n[Install]\nWantedBy=multi-user.target\n")


def host_unit(name: str) -> str:
    """A unit that runs the host program, which a package has elsewhere."""
    text = (ROOT / "units" / name).read_text(encoding="utf-8")
    old = "/opt/switchyard/bin/switchyard-host"
    if old not in text:
        raise SystemExit(f"package: {name} has no {old} any more")
    return text.replace(old, HOST_PROGRAM)


def put(tree: Path, path: str, content: bytes | str, mode: int = 0o644) -> None:
    target = tree / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content.encode() if isinstance(content, str) else content)
    target.chmod(mode)


def compressed(text: bytes) -> bytes:
    return gzip.compress(text, 9, mtime=0)


def fill(tree: Path, programs: Path, version: str) -> None:
    for name, path in (("switchyard-agent", "/usr/bin/switchyard-agent"), ("switchyard-host", HOST_PROGRAM)):
        put(tree, path, (programs / name).read_bytes(), 0o755)
    put(tree, "/lib/systemd/system/switchyard-agent.service", agent_unit())
    for door in ("switchyard-host", "switchyard-playbook"):
        put(tree, f"/lib/systemd/system/{door}@.service", host_unit(f"{door}@.service"))
        put(tree, f"/lib/systemd/system/{door}.socket", (ROOT / f"units/{door}.socket").read_bytes())
    put(tree, "/etc/default/switchyard-agent", (HERE / "default").read_bytes())
    put(tree, "/etc/switchyard-agent/agent.yml", (HERE / "agent.yml").read_bytes())
    documents = "/usr/share/doc/switchyard-agent"
    put(tree, f"{documents}/agent.md", (ROOT / "docs/agent.md").read_bytes())
    put(tree, f"{documents}/examples/agent.yml", (HERE / "agent.yml").read_bytes())
    put(tree, f"{documents}/examples/switchyard-agent.agent.yml", (ROOT / "units/switchyard-agent.agent.yml").read_bytes())
    news = f"switchyard-agent ({version}) unstable; urgency=medium\n\n  * See the project's history.\n"
    put(tree, f"{documents}/changelog.gz", compressed(news.encode()))


def dependencies(tree: Path) -> str:
    """What the programs are linked with, as packages with their versions."""
    with tempfile.TemporaryDirectory() as folder:
        put(Path(folder), "debian/control", "Source: switchyard\n\nPackage: switchyard-agent\nArchitecture: any\n")
        found = run("dpkg-shlibdeps", "-O", *(f"-e{tree}{path}" for path in ("/usr/bin/switchyard-agent", HOST_PROGRAM)),
                    cwd=Path(folder))
    return found.strip().removeprefix("shlibs:Depends=")


def control(tree: Path, version: str) -> None:
    files = [path for path in sorted(tree.rglob("*")) if path.is_file()]
    size = sum(path.stat().st_size for path in files) // 1024 + 1
    sums = "".join(f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(tree)}\n" for path in files
                   if f"/{path.relative_to(tree)}" not in CONFFILES)
    fields = {
        "Package": "switchyard-agent", "Version": version, "Architecture": run("dpkg", "--print-architecture").strip(),
        "Maintainer": "Switchyard <switchyard@localhost>", "Installed-Size": str(size), "Section": "admin", "Priority": "optional",
        "Depends": f"{dependencies(tree)}, passwd, systemd (>= 247)", "Recommends": "nftables", "Description": DESCRIPTION,
    }
    put(tree, "/DEBIAN/control", "".join(f"{key}: {value}\n" for key, value in fields.items()))
    put(tree, "/DEBIAN/conffiles", "".join(f"{path}\n" for path in CONFFILES))
    put(tree, "/DEBIAN/md5sums", sums)
    for name in ("postinst", "prerm", "postrm"):
        put(tree, f"/DEBIAN/{name}", (HERE / "debian" / name).read_bytes(), 0o755)


def check(package: Path) -> None:
    """What a package must not have, whoever looks at it later."""
    faults = []
    for line in run("dpkg-deb", "--contents", str(package)).splitlines():
        mode, owner, path = line.split()[0], line.split()[1], line.split()[5]
        if owner != "root/root":
            faults.append(f"{path} belongs to {owner}")
        if "w" in mode[5:6] + mode[8:9] or "s" in mode[1:] or "t" in mode[1:]:
            faults.append(f"{path} has the mode {mode}")
        if path.startswith(("./usr/local/", "./opt/", "./var/", "./run/", "./home/")):
            faults.append(f"{path} is no place for a package")
    for name in ("postinst", "prerm", "postrm"):
        run("sh", "-n", str(HERE / "debian" / name))
    fields = run("dpkg-deb", "--field", str(package))
    if not re.search(r"^Depends: .*libc6 \(>= ", fields, re.MULTILINE):
        faults.append("the dependencies were not computed")
    if shutil.which("lintian"):
        faults += [line for line in run("lintian", "--fail-on=none", str(package)).splitlines() if line.startswith("E:")]
    if faults:
        raise SystemExit("package: " + "\n  ".join(faults))


def make(programs: Path, out: Path, version: str) -> Path:
    with tempfile.TemporaryDirectory(prefix="switchyard-package-") as folder:
        tree = Path(folder) / "tree"
        tree.mkdir(mode=0o755)
        os.umask(0o022)
        fill(tree, programs, version)
        for path in [tree, *tree.rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)
        control(tree, version)
        architecture = run("dpkg", "--print-architecture").strip()
        package = out / f"switchyard-agent_{version}_{architecture}.deb"
        run("dpkg-deb", "--root-owner-group", "-Zxz", "-z2", "--build", str(tree), str(package))
    check(package)
    return package


def archive(programs: Path, out: Path, version: str) -> Path:
    """A release of the agent, as `agent install --archive` and rollouts take it; the same programs make the same bytes."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, kind, mode, text in (("bin", tarfile.DIRTYPE, 0o755, b""),
                                       ("bin/switchyard-agent", tarfile.REGTYPE, 0o755, (programs / "switchyard-agent").read_bytes())):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.size = kind, mode, len(text)
            tar.addfile(entry, io.BytesIO(text))
    path = out / f"switchyard-agent-{version}.tar.gz"
    path.write_bytes(compressed(content.getvalue()))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=Path, default=ROOT / ".build/release", help="where the release programs are")
    parser.add_argument("--out", type=Path, default=ROOT / ".build", help="where the package goes")
    parser.add_argument("--version", default=product_version())
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in ("switchyard-agent", "switchyard-host"):
        if not (options.programs / name).exists():
            raise SystemExit(f"package: {options.programs / name} is not there: make build")
    print(make(options.programs, options.out, options.version))
    print(archive(options.programs, options.out, options.version))


if __name__ == "__main__":
    main()

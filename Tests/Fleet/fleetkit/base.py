"""The base system that all hosts share: a Debian made once and kept in a cache folder."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
from pathlib import Path

from .run import FleetError, run

SUITE = "bookworm"
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "openssh-server", "openssh-sftp-server", "iproute2", "nftables",
    "python3", "curl", "ca-certificates", "haproxy", "procps", "sudo",
)
# What hosts that run containers have besides. With crun in place of runc, Podman would need a capability (CAP_SYS_RESOURCE) that
# the machine itself may not have.
CONTAINER_PACKAGES = ("podman", "runc")
# Units that slow a boot down, or wake up in the middle of a test, and that no test is about.
MASKED = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer",
    "systemd-tmpfiles-clean.timer", "console-getty.service", "getty.target", "systemd-logind.service",
    "systemd-update-utmp.service", "systemd-update-utmp-runlevel.service", "e2scrub_reap.service",
)
CONTAINER_MASKED = ("podman-auto-update.timer", "podman-auto-update.service", "podman.socket", "podman-restart.service")
DISABLED = ("haproxy.service", "nftables.service")
SSHD = """\
# Many connections at once from one place are what a fleet test does.
UsePAM no
UseDNS no
MaxStartups 200:30:400
MaxSessions 100
PasswordAuthentication no
PermitRootLogin prohibit-password
"""
JOURNALD = "[Journal]\nStorage=persistent\nSystemMaxUse=32M\nRateLimitIntervalSec=0\n"
SUDOERS = "ops ALL=(ALL:ALL) NOPASSWD: ALL\n"
RECIPE = "2"  # raise it when the code below changes what ends up in the base


def cache_folder() -> Path:
    """Where bases, packages and virtual environments are kept between runs."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(cache) / "switchyard"


def base_folder(containers: bool = False) -> Path:
    """The folder of the base that this recipe makes, whether it exists or not."""
    more = (*CONTAINER_PACKAGES, *CONTAINER_MASKED) if containers else ()
    recipe = "\n".join((SUITE, *PACKAGES, *MASKED, *DISABLED, SSHD, JOURNALD, SUDOERS, RECIPE, *more))
    return cache_folder() / f"fleet-base-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def ensure_base(containers: bool = False) -> Path:
    """The base's folder, made first when it isn't there; one maker at a time."""
    base = base_folder(containers)
    if base.is_dir():
        return base
    base.parent.mkdir(parents=True, exist_ok=True)
    with open(base.parent / "fleet-base.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not base.is_dir():
            _make(base, containers)
    return base


def _make(base: Path, containers: bool) -> None:
    partial = base.with_name(base.name + ".partial")
    if partial.exists():
        shutil.rmtree(partial)
    print(f"fleet: making the base system in {base} (once; about half a minute)", file=sys.stderr)
    packages = (*PACKAGES, *CONTAINER_PACKAGES) if containers else PACKAGES
    try:
        run(["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={','.join(packages)}",
             SUITE, str(partial)], timeout=900)
        _configure(partial, (*MASKED, *CONTAINER_MASKED) if containers else MASKED)
        partial.rename(base)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _configure(root: Path, masked: tuple[str, ...]) -> None:
    """Turn a plain Debian into a test host; what differs from host to host comes later."""
    run(["chroot", str(root), "useradd", "--create-home", "--shell", "/bin/bash", "ops"])
    for user in ("root", "ops"):
        # Without PAM, sshd refuses accounts whose password field begins with `!`.
        run(["chroot", str(root), "usermod", "--password", "*", user])
    for unit in masked:
        link = root / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    for unit in DISABLED:
        for link in (root / "etc/systemd/system").glob(f"*.wants/{unit}"):
            link.unlink()
    _write(root / "etc/ssh/sshd_config.d/fleet.conf", SSHD)
    _write(root / "etc/systemd/journald.conf.d/fleet.conf", JOURNALD)
    _write(root / "etc/sudoers.d/ops", SUDOERS, 0o440)
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for old in (root / "var/cache/apt/archives").glob("*.deb"):
        old.unlink()
    (root / "var/log/journal").mkdir(exist_ok=True)
    _write(root / "etc/machine-id", "")
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    _write(root / "etc/resolv.conf", "# a test host knows no name server\n")
    if not (root / "usr/sbin/sshd").exists():
        raise FleetError(f"{root}: the base has no sshd; mmdebstrap did not do its work")


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)

"""Packages from PyPI, fetched once with pip and kept in the cache folder."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import sys
from pathlib import Path

from .base import cache_folder
from .run import FleetError, run


def interpreter() -> str:
    """Debian's own Python where it can make environments: it is built with optimizations that others often lack, and runs Ansible in
    three quarters of their time."""
    own = Path("/usr/bin/python3")
    if own.exists() and run([str(own), "-c", "import ensurepip"], check=False).returncode == 0:
        return str(own)
    return sys.executable


def environment(name: str, *packages: str) -> Path:
    """A virtual environment with exactly these packages (NAME==VERSION); returns its bin folder.

    Use its `python -m MODULE`: the environment was renamed once, which its other scripts don't survive.
    """
    python = interpreter()
    version = run([python, "--version"]).stdout
    key = hashlib.sha256("\n".join((python, version, *packages)).encode()).hexdigest()[:12]
    folder = cache_folder() / f"venv-{name}-{key}"
    with _locked():
        if not folder.exists():
            partial = folder.with_name(folder.name + ".partial")
            shutil.rmtree(partial, ignore_errors=True)
            run([python, "-m", "venv", str(partial)], timeout=120)
            if packages:
                run([str(partial / "bin/python"), "-m", "pip", "install", "--quiet",
                     "--disable-pip-version-check", *packages], timeout=900)
            partial.rename(folder)
    return folder / "bin"


def wheel(requirement: str, sha256: str) -> Path:
    """A pure Python wheel, checked against the digest that we know it by."""
    folder = cache_folder() / "wheels" / sha256[:12]
    found = sorted(folder.glob("*.whl"))
    if not found:
        python = environment("pip") / "python"
        with _locked():
            folder.mkdir(parents=True, exist_ok=True)
            run([str(python), "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                 "--only-binary=:all:", "--dest", str(folder), requirement], timeout=300)
        found = sorted(folder.glob("*.whl"))
    digest = hashlib.sha256(found[0].read_bytes()).hexdigest()
    if digest != sha256:
        raise FleetError(f"{found[0]}: its SHA-256 is {digest}, {requirement} is known as {sha256}")
    return found[0]


class _locked:
    """One process at a time fills the cache."""

    def __enter__(self) -> None:
        cache_folder().mkdir(parents=True, exist_ok=True)
        self.file = open(cache_folder() / "pypi.lock", "w", encoding="utf-8")
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self.file.close()

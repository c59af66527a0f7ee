"""Start other programs: argument arrays only, output captured, a deadline always."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path


class FleetError(Exception):
    """Something of the fleet could not be done; the text says what, where and why."""


class ToolFailed(FleetError):
    """A program that the fleet needs ended with an error."""


def run(
    argv: Sequence[str], *, stdin: str | None = None, check: bool = True, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run `argv` to its end and return what it printed."""
    try:
        done = subprocess.run(
            list(argv), input=stdin, capture_output=True, text=True, errors="replace",
            timeout=timeout, stdin=None if stdin is not None else subprocess.DEVNULL,
            env=tool_environment(),
        )
    except FileNotFoundError:
        raise ToolFailed(f"{argv[0]}: not found on this machine") from None
    except subprocess.TimeoutExpired:
        raise ToolFailed(f"{' '.join(argv)}: no end within {timeout:g} s") from None
    if check and done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise ToolFailed(f"{' '.join(argv)}: exit {done.returncode}: {said}")
    return done


def tool_environment() -> dict[str, str]:
    """The environment of the programs we start: untranslated, with the sbin folders in PATH."""
    environment = dict(os.environ, LC_ALL="C")
    environment["PATH"] = f"{environment.get('PATH', '')}:/usr/sbin:/usr/bin:/sbin:/bin"
    return environment


def write_whole(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file so that a reader sees the old text or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(temporary, mode)
    os.replace(temporary, path)

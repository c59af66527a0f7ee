#!/usr/bin/env python3
"""Build release archives of agents, good, bad and hostile, for tests, demo and benchmarks.

agents.py build --dir DIR            agent-1.tar.gz, agent-2.tar.gz and bad relatives (agent/sickly.py)
agents.py build --dir DIR --real     also two releases of Supervisor from PyPI, and a third that turns sick
Prints a table, or with --json a list; the same list is in DIR/agents.json.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import random
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from fleetkit import pypi
from fleetkit.run import FleetError, write_whole

HERE = Path(__file__).parent
BOMB_BLOCK = 64 << 20
BOMB_BLOCKS = 40  # 2.5 GiB, more than a test host's disk, in 2.6 MiB

SUPERVISOR = {
    "4.2.5": ("supervisor==4.2.5", "2ecaede32fc25af814696374b79e42644ecaba5c09494c51016ffda9602d0f08"),
    "4.3.0": ("supervisor==4.3.0", "0bcb763fddafba410f35cbde226aa7f8514b9fb82eb05a0c85f6588d1c13f8db"),
}
SETUPTOOLS = ("setuptools==68.2.2", "b454a35605876da60632df1a60f736524eb73cc47bbc9f3f1ef1b644de74fd2a")
SICK_VERSION = "4.3.1.dev1"

Member = tuple[tarfile.TarInfo, bytes]


@dataclass(frozen=True)
class Archive:
    """One release archive; `sha256` is that of the file as it lies there."""

    name: str
    file: str
    version: str
    sha256: str
    about: str


def member(name: str, content: bytes = b"", mode: int = 0o644) -> Member:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    info.mode = mode
    return info, content


def special(name: str, kind: bytes, target: str = "") -> Member:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    info.mode = 0o666
    info.devmajor, info.devminor = 1, 8  # /dev/random, where a device is asked for
    return info, b""


def folders(names: Iterable[str]) -> list[Member]:
    made = []
    for name in names:
        info, _ = special(name, tarfile.DIRTYPE)
        info.mode = 0o755
        made.append((info, b""))
    return made


def pack(members: Iterable[Member]) -> bytes:
    """A .tar.gz; the same members give the same bytes."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), compresslevel=6, mtime=0)


# The test agent


def sickly(version: str, behaviour: str = "good", after: str = "0") -> list[Member]:
    """A release of the test agent: bin/agent starts it, it reads PORT."""
    start = (
        "#!/usr/bin/python3 -SEB\n"
        "import os, sys\n"
        'sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../lib"))\n'
        "import sickly\n"
        f"sickly.main({version!r}, {behaviour!r}, {after!r})\n"
    )
    return [
        *folders(["bin", "lib"]),
        member("bin/agent", start.encode(), 0o755),
        member("lib/sickly.py", (HERE / "agent/sickly.py").read_bytes()),
        member("VERSION", f"{version}\n".encode()),
    ]


BEHAVIOURS = {
    "never-healthy": ("0", "/health answers 503 from the start"),
    "exits": ("0", "ends at once with exit 1"),
    "hangs": ("0", "accepts connections and answers nothing"),
    "slow-start": ("5", "listens 5 s after its start, then is good"),
    "wrong-version": ("0", "answers 200 with another version"),
    "flapping": ("0", "never healthy three times in a row"),
    "crashes": ("20", "ends with exit 3, 20 s after its start"),
    "sickens": ("20", "/health answers 503 from 20 s after its start, clients are served on"),
    "fails": ("20", "every answer is 500 from 20 s after its start"),
}


def bomb() -> bytes:
    """A file of zeros far larger than a host's disk. Its deflate stream is one block many times over."""
    info = tarfile.TarInfo("lib/zeros")
    info.size = BOMB_BLOCK * BOMB_BLOCKS
    head, block = info.tobuf(tarfile.GNU_FORMAT), bytes(BOMB_BLOCK)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = deflate.compress(head) + deflate.flush(zlib.Z_FULL_FLUSH)
    zeros = deflate.compress(block) + deflate.flush(zlib.Z_FULL_FLUSH)
    last = deflate.compress(bytes(1024)) + deflate.flush(zlib.Z_FINISH)
    digest = zlib.crc32(head)
    for _ in range(BOMB_BLOCKS):
        digest = zlib.crc32(block, digest)
    digest = zlib.crc32(bytes(1024), digest)
    size = (len(head) + info.size + 1024) & 0xFFFFFFFF
    return gzip.compress(b"", mtime=0)[:10] + first + zeros * BOMB_BLOCKS + last + struct.pack("<II", digest, size)


def hostile() -> dict[str, tuple[Callable[[], bytes], str]]:
    """Archives that must be refused whole; each is a good release but for one thing."""
    good = sickly("6.6.6")
    with_extra: Callable[..., Callable[[], bytes]] = lambda *extra: lambda: pack([*good, *extra])
    evil = b"written by a hostile archive\n"
    whole = pack(good)
    middle = len(whole) // 2
    altered = whole[:middle] + bytes([whole[middle] ^ 0x10]) + whole[middle + 1:]
    return {
        "absolute": (with_extra(member("/etc/switchyard-evil", evil)), "a file with an absolute path"),
        "dotdot": (with_extra(member("lib/../../../../etc/switchyard-evil", evil)), "a path that climbs out with .."),
        "symlink-out": (with_extra(special("lib/out", tarfile.SYMTYPE, "../../../../../etc/passwd")),
                        "a symbolic link out of the tree"),
        "symlink-absolute": (with_extra(special("lib/out", tarfile.SYMTYPE, "/etc/passwd")),
                             "a symbolic link to an absolute path"),
        "symlink-through": (with_extra(special("lib/out", tarfile.SYMTYPE, "/etc"),
                                       member("lib/out/switchyard-evil", evil)),
                            "a file written through a symbolic link"),
        "hardlink-out": (with_extra(special("lib/out", tarfile.LNKTYPE, "/etc/passwd")),
                         "a hard link to a file outside"),
        "device": (with_extra(special("lib/random", tarfile.CHRTYPE)), "a character device"),
        "fifo": (with_extra(special("lib/pipe", tarfile.FIFOTYPE)), "a named pipe"),
        "setuid": (with_extra(member("bin/root", b"#!/bin/sh\n", 0o4755)), "a setuid program"),
        "bomb": (bomb, "2.5 GiB of zeros in 2.6 MiB"),
        "truncated": (lambda: whole[:len(whole) * 6 // 10], "a good archive's first 60 %"),
        "altered": (lambda: altered, "a good archive with one bit turned over"),
        "not-an-archive": (lambda: evil * 100, "plain text"),
    }


# Supervisor, a process control daemon that nobody here wrote


def supervisor(version: str, says: str | None = None, worker_lives: int | None = None) -> list[Member]:
    """A release of Supervisor, unpacked from its wheel, with a configuration that shows its web page on PORT.

    It looks after one program, a stand-in for real work; the page shows whether that runs.
    """
    wheels = [pypi.wheel(*SUPERVISOR[version])]
    if version == "4.2.5":
        wheels.append(pypi.wheel(*SETUPTOOLS))  # its pkg_resources; 4.3.0 does without
    members = [*folders(["bin", "etc", "lib"])]
    for path in wheels:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                content = archive.read(name)
                if name == "supervisor/version.txt" and says:
                    content = f"{says}\n".encode()
                if "/tests/" not in name and not name.endswith("/"):
                    members.append(member(f"lib/{name}", content))
    members.append(member("bin/agent", SUPERVISOR_START.encode(), 0o755))
    lives = "infinity" if worker_lives is None else str(worker_lives)
    members.append(member("etc/supervisord.conf", SUPERVISOR_CONFIGURATION.format(lives=lives).encode()))
    return members


SUPERVISOR_START = """\
#!/usr/bin/python3 -EB
import os, sys
release = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path.insert(0, os.path.join(release, "lib"))
from supervisor.supervisord import main
main(["--nodaemon", "--configuration", os.path.join(release, "etc/supervisord.conf")])
"""
SUPERVISOR_CONFIGURATION = """\
[supervisord]
logfile=/dev/null
logfile_maxbytes=0
pidfile=/tmp/supervisord-%(ENV_PORT)s.pid

[inet_http_server]
port=*:%(ENV_PORT)s

[program:worker]
command=/usr/bin/sleep {lives}
startsecs=0
autorestart=false
stdout_logfile=NONE
stderr_logfile=NONE
"""


# Building


class Builder:
    """Writes archives into a folder and remembers what it wrote."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.made: list[Archive] = []

    def add(self, name: str, version: str, content: bytes, about: str) -> None:
        file = self.folder / f"{name}.tar.gz"
        file.write_bytes(content)
        self.made.append(Archive(name, str(file), version, hashlib.sha256(content).hexdigest(), about))

    def add_good(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.add(f"agent-{number}", f"{number}.0.0", pack(sickly(f"{number}.0.0")), "good")

    def add_large(self) -> None:
        ballast = b"".join(random.Random(piece).randbytes(16 << 10) * 8 for piece in range(512))
        content = pack([*sickly("2.2.0-large"), member("lib/ballast", ballast)])
        self.add("agent-large", "2.2.0-large", content, "good, 8 MiB packed and 64 MiB unpacked")

    def add_bad(self) -> None:
        for behaviour, (after, about) in BEHAVIOURS.items():
            version = f"2.1.0-{behaviour}"
            self.add(f"agent-{behaviour}", version, pack(sickly(version, behaviour, after)), about)
        for name, (content, about) in hostile().items():
            self.add(f"hostile-{name}", "6.6.6", content(), about)

    def add_real(self) -> None:
        for version in SUPERVISOR:
            self.add(f"supervisor-{version}", version, pack(supervisor(version)), "Supervisor as released on PyPI")
        about = "Supervisor 4.3.0 whose worker ends after 12 s: its page then says so, and is served on"
        self.add("supervisor-sick", SICK_VERSION, pack(supervisor("4.3.0", SICK_VERSION, worker_lives=12)), about)


def build(folder: Path, real: bool = False) -> list[Archive]:
    """Write all archives into `folder` and describe them."""
    builder = Builder(folder)
    builder.add_good((1, 2, 3))
    builder.add_large()
    builder.add_bad()
    if real:
        builder.add_real()
    text = json.dumps([asdict(archive) for archive in builder.made], indent=1)
    write_whole(folder / "agents.json", text + "\n")
    return builder.made


def build_real(folder: Path) -> list[Archive]:
    """Only the releases of Supervisor."""
    builder = Builder(folder)
    builder.add_real()
    return builder.made


def build_good(folder: Path, numbers: Iterable[int]) -> list[Archive]:
    """Only good releases of the test agent, of versions NUMBER.0.0."""
    builder = Builder(folder)
    builder.add_good(numbers)
    return builder.made


def main() -> int:
    parser = argparse.ArgumentParser(prog="agents.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    verb = verbs.add_parser("build", help="build all archives")
    verb.add_argument("--dir", required=True, type=Path, help="where they go")
    verb.add_argument("--real", action="store_true", help="also those made from PyPI's packages")
    verb.add_argument("--json", action="store_true", help="print agents.json")
    arguments = parser.parse_args()
    try:
        made = build(Path(os.path.abspath(arguments.dir)), arguments.real)
    except FleetError as error:
        print(f"agents: {error}", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps([asdict(archive) for archive in made]))
    else:
        for archive in made:
            print(f"{archive.name:26} {archive.version:20} {archive.sha256[:12]}  {archive.about}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

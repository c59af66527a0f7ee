"""What hosts without a way to the internet install: Debian's packages and PyPI's, served on a fleet's bridge."""

from __future__ import annotations

import contextlib
import io
import subprocess
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from fleet import Fleet
from fleetkit.base import cache_folder

# What nobody reads is not fetched, and lists stay as they come: unpacking them is most of what an update costs.
APT = """\
Acquire::http::Proxy "{proxy}";
Acquire::Languages "none";
Acquire::GzipIndexes "true";
Acquire::CompressionTypes::Order:: "gz";
"""
MIRRORS = ("deb.debian.org", "security.debian.org")


class Supplier(ThreadingHTTPServer):
    """A proxy for Debian's mirrors, by the machine's own way to them, and a folder of files for everything else."""

    daemon_threads = True

    def __init__(self, address: str, files: Path) -> None:
        self.files = files
        self.asked: list[tuple[str, str]] = []  # the client's address and what it asked for
        super().__init__((address, 0), Counter)

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]}:{self.server_port}"


class Counter(SimpleHTTPRequestHandler):
    """One request of a host."""

    server: Supplier

    def __init__(self, request: object, address: object, server: Supplier) -> None:
        super().__init__(request, address, server, directory=str(server.files))  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.server.asked.append((self.client_address[0], self.path))
        if self.path.startswith("http://"):
            self.forward()
        else:
            super().do_GET()

    def forward(self) -> None:
        parts = urlsplit(self.path)
        if parts.hostname not in MIRRORS:
            self.send_error(403, "a test host may ask Debian's mirrors alone")
            return
        kept = cache_folder() / "debs" / Path(parts.path).name if parts.path.endswith(".deb") else None
        try:
            content = kept.read_bytes() if kept and kept.exists() else self.fetch()
        except urllib.error.HTTPError as error:
            self.send_error(error.code)
            return
        except OSError as error:
            self.send_error(502, str(error))
            return
        if kept and not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            partial = kept.with_name(f".{kept.name}.{threading.get_ident()}")
            partial.write_bytes(content)
            partial.rename(kept)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def fetch(self) -> bytes:
        with urllib.request.urlopen(self.path, timeout=60) as answer:
            content: bytes = answer.read()
        return content

    def log_message(self, format: str, *arguments: object) -> None:
        """Tests say what they expect; nobody reads a log."""


def put(fleet: Fleet, host: str, path: str, content: bytes, mode: int = 0o644, group: str = "root") -> None:
    """A file on a host, by way of its tar: nothing has to be there but the base system."""
    bundle = io.BytesIO()
    with tarfile.open(fileobj=bundle, mode="w") as tar:
        info = tarfile.TarInfo(path.lstrip("/"))
        info.size, info.mode, info.gname = len(content), mode, group
        tar.addfile(info, io.BytesIO(content))
    subprocess.run(fleet.host(host).argv_inside(["tar", "-x", "-C", "/"]), input=bundle.getvalue(), check=True, timeout=60)


@contextlib.contextmanager
def supplier(fleet: Fleet, files: Path) -> Iterator[Supplier]:
    """Serves until the block ends; the hosts' apt is told of it."""
    server = Supplier(fleet.network.gateway, files)
    thread = threading.Thread(target=server.serve_forever, daemon=True)  # it keeps no run alive that was broken off
    thread.start()
    try:
        for host in fleet.hosts:
            put(fleet, host.name, "/etc/apt/apt.conf.d/00supplier", APT.format(proxy=server.url).encode())
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

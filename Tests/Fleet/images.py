"""Container images of the test agent, good, bad and hostile, made without a network and without Podman.

The files of the images' Python come from the base system that the test hosts are made of.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import json
import os
import platform
import re
import tarfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import agents
from agents import Archive, Member, folders, member, special
from fleetkit import base
from fleetkit.run import run

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EPOCH = "2024-01-01T00:00:00Z"

# Prints the files of the modules that the agent imports.
MODULES = """\
import os, signal, socket, sys, threading, time, encodings.idna, encodings.latin_1, encodings.ascii
print("\\n".join(sorted({module.__file__ for module in sys.modules.values() if getattr(module, "__file__", None)})))
"""


@dataclass(frozen=True)
class Image:
    """An image's configuration and its layers, packed and plain."""

    config: bytes
    layers: list[tuple[bytes, str]]

    @property
    def identity(self) -> str:
        """The image's ID, as Podman and Docker have it: the digest of its configuration."""
        return sha256(self.config)

    @property
    def manifest(self) -> bytes:
        """What names configuration and layers; its digest is the one by which a registry knows the image."""
        return text({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, "digest": f"sha256:{self.identity}", "size": len(self.config)},
            "layers": [{"mediaType": OCI_LAYER, "digest": f"sha256:{sha256(packed)}", "size": len(packed)}
                       for packed, _ in self.layers],
        })


@functools.cache
def python_layer() -> tuple[bytes, str]:
    """A layer with a small Python, taken from the base system."""
    root = base.ensure_base()
    python = ["/usr/bin/python3", "-SEB", "-c", MODULES]
    modules = run(["chroot", str(root), *python]).stdout.split()
    members = [*folders(["tmp", "usr", "usr/bin", "usr/lib"]), special("lib", tarfile.SYMTYPE, "usr/lib"),
               special("lib64", tarfile.SYMTYPE, "usr/lib"), _copy(root, "/usr/bin/python3", "usr/bin/python3")]
    members += [_copy(root, file, file.lstrip("/")) for file in modules]
    # The loader lists what it would load: NAME => PATH (ADDRESS), and itself by its path alone.
    listed = run(["chroot", str(root), "env", "LD_TRACE_LOADED_OBJECTS=1", *python]).stdout
    for path in re.findall(r"(/\S+) \(0x", listed):
        members.append(_copy(root, path, f"usr/lib/{os.path.basename(path)}"))
    return layer(members)


def _copy(root: Path, path: str, name: str) -> Member:
    """What a path leads to in the base system, as a file of this name."""
    place = root / path.lstrip("/")
    while place.is_symlink():
        target = os.readlink(place)
        place = root / target.lstrip("/") if target.startswith("/") else place.parent / target
    return member(name, place.read_bytes(), 0o755)


def layer(members: list[Member]) -> tuple[bytes, str]:
    """A layer as .tar.gz, with the digest of what is packed in it."""
    packed = agents.pack(members)
    return packed, hashlib.sha256(gzip.decompress(packed)).hexdigest()


def image(version: str, behaviour: str = "good", after: str = "0", architecture: str = "") -> Image:
    """An image of the test agent; without a configuration of its own it runs with what PORT says."""
    layers = [python_layer(), layer([(info, content) for info, content in agents.sickly(version, behaviour, after)
                                     if info.name != "VERSION"])]
    config = {
        "created": EPOCH, "architecture": architecture or ARCHITECTURES[platform.machine()], "os": "linux",
        "config": {"Entrypoint": ["/usr/bin/python3", "-SEB", "/bin/agent"], "Labels": {"version": version}},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{plain}" for _, plain in layers]},
        "history": [{"created": EPOCH, "created_by": "images.py"} for _ in layers],
    }
    return Image(text(config), layers)


def text(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def oci_archive(one: Image, name: str | None = None) -> bytes:
    """The image as `skopeo copy … oci-archive:FILE` writes it; `name` is what it wants to be called where it is loaded."""
    manifest = one.manifest
    entry: dict[str, Any] = {"mediaType": OCI_MANIFEST, "digest": f"sha256:{sha256(manifest)}", "size": len(manifest)}
    if name is not None:
        entry["annotations"] = {"org.opencontainers.image.ref.name": name}
    blobs = [one.config, manifest, *(packed for packed, _ in one.layers)]
    return agents.pack([
        member("oci-layout", text({"imageLayoutVersion": "1.0.0"})),
        member("index.json", text({"schemaVersion": 2, "manifests": [entry]})),
        *folders(["blobs", "blobs/sha256"]), *(member(f"blobs/sha256/{sha256(blob)}", blob) for blob in blobs)])


def docker_archive(one: Image, name: str | None = None) -> bytes:
    """The image as `docker save` writes it."""
    layers = [(f"{plain}.tar", gzip.decompress(packed)) for packed, plain in one.layers]
    entry = {"Config": f"{one.identity}.json", "RepoTags": [name] if name else None, "Layers": [file for file, _ in layers]}
    return agents.pack([*(member(file, content) for file, content in layers),
                        member(f"{one.identity}.json", one.config), member("manifest.json", text([entry]))])


def hostile() -> dict[str, tuple[Callable[[], bytes], str]]:
    """Archives that must be refused, each a good one but for one thing; and what the refusal must say."""
    good = image("6.6.6")
    other = "arm64" if ARCHITECTURES[platform.machine()] == "amd64" else "amd64"
    return {
        "no-image": (lambda: agents.pack(agents.sickly("6.6.6")), "neither a manifest.json nor an index.json"),
        "two-images": (lambda: _with_index(good, 2), "2 images"),
        "other-architecture": (lambda: oci_archive(image("6.6.6", architecture=other)), other),
        "altered-configuration": (lambda: _altered(good), "another digest"),
        "altered-layer": (lambda: _altered_layer(good), "podman"),
    }


def _members(packed: bytes) -> list[Member]:
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        return [(info, (tar.extractfile(info) or io.BytesIO()).read() if info.isfile() else b"") for info in tar]


def _with_index(one: Image, count: int) -> bytes:
    changed = []
    for info, content in _members(oci_archive(one)):
        if info.name == "index.json":
            index = json.loads(content)
            index["manifests"] *= count
            info, content = member("index.json", text(index))
        changed.append((info, content))
    return agents.pack(changed)


def _altered(one: Image) -> bytes:
    name = f"blobs/sha256/{one.identity}"
    return agents.pack([member(name, content.replace(b"linux", b"linuX")) if info.name == name else (info, content)
                        for info, content in _members(oci_archive(one))])


def _altered_layer(one: Image) -> bytes:
    name = f"blobs/sha256/{sha256(one.layers[-1][0])}"
    return agents.pack([member(name, content[:-1] + bytes([content[-1] ^ 1])) if info.name == name else (info, content)
                        for info, content in _members(oci_archive(one))])


def build(folder: Path) -> list[Archive]:
    """Write all archives of images into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []

    def add(name: str, version: str, content: bytes, about: str) -> None:
        file = folder / f"{name}.tar.gz"
        file.write_bytes(content)
        made.append(Archive(name, str(file), version, sha256(content), about))

    add("image-1", "1.0.0", oci_archive(image("1.0.0")), "good, an OCI layout")
    add("image-2", "2.0.0", docker_archive(image("2.0.0"), "docker.io/library/agent:2"), "good, as by docker save")
    add("image-3", "3.0.0", oci_archive(image("3.0.0"), "docker.io/library/agent:2"), "good, and wants to be called as 2 was")
    for behaviour in ("never-healthy", "exits", "crashes"):
        after, about = agents.BEHAVIOURS[behaviour]
        version = f"2.1.0-{behaviour}"
        add(f"image-{behaviour}", version, oci_archive(image(version, behaviour, after)), about)
    for name, (content, about) in hostile().items():
        add(f"image-{name}", "6.6.6", content(), about)
    return made


class Registry:
    """A registry on this machine with one image, for hosts to fetch from: as much of the protocol as Podman asks."""

    def __init__(self, one: Image, address: str) -> None:
        self.blobs = {sha256(blob): blob for blob in (one.config, one.manifest, *(packed for packed, _ in one.layers))}
        self.digest = sha256(one.manifest)
        self.served: list[str] = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                registry.served.append(self.path)
                blob = registry.blobs.get(self.path.rsplit("sha256:", 1)[-1], b"{}" if self.path == "/v2/" else None)
                self.send_response(200 if blob is not None else 404)
                self.send_header("Content-Type", OCI_MANIFEST if "/manifests/" in self.path else "application/octet-stream")
                self.send_header("Content-Length", str(len(blob or b"")))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(blob or b"")

            do_HEAD = do_GET

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer((address, 0), Handler)
        self.name = f"{address}:{self._server.server_port}/demo/agent"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def reference(self) -> str:
        return f"{self.name}@sha256:{self.digest}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

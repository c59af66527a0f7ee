#!/usr/bin/env python3
"""Keep clients busy on many hosts, from outside, and report what they saw. Nothing is ever retried.

load.py --url http://10.231.0.11:8400/ --url … [--rate 20] [--seconds 600] --output load.json
        [--version-pattern REGEX] [--keep-alive N] [--idle N] [--download PATH]

By default each request is a connection of its own, RATE of them a second to each URL. --keep-alive adds
N connections per URL that send request after request, --idle N that send one at the start and one at the
end, --download one long transfer per URL, which must arrive whole. Ends on SIGTERM or SIGINT, or after
--seconds. Exit 0: nothing failed; 1: something did; 2: wrong use.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

MOST_FAILURES_KEPT = 1000


@dataclass
class Target:
    """What the clients of one URL saw. Times are seconds since the start of the load."""

    url: str
    requests: int = 0
    failed: int = 0
    slowest: float = 0.0
    failures: list[dict[str, object]] = field(default_factory=list)
    versions: list[dict[str, object]] = field(default_factory=list)
    _last_sent: dict[str, float] = field(default_factory=dict)

    def failure(self, at: float, kind: str, reason: str) -> None:
        self.failed += 1
        if len(self.failures) < MOST_FAILURES_KEPT:
            self.failures.append({"at": round(at, 3), "kind": kind, "reason": reason})

    def answered(self, sent: float, took: float, kind: str, version: str) -> None:
        """Note a change of version. Of requests that overlap, the one sent last says what is newest."""
        self.slowest = max(self.slowest, took)
        # Long-lived connections rightly stay on the old side: they don't say who gets new ones.
        if kind != "fresh" or sent < self._last_sent.get(kind, -1.0):
            return
        self._last_sent[kind] = sent
        if not self.versions or self.versions[-1]["version"] != version:
            self.versions.append({"at": round(sent, 3), "version": version, "requests": 0})
        count = self.versions[-1]["requests"]
        assert isinstance(count, int)
        self.versions[-1]["requests"] = count + 1

    def report(self) -> dict[str, object]:
        return {name: value for name, value in asdict(self).items() if not name.startswith("_")}


@dataclass(frozen=True)
class Wishes:
    """How the load shall be."""

    rate: float
    timeout: float
    keep_alive: int
    idle: int
    download: str | None
    version: re.Pattern[bytes]


class Refused(Exception):
    """The answer was no good one."""


class Load:
    """Clients of several targets, until `stop` is called."""

    def __init__(self, urls: list[str], wishes: Wishes) -> None:
        self.targets = [Target(url) for url in urls]
        self.wishes = wishes
        self.started = time.monotonic()
        self.began_at = time.time()
        self.stopping = asyncio.Event()

    def now(self) -> float:
        return time.monotonic() - self.started

    async def run(self) -> None:
        """Until stopped; then what is under way is finished."""
        async with asyncio.TaskGroup() as group:
            for index, target in enumerate(self.targets):
                group.create_task(self.fresh(target, index, group))
                for _ in range(self.wishes.keep_alive):
                    group.create_task(self.attempt(target, "keep-alive", partial(self.busy, target)))
                for _ in range(self.wishes.idle):
                    group.create_task(self.attempt(target, "idle", partial(self.idle, target)))
                if self.wishes.download:
                    group.create_task(self.attempt(target, "download", partial(self.download, target)))

    async def fresh(self, target: Target, index: int, group: asyncio.TaskGroup) -> None:
        """Start requests at a steady rate, whether earlier ones have been answered or not."""
        step = 1 / self.wishes.rate
        due = self.now() + step * index / len(self.targets)
        while not self.stopping.is_set():
            await self.pause(due - self.now())
            if self.stopping.is_set():
                return
            group.create_task(self.attempt(target, "fresh", partial(self.one, target, keep=False)))
            due = max(due + step, self.now() - 1)

    async def pause(self, seconds: float) -> None:
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), seconds)

    async def attempt(
        self, target: Target, kind: str, work: Callable[[], Coroutine[None, None, None]]
    ) -> None:
        """Do one thing; whatever goes wrong is one failure."""
        began = self.now()
        try:
            await work()
        except (OSError, EOFError, TimeoutError, Refused, ValueError) as error:
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            target.failure(self.now(), kind, f"{reason} (begun at {began:.3f})")

    async def one(self, target: Target, keep: bool) -> None:
        async with self.connection(target) as (reader, writer):
            await self.exchange(target, "fresh", reader, writer, keep)

    async def busy(self, target: Target) -> None:
        async with self.connection(target) as (reader, writer):
            while not self.stopping.is_set():
                await self.exchange(target, "keep-alive", reader, writer, keep=True)
                await self.pause(1 / self.wishes.rate)

    async def idle(self, target: Target) -> None:
        async with self.connection(target) as (reader, writer):
            await self.exchange(target, "idle", reader, writer, keep=True)
            await self.stopping.wait()
            await self.exchange(target, "idle", reader, writer, keep=True)

    async def download(self, target: Target) -> None:
        """One long transfer from the test agent; byte number i must be i modulo 251."""
        async with self.connection(target) as (reader, writer):
            target.requests += 1
            self.ask(target, writer, self.wishes.download or "/", keep=False)
            _, length = await self.head(reader)
            seen = 0
            pattern = bytes(range(251)) * 263
            while seen < length:
                part = await asyncio.wait_for(reader.read(65536), self.wishes.timeout)
                if not part:
                    raise EOFError(f"the download ended after {seen} of {length} bytes")
                if part != pattern[seen % 251:seen % 251 + len(part)]:
                    raise Refused(f"the download is damaged near byte {seen}")
                seen += len(part)

    @contextlib.asynccontextmanager
    async def connection(self, target: Target) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        parts = urlsplit(target.url)
        opening = asyncio.open_connection(parts.hostname, parts.port or 80)
        try:
            reader, writer = await asyncio.wait_for(opening, self.wishes.timeout)
        except (OSError, TimeoutError):
            target.requests += 1
            raise
        try:
            yield reader, writer
        finally:
            writer.close()

    async def exchange(
        self, target: Target, kind: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, keep: bool
    ) -> None:
        """One request and its answer, which must be a 200."""
        target.requests += 1
        sent = self.now()
        parts = urlsplit(target.url)
        self.ask(target, writer, parts.path or "/", keep)
        async with asyncio.timeout(self.wishes.timeout):
            head, length = await self.head(reader)
            body = await reader.readexactly(length)
        found = self.wishes.version.search(head + body)
        version = found[1].decode(errors="replace") if found else "unknown"
        target.answered(sent, self.now() - sent, kind, version)

    @staticmethod
    def ask(target: Target, writer: asyncio.StreamWriter, path: str, keep: bool) -> None:
        host = urlsplit(target.url).netloc
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: load\r\n"
                     f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n".encode())

    async def head(self, reader: asyncio.StreamReader) -> tuple[bytes, int]:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), self.wishes.timeout)
        status = head.split(b"\r\n", 1)[0].decode(errors="replace")
        if status.split(" ")[1:2] != ["200"]:
            raise Refused(status)
        length = re.search(rb"\r\ncontent-length: *(\d+)\r\n", head, re.IGNORECASE)
        if length is None:
            raise Refused("an answer without Content-Length")
        return head, int(length[1])

    def report(self) -> dict[str, object]:
        return {
            "began_at": self.began_at, "seconds": round(self.now(), 3),
            "requests": sum(target.requests for target in self.targets),
            "failed": sum(target.failed for target in self.targets),
            "targets": [target.report() for target in self.targets],
        }


async def keep_busy(urls: list[str], wishes: Wishes, seconds: float, output: Path | None) -> dict[str, object]:
    load = Load(urls, wishes)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, load.stopping.set)
    end = loop.call_later(seconds, load.stopping.set)
    print("load: running", file=sys.stderr, flush=True)
    await load.run()
    end.cancel()
    report = load.report()
    if output:
        output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    else:
        print(json.dumps(report))
    return report


def main() -> int:
    parser = argparse.ArgumentParser(prog="load.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", action="append", required=True, help="http://ADDRESS:PORT/PATH, may be repeated")
    parser.add_argument("--rate", type=float, default=20, help="fresh connections a second to each URL (20)")
    parser.add_argument("--timeout", type=float, default=5, help="seconds for each connect and answer (5)")
    parser.add_argument("--seconds", type=float, default=600, help="longest run (600)")
    parser.add_argument("--keep-alive", type=int, default=0, metavar="N", help="busy keep-alive connections per URL")
    parser.add_argument("--idle", type=int, default=0, metavar="N", help="idle keep-alive connections per URL")
    parser.add_argument("--download", metavar="PATH", help="e.g. /slow?bytes=20000000&seconds=20")
    parser.add_argument("--version-pattern", default=r'"version": *"([^"]*)"', metavar="REGEX",
                        help="its first group is the version, in head or body of an answer")
    parser.add_argument("--output", type=Path, help="the report's file; without it, standard output")
    arguments = parser.parse_args()
    if arguments.rate <= 0 or arguments.seconds <= 0:
        parser.error("--rate and --seconds must be above 0")
    wishes = Wishes(arguments.rate, arguments.timeout, arguments.keep_alive, arguments.idle, arguments.download,
                    re.compile(arguments.version_pattern.encode()))
    report = asyncio.run(keep_busy(arguments.url, wishes, arguments.seconds, arguments.output))
    return 1 if report["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())

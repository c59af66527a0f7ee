#!/usr/bin/env python3
"""What the agent takes: memory when idle, time from its execution until it serves, and calls a second on one core.

Measures the release program on this machine, with certificates and a configuration made for it. The agent is bound to one core, its
clients to another. With --check only what takes little time is measured, and the exit is 1 where the agent takes more than it may.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = Path(os.environ.get("SWITCHYARD_BIN", ROOT / ".build/release"))
AGENT_CORE, CLIENT_CORE = 0, 1
# What the agent may take: megabytes when idle, milliseconds until it serves, calls a second on one core without an error.
MOST_MEMORY, MOST_READY, RATE = 30.0, 50.0, 500.0


@dataclass(frozen=True)
class Place:
    """The agent's files, and the port that it gets."""

    folder: Path
    port: int

    @classmethod
    def make(cls, folder: Path) -> Place:
        for arguments in (["init", "--name", "bench"], ["issue", "agent", "--san", "ip:127.0.0.1", "--out", str(folder / "agent")],
                          ["issue", "ops", "--role", "controller", "--out", str(folder / "ops")]):
            subprocess.run([PROGRAMS / "switchyard", "cert", *arguments, "--authority", folder / "authority"], check=True,
                           capture_output=True)
        tls = folder / "agent"
        (folder / "agent.yml").write_text(
            f"listen: 127.0.0.1\ncertificate: {tls}/agent.pem\nkey: {tls}/agent.key\nauthority: {tls}/ca.pem\nrevoked: {tls}/crl.pem\n"
            f"controllers: [ops]\nstate: {folder}\n", encoding="utf-8")
        with socket.create_server(("127.0.0.1", 0)) as free:
            return cls(folder, int(free.getsockname()[1]))

    def trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.folder / "ops/ca.pem"))
        context.load_cert_chain(self.folder / "ops/ops.pem", self.folder / "ops/ops.key")
        return context

    @contextmanager
    def agent(self) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
        """A running agent, and the seconds from its execution until it told systemd that it serves."""
        path = str(self.folder / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(path)
            notify.settimeout(20)
            began = time.monotonic()
            process = subprocess.Popen(
                ["taskset", "-c", str(AGENT_CORE), PROGRAMS / "switchyard-agent", "--config", self.folder / "agent.yml"],
                env={"PORT": str(self.port), "SLOT": "blue", "NOTIFY_SOCKET": path, "PATH": os.environ["PATH"]},
                stderr=subprocess.DEVNULL)
            try:
                while b"READY=1" not in notify.recv(4096):
                    pass
                yield process, time.monotonic() - began
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(20)
                os.unlink(path)


def memory(pid: int) -> dict[str, float]:
    """A process' proportional and resident memory in MB."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()[1:])
    return {name: round(int(fields[name].split()[0]) / 1000, 1) for name in ("Pss", "Rss", "Private_Dirty")}


def client(place: Place, rate: float, seconds: float, anew: bool, results: Any) -> None:
    """Calls at a steady rate, over one connection or over a new one each time; late calls follow at once."""
    os.sched_setaffinity(0, {CLIENT_CORE})
    trust = place.trust()
    connection = http.client.HTTPSConnection("127.0.0.1", place.port, context=trust, timeout=10)
    times, errors, began = [], [], time.monotonic()
    for index in range(int(rate * seconds)):
        due = began + index / rate
        if (wait := due - time.monotonic()) > 0:
            time.sleep(wait)
        asked = time.monotonic()
        try:
            connection.request("GET", "/v1/facts")
            response = connection.getresponse()
            body = json.loads(response.read())
            if response.status != 200 or "hostname" not in body:
                errors.append(f"status {response.status}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            errors.append(repr(error))
            connection.close()
        times.append(time.monotonic() - asked)
        if anew:
            connection.close()
    results.put((times, errors, time.monotonic() - began))


def load(place: Place, rate: float, clients: int, seconds: float, anew: bool = False) -> dict[str, Any]:
    results: Any = multiprocessing.Queue()
    workers = [multiprocessing.Process(target=client, args=(place, rate / clients, seconds, anew, results)) for _ in range(clients)]
    for worker in workers:
        worker.start()
    ends = [results.get(timeout=seconds * 10 + 60) for _ in workers]
    for worker in workers:
        worker.join()
    times = sorted(value for end in ends for value in end[0])
    errors = [error for end in ends for error in end[1]]
    return {"wanted": rate, "calls": len(times), "errors": len(errors), "first_error": errors[:1],
            "calls_per_second": round(len(times) / max(end[2] for end in ends)),
            "ms": {"median": round(statistics.median(times) * 1000, 2), "p99": round(times[int(len(times) * 0.99)] * 1000, 2)}}


def exceeded(report: dict[str, Any], rate: float) -> list[str]:
    """What the agent takes beyond what it may, in words."""
    faults = []
    if report["idle_mb"]["Pss"] > MOST_MEMORY:
        faults.append(f"idle it has {report['idle_mb']['Pss']} MB, above {MOST_MEMORY:g}")
    if report["ready_ms"]["median"] > MOST_READY:
        faults.append(f"it serves after {report['ready_ms']['median']} ms, above {MOST_READY:g}")
    if report["load"]["errors"] or report["load"]["calls_per_second"] < rate * 0.95:
        faults.append(f"of {rate:g} calls a second: {report['load']}")
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="how long each load goes on")
    parser.add_argument("--starts", type=int, default=20)
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--check", action="store_true", help="measure less, and compare with what the agent may take")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="switchyard-bench-") as folder:
        place = Place.make(Path(folder))
        ready = []
        for _ in range(options.starts):
            with place.agent() as (_, seconds):
                ready.append(seconds * 1000)
        report: dict[str, Any] = {"ready_ms": {"median": round(statistics.median(ready), 1), "worst": round(max(ready), 1)}}
        with place.agent() as (process, _):
            time.sleep(5)
            report["idle_mb"] = memory(process.pid)
            report["load"] = load(place, options.rate, 4, 5 if options.check else options.seconds)
            if options.check:
                faults = exceeded(report, options.rate)
                print("\n".join(faults or [json.dumps(report)]))
                return 1 if faults else 0
            report["new_connections"] = load(place, options.rate / 5, 4, options.seconds, anew=True)
            time.sleep(45)
            report["idle_mb_after_load"] = memory(process.pid)
    print(json.dumps(report, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())

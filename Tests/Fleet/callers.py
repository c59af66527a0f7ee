"""Clients of agents' RPC that retry nothing: each keeps one host busy, over a connection that stays or over new ones."""

from __future__ import annotations

import http.client
import select
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Callers:
    """Clients that ask agents over connections that stay, and over new ones, with all that TLS can check; none tries twice."""

    def __init__(
        self, addresses: list[str], trust: ssl.SSLContext, *, token: str | None = None, pause: float = 0.05, timeout: float = 5
    ) -> None:
        self.addresses = addresses
        self.trust = trust
        self.headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self.pause = pause
        self.timeout = timeout
        self.served = 0
        self.failed: list[str] = []
        #: Hosts whose first connection stood to the end.
        self.kept: dict[str, int] = {}
        #: How often an agent ended a connection that was to stay, and told so before anything was asked over it.
        self.ended: dict[str, int] = {}
        self._lock = threading.Lock()

    @contextmanager
    def busy(self) -> Iterator[None]:
        over = threading.Event()
        threads = [threading.Thread(target=kind, args=(address, over))
                   for address in self.addresses for kind in (self.stay, self.come)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()

    def connect(self, address: str) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(address, 7440, context=self.trust, timeout=self.timeout)

    def call(self, connection: http.client.HTTPSConnection, what: str) -> None:
        problem = None
        try:
            connection.request("GET", "/v1/facts", headers=self.headers)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                problem = f"{what}: {answer.status} {body[:200]!r}"
        except (OSError, http.client.HTTPException) as error:
            problem = f"{what}: {type(error).__name__} {error}"
        with self._lock:
            if problem is None:
                self.served += 1
            else:
                self.failed.append(problem)

    def stay(self, address: str, over: threading.Event) -> None:
        connection = self.connect(address)
        try:
            connection.connect()
        except OSError as error:
            self.failed.append(f"{address}, kept: {type(error).__name__} {error}")
            return
        own = connection.sock
        while not over.wait(self.pause):
            # As clients that pool connections do: one that was said to end, or has ended, is not used again.
            if connection.sock is None or has_ended(connection.sock):
                connection.close()
                self.ended[address] = self.ended.get(address, 0) + 1
            self.call(connection, f"{address}, kept")
        if connection.sock is own:
            self.kept[address] = 1
        connection.close()

    def come(self, address: str, over: threading.Event) -> None:
        while not over.wait(self.pause):
            connection = self.connect(address)
            self.call(connection, f"{address}, new")
            connection.close()


def has_ended(connection: ssl.SSLSocket) -> bool:
    """Whether the other side has something to say though nothing was asked: that it has ended the connection."""
    readable, _, _ = select.select([connection], [], [], 0)
    return bool(readable)

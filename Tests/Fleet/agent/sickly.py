"""A small HTTP agent that misbehaves as told: for tests of an orchestrator, not for use.

Told by environment: PORT; BIND (default ::, both families); and, where they should differ from what
the release was built with, SICKLY_VERSION, SICKLY_BEHAVIOUR and SICKLY_AFTER.

Behaviours: good; never-healthy; exits (at once); hangs (port open, no answer); slow-start (listens
after AFTER seconds); wrong-version; flapping; and, when AFTER has come, crashes (exit 3), sickens
(/health says 503, clients are still served), fails (every answer is 500), freezes (answers stop).
AFTER is a number of seconds since the start, or the path of a file whose appearance counts.

Paths: / and /health (JSON with the version), /slow?bytes=N&seconds=S (a long download).
"""

import os
import signal
import socket
import sys
import threading
import time

FLAPS = (True, False, True, False, False)
LONGEST_HEAD = 16384
DRAIN_SECONDS = 30.0


class Agent:
    """What one agent knows; each connection has a thread of its own."""

    def __init__(self, version: str, behaviour: str, after: str) -> None:
        self.version = version
        self.behaviour = behaviour
        self.after = after
        self.started = time.monotonic()
        self.draining = False
        self.lock = threading.Lock()
        self.health_requests = 0
        self.busy = 0

    def due(self) -> bool:
        """True once AFTER has come."""
        if self.after.startswith("/"):
            return os.path.exists(self.after)
        return time.monotonic() - self.started >= float(self.after)

    def healthy(self) -> bool:
        if self.behaviour == "never-healthy":
            return False
        if self.behaviour == "flapping":
            with self.lock:
                self.health_requests += 1
                return FLAPS[self.health_requests % len(FLAPS)]
        return not (self.behaviour in ("sickens", "fails") and self.due())

    def watch(self) -> None:
        """Crash when the time for it has come."""
        while not self.due():
            time.sleep(0.05)
        print("sickly: crashing, as told", file=sys.stderr, flush=True)
        os._exit(3)

    def serve(self, connection: socket.socket) -> None:
        """Answer the requests of one connection until either side has had enough."""
        buffered = b""
        with connection:
            while True:
                while b"\r\n\r\n" not in buffered:
                    more = connection.recv(4096)
                    if not more or len(buffered) > LONGEST_HEAD:
                        return
                    buffered += more
                head, _, buffered = buffered.partition(b"\r\n\r\n")
                with self.lock:
                    self.busy += 1
                try:
                    keep = self.answer(connection, head.decode("latin-1"))
                finally:
                    with self.lock:
                        self.busy -= 1
                if not keep:
                    return

    def answer(self, connection: socket.socket, head: str) -> bool:
        """Answer one request; True when the connection stays open."""
        if self.behaviour == "hangs" or (self.behaviour == "freezes" and self.due()):
            time.sleep(3600)
        lines = head.split("\r\n")
        method, _, rest = lines[0].partition(" ")
        target, _, protocol = rest.partition(" ")
        headers = {name.strip().lower(): value.strip().lower()
                   for name, _, value in (line.partition(":") for line in lines[1:])}
        keep = protocol == "HTTP/1.1" and headers.get("connection") != "close" and not self.draining
        path, _, query = target.partition("?")
        if self.behaviour == "fails" and self.due():
            self.send(connection, "500 Internal Server Error", '{"error": "as told"}', keep)
        elif method not in ("GET", "HEAD"):
            self.send(connection, "405 Method Not Allowed", "{}", False)
            return False
        elif path == "/health":
            healthy = self.healthy()
            status = "200 OK" if healthy else "503 Service Unavailable"
            self.send(connection, status, self.identity("ok" if healthy else "sick"), keep, method == "HEAD")
        elif path == "/":
            self.send(connection, "200 OK", self.identity("ok"), keep, method == "HEAD")
        elif path == "/slow":
            self.send_slowly(connection, query, keep)
        else:
            self.send(connection, "404 Not Found", "{}", keep, method == "HEAD")
        return keep

    def identity(self, state: str) -> str:
        version = "0.0.0-wrong" if self.behaviour == "wrong-version" else self.version
        return f'{{"version": "{version}", "state": "{state}", "pid": {os.getpid()}, "port": {os.environ["PORT"]}}}'

    def send(self, connection: socket.socket, status: str, body: str, keep: bool, head_only: bool = False) -> None:
        content = body.encode() + b"\n"
        head = (f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n"
                f"X-Agent-Version: {self.version}\r\nConnection: {'keep-alive' if keep else 'close'}\r\n\r\n")
        connection.sendall(head.encode() + (b"" if head_only else content))

    def send_slowly(self, connection: socket.socket, query: str, keep: bool) -> None:
        """Byte number i is i modulo 251, so that a client can tell whether it got the whole."""
        wishes = dict(part.partition("=")[::2] for part in query.split("&"))
        size, seconds = int(wishes.get("bytes", 1 << 20)), float(wishes.get("seconds", 1))
        connection.sendall((f"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {size}\r\n"
                            f"X-Agent-Version: {self.version}\r\n"
                            f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n").encode())
        pattern = bytes(range(251)) * 264
        steps = max(1, int(seconds * 10))
        sent = 0
        for step in range(1, steps + 1):
            until = size * step // steps
            while sent < until:
                count = min(until - sent, 65536)
                connection.sendall(pattern[sent % 251:sent % 251 + count])
                sent += count
            time.sleep(seconds / steps)


def listen(port: int) -> socket.socket:
    """One socket for both families, or for the one that BIND names."""
    bind = os.environ.get("BIND", "::")
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.bind((bind, port))
    listener.listen(512)
    return listener


def main(version: str, behaviour: str = "good", after: str = "0") -> None:
    """Run one agent until SIGTERM; requests that are being answered then are finished first."""
    agent = Agent(os.environ.get("SICKLY_VERSION", version), os.environ.get("SICKLY_BEHAVIOUR", behaviour),
                  os.environ.get("SICKLY_AFTER", after))
    if agent.behaviour == "exits":
        sys.exit("sickly: exiting at once, as told")
    if agent.behaviour == "slow-start":
        while not agent.due():
            time.sleep(0.05)
    # SIGTERM is blocked in every thread and taken by one, so that no system call is interrupted.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    listener = listen(int(os.environ["PORT"]))
    print(f"sickly: {agent.version} ({agent.behaviour}) listens on port {os.environ['PORT']}", file=sys.stderr, flush=True)
    threading.Thread(target=accept, args=(agent, listener), daemon=True).start()
    if agent.behaviour == "crashes":
        threading.Thread(target=agent.watch, daemon=True).start()
    signal.sigwait({signal.SIGTERM})
    agent.draining = True
    listener.close()
    deadline = time.monotonic() + DRAIN_SECONDS
    while agent.busy and agent.behaviour not in ("hangs", "freezes") and time.monotonic() < deadline:
        time.sleep(0.02)
    os._exit(0)


def accept(agent: Agent, listener: socket.socket) -> None:
    while not agent.draining:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=serve_quietly, args=(agent, connection), daemon=True).start()


def serve_quietly(agent: Agent, connection: socket.socket) -> None:
    try:
        agent.serve(connection)
    except OSError:
        pass  # the client went away

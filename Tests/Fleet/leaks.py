"""Looks for secrets where nobody may find them: in what processes show to everybody, and in what is kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def secret_line(key: Path) -> str:
    """A line of a private key's file that stands in no other file."""
    return key.read_text(encoding="ascii").splitlines()[1]


def files_with(folder: Path, *secrets: str, beside: Path | None = None) -> list[Path]:
    """The files below a folder that hold one of these, but those below `beside`."""
    files = [path for path in folder.rglob("*") if path.is_file() and not (beside and path.is_relative_to(beside))]
    return [path for path in files if holds(path.read_bytes(), *secrets)]


def holds(content: bytes, *secrets: str) -> bool:
    return any(secret.encode() in content for secret in secrets)


class Processes:
    """Looks at all processes of this machine, its hosts' among them, again and again, and keeps the words that they were started with."""

    def __init__(self, pause: float = 0.1) -> None:
        self.pause = pause
        self.looks = 0
        self._seen: set[bytes] = set()

    def look(self) -> None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                self._seen.add(path.read_bytes())
            except OSError:
                continue  # it has ended
        self.looks += 1

    def showing(self, *secrets: str) -> list[bytes]:
        """What was seen with one of these in it."""
        return [words for words in self._seen if holds(words, *secrets)]

    @contextmanager
    def watched(self) -> Iterator[None]:
        over = threading.Event()

        def watch() -> None:
            while not over.wait(self.pause):
                self.look()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

"""Run the playbooks that ship to users against a test fleet, by hand as it were: with plain ansible-playbook."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener, urlopen

from fleetkit import pypi
from fleetkit.base import cache_folder
from fleetkit.run import run
from rollouts import RolloutTest
from supplies import Supplier, supplier

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOKS = ROOT / "playbooks"
LOCKS = [PLAYBOOKS / "roles" / path for path in
         ("python_environment/files/uv.txt", "agent/files/ansible.txt", "xray/files/xray-core.txt")]
# The oldest that the playbooks are said to work with; those that run in runners.py are of the newest.
ANSIBLE = ("ansible-core==2.16.14",)
LONGEST = 1200.0


@dataclass(frozen=True)
class Played:
    """How a play ended: the exit code, what it said, and what its recap counts for each host."""

    code: int
    said: str

    def count(self, what: str, host: str) -> int:
        recap = re.search(rf"^{host}\s+: .*\b{what}=(\d+)", self.said, re.MULTILINE)
        return int(recap.group(1)) if recap else -1


def wheels() -> Path:
    """The wheels that the playbooks' lock files name, for this machine's kind of processor, fetched once."""
    key = hashlib.sha256(b"".join(lock.read_bytes() for lock in LOCKS)).hexdigest()[:12]
    folder = cache_folder() / f"playbook-wheels-{key}"
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.{os.getpid()}")
        python = pypi.environment("pip") / "python"
        for lock in LOCKS:
            run([str(python), "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                 "--only-binary=:all:", "--python-version", "3.11", "--dest", str(partial), "--require-hashes",
                 "--requirement", str(lock)], timeout=600)
        try:
            partial.rename(folder)
        except OSError:  # another run was faster
            if not folder.exists():
                raise
    return folder


class PlaybookTest(RolloutTest):
    """The tests of a class build on one another, as the days of a host do: their names give the order."""

    hosts = 1
    is_long = True
    supplies: Supplier

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        files = cls.site.folder / "supplies"
        files.mkdir()
        (files / "wheels").symlink_to(wheels())
        (files / "hello").write_text("hello from outside\n")
        cls.supplies = cls.enterClassContext(supplier(cls.fleet, files))

    @property
    def wheels_url(self) -> str:
        return f"{self.supplies.url}/wheels"

    def address(self, host: str = "h1") -> str:
        return self.fleet.network.ipv4(self.fleet.host(host).number)

    def play(
        self, name: str, host: str = "h1", arguments: Sequence[str] = (), playbooks: Path = PLAYBOOKS, login: str = "root",
        **variables: Any,
    ) -> Played:
        inventory = self.fleet.describe()["inventory"][login]  # type: ignore[index]
        python = pypi.environment("ansible", *ANSIBLE) / "python"
        ended = subprocess.run(
            [python, "-m", "ansible", "playbook", "--inventory", inventory, "--limit", host, "--diff",
             "--extra-vars", f"@{self.site.write(variables)}", *arguments, playbooks / f"{name}.yml"],
            capture_output=True, text=True, check=False, timeout=LONGEST, stdin=subprocess.DEVNULL, cwd=playbooks,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_PIPELINING": "1", "ANSIBLE_HOME": str(self.site.folder / "ansible")})
        return Played(ended.returncode, ended.stdout + ended.stderr)

    def assert_played(self, played: Played, host: str = "h1") -> None:
        self.assertEqual((played.code, played.count("failed", host)), (0, 0), played.said)

    def assert_unneeded(self, played: Played, host: str = "h1") -> None:
        """A play that found everything as it should be."""
        self.assert_played(played, host)
        self.assertEqual(played.count("changed", host), 0, played.said)

    def assert_foreseen(self, foreseen: str, name: str, host: str = "h1", **variables: Any) -> None:
        """A play in check mode says what would change, or nothing where `foreseen` is empty, and the host is as it was."""
        before = self.everything(host)
        played = self.play(name, host, ["--check"], **variables)
        self.assert_played(played, host)
        if foreseen:
            self.assertRegex(played.said, foreseen)
        self.assertEqual(played.count("changed", host) > 0, foreseen != "", played.said)
        self.assert_unchanged(before, self.everything(host), host)

    def assert_refused(self, name: str, because: str, host: str = "h1", **variables: Any) -> None:
        """A play says what is wrong, and the host is as it was."""
        before = self.everything(host)
        played = self.play(name, host, **variables)
        self.assertNotEqual(played.code, 0, played.said)
        self.assertRegex(played.said, because)
        self.assertEqual(played.count("changed", host), 0, played.said)
        self.assert_unchanged(before, self.everything(host), host)

    def assert_all_refused(
        self, name: str, cases: Sequence[tuple[dict[str, Any], str]], fixed: dict[str, str] | None = None, **good: Any
    ) -> None:
        """As above for many wrong values in one run, which takes a fraction of the time: each is a host by its own name in the inventory, and
        all of them are the same one. `fixed` names the variables that the play itself sets, with what they are where a case says nothing."""
        fixed = fixed or {}
        hosts: dict[str, dict[str, Any]] = {}
        for number, (wrong, _) in enumerate(cases):
            hosts[f"case{number}"] = {"ansible_host": self.address()} | {
                f"case_{key}" if key in fixed else key: value for key, value in {**good, **wrong}.items()}
        inventory = self.site.write({"all": {"hosts": hosts}})
        before = self.everything("h1")
        played = self.play(name, "case*", ["--inventory", inventory, "--forks", "4"], **{
            key: f"{{{{ case_{key} | default({value}) }}}}" for key, value in fixed.items()})
        self.assert_unchanged(before, self.everything("h1"), "h1")
        for number, (wrong, because) in enumerate(cases):
            with self.subTest(wrong=wrong):
                said = "\n".join(re.findall(rf"^(?:fatal|failed): \[case{number}\b.*$", played.said, re.MULTILINE))
                self.assertRegex(said, because, played.said)
                self.assertEqual((played.count("failed", f"case{number}"), played.count("changed", f"case{number}")), (1, 0), played.said)

    def assert_failed(self, played: Played, because: str, host: str = "h1") -> None:
        self.assertNotEqual(played.code, 0, played.said)
        self.assertEqual(played.count("failed", host), 1, played.said)
        self.assertRegex(played.said, because)

    def everything(self, host: str) -> list[str]:
        """What a play could have changed on a host."""
        kept = self.site.on_host(host, "find", "/var/lib/switchyard-playbooks", "/usr/bin", "-printf", "%p %y %s %m %T@ %l\n")
        users = self.site.on_host(host, "cat", "/etc/passwd")
        return sorted(kept.splitlines()) + users.splitlines() + self.site.traces(host)

    def get(self, url: str) -> str:
        """What a client outside gets."""
        try:
            with urlopen(url, timeout=5) as answer:
                return str(answer.read().decode())
        except OSError as error:
            return f"{type(error).__name__}: {error}"

    def proxied_by(self, host: str, secret: str) -> tuple[str, str]:
        """What a client outside gets through a host's proxy, and whom the server took for the client."""
        self.supplies.asked.clear()
        proxy = ProxyHandler({"http": f"http://probe:{secret}@{self.address(host)}:8119"})
        try:
            with build_opener(proxy).open(f"{self.supplies.url}/hello", timeout=5) as answer:
                text = answer.read().decode()
        except OSError as error:
            return f"{type(error).__name__}: {error}", ""
        return text, self.supplies.asked[-1][0]

    def active(self, unit: str, host: str = "h1") -> str:
        return self.site.on_host(host, "systemctl", "show", "--property=ActiveState", "--value", unit).strip()

    def invocation(self, unit: str, host: str = "h1") -> str:
        return self.site.on_host(host, "systemctl", "show", "--property=InvocationID", "--value", unit).strip()


def sha256(path: Path | str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()

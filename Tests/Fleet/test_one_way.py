#!/usr/bin/env python3
"""One way to upgrade, two doors: the same requests to the same host program, the same left on hosts, ports and tokens made in one place."""

from __future__ import annotations

import base64
import difflib
import hashlib
import json
import re
import unittest
from typing import Any

from own_agent import HOST_PROGRAM, OwnAgentTest
from plays import PLAYBOOKS, ROOT
from rollouts import PROMOTED, ROLLED_BACK, at_once

DOORS = {"rpc": ("h1", "h2"), "ssh": ("h3", "h4")}
#: What is a host's own, or a moment's: addresses, names, identifiers, times, and how long something took.
OWN = [(rb"\b10(?:\.\d+){3}\b", b"ADDRESS"), (rb"(?i)\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", b"UUID"), (rb"\bh[1-4]\b", b"HOST"),
       (rb"\b[0-9a-f]{32}\b", b"ID"), (rb"(switchyard-agent-\d\.0\.0)-[a-z0-9]{5}\b", rb"\1-ROLLOUT"), (rb"\b\d{7,}\b", b"TIME"),
       # The host's place in the plan, and the digest of the host's own state, in the state itself.
       (rb"(-ROLLOUT)-\d+(-\d+)", rb"\1-PLACE\2"), (rb"(switchyard-state 1 \d+) [0-9a-f]{64}", rb"\1 DIGEST")]
FOLDERS = ("/etc/systemd/system", "/etc/switchyard", "/opt/switchyard", "/var/lib/switchyard", "/run/systemd/system", "/run/switchyard")


class Source(unittest.TestCase):
    """What no host is needed for to see."""

    def places(self, pattern: str) -> set[str]:
        """The files of the programs in which something stands, the simulator's aside."""
        sources = [path for path in (ROOT / "Sources").rglob("*.swift") if "Simulator" not in path.parts]
        self.assertGreater(len(sources), 200)
        return {path.name for path in sources if re.search(pattern, path.read_text(encoding="utf-8"))}

    def test_ports_are_made_in_one_place(self) -> None:
        self.assertEqual(self.places(r"\b(?:rpc|\w*[pP]orts?)(?:\.\w+)* *[+-] *\d|\d *\+ *(?:rpc|\w*[pP]orts?)\b"), {"RegisteredAgent.swift"})
        # What a slot listens on is told to it in one place; a container is told of the same variable.
        self.assertEqual(self.places(r'name: (?:Self\.prefix \+ )?"PORT"'), {"SlotText.swift", "ContainerText.swift"})

    def test_tokens_are_made_in_one_place_and_for_one_verb(self) -> None:
        self.assertEqual(self.places(r"SymmetricKey\(size|/dev/u?random|getrandom"), {"AgentToken.swift"})
        self.assertEqual(self.places(r"\bAgentToken\(\)"), {"AgentRegisterVerb.swift"})

    def test_playbooks_make_neither(self) -> None:
        for path in PLAYBOOKS.rglob("*"):
            if path.suffix in (".yml", ".j2"):
                text = path.read_text(encoding="utf-8")
                self.assertNotRegex(text, r"port\w* *(?:\| *int *)?[+] *\d|\| *random\b|random_string|lookup\( *['\"].*password", str(path))

    def test_one_place_moves_traffic_and_one_writes_units(self) -> None:
        self.assertEqual(self.places(r"\bFlipOrder\("), {"Changing.swift"})
        self.assertEqual(self.places(r"\bSlotText\("), {"HostHands.swift"})

    def test_one_place_makes_the_path_of_a_runs_log_and_only_the_verb_that_shows_it_reads_it(self) -> None:
        """The old system had two names for one log; who looked for the wrong one took a missing log for a dead agent."""
        self.assertEqual(self.places(r'/logs\b'), {"RunLogFolder.swift"})
        self.assertEqual(self.places(r"\bRunLogWriter\("), {"RolloutDriver.swift", "PlaybookRunLog.swift"})
        self.assertEqual(self.places(r"\bRunLogReader\("), {"LogsCommand.swift"}, "what a log says, or lacks, decides nothing")

    def test_no_program_hands_text_to_a_shell(self) -> None:
        self.assertEqual(self.places(r'"(?:/usr)?/bin/(?:ba|da)?sh"|"(?:ba|da)?sh", *"-l?c"'), set())


class TwoDoors(OwnAgentTest):
    """Two hosts are upgraded through each door; the tests build on one another: their names give the order."""

    hosts = 4

    def requests(self, host: str) -> tuple[set[str], list[str]]:
        """The doors that the newest rollout took to a host, and what it asked there, without the looks in between."""
        outcome = self.site.run("logs", self.site.status()["id"], "--host", host, "--output", "json")
        self.assertEqual(outcome.code, 0, outcome.said)
        asked = [line for line in map(json.loads, outcome.stdout.splitlines()) if line["source"] in ("ssh", "rpc")]
        words = [line["text"].partition(" (")[0] for line in asked]
        return {line["source"] for line in asked}, [word for word in words if not word.startswith("observe")]

    def left(self, host: str) -> dict[str, Any]:
        """All that an upgrade leaves on a host: each file's kind, mode, owner and content, listeners, firewall, units."""
        found: dict[str, Any] = {}
        listing = self.site.on_host(host, "find", *FOLDERS, "-printf", "%p\t%y %m %U:%G %l\n")
        for path, about in (line.split("\t") for line in listing.splitlines()):
            found[self.plain(path)] = self.plain(about)
            if about.startswith("f"):
                content = self.fleet.execute(host, ["base64", "-w0", path]).stdout
                found[self.plain(path)] += " " + self.digest(content) if len(content) > 200_000 else " " + self.plain(self.decoded(content))
        found["listeners"] = sorted({line.split()[3].rpartition(":")[2] for line in self.site.on_host(host, "ss", "-Hltn").splitlines()})
        found["firewall"] = self.plain(re.sub(r"packets \d+ bytes \d+", "", self.site.on_host(host, "nft", "list", "ruleset")))
        found["slots"] = [(slot["slot"], slot["unit"]["activeState"], (slot.get("release") or {}).get("digest"))
                          for slot in self.site.on_record(host, self.own("ssh"))["slots"]]
        return found

    @staticmethod
    def words(found: Any) -> list[str]:
        """In pieces that tell what differs."""
        return re.split(r"(?<=[,{\n])", found) if isinstance(found, str) else [repr(found)]

    @staticmethod
    def decoded(content: str) -> str:
        return base64.b64decode(content).decode("utf-8", "replace")

    @staticmethod
    def digest(content: str) -> str:
        return hashlib.sha256(content.encode()).hexdigest()

    @staticmethod
    def plain(text: str) -> str:
        data = text.encode()
        for pattern, word in OWN:
            data = re.sub(pattern, word, data)
        return data.decode()

    def roll_out(self, release: str, code: int) -> dict[str, list[str]]:
        """Through both doors; the value is what was asked through each."""
        asked = {}
        for door, hosts in DOORS.items():
            outcome = self.site.roll_out(self.own(door), release, at_once(), "--limit", ",".join(hosts))
            self.assertEqual(outcome.code, code, outcome.said)
            for host in hosts:
                doors, words = self.requests(host)
                self.assertEqual(doors, {door})
                asked.setdefault(door, words)
                self.assertEqual(words, asked[door], f"{host} and {hosts[0]} were asked different things")
        return asked

    def assert_equal_hosts(self) -> None:
        self.wait_for("quiet hosts", self.is_quiet)
        left = {host: self.left(host) for hosts in DOORS.values() for host in hosts}
        self.assertGreater(len(left["h1"]), 30)
        self.assertTrue(any("/green.env" in path for path in left["h1"]), sorted(left["h1"]))
        for host in ("h2", "h3", "h4"):
            unequal = [line for path in sorted(left["h1"].keys() | left[host].keys())
                       for line in difflib.unified_diff(*(self.words(left[name].get(path)) for name in ("h1", host)), path, path, n=0)]
            self.assertEqual(unequal, [], "\n".join(unequal[:40]))

    def is_quiet(self) -> bool:
        """Nothing of the host program runs any more for the last rollout."""
        return not any("switchyard-host@" in self.site.on_host(host.name, "systemctl", "list-units", "--no-legend", "--plain")
                       for host in self.fleet.hosts)

    def test_1_an_upgrade_asks_and_leaves_the_same(self) -> None:
        self.install()
        asked = self.roll_out("own-2", PROMOTED)
        self.assertEqual(asked["rpc"], asked["ssh"])
        for word in ("facts", "acquire", "stage 2.0.0", "start", "flip", "confirm", "promote"):
            self.assertTrue(any(text.startswith(word) for text in asked["rpc"]), (word, asked["rpc"]))
        self.assert_equal_hosts()

    def test_2_so_does_one_that_is_taken_back(self) -> None:
        asked = self.roll_out("own-bad", ROLLED_BACK)
        self.assertEqual(asked["rpc"], asked["ssh"])
        self.assert_equal_hosts()

    def test_3_the_same_host_program_does_the_work(self) -> None:
        wanted = hashlib.sha256(HOST_PROGRAM.read_bytes()).hexdigest()
        for host in self.fleet.hosts:
            programs = self.site.on_host(host.name, "find", "/root/.cache/switchyard", "/opt/switchyard/bin", "-type", "f", "-name", "switchyard-host*")
            self.assertGreaterEqual(len(programs.split()), 1)
            for line in self.site.on_host(host.name, "sha256sum", *programs.split()).splitlines():
                self.assertEqual(line.split()[0], wanted, line)


if __name__ == "__main__":
    unittest.main()

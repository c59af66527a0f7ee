#!/usr/bin/env python3
"""The controller's journal is torn, damaged, without room, or an old copy: hosts are not harmed, and the rollout can go on."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import unittest
from contextlib import closing
from pathlib import Path
from typing import Any

from matrix import covers
from rollouts import INVALID, PROMOTED, TOOL_ERROR, Agent, RolloutTest, Site, policy

FOREVER = "300s"
WAL_HEAD, FRAME = 32, 24 + 4096  # of SQLite's write-ahead log


def rules(canary: str = "3s") -> dict[str, Any]:
    """The canary soaks for some time, then the other host comes."""
    return policy(waves=[{"name": "canary", "hosts": 1, "soak": canary}, {"name": "rest", "hosts": "100%", "soak": "500ms"}])


def rows(state: Path) -> list[tuple[str, int, bytes]]:
    """The records of all rollouts in a copy of the journal that nobody has open."""
    with closing(sqlite3.connect(state / "journal.sqlite")) as journal:
        return journal.execute("SELECT id, sequence, payload FROM records JOIN rollouts ON rollout = number"
                               " ORDER BY number, sequence").fetchall()


class Journals(RolloutTest):
    def left_in_the_soak(self, agent: Agent, canary: str = "3s", site: Site | None = None) -> str:
        """A rollout whose controller died in the canary's soak; the value is its name."""
        site = site or self.site
        command = site.start(agent, "agent-2", rules(canary))
        site.await_step(agent, "agent-2", "soak")
        command.kill()
        return str(site.status()["id"])

    def invocations(self, agent: Agent, slot: str) -> list[str]:
        return [str(self.site.unit(host, agent, slot)["invocation"]) for host in ("h1", "h2")]

    @covers(2)
    def test_a_journal_cut_off_or_torn_by_a_power_loss_has_whole_records_and_goes_on(self) -> None:
        """Copies of the log are cut where a power loss may have cut it, or have a torn page; each is a shorter journal."""
        agent = self.installed()
        with self.site.load(agent) as finish:
            rollout = self.left_in_the_soak(agent)
            whole = rows(self.site.copy_state("whole"))
            log = (self.site.state / "journal.sqlite-wal").read_bytes()
            last, middle = len(log) - FRAME, WAL_HEAD + len(log) // FRAME // 2 * FRAME
            self.assertGreater(last, middle)
            torn = {
                "gone": b"", "no-frame": log[:WAL_HEAD], "half-a-head": log[:WAL_HEAD // 2], "half-a-frame": log[:last + 2048],
                "all-but-a-byte": log[:-1], "frame-head-only": log[:last + 24], "middle": log[:middle + 100],
                "torn-page": log[:middle + 24] + bytes(512) + log[middle + 24 + 512:],
            }
            seen = set()
            for name, content in torn.items():
                with self.subTest(name):
                    state = self.site.copy_state(name)
                    (state / "journal.sqlite-shm").unlink()
                    (state / "journal.sqlite-wal").write_bytes(content)
                    there = self.site.seen_from(state)
                    status = there.run("rollout", "status", rollout, "--output", "json")
                    kept = rows(state)
                    self.assertEqual(kept, whole[:len(kept)], "old records, never half of one")
                    seen.add(len(kept))
                    if any(name == rollout for name, *_ in kept):
                        self.assertEqual(sum(json.loads(status.stdout)["counts"].values()), 2, status.said)
                    else:
                        self.assertEqual(status.code, INVALID, status.said)
                        self.assertIn(rollout, status.stderr)
            self.assertGreater(len(seen), 2, "the copies end at different records")
            for name in ("half-a-frame", "middle"):
                there = self.site.seen_from(self.site.folder / name)
                outcome = there.run("rollout", "resume", rollout)
                self.assertEqual((outcome.code, there.status(rollout)["state"]), (PROMOTED, "promoted"), outcome.said)
            report = finish()
        self.assert_load(report, [["1.0.0", "2.0.0"]] * 2)
        self.assertEqual([self.site.starts(host, agent, "green") for host in ("h1", "h2")], [1, 1])

    @covers(3)
    def test_a_full_disk_under_the_journal_begins_nothing_more_and_says_what_to_do(self) -> None:
        agent = self.installed()
        disk = self.site.folder / "small-disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4M", "small-disk", str(disk)], check=True)
        self.addCleanup(subprocess.run, ["umount", str(disk)], check=True)
        there = self.site.seen_from(disk / "state")
        before = self.site.traces("h2")
        with self.site.load(agent) as finish:
            command = there.start(agent, "agent-2", rules())
            there.await_step(agent, "agent-2", "soak")
            with self.assertRaises(OSError), open(disk / "ballast", "wb", buffering=0) as ballast:
                while True:
                    ballast.write(bytes(4096))
            outcome = command.end()
            self.assertEqual(outcome.code, TOOL_ERROR, outcome.said)
            self.assertIn(str(disk / "state/journal.sqlite"), outcome.stderr)
            self.assertIn("free space", outcome.stderr)
            self.assert_unchanged(before, self.site.traces("h2"), "h2, which was not begun,")
            (disk / "ballast").unlink()
            resumed = there.run("rollout", "resume")
            self.assertEqual((resumed.code, there.status()["state"]), (PROMOTED, "promoted"), resumed.said)
            report = finish()
        self.assert_load(report, [["1.0.0", "2.0.0"]] * 2)

    @covers(4)
    def test_a_bit_turned_over_in_the_journal_is_refused_by_its_record_and_changes_no_host(self) -> None:
        agent = self.installed(drain="300s")
        installed = str(self.site.status()["id"])
        rollout = self.left_in_the_soak(agent, FOREVER)
        state, damaged = self.damaged_copy(rollout)
        before = {host: self.site.traces(host) for host in ("h1", "h2")}
        there = self.site.seen_from(state)
        for verb in ("resume", "status", "rollback"):
            outcome = there.run("rollout", verb, rollout)
            self.assertEqual(outcome.code, TOOL_ERROR, outcome.said)
            self.assertRegex(outcome.stderr, rf"record {damaged}\b")
        for host, traces in before.items():
            self.assert_unchanged(traces, self.site.traces(host), host)
        self.assertEqual(there.status(installed)["state"], "promoted", "the other rollouts can be read")
        # What is whole goes on.
        self.assert_end(self.site.run("rollout", "abort", "--reason", "test"), 0, "aborted")
        self.assert_serving(agent, "1.0.0")

    @covers(4)
    def test_a_list_shows_the_rollouts_that_are_whole_beside_a_damaged_one(self) -> None:
        self.installed()
        whole = str(self.site.status()["id"])
        self.installed()
        damaged = str(self.site.status()["id"])
        there = self.site.seen_from(self.damaged_copy(damaged)[0])
        self.assertIn(whole, there.run("rollout", "list").stdout)

    def damaged_copy(self, rollout: str) -> tuple[Path, int]:
        """A copy of the state folder with one bit of a rollout's journal turned over, and the number of the record."""
        state = self.site.copy_state(f"damaged-{rollout}")
        record = next(row for row in rows(state) if row[0] == rollout and b'"staged"' in row[2])
        with closing(sqlite3.connect(state / "journal.sqlite")) as journal:
            journal.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        file = bytearray((state / "journal.sqlite").read_bytes())
        file[file.index(record[2]) + len(record[2]) // 2] ^= 0x04
        (state / "journal.sqlite").write_bytes(file)
        return state, record[1]

    @covers(7)
    def test_a_journal_from_a_backup_finds_what_was_done_since_and_changes_no_host(self) -> None:
        agent = self.installed()
        with self.site.load(agent) as finish:
            command = self.site.start(agent, "agent-2", rules())
            self.site.await_step(agent, "agent-2", "soak")
            backup = self.site.copy_state("backup")
            outcome = command.end()
            status = self.assert_end(outcome, PROMOTED, "promoted")
            units = [self.invocations(agent, slot) for slot in ("blue", "green")]
            records = [self.site.on_record(host, agent)["flip"] for host in ("h1", "h2")]
            shutil.rmtree(self.site.state)
            backup.rename(self.site.state)
            self.assertEqual(self.site.status(status["id"])["state"], "running", "the backup knows nothing of the end")
            self.assert_end(self.site.run("rollout", "resume", status["id"]), PROMOTED, "promoted")
            report = finish()
        self.assert_load(report, [["1.0.0", "2.0.0"]] * 2)
        self.assertEqual([self.invocations(agent, slot) for slot in ("blue", "green")], units, "no unit was started anew")
        self.assertEqual([self.site.on_record(host, agent)["flip"] for host in ("h1", "h2")], records)
        self.assert_agreement(agent)


if __name__ == "__main__":
    unittest.main()

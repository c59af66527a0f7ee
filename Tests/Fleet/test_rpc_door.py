#!/usr/bin/env python3
"""The RPC door: what only it has, and tests that were written for SSH over it, for what holds for the one holds for the other.

Each class at the end repeats another's tests; `each_time` are those of them that every run of all tests repeats. All of them:
`run_tests.py --door rpc`.
"""

from __future__ import annotations

import json
import unittest
from pathlib import Path
from typing import Any

import runners
import test_archives
import test_connection_faults
import test_connections
import test_containers
import test_controller_faults
import test_controller_killed
import test_controllers
import test_faults
import test_flip_races
import test_hooks
import test_host_faults
import test_hosts
import test_journal_faults
import test_logs
import test_orders
import test_releases
import test_shared_faults
from fleet import Fleet
from rollouts import PROMOTED, ROLLED_BACK, Door, RolloutTest, policy
from rpc_door import RPC
from supplies import put

HOST_PROGRAM = "/opt/switchyard/bin/switchyard-host"
LINK = "/usr/local/sbin/switchyard-host"
#: Nothing below /usr can be written by what comes through the agent.
NO_LINK = "[Service]\nReadWritePaths=\nReadOnlyPaths=/usr/local/sbin\n"
#: From the flip to the confirm there is time to close a door.
UNHURRIED = {"successes": 5, "interval": "1s", "timeout": "1s", "deadline": "30s"}


class FirstLeases(RolloutTest):
    """Hosts on which nothing was ever changed over SSH."""

    door = RPC

    def test_the_first_lease_and_the_last_agents_end_leave_the_way_in(self) -> None:
        put(self.fleet, "h2", "/etc/systemd/system/switchyard-host@.service.d/link.conf", NO_LINK.encode())
        self.site.on_host("h2", "systemctl", "daemon-reload")
        # What its unit forbids does not end a program that checks a dependency.
        agent = self.installed(dependencies=[{"command": ["/usr/bin/nice", "-n", "1", "/usr/bin/true"]}])
        self.assertEqual(self.link("h1"), HOST_PROGRAM)
        self.assertEqual(self.link("h2"), "")
        said = self.site.on_host("h2", "journalctl", "--no-pager", "--output=cat", "--unit=switchyard-host@*.service")
        self.assertIn(f"linking {LINK}: Read-only file system; all goes on without", said)

        forgotten = self.site.hosts("forget", agent, "--force")
        self.assertEqual(forgotten.code, 0, forgotten.said)
        self.assertEqual(self.link("h1"), "")
        for host in ("h1", "h2"):
            own = self.site.on_host(host, "find", "/etc/systemd/system", "-name", "switchyard-guard*", "-o", "-name", "switchyard-restore*")
            self.assertEqual(own, "", "the host's own units went with its last agent")
        checked = self.site.hosts("check", agent)
        self.assertEqual(checked.code, 0, checked.said)
        self.installed()
        self.assertEqual(self.link("h1"), HOST_PROGRAM)

    def link(self, host: str) -> str:
        return self.fleet.execute(host, ["readlink", LINK]).stdout.strip()


class ClosedDoors(RolloutTest):
    """The agent that carries a rollout ends in the midst of it: there is no other way to the host."""

    door = RPC

    def test_a_flip_whose_door_closes_is_undone_by_the_host_and_begun_anew_once_it_is_open(self) -> None:
        agent = self.installed()
        with self.site.load(agent) as finish:
            command = self.site.start(agent, "agent-2", policy(gate=UNHURRIED, confirm_within="10s"))
            self.await_answer(agent, "h1", "2.0.0")
            self.site.door.shut("h1")
            self.await_answer(agent, "h1", "1.0.0")
            self.wait_for("the revert's end", lambda: self.site.on_record("h1", agent)["flip"]["phase"] == "reverted")
            record = self.site.on_record("h1", agent)
            self.assertEqual((record["owner"], record["flip"]["isUnconfirmed"]), ("blue", True))
            self.site.door.open("h1")
            outcome = command.end()
            report = finish()
        self.assert_end(outcome, PROMOTED, "promoted")
        self.assert_load(report, [["1.0.0", "2.0.0", "1.0.0", "2.0.0"], ["1.0.0", "2.0.0"]])
        self.assert_agreement(agent)

    def test_a_candidate_that_dies_behind_a_closed_door_is_undone_by_the_host(self) -> None:
        agent = self.installed()
        command = self.site.start(agent, "agent-2", policy(soak="60s"))
        self.await_state("h1", "soaking")
        self.site.door.shut("h1")
        self.site.on_host("h1", "systemctl", "kill", "--signal=KILL", f"{agent.name}-green.service")
        self.await_answer(agent, "h1", "1.0.0")
        self.site.door.open("h1")
        self.assert_end(command.end(), ROLLED_BACK, "rolled_back")
        self.assert_agreement(agent)


class OneByRPC(RPC):
    """h1 has an agent and no sshd, h2 has sshd and no agent, h3 has both: the fleet is in the midst of being changed over."""

    name = "auto"

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        super().__init__(fleet, folder)
        Door.shut(self, "h1")

    def behind(self, fleet: Fleet) -> list[str]:
        return ["h1", "h3"]

    def inventory(self, login: str) -> str:
        return Door.inventory(self, login)

    def fields(self) -> dict[str, Any]:
        return {**super().fields(), "door": "auto"}


class MixedDoors(RolloutTest):
    hosts = 3
    door = OneByRPC

    def ways(self) -> dict[str, set[str]]:
        """By which doors each host was given orders in the newest rollout."""
        outcome = self.site.run("logs", "--output", "json")
        self.assertEqual(outcome.code, 0, outcome.said)
        ways: dict[str, set[str]] = {}
        for line in map(json.loads, outcome.stdout.splitlines()):
            if line["source"] in ("ssh", "rpc") and ": done" in line["text"]:
                ways.setdefault(line["host"], set()).add(line["source"])
        return ways

    def test_a_fleet_of_both_doors_is_upgraded_and_undone_as_one(self) -> None:
        agent = self.installed()
        with self.site.load(agent) as finish:
            self.assert_end(self.site.roll_out(agent, "agent-2"), PROMOTED, "promoted")
            self.assertEqual(self.ways(), {"h1": {"rpc"}, "h2": {"ssh"}, "h3": {"rpc"}})
            self.assert_agreement(agent)
            rescued = self.site.hosts("rollback", agent, "--reason", "to see it go back")
            self.assertEqual(rescued.code, 0, rescued.said)
            report = finish()
        self.assert_load(report, [["1.0.0", "2.0.0", "1.0.0"]] * 3)

    def test_a_host_whose_agent_ends_in_the_soak_is_gone_on_with_over_ssh(self) -> None:
        agent = self.installed()
        with self.site.load(agent) as finish:
            command = self.site.start(agent, "agent-2", policy(soak="4s"), "--limit", "h3")
            self.site.await_step(agent, "agent-2", "soak")
            self.site.door.shut("h3")
            self.addCleanup(self.site.door.open, "h3")
            outcome = command.end()
            report = finish()
        self.assert_end(outcome, PROMOTED, "promoted")
        self.assertEqual(self.ways(), {"h3": {"rpc", "ssh"}})
        self.assert_load(report, [["1.0.0"], ["1.0.0"], ["1.0.0", "2.0.0"]])


class GoodReleases(test_releases.GoodReleases):
    door = RPC
    each_time = (
        "test_each_upgrade_takes_the_other_slot",
        "test_rollback_of_a_promoted_rollout",
        "test_rollback_by_the_hosts_own_state_alone",
        "test_rollback_on_the_host_itself",
    )


class BadReleases(test_releases.BadReleases):
    door = RPC
    each_time = (
        "test_a_release_that_is_never_healthy_is_undone_on_the_canary_and_touches_no_other_host",
        "test_a_candidate_that_crashes_in_the_soak_without_a_controller_is_undone_by_the_host",
        "test_a_candidate_that_turns_unhealthy_in_the_soak_is_rolled_back",
        "test_a_first_install_that_fails_leaves_the_host_as_it_was",
    )


class Faults(test_faults.Faults):
    door = RPC
    each_time = (
        "test_a_host_cut_off_between_flip_and_confirm_reverts_by_itself",
        "test_a_full_disk_fails_the_host_and_touches_nothing",
    )


class Interrupted(test_controllers.Interrupted):
    door = RPC
    each_time = ()


class Detached(test_controllers.Detached):
    door = RPC
    each_time = ()


class Hotfixes(test_controllers.Hotfixes):
    door = RPC
    each_time = ()


class KilledBeforeTheFlip(test_controller_killed.KilledBeforeTheFlip):
    door = RPC
    each_time = ()


class KilledFromTheFlipOn(test_controller_killed.KilledFromTheFlipOn):
    door = RPC
    each_time = (
        "test_killed_at_any_step_from_the_flip_on_it_goes_on_and_does_nothing_twice",
    )


class Controllers(test_controller_faults.Controllers):
    door = RPC
    each_time = (
        "test_a_clock_that_jumps_a_day_ahead_and_back_changes_no_soak",
    )


class DroppedConnections(test_connection_faults.DroppedConnections):
    door = RPC
    each_time = (
        "test_an_upload_that_is_cut_off_goes_on_and_the_old_side_serves",
        "test_a_connection_lost_at_the_flip_is_asked_for_its_outcome_and_one_flip_is_made",
    )


class CutOff(test_connection_faults.CutOff):
    door = RPC
    each_time = (
        "test_a_host_cut_off_in_its_rollback_is_served_by_one_side_and_restored_when_it_is_back",
    )


class WrongClocks(test_connection_faults.WrongClocks):
    door = RPC
    each_time = ()


class ManyHosts(test_connection_faults.ManyHosts):
    door = RPC
    each_time = ()


class Connections(test_connections.Connections):
    door = RPC
    each_time = ()


class Races(test_flip_races.Races):
    door = RPC
    each_time = ()


class Reboots(test_host_faults.Reboots):
    door = RPC
    each_time = (
        "test_rebooted_in_the_soak_the_host_serves_from_the_new_side_and_soaks_anew",
    )


class DeadOldSides(test_host_faults.DeadOldSides):
    door = RPC
    each_time = ()


class Plans(test_hosts.Plans):
    door = RPC
    each_time = ()


class HostVerbs(test_hosts.HostVerbs):
    door = RPC
    each_time = (
        "test_hosts_are_listed_and_checked",
        "test_forget_removes_what_is_ours_of_the_agent",
    )


class Retention(test_hosts.Retention):
    door = RPC
    each_time = ()


class TwentyHosts(test_orders.TwentyHosts):
    door = RPC
    each_time = ()


class Dependencies(test_shared_faults.Dependencies):
    door = RPC
    each_time = ()


class Journals(test_journal_faults.Journals):
    door = RPC
    each_time = ()


class WithAnsible(RPC):
    """The hosts' agents can run playbooks, too."""

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        super().__init__(fleet, folder)
        content = runners.bundle()
        for host in self.behind(fleet):
            runners.install(fleet, host, content)


class Hooks(test_hooks.Hooks):
    door = WithAnsible
    each_time = (
        "test_each_wave_waits_for_its_hooks_which_are_told_what_goes_on",
    )


class RunLogs(test_logs.RunLogs):
    door = RPC
    each_time = (
        "test_a_rollouts_log_has_door_gate_and_unit_lines_in_the_order_of_what_happened",
    )


class HostileArchives(test_archives.HostileArchives):
    door = RPC
    each_time = ()


class Containers(test_containers.Containers):
    door = RPC
    each_time = (
        "test_first_install_upgrade_and_rollback_under_load",
    )


class BadImages(test_containers.BadImages):
    door = RPC
    each_time = ()


if __name__ == "__main__":
    unittest.main()

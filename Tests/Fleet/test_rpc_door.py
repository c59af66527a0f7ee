#!/usr/bin/env python3
"""Tests that were written for SSH, over the RPC door: what holds for the one holds for the other."""

from __future__ import annotations

import unittest

import test_archives
import test_connection_faults
import test_connections
import test_containers
import test_controller_faults
import test_controller_killed
import test_controllers
import test_faults
import test_flip_races
import test_host_faults
import test_hosts
import test_journal_faults
import test_logs
import test_orders
import test_releases
import test_shared_faults
from rpc_door import RPC


class GoodReleases(test_releases.GoodReleases):
    door = RPC


class BadReleases(test_releases.BadReleases):
    door = RPC


class Faults(test_faults.Faults):
    door = RPC


class Interrupted(test_controllers.Interrupted):
    door = RPC


class Detached(test_controllers.Detached):
    door = RPC


class Hotfixes(test_controllers.Hotfixes):
    door = RPC


class KilledBeforeTheFlip(test_controller_killed.KilledBeforeTheFlip):
    door = RPC


class KilledFromTheFlipOn(test_controller_killed.KilledFromTheFlipOn):
    door = RPC


class Controllers(test_controller_faults.Controllers):
    door = RPC


class DroppedConnections(test_connection_faults.DroppedConnections):
    door = RPC


class CutOff(test_connection_faults.CutOff):
    door = RPC


class WrongClocks(test_connection_faults.WrongClocks):
    door = RPC


class ManyHosts(test_connection_faults.ManyHosts):
    door = RPC


class Connections(test_connections.Connections):
    door = RPC


class Races(test_flip_races.Races):
    door = RPC


class Reboots(test_host_faults.Reboots):
    door = RPC


class DeadOldSides(test_host_faults.DeadOldSides):
    door = RPC


class Plans(test_hosts.Plans):
    door = RPC


class HostVerbs(test_hosts.HostVerbs):
    door = RPC


class Retention(test_hosts.Retention):
    door = RPC


class TwentyHosts(test_orders.TwentyHosts):
    door = RPC


class Dependencies(test_shared_faults.Dependencies):
    door = RPC


class Journals(test_journal_faults.Journals):
    door = RPC


class RunLogs(test_logs.RunLogs):
    door = RPC


class HostileArchives(test_archives.HostileArchives):
    door = RPC


class Containers(test_containers.Containers):
    door = RPC


class BadImages(test_containers.BadImages):
    door = RPC


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""Releases that run as containers under Podman on real hosts: the same gate, flip, undo and way back as any other."""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
import threading
import time
import unittest
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import agents
import images
from rollouts import INVALID, PROMOTED, ROLLED_BACK, WOULD_FAIL, Agent, RolloutTest, at_once, policy

SHORT_GATE = {"successes": 3, "interval": "200ms", "timeout": "1s", "deadline": "4s"}


@functools.cache
def all_images() -> dict[str, agents.Archive]:
    """Built once for all tests of a run."""
    folder = tempfile.mkdtemp(prefix="rollout-images-")
    atexit.register(shutil.rmtree, folder)
    return {archive.name: archive for archive in images.build(Path(folder))}


class ContainerAgent(Agent):
    """An agent that runs as a container; what its release is, it sees in its own folder of the host."""

    def file(self) -> dict[str, Any]:
        base = {**super().file(), "user": "nobody", "container": {"volumes": [f"/var/lib/{self.name}:/var/lib/{self.name}"]}}
        base.pop("exec")
        return {**base, **self.fields}

    @property
    def trigger(self) -> str:
        return f"/var/lib/{self.name}/sick"


class ContainerTest(RolloutTest):
    containers = True
    hosts = 1

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.site.archives = all_images()

    def agent(self, **fields: Any) -> Agent:
        RolloutTest._agents += 1
        agent = ContainerAgent(f"c{RolloutTest._agents}", RolloutTest._agents, fields)
        for host in self.fleet.hosts:
            self.make_folder(host.name, agent)
        return agent

    def make_folder(self, host: str, agent: Agent) -> None:
        self.site.on_host(host, "mkdir", "-p", f"/var/lib/{agent.name}")

    def installed(self, **fields: Any) -> Agent:
        agent = self.agent(**fields)
        outcome = self.site.roll_out(agent, "image-1", at_once())
        self.assertEqual(outcome.code, PROMOTED, outcome.said)
        self.assert_serving(agent, "1.0.0")
        return agent

    def podman(self, *arguments: str, host: str = "h1") -> str:
        return self.site.on_host(host, "podman", *arguments).strip()

    def containers_of(self, agent: Agent) -> list[str]:
        """The slots that have a container, running or not."""
        names = self.podman("ps", "--all", "--format", "{{.Names}}", "--filter", f"name=^switchyard-{agent.name}-").split()
        return sorted(name.removeprefix(f"switchyard-{agent.name}-") for name in names)

    def images_of(self, agent: Agent) -> list[str]:
        """The versions whose images are kept for the agent."""
        prefix = f"localhost/switchyard/{agent.name}:"
        names = self.podman("images", "--format", "{{.Repository}}:{{.Tag}}").split()
        return sorted(name.removeprefix(prefix).split("-")[0] for name in names if name.startswith(prefix))


class Containers(ContainerTest):
    def test_first_install_upgrade_and_rollback_under_load(self) -> None:
        agent = self.installed()
        self.assertEqual(self.containers_of(agent), ["blue"])
        with self.site.load(agent, "--keep-alive", "1", "--idle", "1") as finish:
            status = self.assert_end(self.site.roll_out(agent, "image-2"), PROMOTED, "promoted")
            self.assertEqual((status["hosts"][0]["live_slot"], status["hosts"][0]["retained_version"]), ("green", "1.0.0"))
            self.assertEqual(self.containers_of(agent), ["blue", "green"])
            status = self.assert_end(self.site.run("rollout", "rollback", "--reason", "test"), 0, "rolled_back")
            report = finish()
        self.assertEqual(status["hosts"][0]["live_version"], "1.0.0")
        self.assert_load(report, [["1.0.0", "2.0.0", "1.0.0"]])

    def test_what_runs_is_the_image_of_the_archive_and_is_confined(self) -> None:
        agent = self.installed(environment={"SICKLY_AFTER": "0", "ODD": "a  'b' \"c\" $HOME ${PATH} %n \\ `d`"})
        name = f"switchyard-{agent.name}-blue"
        self.assertEqual(self.podman("container", "inspect", "--format", "{{.Image}}", name), images.image("1.0.0").identity)
        pid = self.podman("container", "inspect", "--format", "{{.State.Pid}}", name)
        status = dict(line.split(":\t", 1) for line in self.site.on_host("h1", "cat", f"/proc/{pid}/status").splitlines())
        self.assertEqual(set(status["Uid"].split()), {"65534"})
        self.assertEqual((int(status["CapEff"], 16), int(status["CapBnd"], 16)), (0, 0))
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
        environment = self.site.on_host("h1", "cat", f"/proc/{pid}/environ").split("\0")
        self.assertIn(f"PORT={agent.slots['blue']}", environment)
        self.assertIn("ODD=a  'b' \"c\" $HOME ${PATH} %n \\ `d`", environment)
        self.assertEqual([line for line in environment if line.startswith(("SWITCHYARD", "NOTIFY"))], [])
        self.assertIn(f"{agent.name}-blue.service", self.site.on_host("h1", "cat", f"/proc/{pid}/cgroup"))
        self.assertNotIn("d`", self.site.on_host("h1", "cat", f"/etc/systemd/system/{agent.name}-blue.service"))
        self.assertRegex(self.site.on_host("h1", "cat", f"/proc/{pid}/mountinfo"), r" / / ro,")

    def test_memory_is_bounded_by_the_unit(self) -> None:
        agent = self.agent()
        agent.fields["container"] = {"memory": "64MiB", "read_only": False}
        agent.fields["environment"] = {}
        self.assertEqual(self.site.roll_out(agent, "image-1", at_once()).code, PROMOTED)
        said = self.site.on_host("h1", "systemctl", "show", f"{agent.name}-blue.service", "--property=MemoryMax", "--value")
        self.assertEqual(said.strip(), str(64 << 20))

    def test_a_request_under_way_is_finished_when_its_slot_is_stopped(self) -> None:
        agent = self.installed()
        address = self.fleet.network.ipv4(1)
        slow = f"http://{address}:{agent.slots['blue']}/slow?bytes=100000&seconds=3"
        got: list[int] = []
        client = threading.Thread(target=lambda: got.append(len(urlopen(slow, timeout=20).read())))
        client.start()
        time.sleep(0.7)
        self.site.on_host("h1", "systemctl", "stop", f"{agent.name}-blue.service")
        client.join()
        self.assertEqual(got, [100000])
        self.assertEqual(self.unit_result(agent, "blue"), ("inactive", "success"))
        self.site.on_host("h1", "systemctl", "start", f"{agent.name}-blue.service")

    def unit_result(self, agent: Agent, slot: str) -> tuple[str, ...]:
        said = self.site.on_host("h1", "systemctl", "show", f"{agent.name}-{slot}.service", "--property=ActiveState",
                                 "--property=Result")
        found = dict(line.split("=", 1) for line in said.splitlines())
        return found["ActiveState"], found["Result"]

    def test_a_name_that_an_archive_wants_is_not_taken_from_another_image(self) -> None:
        agent = self.installed()
        tagged = images.image("1.0.0").identity
        self.podman("tag", tagged, "docker.io/library/agent:2")
        self.assertEqual(self.site.roll_out(agent, "image-2", at_once()).code, PROMOTED)
        self.assertEqual(self.podman("image", "inspect", "--format", "{{.Id}}", "docker.io/library/agent:2"), tagged)
        self.assertEqual(self.images_of(agent), ["1.0.0", "2.0.0"])
        self.podman("untag", "docker.io/library/agent:2", "docker.io/library/agent:2")

    def test_retention_removes_container_and_image(self) -> None:
        agent = self.installed()
        keep = {**at_once(), "keep_old": {"running": "1s", "installed": "3s"}}
        self.assertEqual(self.site.roll_out(agent, "image-2", keep).code, PROMOTED)
        self.wait_for("the old image's end", lambda: self.images_of(agent) == ["2.0.0"])
        self.assertEqual(self.containers_of(agent), ["green"])
        self.assert_serving(agent, "2.0.0")
        self.assertEqual(self.site.hosts("forget", agent, "--force").code, 0)
        self.assertEqual((self.containers_of(agent), self.images_of(agent)), ([], []))
        self.assertEqual([line for line in self.site.traces("h1") if f"{agent.name}-" in line or f"/{agent.name}/" in line], [])

    def test_a_retained_container_that_does_not_run_any_more_is_started_for_a_rollback(self) -> None:
        agent = self.installed()
        keep = {**at_once(), "keep_old": {"running": "1s", "installed": "1h"}}
        with self.site.load(agent) as finish:
            self.assertEqual(self.site.roll_out(agent, "image-2", keep).code, PROMOTED)
            self.wait_for("the old container's end", lambda: self.containers_of(agent) == ["green"])
            self.assert_end(self.site.run("rollout", "rollback"), 0, "rolled_back")
            report = finish()
        self.assert_load(report, [["1.0.0", "2.0.0", "1.0.0"]])

    def test_reboot(self) -> None:
        agent = self.installed()
        self.assertEqual(self.site.roll_out(agent, "image-2", at_once()).code, PROMOTED)
        self.fleet.fault("h1", "kill")
        self.fleet.fault("h1", "boot")
        self.await_answer(agent, "h1", "2.0.0")
        self.wait_for("the retained side", lambda: self.site.unit("h1", agent, "blue")["activeState"] == "active")
        with self.site.load(agent) as finish:
            self.assert_end(self.site.run("rollout", "rollback"), 0, "rolled_back")
            report = finish()
        self.assert_load(report, [["2.0.0", "1.0.0"]])

    def test_an_image_is_fetched_by_its_digest(self) -> None:
        registry = images.Registry(images.image("4.0.0"), self.fleet.network.gateway)
        self.addCleanup(registry.close)
        place = "/etc/containers/registries.conf.d/test.conf"
        self.fleet.host("h1").root.joinpath(place.lstrip("/")).write_text(
            f'[[registry]]\nlocation = "{registry.name.split("/")[0]}"\ninsecure = true\n', encoding="utf-8")
        agent = self.installed()
        agent.fields["container"] = {"image": registry.reference}
        agent.fields["environment"] = {}
        with self.site.load(agent) as finish:
            outcome = self.fetch(agent, "4.0.0")
            report = finish()
        self.assert_end(outcome, PROMOTED, "promoted")
        self.assert_load(report, [["1.0.0", "4.0.0"]])
        self.assertEqual(self.podman("container", "inspect", "--format", "{{.Image}}", f"switchyard-{agent.name}-green"),
                         images.image("4.0.0").identity)
        self.assertEqual(self.site.hosts("forget", agent, "--force").code, 0)
        self.assertNotIn(images.image("4.0.0").identity, self.podman("images", "--all", "--quiet", "--no-trunc"))

    def test_an_image_that_is_not_what_its_digest_says_is_refused(self) -> None:
        registry = images.Registry(images.image("4.0.0"), self.fleet.network.gateway)
        self.addCleanup(registry.close)
        self.fleet.host("h1").root.joinpath("etc/containers/registries.conf.d/test.conf").write_text(
            f'[[registry]]\nlocation = "{registry.name.split("/")[0]}"\ninsecure = true\n', encoding="utf-8")
        registry.blobs[registry.digest] = images.image("5.0.0").manifest
        agent = self.installed()
        agent.fields["container"] = {"image": registry.reference}
        outcome = self.fetch(agent, "4.0.0")
        self.assertEqual(outcome.code, ROLLED_BACK, outcome.said)
        self.assertIn("digest", outcome.said)
        self.assert_serving(agent, "1.0.0")
        self.assertEqual(self.images_of(agent), ["1.0.0"])

    def fetch(self, agent: Agent, version: str) -> Any:
        """A rollout of what the agent file names, without an archive."""
        return self.site.run("rollout", "start", "--inventory", self.site.inventory, "--agent", self.site.agent_file(agent),
                             "--policy", self.site.write(at_once()), "--version", version, "--yes")


class BadImages(ContainerTest):
    def test_a_release_that_is_never_healthy_is_undone(self) -> None:
        self.undone("image-never-healthy")

    def test_a_container_that_ends_at_once_is_undone(self) -> None:
        self.assertIn("-green.service", self.undone("image-exits"))

    def undone(self, release: str) -> str:
        agent = self.installed()
        with self.site.load(agent) as finish:
            outcome = self.site.roll_out(agent, release, policy(gate=SHORT_GATE))
            report = finish()
        self.assert_end(outcome, ROLLED_BACK, "rolled_back")
        self.assert_load(report, [["1.0.0"]])
        self.wait_for("its container's end", lambda: self.containers_of(agent) == ["blue"])
        self.wait_for("its image's end", lambda: self.images_of(agent) == ["1.0.0"])
        return outcome.said

    def test_a_container_that_dies_in_probation_is_undone_by_the_host_alone(self) -> None:
        agent = self.installed()
        rollout = self.site.start(agent, "image-crashes", policy(soak="60s"))
        self.await_state("h1", "soaking")
        rollout.kill()
        rollout.end()
        self.site.on_host("h1", "touch", agent.trigger)
        began = time.monotonic()
        self.wait_for("the old version", lambda: self.site.answer(agent, "h1") == "1.0.0", within=10)
        self.assertLess(time.monotonic() - began, 5)
        # Traffic is back before the host has noted that it is.
        self.wait_for("the host's note of its undo", lambda: self.site.on_record("h1", agent)["flip"]["phase"] == "reverted")
        record = self.site.on_record("h1", agent)
        self.assertEqual(record["owner"], "blue")
        self.assertIn("stopped in probation", record["flip"]["reason"])
        self.assertEqual(self.site.run("rollout", "resume").code, ROLLED_BACK)

    def test_its_monitor_killed_in_probation_leaves_no_container(self) -> None:
        agent = self.installed()
        rollout = self.site.start(agent, "image-2", policy(soak="60s"))
        self.await_state("h1", "soaking")
        pid = self.site.on_host("h1", "systemctl", "show", f"{agent.name}-green.service", "--property=MainPID", "--value")
        self.site.on_host("h1", "kill", "-9", pid.strip())
        outcome = rollout.end()
        self.assert_end(outcome, ROLLED_BACK, "rolled_back")
        self.assert_serving(agent, "1.0.0")
        self.wait_for("its container's end", lambda: self.containers_of(agent) == ["blue"])

    def test_archives_that_are_no_good_images_are_refused_and_nothing_stays(self) -> None:
        agent = self.installed()
        images_before = self.podman("images", "--all", "--quiet", "--no-trunc")
        releases = self.site.on_host("h1", "ls", "-A", f"/opt/switchyard/{agent.name}/releases")
        for name, (_, said) in images.hostile().items():
            with self.subTest(name):
                outcome = self.site.roll_out(agent, f"image-{name}", at_once())
                self.assertEqual(outcome.code, ROLLED_BACK, outcome.said)
                self.assertIn(said, outcome.said)
                self.assertEqual(self.podman("images", "--all", "--quiet", "--no-trunc"), images_before)
                self.assertEqual(self.site.on_host("h1", "ls", "-A", f"/opt/switchyard/{agent.name}/releases"), releases)
        self.assert_serving(agent, "1.0.0")

    def test_a_volume_that_is_a_link_is_refused(self) -> None:
        agent = self.installed()
        self.site.on_host("h1", "ln", "-s", "/etc", f"/var/lib/{agent.name}/out")
        agent.fields["container"] = {"volumes": [f"/var/lib/{agent.name}/out:/out"]}
        outcome = self.site.roll_out(agent, "image-2", at_once())
        self.assertEqual(outcome.code, ROLLED_BACK, outcome.said)
        self.assertIn("is a link", outcome.said)
        agent.fields["container"] = {"volumes": ["/etc:/out"]}
        outcome = self.site.roll_out(agent, "image-2", at_once())
        self.assertEqual(outcome.code, INVALID, outcome.said)
        self.assert_serving(agent, "1.0.0")


class WithoutPodman(RolloutTest):
    hosts = 1

    def test_a_host_without_podman_is_told_of_before_anything_is_changed(self) -> None:
        self.site.archives = all_images()
        agent = ContainerAgent("c0", 60)
        before = self.site.traces("h1")
        outcome = self.site.start(agent, "image-1", at_once(), "--output", "json", verb="plan").end()
        self.assertEqual(outcome.code, WOULD_FAIL, outcome.said)
        problem = json.loads(outcome.stdout)["hosts"][0]["problem"]
        self.assertIn("podman", problem)
        self.assertIn(">=4.3", problem)
        self.assert_unchanged(before, self.site.traces("h1"))


if __name__ == "__main__":
    unittest.main()

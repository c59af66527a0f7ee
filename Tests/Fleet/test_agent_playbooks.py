#!/usr/bin/env python3
"""The playbooks that install, upgrade and roll back agents, and renew their certificates."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import json
import re
import shutil
import ssl
import subprocess
import tarfile
import threading
import time
import unittest
import zipfile
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from agents import Archive, Member, folders, member, pack, sickly
from leaks import secret_line
from plays import PLAYBOOKS, ROOT, Played, PlaybookTest, sha256
from rollouts import PROGRAM, PROMOTED, Agent, at_once
from supplies import put

UNITS = ROOT / "units"
OWN_VERSION = "0.1.0"


def own_archive(folder: Path) -> Archive:
    """A release of Switchyard's own agent."""
    content = pack([*folders(["bin"]), member("bin/switchyard-agent", PROGRAM.with_name("switchyard-agent").read_bytes(), 0o755)])
    file = folder / "own.tar.gz"
    file.write_bytes(content)
    return Archive("own", str(file), OWN_VERSION, hashlib.sha256(content).hexdigest(), "Switchyard's own agent")


class AgentInstall(PlaybookTest):
    hosts = 2
    own: Archive

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.own = own_archive(cls.site.folder)
        cls.site.archives["own"] = cls.own
        cls.cert("init", "--name", "fleet authority")
        for host in cls.fleet.hosts:
            cls.cert("issue", host.name, "--san", f"ip:{host.network.ipv4(host.number)}")

    @classmethod
    def cert(cls, *arguments: str, authority: str = "authority") -> None:
        ended = subprocess.run([PROGRAM, "cert", *arguments, "--authority", cls.site.folder / authority],
                               capture_output=True, text=True, check=False, timeout=60)
        if ended.returncode != 0:
            raise AssertionError(f"cert {arguments}: {ended.stdout}{ended.stderr}")

    def tls(self, host: str = "h1") -> Path:
        return self.site.folder / "authority/issued" / host

    def installed(self, **variables: Any) -> dict[str, Any]:
        base = {
            "agent_version": OWN_VERSION, "agent_archive": self.own.file, "agent_archive_sha256": self.own.sha256,
            "agent_host_program": str(PROGRAM.with_name("switchyard-host")), "agent_units": str(UNITS),
            "agent_tls": str(self.site.folder / "authority/issued/{{ inventory_hostname }}"),
            "agent_controllers": ["ops"], "agent_python_find_links": self.wheels_url, "agent_health_seconds": 15,
        }
        return {**base, **variables}

    def install(self, host: str = "h1", *arguments: str, playbooks: Path = PLAYBOOKS, **variables: Any) -> Played:
        played = self.play("install_agent", host, ["-v", *arguments], playbooks, **self.installed(**variables))
        self.assert_no_secret(played, host)
        return played

    def assert_no_secret(self, played: Played, host: str) -> None:
        self.assertNotIn(secret_line(self.tls(host) / f"{host}.key"), played.said)

    def answer(self, path: str, host: str = "h1") -> Any:
        """What the agent says to a client that checks its certificate."""
        trust = ssl.create_default_context(cafile=str(self.tls(host) / "ca.pem"))
        with urlopen(f"https://{self.address(host)}:7440{path}", timeout=5, context=trust) as response:
            return json.load(response)

    def served(self, host: str = "h1") -> str:
        return ssl.get_server_certificate((self.address(host), 7440), timeout=5).strip()

    def locked(self, name: str, *lines: str) -> str:
        """The tools' lock file with more in it."""
        file = self.site.folder / f"{name}.txt"
        lock = (PLAYBOOKS / "roles/agent/files/ansible.txt").read_text()
        file.write_text(lock + "".join(f"{line}\n" for line in lines))
        return str(file)

    def wheel(self, name: str, module: str) -> str:
        """Serve a wheel; the value is its line in a lock file."""
        content = io.BytesIO()
        files = {f"{name}.py": module, f"{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
                 f"{name}-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
        record = "".join(
            f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},{len(text)}\n"
            for path, text in files.items())
        with zipfile.ZipFile(content, "w") as archive:
            for path, text in {**files, f"{name}-1.0.dist-info/RECORD": f"{record}{name}-1.0.dist-info/RECORD,,\n"}.items():
                archive.writestr(path, text)
        served = self.site.folder / "supplies/more"
        if not served.exists():
            shutil.copytree(self.site.folder / "supplies/wheels", served)
        (served / f"{name}-1.0-py3-none-any.whl").write_bytes(content.getvalue())
        return f"{name}==1.0 --hash=sha256:{hashlib.sha256(content.getvalue()).hexdigest()}"

    def assert_nothing_started(self, host: str) -> None:
        for unit in ("switchyard-agent.service", "switchyard-host.socket"):
            self.assertEqual(self.active(unit, host), "inactive", unit)
        self.assertEqual(self.site.on_host(host, "find", "/etc/systemd/system", "-name", "switchyard*").strip(), "")
        self.assertEqual(self.site.on_host(host, "find", "/opt/switchyard-python/ansible").strip(), "")

    def test_1_values_that_make_no_sense_are_refused_before_anything_is_changed(self) -> None:
        self.cert("init", "--name", "another authority", authority="another")
        self.cert("issue", "h1", "--san", f"ip:{self.address()}", authority="another")
        another = self.site.folder / "another/issued/h1"
        good = {"agent_version": OWN_VERSION, "agent_archive": self.own.file, "agent_archive_sha256": self.own.sha256,
                "agent_host_program": str(PROGRAM.with_name("switchyard-host")), "agent_units": str(UNITS), "agent_tls": str(self.tls())}
        self.assert_all_refused("install_agent", [
            ({"agent_archive_sha256": "0" * 64}, "its SHA-256 is"),
            ({"agent_version": "1.0; reboot"}, "agent_version: 1.0; reboot"),
            ({"agent_host_program": "/no/such"}, "agent_host_program: /no/such"),
            ({"agent_tls": "/no/such"}, "/no/such/ca.pem: there is no such file"),
            ({"agent_key": str(another / "h1.key")}, "h1.key is not the key of"),
            ({"agent_authority": str(another / "ca.pem")}, "verification failed|unable to get local issuer"),
            ({"agent_revoked": str(another / "crl.pem")}, "verify failure|CRL signature|issuer"),
            ({"agent_address": "192.0.2.1"}, "192.0.2.1 does NOT match"),
            ({"agent_tls": str(self.tls("h2"))}, "does NOT match"),
            ({"agent_drain": "a while"}, "agent_drain: a duration"),
            ({"agent_controllers": ["ops\nevil"]}, "agent_controllers"),
            ({"agent_tunnels": ["x"]}, "agent_tunnels"),
            ({"agent_port": 70000}, "agent_port: a port"),
            ({"agent_python_minimum": "99"}, r"python3 is Python 3\.\S+; ansible needs 99 or later\. Nothing was changed"),
        ], {"agent_address": "ansible_host", "agent_port": "7440"}, **good)

    def test_2_a_tool_that_cannot_be_imported_stops_the_play_before_anything_is_started(self) -> None:
        line = self.wheel("brokentool", "raise ImportError('as told')\n")
        played = self.install("h2", agent_python_requirements=self.locked("broken", line),
                              agent_python_find_links=f"{self.supplies.url}/more", agent_python_imports=["ansible_runner", "brokentool"])
        self.assert_failed(played, "ImportError: as told", "h2")
        self.assert_nothing_started("h2")

    def test_3_a_tool_that_cannot_be_installed_stops_the_play_even_where_that_failure_is_passed_over(self) -> None:
        lock = self.locked("absent", f"absent-tool==1.0 --hash=sha256:{'0' * 64}")
        self.assert_failed(self.install("h2", agent_python_requirements=lock), "absent-tool", "h2")
        self.assert_nothing_started("h2")

        # The old fault, put back: what was to be installed is looked for all the same.
        hidden = self.site.folder / "hidden"
        shutil.copytree(PLAYBOOKS, hidden)
        tasks = hidden / "roles/python_environment/tasks/make.yml"
        text = tasks.read_text()
        faulty = text.replace("  register: python_environment_synced\n", "  register: python_environment_synced\n  failed_when: false\n")
        self.assertNotEqual(faulty, text)
        tasks.write_text(faulty)
        self.assert_failed(self.install("h2", playbooks=hidden, agent_python_requirements=lock), "No module named", "h2")
        self.assert_nothing_started("h2")

    def test_4_an_agent_is_there_from_nothing_and_a_second_run_changes_nothing(self) -> None:
        self.assert_foreseen("all that switchyard-agent needs would be made", "install_agent", **self.installed())
        self.assert_played(self.install())
        self.assertEqual(self.answer("/version")["version"], OWN_VERSION)
        self.assertEqual(self.answer("/readyz"), self.answer("/readyz"))
        modes = self.site.on_host("h1", "stat", "--format=%U:%G %a %n", "/etc/switchyard-agent/tls/agent.key",
                                  "/etc/switchyard-agent/agent.yml", "/etc/switchyard-agent", "/opt/switchyard/bin/switchyard-host")
        self.assertEqual(modes.splitlines(), [
            "root:switchyard-agent 640 /etc/switchyard-agent/tls/agent.key", "root:switchyard-agent 640 /etc/switchyard-agent/agent.yml",
            "root:switchyard-agent 750 /etc/switchyard-agent", "root:root 755 /opt/switchyard/bin/switchyard-host"])
        self.assertLessEqual(self.site.exposure("h1", "switchyard-agent.service"), 3.0)
        self.assert_unneeded(self.install())
        self.assert_foreseen("", "install_agent", **self.installed())

    def test_5_the_tools_run_a_playbook_on_the_host_as_the_agent_will(self) -> None:
        folder = self.site.folder / "private"
        (folder / "project").mkdir(parents=True)
        (folder / "project/site.yml").write_text("- hosts: all\n  tasks: [{ansible.builtin.ping: {}}]\n")
        (folder / "inventory").mkdir()
        (folder / "inventory/hosts").write_text("localhost ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n")
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(folder, "private")
        subprocess.run(self.fleet.host("h1").argv_inside(["tar", "-x", "-C", "/root"]), input=packed.getvalue(), check=True, timeout=60)
        tools = "/opt/switchyard-python/ansible/bin"
        said = self.site.on_host("h1", "systemd-run", "--quiet", "--collect", "--wait", "--pipe", f"--setenv=PATH={tools}:/usr/bin:/bin",
                                 "--setenv=HOME=/root", f"{tools}/ansible-runner", "run", "/root/private", "-p", "site.yml")
        self.assertRegex(said, r"localhost\s+: ok=2 .*failed=0")

    def misspelt(self, host: str) -> Path:
        """The host's configuration, with a key that there is not."""
        file = self.site.folder / "misspelt.yml"
        file.write_text(self.site.on_host(host, "cat", "/etc/switchyard-agent/agent.yml").replace("tunnels:", "tunels:"))
        return file

    def test_6_another_release_or_configuration(self) -> None:
        started = self.invocation("switchyard-agent")
        self.assert_foreseen("/etc/switchyard-agent/agent.yml would be replaced", "install_agent", **self.installed(agent_tunnels=[7441]))
        self.assert_failed(self.install("h1", agent_version="0.2.0"), "another release is installed")
        self.assertEqual(self.invocation("switchyard-agent"), started)
        self.assert_played(self.install(agent_tunnels=[7441, 7442]))
        self.assertNotEqual(self.invocation("switchyard-agent"), started)
        self.assertIn("tunnels: [7441, 7442]", self.site.on_host("h1", "cat", "/etc/switchyard-agent/agent.yml"))
        good = self.site.on_host("h1", "cat", "/etc/switchyard-agent/agent.yml")
        broken = self.misspelt("h1")
        self.assert_refused("install_agent", "agent.yml:[0-9]+:1: .*tunels", **self.installed(agent_config_file=str(broken)))
        # One that nothing can be said against, until it is used: the host has no such address.
        broken.write_text(good.replace("0.0.0.0", "192.0.2.1"))
        self.assert_failed(self.install(agent_config_file=str(broken)), "The former files of agent-switchyard-agent are back and were seen to work")
        self.assertEqual(self.site.on_host("h1", "cat", "/etc/switchyard-agent/agent.yml"), good)
        self.assertEqual(self.answer("/version")["version"], OWN_VERSION)
        self.assert_unneeded(self.install(agent_tunnels=[7441, 7442]))

    def test_7_switchyard_takes_over_what_was_installed_and_installs_where_all_was_only_prepared(self) -> None:
        self.assert_played(self.install("h2", "--tags", "prepare"), "h2")
        self.assertEqual(self.active("switchyard-agent.service", "h2"), "inactive")
        self.assertEqual(self.active("switchyard-host.socket", "h2"), "active")
        self.assert_unneeded(self.install("h2", "--tags", "prepare"), "h2")

        fields = {"user": "switchyard-agent", "exec": "bin/switchyard-agent", "slots": {"blue": 7441, "green": 7442},
                  "public_port": 7440, "unit": str(UNITS / "switchyard-agent.service"), "environment": {"SLOT": "{{ slot }}"},
                  "health": [{"https": "/readyz", "verify": False}]}
        for host, more in (("h1", {"adopt": {"unit": "switchyard-agent.service", "port": 7440}}), ("h2", {})):
            agent = Agent("switchyard-agent", 0, {**fields, **more})
            outcome = self.site.roll_out(agent, "own", at_once(), "--limit", host)
            self.assertEqual(outcome.code, PROMOTED, outcome.said)
            self.assertEqual(self.site.on_record(host, agent)["owner"], "blue")
            self.assertEqual(self.answer("/version", host)["version"], OWN_VERSION)
        # From then on the playbooks leave the agent to Switchyard; its configuration is judged all the same.
        self.assert_unneeded(self.install("h1", agent_tunnels=[7441, 7442]))
        self.assert_foreseen("", "install_agent", **self.installed(agent_tunnels=[7441, 7442]))
        self.assert_refused("install_agent", "agent.yml:[0-9]+:1: .*tunels",
                            **self.installed(agent_config_file=str(self.misspelt("h1"))))
        self.assert_refused("upgrade_agent", "Switchyard manages switchyard-agent", agent_name="switchyard-agent", agent_port=7440,
                            agent_version="9", agent_archive=self.own.file, agent_archive_sha256=self.own.sha256)

    def renew(self, **variables: Any) -> Played:
        played = self.play("renew_certificates", **{"agent_tls": str(self.tls()), "agent_health_seconds": 8, **variables})
        self.assert_no_secret(played, "h1")
        return played

    def test_8_a_renewed_certificate_is_served_and_connections_stay(self) -> None:
        before = self.served()
        started = self.invocation("switchyard-agent-blue")
        self.cert("renew", "h1")
        trust = ssl.create_default_context(cafile=str(self.tls() / "ca.pem"))
        client = http.client.HTTPSConnection(self.address(), 7440, timeout=10, context=trust)
        self.addCleanup(client.close)
        over, asked = threading.Event(), []

        def ask() -> None:
            """One connection, all the while: none is made in its place."""
            client.connect()
            client.auto_open = 0
            while not over.wait(0.5):
                client.request("GET", "/readyz")
                asked.append(client.getresponse().read())

        thread = threading.Thread(target=ask)
        thread.start()
        self.assert_foreseen("agent.pem would be replaced", "renew_certificates", agent_tls=str(self.tls()))
        self.assert_played(self.renew())
        time.sleep(1)
        told = len(asked)
        self.wait_for("the old connection's answers", lambda: len(asked) > told + 2, within=10)
        over.set()
        thread.join()
        self.assertNotEqual(self.served(), before)
        self.assertIn(self.served(), (self.tls() / "h1.pem").read_text())
        self.assertEqual(self.invocation("switchyard-agent-blue"), started)
        self.assert_unneeded(self.renew())

    def test_9_certificates_that_do_not_fit_are_refused_and_what_is_not_served_is_taken_back(self) -> None:
        another = self.site.folder / "another/issued/h1"
        for wrong, because in (({"agent_key": str(another / "h1.key")}, "is not the key of"),
                               ({"agent_tls": str(self.tls("h2"))}, "does NOT match"),
                               ({"agent_authority": str(another / "ca.pem"), "agent_revoked": ""}, "verification failed|local issuer")):
            with self.subTest(wrong=wrong):
                self.assert_refused("renew_certificates", because, **{"agent_tls": str(self.tls()), **wrong})

        # A server that does not read its files again: it goes on with the old certificate.
        for file in ("agent.pem", "agent.key"):
            self.site.on_host("h1", "cp", f"/etc/switchyard-agent/tls/{file}", f"/run/{file}")
        self.site.on_host("h1", "systemd-run", "--unit=deaf", "openssl", "s_server", "-quiet", "-accept", "7999",
                          "-cert", "/run/agent.pem", "-key", "/run/agent.key")
        before = self.site.on_host("h1", "sha256sum", "/etc/switchyard-agent/tls/agent.pem", "/etc/switchyard-agent/tls/agent.key")
        self.cert("renew", "h1")
        self.assert_failed(self.renew(agent_port=7999, agent_health_seconds=3), "are back and were seen to work")
        after = self.site.on_host("h1", "sha256sum", "/etc/switchyard-agent/tls/agent.pem", "/etc/switchyard-agent/tls/agent.key")
        self.assertEqual(before, after)
        self.assertEqual(self.answer("/version")["version"], OWN_VERSION)


def only_on_trial(version: str, port: int, *first: str) -> list[Member]:
    """A release that is good wherever it listens, but on one port."""
    members = dict((info.name, (info, content)) for info, content in sickly(version))
    _, content = members["bin/agent"]
    lines = content.decode().splitlines()
    script = "\n".join([lines[0], "import os", f"if os.environ['PORT'] == '{port}':", *(f"    {line}" for line in first),
                        "    raise SystemExit(1)", *lines[1:], ""])
    members["bin/agent"] = member("bin/agent", script.encode(), 0o755)
    return list(members.values())


class AgentUpgrades(PlaybookTest):
    """`demo` runs a link to its release, `plain` its own folder."""

    ports = {"demo": 8400, "plain": 8410}
    secret = "none-of-your-business"

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        for name, version, members in (("only-on-trial", "3.0.0", only_on_trial("3.0.0", 8400)),
                                       ("poisonous", "3.1.0", only_on_trial("3.1.0", 8410, "open('/run/sick-plain', 'w').close()"))):
            file = cls.site.folder / f"{name}.tar.gz"
            file.write_bytes(pack(members))
            cls.site.archives[name] = Archive(name, str(file), version, sha256(file), "")
        first = pack(sickly("1.0.0", "sickens", "/run/sick-plain"))
        for name, home, program in (("demo", "/opt/demo/releases/1", "/opt/demo/current"), ("plain", "/opt/plain", "/opt/plain")):
            cls.site.on_host("h1", "mkdir", "-p", home)
            subprocess.run(cls.fleet.host("h1").argv_inside(["tar", "-xz", "-C", home]), input=first, check=True, timeout=60)
            put(cls.fleet, "h1", f"/etc/systemd/system/{name}.service", (
                f"[Unit]\nDescription={name}\n[Service]\nExecStart={program}/bin/agent --quiet\nEnvironment=PORT={cls.ports[name]}\n"
                f"Environment=TOKEN={cls.secret}\nRestart=always\n[Install]\nWantedBy=multi-user.target\n").encode())
        cls.site.on_host("h1", "ln", "-s", "releases/1", "/opt/demo/current")
        put(cls.fleet, "h1", "/opt/plain/kept", b"not in any archive\n")
        cls.site.on_host("h1", "systemctl", "enable", "--now", "demo", "plain")

    def upgrade(self, agent: str, release: str, **variables: Any) -> Played:
        return self.told_nothing(self.play("upgrade_agent", arguments=["-v"], **{**self.upgraded(agent, release), **variables}))

    def upgraded(self, agent: str, release: str) -> dict[str, Any]:
        archive = self.site.archives[release]
        mode = {"agent_trial_port": 8499} if agent == "demo" else {"agent_mode": "in_place"}
        return {"agent_name": agent, "agent_port": self.ports[agent], "agent_version": archive.version, "agent_archive": archive.file,
                "agent_archive_sha256": archive.sha256, "agent_health_seconds": 5, **mode}

    def roll_back(self, agent: str) -> Played:
        return self.told_nothing(self.play("rollback_agent", arguments=["-v"], **self.rolled_back(agent)))

    def rolled_back(self, agent: str) -> dict[str, Any]:
        return {"agent_name": agent, "agent_port": self.ports[agent], "agent_health_seconds": 5}

    def told_nothing(self, played: Played) -> Played:
        self.assertNotIn(self.secret, played.said)
        return played

    def play_until(self, task: str, name: str, **variables: Any) -> None:
        """A play that is broken off before a task."""
        broken = self.site.folder / "broken-off"
        shutil.rmtree(broken, ignore_errors=True)
        shutil.copytree(PLAYBOOKS, broken)
        found = 0
        for file in (broken / "roles").rglob("tasks/*.yml"):
            text = file.read_text()
            before = re.sub(rf"(?m)^( *)- name: {re.escape(task)}$",
                            rf"\1- name: Break off\n\1  ansible.builtin.meta: end_play\n\n\g<0>", text)
            found += before != text
            file.write_text(before)
        self.assertEqual(found, 1, task)
        played = self.play(name, playbooks=broken, **variables)
        self.assertEqual(played.code, 0, played.said)

    def version(self, agent: str) -> str:
        said = self.get(f"http://{self.address()}:{self.ports[agent]}/health")
        return str(json.loads(said)["version"]) if said.startswith("{") else said

    def test_1_what_makes_no_sense_is_refused_before_anything_is_changed(self) -> None:
        archive = self.site.archives["agent-2"]
        good = {"agent_name": "demo", "agent_port": 8400, "agent_trial_port": 8499, "agent_version": "2.0.0", "agent_archive": archive.file,
                "agent_archive_sha256": archive.sha256, "agent_health_seconds": 2}
        for wrong, because in (
            ({"agent_name": "../demo"}, "agent_name: a-z"),
            ({"agent_name": "absent"}, "absent.service is not-found"),
            ({"agent_home": "/"}, "agent_home: a folder such as"),
            ({"agent_unit": "x; reboot"}, "agent_unit: the name of a service"),
            ({"agent_trial_port": 8400}, "agent_trial_port: side by side"),
            ({"agent_archive_sha256": archive.sha256[:-1] + "x"}, "64 hexadecimal digits"),
            ({"agent_mode": "sideways"}, "must be one of: side_by_side, in_place"),
            ({"agent_name": "plain", "agent_port": 8410}, "/opt/plain/current is no link"),
            ({"agent_port": 8411}, "Connection refused"),
        ):
            with self.subTest(wrong=wrong):
                self.assert_refused("upgrade_agent", because, **{**good, **wrong})
        self.assert_refused("rollback_agent", "has backed up no demo here", agent_name="demo", agent_port=8400)
        self.assert_foreseen("demo would be upgraded from 1.0.0 to 2.0.0", "upgrade_agent", **good)

    def test_1_in_place_a_link_or_a_mount_point_is_refused_as_it_cannot_be_moved(self) -> None:
        run = self.site.on_host
        run("h1", "ln", "-s", "/opt/plain", "/opt/linked")
        run("h1", "mkdir", "/opt/mounted")
        run("h1", "mount", "--bind", "/opt/plain", "/opt/mounted")
        for home, because in (("linked", "is a link to /opt/plain"), ("mounted", "is a mount point")):
            with self.subTest(home=home):
                self.assert_refused("upgrade_agent", because, **self.upgraded("plain", "agent-2"), agent_home=f"/opt/{home}")
        run("h1", "umount", "/opt/mounted")
        run("h1", "rm", "-r", "/opt/mounted", "/opt/linked")

    def test_2_side_by_side_a_good_release_is_tried_then_used_and_a_second_run_changes_nothing(self) -> None:
        self.assert_played(self.upgrade("demo", "agent-2"))
        self.assertEqual(self.version("demo"), "2.0.0")
        self.assertEqual(self.site.on_host("h1", "find", "/run/systemd/system", "-name", "demo-trial*").strip(), "")
        self.assert_unneeded(self.upgrade("demo", "agent-2"))
        self.assert_foreseen("", "upgrade_agent", **self.upgraded("demo", "agent-2"))
        self.assert_foreseen("demo would go back to /opt/demo/releases/1, version 1.0.0", "rollback_agent", **self.rolled_back("demo"))

    def test_3_a_release_that_fails_its_trial_never_touches_the_one_that_serves(self) -> None:
        started = self.invocation("demo")
        for release in ("agent-never-healthy", "agent-exits", "agent-wrong-version"):
            with self.subTest(release=release):
                self.assert_failed(self.upgrade("demo", release, agent_health_seconds=3), "failed its trial on port 8499")
                self.assertEqual((self.version("demo"), self.invocation("demo")), ("2.0.0", started))
                self.assertEqual(self.active("demo-trial"), "inactive")
        # One that takes connections and says nothing is waited for no longer than it may take.
        played = self.upgrade("demo", "agent-hangs", agent_health_seconds=2)
        self.assert_failed(played, "failed its trial on port 8499")
        self.assertLessEqual(len(re.findall(r"RETRYING: .*Wait until this answers: http://127.0.0.1:8499", played.said)), 1, played.said)

    def test_4_a_release_that_fails_only_afterwards_gives_way_to_the_old_one_which_is_proved(self) -> None:
        self.assert_failed(self.upgrade("demo", "only-on-trial"), "demo is back on what was backed up, and was seen to be healthy")
        self.assertEqual(self.version("demo"), "2.0.0")

    def test_5_a_rollback_goes_to_the_backup_and_changes_nothing_the_second_time(self) -> None:
        self.assert_played(self.upgrade("demo", "agent-3"))
        self.assertEqual(self.version("demo"), "3.0.0")
        self.assert_played(self.roll_back("demo"))
        self.assertEqual(self.version("demo"), "2.0.0")
        self.assert_unneeded(self.roll_back("demo"))
        self.assert_foreseen("", "rollback_agent", **self.rolled_back("demo"))
        self.assert_played(self.upgrade("demo", "agent-3"))

    def test_5_side_by_side_what_was_broken_off_after_the_link_moved_goes_on_and_keeps_its_backup(self) -> None:
        # 2.0.0 is what runs, and what is backed up; the release that the link leads to then is bad.
        self.assert_played(self.roll_back("demo"))
        self.play_until("Restart the agent", "upgrade_agent", **self.upgraded("demo", "only-on-trial"))
        self.assertEqual(self.version("demo"), "2.0.0")
        self.assertIn("3.0.0", self.site.on_host("h1", "readlink", "/opt/demo/current"))
        self.assert_failed(self.upgrade("demo", "only-on-trial"), "demo is back on what was backed up, and was seen to be healthy")
        self.assertEqual(self.version("demo"), "2.0.0")

        self.play_until("Restart the agent", "upgrade_agent", **self.upgraded("demo", "agent-3"))
        self.assert_played(self.upgrade("demo", "agent-3"))
        self.assertEqual(self.version("demo"), "3.0.0")
        # A rollback that is broken off in the same place.
        self.play_until("Restart the agent", "rollback_agent", **self.rolled_back("demo"))
        self.assertEqual(self.version("demo"), "3.0.0")
        self.assert_refused("upgrade_agent", "of which there is no backup", **{
            **self.upgraded("demo", "agent-2"), "agent_archive_sha256": self.site.archives["agent-2"].sha256})
        self.assert_played(self.roll_back("demo"))
        self.assertEqual(self.version("demo"), "2.0.0")
        self.assert_unneeded(self.roll_back("demo"))

    def test_6_in_place_a_good_release_and_back(self) -> None:
        self.assert_played(self.upgrade("plain", "agent-2"))
        self.assertEqual((self.version("plain"), self.site.on_host("h1", "cat", "/opt/plain/kept")), ("2.0.0", "not in any archive\n"))
        self.assert_unneeded(self.upgrade("plain", "agent-2"))
        self.assert_played(self.roll_back("plain"))
        self.assertEqual((self.version("plain"), self.site.on_host("h1", "cat", "/opt/plain/kept")), ("1.0.0", "not in any archive\n"))
        self.assert_unneeded(self.roll_back("plain"))

    def test_7_in_place_a_bad_release_gives_way_to_the_backup_which_is_proved(self) -> None:
        for release in ("agent-exits", "agent-wrong-version"):
            with self.subTest(release=release):
                played = self.upgrade("plain", release, agent_health_seconds=3)
                self.assert_failed(played, "plain is back on what was backed up, and was seen to be healthy")
                self.assertEqual(self.version("plain"), "1.0.0")
        self.assertEqual(self.site.on_host("h1", "cat", "/opt/plain/VERSION"), "1.0.0\n")

    def test_8_an_upgrade_that_was_broken_off_is_left_to_a_rollback(self) -> None:
        self.play_until("Replace its files", "upgrade_agent", **self.upgraded("plain", "agent-2"))
        self.assertEqual(self.active("plain"), "inactive")
        self.assertNotEqual(self.upgrade("plain", "agent-3").code, 0)
        # The rollback is broken off as well, while there are no files at all.
        self.play_until("Move the old files into their place", "rollback_agent", **self.rolled_back("plain"))
        self.assertEqual(self.site.on_host("h1", "find", "/opt/plain", "-maxdepth", "0").strip(), "")
        self.assert_played(self.roll_back("plain"))
        self.assertEqual((self.version("plain"), self.site.on_host("h1", "cat", "/opt/plain/kept")), ("1.0.0", "not in any archive\n"))
        self.site.on_host("h1", "systemctl", "stop", "plain")
        self.assert_foreseen("plain would be started anew, version 1.0.0", "rollback_agent", **self.rolled_back("plain"))
        self.assert_played(self.roll_back("plain"))
        self.assertEqual(self.version("plain"), "1.0.0")

    def test_9_where_the_old_release_is_not_healthy_any_more_that_is_said_aloud(self) -> None:
        self.assert_failed(self.upgrade("plain", "poisonous", agent_health_seconds=3), "was put back to its backup and COULD NOT BE PROVED")


if __name__ == "__main__":
    unittest.main()

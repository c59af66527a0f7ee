#!/usr/bin/env python3
"""The playbooks that deploy services: from nothing, again, with a better configuration, with a bad one, and away."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
import unittest
from pathlib import Path
from typing import Any

from plays import PLAYBOOKS, PlaybookTest, sha256


class Files(unittest.TestCase):
    """What no host is needed for to see."""

    def test_no_task_goes_on_after_a_failure_as_if_there_were_none(self) -> None:
        hiding = re.compile(r"failed_when:\s*(false\b|no\b|\[\])|ignore_errors|ignore_unreachable|ansible\.builtin\.shell|\|\|\s*true",
                            re.IGNORECASE)
        files = sorted(PLAYBOOKS.rglob("*.yml"))
        self.assertGreater(len(files), 40)
        for file in files:
            found = hiding.search(file.read_text(encoding="utf-8"))
            self.assertIsNone(found, f"{file}: {found and found.group()}")

    def test_what_systemd_tells_of_a_unit_is_not_shown(self) -> None:
        """Its environment is in it, whatever a task did with the unit. The sockets of this Switchyard have none."""
        tasks = [task for file in sorted(PLAYBOOKS.rglob("*.yml")) for task in re.split(r"(?m)^(?= *- name:)", file.read_text(encoding="utf-8"))]
        shown = [task for task in tasks if re.search(r"systemd_service:\n +name:", task) and "no_log: true" not in task]
        self.assertEqual([task for task in shown if "agent_socket" not in task], [])
        self.assertGreater(len(tasks), 200)

    def test_every_variable_is_told_of(self) -> None:
        told = (PLAYBOOKS / "README.md").read_text(encoding="utf-8")
        for role in ("agent", "caddy", "xray"):
            specification = (PLAYBOOKS / f"roles/{role}/meta/argument_specs.yml").read_text(encoding="utf-8")
            names = set(re.findall(rf"^      ({role}_\w+):", specification, re.MULTILINE)) - {f"{role}_state"}
            self.assertGreater(len(names), 10)
            self.assertEqual([name for name in sorted(names) if f"`{name}`" not in told], [], "not in playbooks/README.md")


def caddyfile(answer: str, port: int = 8080) -> str:
    return f'{{\n\tadmin localhost:2019\n}}\n:{port} {{\n\trespond "{answer}"\n}}\n'


class Caddy(PlaybookTest):
    @property
    def url(self) -> str:
        return f"http://{self.address()}:8080/"

    def deploy(self, answer: str = "", **variables: Any) -> Any:
        return self.play("deploy_caddy", **{**self.deployed(answer), **variables})

    def deployed(self, answer: str) -> dict[str, Any]:
        return {"caddy_config": caddyfile(answer), "caddy_health_url": "http://127.0.0.1:8080/", "caddy_health_contains": answer,
                "caddy_health_seconds": 5}

    def program(self) -> str:
        pid = self.site.on_host("h1", "systemctl", "show", "--property=MainPID", "--value", "caddy").strip()
        return self.site.on_host("h1", "readlink", f"/proc/{pid}/exe").strip()

    def archive(self) -> Path:
        """Debian's program as an archive of one's own."""
        content = self.site.on_host("h1", "sha256sum", "/usr/bin/caddy")
        file = self.site.folder / "caddy.tar.gz"
        if not file.exists():
            packed = subprocess.run(self.fleet.host("h1").argv_inside(["tar", "-cz", "-C", "/usr/bin", "caddy"]),
                                    capture_output=True, check=True, timeout=120)
            file.write_bytes(packed.stdout)
        self.assertIn("/usr/bin/caddy", content)
        return file

    def test_1_values_that_make_no_sense_are_refused_before_anything_is_changed(self) -> None:
        good = {"caddy_config": caddyfile("x"), "caddy_health_url": "http://127.0.0.1:8080/"}
        self.assert_all_refused("deploy_caddy", [
            ({"caddy_config": ""}, "caddy_config, a Caddyfile's text"),
            ({"caddy_config_file": "/etc/hostname"}, "caddy_config, a Caddyfile's text"),
            ({"caddy_health_url": ""}, "caddy_health_url: a URL"),
            ({"caddy_health_status": 99}, "100 to 599"),
            ({"caddy_health_seconds": "soon"}, "caddy_health_seconds"),
            ({"caddy_apply": "hope"}, "must be one of: reload, restart"),
            ({"service_state": "gone"}, "must be one of: present, absent"),
            ({"caddy_source": "archive", "caddy_archive": "/tmp/caddy.tar.gz", "caddy_archive_sha256": "abc"}, "64 hexadecimal digits"),
            ({"caddy_source": "archive", "caddy_archive": "/etc/x;reboot", "caddy_archive_sha256": "0" * 64}, "a path or URL that ends in"),
            ({"caddy_source": "archive", "caddy_archive": "/no/such.tar.gz", "caddy_archive_sha256": "0" * 64}, "no such file"),
        ], **good)

    def test_2_caddy_is_there_from_nothing_and_a_second_run_changes_nothing(self) -> None:
        self.assert_foreseen("caddy would be installed", "deploy_caddy", **self.deployed("the first"))
        self.assert_played(self.deploy("the first"))
        self.assertEqual(self.get(self.url), "the first")
        self.assert_unneeded(self.deploy("the first"))
        self.assert_unneeded(self.deploy("the first", login="sudo"))
        self.assert_foreseen("", "deploy_caddy", **self.deployed("the first"))
        self.assert_foreseen("/etc/caddy/Caddyfile would be replaced", "deploy_caddy", **self.deployed("the second"))
        self.assert_foreseen("caddy", "deploy_caddy", service_state="absent")

    def test_3_a_new_configuration_is_served_without_a_restart(self) -> None:
        before = self.invocation("caddy")
        self.assert_played(self.deploy("the second"))
        self.assertEqual(self.get(self.url), "the second")
        self.assertEqual(self.invocation("caddy"), before)

    def test_4_a_configuration_that_caddy_refuses_changes_nothing(self) -> None:
        broken = caddyfile("the third").replace("respond", "repsond")
        self.assert_refused("deploy_caddy", "unrecognized directive: repsond", caddy_config=broken, caddy_health_url=self.url)
        self.assertEqual(self.get(self.url), "the second")

    def test_5_where_the_new_configuration_does_not_work_the_last_one_comes_back_and_is_proved(self) -> None:
        played = self.deploy("the fourth", caddy_config=caddyfile("the fourth", port=8081))
        self.assert_failed(played, "The former files of caddy are back and were seen to work")
        self.assertEqual(self.get(self.url), "the second")
        self.assertIn("Error", self.get(f"http://{self.address()}:8081/"))
        self.assert_unneeded(self.deploy("the second"))

    def test_6_what_somebody_wrote_by_hand_comes_back_too(self) -> None:
        self.site.on_host("h1", "sed", "-i", "s/the second/by hand/", "/etc/caddy/Caddyfile")
        self.site.on_host("h1", "systemctl", "reload", "caddy")
        self.assertEqual(self.get(self.url), "by hand")
        self.assert_failed(self.deploy("the fifth", caddy_config=caddyfile("the fifth", port=8081)), "are back and were seen to work")
        self.assertEqual(self.get(self.url), "by hand")

    def test_7_a_run_that_was_broken_off_is_made_up_for(self) -> None:
        # As it is when a run ends between writing the files and telling Caddy: they are in place, nobody has read them.
        self.assert_played(self.deploy("the sixth"))
        self.site.on_host("h1", "sed", "-i", "s/the sixth/the seventh/", "/etc/caddy/Caddyfile")
        self.site.on_host("h1", "touch", "/var/lib/switchyard-playbooks/caddy/unproved")
        self.assert_played(self.deploy("the seventh"))
        self.assertEqual(self.get(self.url), "the seventh")

    def test_8_from_the_package_to_an_archive_and_away(self) -> None:
        archive = self.archive()
        variables = {"caddy_source": "archive", "caddy_archive": str(archive), "caddy_archive_sha256": sha256(archive)}
        self.assert_refused("deploy_caddy", "its SHA-256 is", **{**variables, "caddy_archive_sha256": "0" * 64},
                            caddy_config=caddyfile("x"), caddy_health_url=self.url)
        self.assert_played(self.deploy("packed", **variables))
        self.assertEqual(self.get(self.url), "packed")
        self.assertIn("/opt/caddy/", self.site.on_host("h1", "systemctl", "show", "--property=ExecStart", "caddy"))
        self.assert_unneeded(self.deploy("packed", **variables))
        self.assert_failed(self.deploy("worse", **variables, caddy_config=caddyfile("worse", port=8081)), "back and were seen to work")
        self.assertEqual(self.get(self.url), "packed")

        # A run that was broken off after it had placed the unit's file, which systemd has not read.
        unit, on_host = "/etc/systemd/system/caddy.service", self.site.on_host
        on_host("h1", "sed", "-i", "s/^User=/Environment=OLD=1\\n&/", unit)
        on_host("h1", "systemctl", "daemon-reload")
        on_host("h1", "systemctl", "restart", "caddy")
        on_host("h1", "sed", "-i", "/^Environment=OLD/d", unit)
        on_host("h1", "touch", "/var/lib/switchyard-playbooks/caddy/unproved")
        before = self.invocation("caddy")
        self.assert_played(self.deploy("packed", **variables))
        self.assertNotEqual(self.invocation("caddy"), before)
        self.assertNotIn("OLD", on_host("h1", "systemctl", "show", "--property=Environment", "caddy"))

        # Back to the package, first with a configuration that does not work: the archive's unit must not hide the package's.
        self.assert_foreseen(f"{unit} would be removed", "deploy_caddy", **self.deployed("from Debian"))
        self.assert_failed(self.deploy("worse", caddy_config=caddyfile("worse", port=8081)), "back and were seen to work")
        self.assertEqual((self.get(self.url), self.program()[:11]), ("packed", "/opt/caddy/"))
        self.assert_played(self.deploy("from Debian"))
        self.assertEqual((self.get(self.url), self.program()), ("from Debian", "/usr/bin/caddy"))
        self.assertEqual(on_host("h1", "systemctl", "is-enabled", "caddy").strip(), "enabled")
        self.assert_unneeded(self.deploy("from Debian"))

        # A unit that somebody has written by hand is theirs.
        on_host("h1", "cp", "/lib/systemd/system/caddy.service", unit)
        on_host("h1", "systemctl", "daemon-reload")
        self.assert_played(self.deploy("from Debian"))
        self.assertEqual(on_host("h1", "find", unit).strip(), unit)

        self.assert_played(self.play("deploy_caddy", service_state="absent"))
        self.assertIn("Error", self.get(self.url))
        for path in ("/etc/caddy", "/opt/caddy", "/usr/bin/caddy", "/etc/systemd/system/caddy.service"):
            self.assertEqual(self.site.on_host("h1", "find", path).strip(), "", path)
        self.assert_unneeded(self.play("deploy_caddy", service_state="absent"))

    def test_9_where_there_was_none_before_nothing_half_made_stays(self) -> None:
        self.assert_failed(self.deploy("never", caddy_config=caddyfile("never", port=8081)), "did not run before: it is stopped")
        self.assertIn("Error", self.get(f"http://{self.address()}:8081/"))
        self.assertEqual(self.active("caddy"), "inactive")


def xray(outbound: str = "freedom", secret: str = "none-of-your-business") -> dict[str, Any]:
    accounts = [{"user": "probe", "pass": secret}]
    return {"log": {"loglevel": "warning"}, "outbounds": [{"protocol": outbound}], "inbounds": [
        {"listen": "127.0.0.1", "port": 8118, "protocol": "http"},
        {"listen": "0.0.0.0", "port": 1080, "protocol": "socks", "settings": {"auth": "noauth"}},
        {"listen": "0.0.0.0", "port": 8119, "protocol": "http", "settings": {"accounts": accounts}},
    ]}


class Xray(PlaybookTest):
    secret = "none-of-your-business"

    def deployed(self, **variables: Any) -> dict[str, Any]:
        return {"xray_config": xray(), "xray_health_proxy": "http://127.0.0.1:8118", "xray_health_url": f"{self.supplies.url}/hello",
                "xray_health_seconds": 5, "xray_python_find_links": self.wheels_url, **variables}

    def deploy(self, **variables: Any) -> Any:
        played = self.play("deploy_xray", arguments=["-v"], **self.deployed(**variables))
        self.assertNotIn(self.secret, played.said)
        return played

    def proxied(self) -> tuple[str, str]:
        return self.proxied_by("h1", self.secret)

    def test_1_values_that_make_no_sense_are_refused_before_anything_is_changed(self) -> None:
        good = {"xray_config": xray(), "xray_health_proxy": "http://127.0.0.1:8118"}
        self.assert_all_refused("deploy_xray", [
            ({"xray_config": ""}, "xray_config, a configuration"),
            ({"xray_health_proxy": "ftp://127.0.0.1:1"}, "xray_health_proxy: http://HOST:PORT"),
            ({"xray_health_url": "file:///etc/passwd"}, "xray_health_url: a URL"),
            ({"xray_source": "archive", "xray_archive": "/no/such.zip", "xray_archive_sha256": "0" * 64}, "no such file"),
            ({"xray_source": "moon"}, "must be one of: wheel, archive"),
        ], **good)

    def test_2_requests_are_proxied_from_nothing_on_and_a_second_run_changes_nothing(self) -> None:
        self.assert_foreseen("xray.service would be started", "deploy_xray", **self.deployed())
        self.assert_played(self.deploy())
        self.assertEqual(self.proxied(), ("hello from outside\n", self.address()))
        self.assert_unneeded(self.deploy())
        self.assert_foreseen("", "deploy_xray", **self.deployed())
        self.assert_foreseen("config.json would be replaced", "deploy_xray", **self.deployed(xray_config=xray("blackhole")))
        self.assertRegex(self.site.on_host("h1", "stat", "--format=%U:%G %a", "/etc/xray/config.json"), "root:xray 640")
        self.assertLessEqual(self.site.exposure("h1", "xray.service"), 3.0)

    def test_3_a_socks_inbound_can_be_what_proves_it(self) -> None:
        self.assert_played(self.deploy(xray_health_proxy=f"socks5h://{self.address()}:1080"))
        played = self.deploy(xray_health_proxy=f"socks5h://{self.address()}:1080", xray_config=xray("blackhole"))
        self.assert_failed(played, "The former files of xray are back and were seen to work")
        self.assertEqual(self.proxied()[0], "hello from outside\n")

    def test_4_a_configuration_that_xray_refuses_changes_nothing(self) -> None:
        self.assert_refused("deploy_xray", "Xray ended with", xray_config=xray("nonsense"), xray_python_find_links=self.wheels_url,
                            xray_health_proxy="http://127.0.0.1:8118")

    def test_5_where_requests_are_not_proxied_the_last_configuration_comes_back_and_is_proved(self) -> None:
        self.assert_failed(self.deploy(xray_config=xray("blackhole")), "The former files of xray are back and were seen to work")
        self.assertEqual(self.proxied(), ("hello from outside\n", self.address()))

    def test_6_an_inbound_on_an_address_of_the_host_is_no_fault(self) -> None:
        bound = xray()
        bound["inbounds"][1]["listen"] = self.address()
        self.assert_played(self.deploy(xray_config=bound, xray_health_proxy=f"socks5h://{self.address()}:1080"))

    def test_7_an_archive_with_a_program_of_its_own_and_away(self) -> None:
        stand_in = (PLAYBOOKS / "roles/xray/files/xray_from_wheel.py").read_bytes()
        python = self.site.on_host("h1", "readlink", "-f", "/opt/switchyard-python/xray").strip() + "/bin/python"
        self.site.on_host("h1", "cp", "-a", str(Path(python).parents[1]), "/opt/xray-elsewhere")
        program = b"#!/opt/xray-elsewhere/bin/python\n" + stand_in
        file = self.site.folder / "xray-1.tar.gz"
        with tarfile.open(file, "w:gz") as tar:
            info = tarfile.TarInfo("xray-1/xray")
            info.size, info.mode = len(program), 0o755
            tar.addfile(info, io.BytesIO(program))
        variables = {"xray_source": "archive", "xray_archive": str(file), "xray_archive_sha256": sha256(file), "xray_archive_strip": 1}
        self.assert_played(self.deploy(**variables))
        self.assertIn("/opt/xray/", self.site.on_host("h1", "systemctl", "show", "--property=ExecStart", "xray"))
        self.assertEqual(self.proxied()[0], "hello from outside\n")
        self.assert_unneeded(self.deploy(**variables))

        self.assert_played(self.play("deploy_xray", service_state="absent"))
        self.assertIn("Error", self.proxied()[0])
        self.assertEqual(self.site.on_host("h1", "find", "/etc/xray", "/opt/xray", "/opt/switchyard-python/xray").strip(), "")
        self.assert_unneeded(self.play("deploy_xray", service_state="absent"))


if __name__ == "__main__":
    unittest.main()
